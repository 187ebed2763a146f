"""Indexes of the message list, saved filters, exports."""

from __future__ import annotations

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("notifications", "0010_bulk_sends")]

    operations: list[migrations.operations.base.Operation] = []
