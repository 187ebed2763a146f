"""What a clinic group decides for itself: senders, credentials, retention, rules."""

from __future__ import annotations

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("core", "0004_accounts")]

    operations: list[migrations.operations.base.Operation] = []
