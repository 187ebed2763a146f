"""Wrong birth dates are counted for each file and day as well."""

from __future__ import annotations

import uuid

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("core", "0012_look_through_old_words_again")]
    operations = [
        migrations.CreateModel(
            name="PortalGuess",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("day", models.DateField()),
                ("wrong", models.PositiveSmallIntegerField(default=0)),
                (
                    "patient",
                    models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="+", to="core.patient"),
                ),
                (
                    "tenant",
                    models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="+", to="core.tenant"),
                ),
            ],
            options={
                "verbose_name": "guesses at a birth date",
                "verbose_name_plural": "guesses at birth dates",
                "constraints": [models.UniqueConstraint(fields=("patient", "day"), name="portal_guess_once")],
            },
        ),
    ]
