"""The letter that takes a calendar entry back of a visit that was entered in error."""

from __future__ import annotations

from importlib import import_module

from django.db import migrations

add_words = import_module("notifications.migrations.0018_words_for_new_events").add_words


class Migration(migrations.Migration):
    dependencies = [("notifications", "0018_words_for_new_events")]
    operations = [migrations.RunPython(add_words, migrations.RunPython.noop, elidable=True)]
