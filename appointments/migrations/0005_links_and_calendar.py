"""The second question of a link to a sensitive place: how often it was answered wrongly."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("appointments", "0004_series_and_waiting")]
    operations = [
        migrations.AddField(
            model_name="confirmationtoken",
            name="wrong_tries",
            field=models.PositiveSmallIntegerField(default=0),
        ),
        migrations.AddField(
            model_name="confirmationtoken",
            name="locked_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
    ]
