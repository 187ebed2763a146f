"""Tags of patients."""

from __future__ import annotations

import uuid

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("core", "0008_rights_and_holds")]
    operations = [
        migrations.CreateModel(
            name="PatientTag",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("name_en", models.CharField(max_length=200, verbose_name="name in English")),
                ("name_ar", models.CharField(blank=True, max_length=200, verbose_name="name in Arabic")),
                ("is_health", models.BooleanField(default=False, verbose_name="about health")),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "tenant",
                    models.ForeignKey(
                        editable=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="core.tenant",
                    ),
                ),
            ],
            options={"verbose_name": "tag", "verbose_name_plural": "tags", "ordering": ["name_en", "pk"]},
        ),
        migrations.CreateModel(
            name="PatientTagging",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "patient",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="taggings", to="core.patient"
                    ),
                ),
                (
                    "tag",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="taggings", to="core.patienttag"
                    ),
                ),
                (
                    "tenant",
                    models.ForeignKey(
                        editable=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="core.tenant",
                    ),
                ),
            ],
            options={
                "verbose_name": "tag of a patient",
                "verbose_name_plural": "tags of patients",
                "constraints": [models.UniqueConstraint(fields=("tag", "patient"), name="patient_tagged_once")],
            },
        ),
    ]
