"""The patient's page and calendar entries."""

from __future__ import annotations

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [('appointments', '0004_series_and_waiting')]
    operations = []
