"""Counters are updated all day: with room on the page an update is written beside the old row, and no index is touched."""

from __future__ import annotations

from django.db import migrations


def _fill(factor):
    def alter(apps, schema_editor):
        if schema_editor.connection.vendor == "postgresql":
            schema_editor.execute(f"ALTER TABLE notifications_bellstate SET (fillfactor = {factor})")

    return alter


class Migration(migrations.Migration):
    dependencies = [("notifications", "0006_spare_the_bells_indexes")]
    operations = [migrations.RunPython(_fill(50), _fill(100))]
