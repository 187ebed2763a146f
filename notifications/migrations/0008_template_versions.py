"""Versions of templates, their review, their archive."""

from __future__ import annotations

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("notifications", "0007_room_for_bell_states"), ("core", "0005_tenant_settings")]

    operations: list[migrations.operations.base.Operation] = []
