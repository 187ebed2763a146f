"""Who wrote the words of a bulk send, or asked for it to be sent, does not approve it; until now only its author did not."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("notifications", "0020_tell_whose_patients")]
    operations = [
        migrations.AddField(model_name="bulksend", name="editors", field=models.JSONField(default=list)),
    ]
