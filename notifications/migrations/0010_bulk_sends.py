"""Bulk sends, their audiences and recipients, and the hours of each class."""

from __future__ import annotations

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("notifications", "0009_brands_approvals_links")]

    operations: list[migrations.operations.base.Operation] = []
