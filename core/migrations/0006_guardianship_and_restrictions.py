"""Guardianships in force, restrictions, how names and digits are wished."""

from __future__ import annotations

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [('core', '0005_tenant_settings')]
    operations = []
