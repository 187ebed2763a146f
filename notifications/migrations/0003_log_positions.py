"""Each message learns the position of its last log row, which new rows count on from."""

from django.db import migrations
from django.db.models import F, Max, OuterRef, Subquery
from django.db.models.functions import Coalesce

BATCH = 5000


def backfill(apps, schema_editor):
    message = apps.get_model("notifications", "Message")
    log = apps.get_model("notifications", "MessageLog")
    last = (
        log.objects.filter(message=OuterRef("pk")).order_by().values("message").annotate(last=Max("position")).values("last")
    )
    ids = list(message.objects.values_list("pk", flat=True))
    for start in range(0, len(ids), BATCH):
        message.objects.filter(pk__in=ids[start : start + BATCH]).update(
            log_position=Coalesce(Subquery(last), F("log_position"))
        )


class Migration(migrations.Migration):
    dependencies = [("notifications", "0002_attempts_lanes_suppression")]
    operations = [migrations.RunPython(backfill, migrations.RunPython.noop)]
