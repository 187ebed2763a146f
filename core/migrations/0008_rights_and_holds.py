"""Patients' own sign-in, requests about their data, legal holds."""

from __future__ import annotations

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [('core', '0007_discreet_locations')]
    operations = []
