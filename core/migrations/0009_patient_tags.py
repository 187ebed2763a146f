"""Tags of patients."""

from __future__ import annotations

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [('core', '0008_rights_and_holds')]
    operations = []
