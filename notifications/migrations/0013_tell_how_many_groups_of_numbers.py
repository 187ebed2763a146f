"""A year of numbers falls into a few hundred groups. Told so, PostgreSQL adds them up as it reads instead of sorting them on disk."""

from __future__ import annotations

from django.db import migrations


def _execute(statement):
    def run(apps, schema_editor):
        if schema_editor.connection.vendor == "postgresql":
            schema_editor.execute(statement)

    return run


class Migration(migrations.Migration):
    dependencies = [("notifications", "0012_rollups")]
    operations = [
        migrations.RunPython(
            _execute(
                "CREATE STATISTICS daily_count_groups (ndistinct)"
                " ON dimension, key, channel, currency, bucket FROM notifications_dailycount"
            ),
            _execute("DROP STATISTICS daily_count_groups"),
        )
    ]
