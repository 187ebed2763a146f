"""Payers, payment reminders and refunds."""

from __future__ import annotations

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [('finance', '0001_initial')]
    operations = []
