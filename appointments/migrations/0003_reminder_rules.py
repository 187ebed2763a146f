"""Reminders by the clinic's own rules."""

from __future__ import annotations

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [('appointments', '0002_people_and_places')]
    operations = []
