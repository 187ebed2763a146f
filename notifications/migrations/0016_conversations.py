"""Replies that are understood, conversations, what a sender can do."""

from __future__ import annotations

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [('notifications', '0015_consents')]
    operations = []
