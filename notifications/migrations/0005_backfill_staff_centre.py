"""Rows from before the staff centre: their order in the list, and what they are about."""

from __future__ import annotations

from django.db import migrations
from django.db.models import F

_CATEGORIES = (
    ("appointment.arrived", "ARRIVAL"),
    ("appointment.", "APPOINTMENT"),
    ("message.", "MESSAGING"),
    ("system.", "SYSTEM"),
)


def fill(apps, schema_editor):
    rows = apps.get_model("notifications", "Notification")._base_manager
    rows.update(activity_at=F("created_at"))
    for start, category in _CATEGORIES:
        rows.filter(event_key__startswith=start, category="GENERAL").update(category=category)


class Migration(migrations.Migration):
    dependencies = [("notifications", "0004_staff_centre")]
    operations = [migrations.RunPython(fill, migrations.RunPython.noop, elidable=True)]
