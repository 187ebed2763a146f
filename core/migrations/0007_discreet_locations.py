"""Locations that must not be named."""

from __future__ import annotations

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [('core', '0006_guardianship_and_restrictions')]
    operations = []
