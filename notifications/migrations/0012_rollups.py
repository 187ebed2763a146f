"""Numbers of messages by day."""

from __future__ import annotations

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("notifications", "0011_message_lists_exports")]

    operations: list[migrations.operations.base.Operation] = []
