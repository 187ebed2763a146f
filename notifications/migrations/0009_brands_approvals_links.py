"""Brands of emails, WhatsApp approvals, short links and their clicks."""

from __future__ import annotations

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("notifications", "0008_template_versions")]

    operations: list[migrations.operations.base.Operation] = []
