"""Consents, the log of opt-outs, wishes by channel and type."""

from __future__ import annotations

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [('notifications', '0014_desk_tasks')]
    operations = []
