"""Events that wait a while before they are told."""

from __future__ import annotations

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [('notifications', '0016_conversations')]
    operations = []
