"""Series, absences of a provider, the waiting list."""

from __future__ import annotations

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [('appointments', '0003_reminder_rules')]
    operations = []
