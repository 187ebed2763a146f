"""Versions of templates, their review, their archive. What is sent today becomes each template's first version."""

from __future__ import annotations

import itertools
import uuid

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models
from django.db.models import F, Q

_WORDS = ("subject_en", "subject_ar", "body_en", "body_ar", "variables")
_BATCH = 500


def keep_what_is_sent(apps, schema_editor):
    """The number stays: messages name it."""
    templates = apps.get_model("notifications", "MessageTemplate")._base_manager
    versions = apps.get_model("notifications", "TemplateVersion")._base_manager
    rows = templates.order_by("pk").iterator(chunk_size=_BATCH)
    while batch := list(itertools.islice(rows, _BATCH)):
        versions.bulk_create(
            versions.model(
                tenant_id=row.tenant_id,
                template_id=row.pk,
                number=row.version,
                state="PUBLISHED",
                decided_at=row.updated_at,
                **{name: getattr(row, name) for name in _WORDS},
            )
            for row in batch
        )


class Migration(migrations.Migration):
    dependencies = [("notifications", "0007_room_for_bell_states"), ("core", "0005_tenant_settings")]

    operations = [
        migrations.AddField(
            model_name="messagetemplate",
            name="archived_at",
            field=models.DateTimeField(editable=False, null=True, verbose_name="archived"),
        ),
        migrations.AlterField(
            model_name="messagetemplate",
            name="body_en",
            field=models.TextField(blank=True, verbose_name="text in English"),
        ),
        migrations.AddConstraint(
            model_name="messagetemplate",
            constraint=models.CheckConstraint(
                condition=Q(is_active=False) | Q(version__gte=1, archived_at__isnull=True),
                name="template_active_is_published",
            ),
        ),
        migrations.CreateModel(
            name="TemplateVersion",
            fields=[
                (
                    "id",
                    models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False),
                ),
                ("subject_en", models.CharField(blank=True, max_length=200, verbose_name="subject in English")),
                ("subject_ar", models.CharField(blank=True, max_length=200, verbose_name="subject in Arabic")),
                ("body_en", models.TextField(blank=True, verbose_name="text in English")),
                ("body_ar", models.TextField(blank=True, verbose_name="text in Arabic")),
                (
                    "variables",
                    models.JSONField(
                        blank=True,
                        default=list,
                        help_text="Names that may stand in the text: patient_name, date.",
                        verbose_name="placeholders",
                    ),
                ),
                ("number", models.PositiveIntegerField(verbose_name="version")),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("DRAFT", "Draft"),
                            ("IN_REVIEW", "In review"),
                            ("PUBLISHED", "Published"),
                            ("SUPERSEDED", "Replaced"),
                            ("REJECTED", "Sent back"),
                            ("WITHDRAWN", "Discarded"),
                        ],
                        default="DRAFT",
                        max_length=10,
                        verbose_name="state",
                    ),
                ),
                ("revision", models.PositiveIntegerField(default=1)),
                ("editors", models.JSONField(default=list)),
                ("note", models.CharField(blank=True, max_length=300, verbose_name="what has changed")),
                (
                    "review_note",
                    models.CharField(blank=True, max_length=300, verbose_name="answer of the reviewer"),
                ),
                ("restores", models.PositiveIntegerField(null=True)),
                ("submitted_at", models.DateTimeField(null=True)),
                ("decided_at", models.DateTimeField(null=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
                (
                    "author",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "reviewer",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "template",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="versions",
                        to="notifications.messagetemplate",
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
                "verbose_name": "version of a template",
                "verbose_name_plural": "versions of templates",
                "ordering": ["-number"],
                "constraints": [
                    models.UniqueConstraint(fields=["template", "number"], name="template_version_once"),
                    models.UniqueConstraint(
                        condition=Q(state__in=["DRAFT", "IN_REVIEW"]),
                        fields=["template"],
                        name="template_one_open_version",
                    ),
                    models.UniqueConstraint(
                        condition=Q(state="PUBLISHED"), fields=["template"], name="template_one_published_version"
                    ),
                    models.CheckConstraint(
                        condition=Q(reviewer__isnull=True) | Q(author__isnull=True) | ~Q(reviewer=F("author")),
                        name="template_version_second_person",
                    ),
                ],
            },
        ),
        migrations.RunPython(keep_what_is_sent, migrations.RunPython.noop, elidable=True),
    ]
