"""The audit trail cannot be changed, and a log of who looked at whose messages."""

from __future__ import annotations

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("core", "0002_duty_sessions")]

    operations: list[migrations.operations.base.Operation] = []
