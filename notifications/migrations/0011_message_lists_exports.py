"""Indexes of the message list, saved filters, exports."""

from __future__ import annotations

import uuid
from typing import Any

import django.db.models.deletion
from django.conf import settings
from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db import migrations, models


class AddIndexOnline(AddIndexConcurrently):
    """While people go on sending, where the database can: a year of messages takes minutes."""

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        kind: Any = AddIndexConcurrently if schema_editor.connection.vendor == "postgresql" else migrations.AddIndex
        kind.database_forwards(self, app_label, schema_editor, from_state, to_state)

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        kind: Any = AddIndexConcurrently if schema_editor.connection.vendor == "postgresql" else migrations.AddIndex
        kind.database_backwards(self, app_label, schema_editor, from_state, to_state)


class RemoveIndexOnline(RemoveIndexConcurrently):
    """The same for what goes."""

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        kind: Any = (
            RemoveIndexConcurrently if schema_editor.connection.vendor == "postgresql" else migrations.RemoveIndex
        )
        kind.database_forwards(self, app_label, schema_editor, from_state, to_state)

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        kind: Any = (
            RemoveIndexConcurrently if schema_editor.connection.vendor == "postgresql" else migrations.RemoveIndex
        )
        kind.database_backwards(self, app_label, schema_editor, from_state, to_state)


class Migration(migrations.Migration):
    # Concurrent indexes allow no transaction around them.
    atomic = False

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ("notifications", "0010_bulk_sends"),
    ]

    operations = [
        migrations.CreateModel(
            name="MessageExport",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                (
                    "format",
                    models.CharField(choices=[("CSV", "CSV"), ("XLSX", "Excel")], max_length=4, verbose_name="format"),
                ),
                (
                    "language",
                    models.CharField(
                        choices=[("en", "English"), ("ar", "Arabic")], max_length=2, verbose_name="language"
                    ),
                ),
                ("timezone", models.CharField(max_length=64)),
                ("query", models.JSONField(default=dict)),
                ("with_text", models.BooleanField(default=False, verbose_name="with the texts")),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("QUEUED", "Waiting"),
                            ("RUNNING", "Being made"),
                            ("READY", "Ready"),
                            ("FAILED", "Failed"),
                            ("EXPIRED", "Deleted"),
                        ],
                        default="QUEUED",
                        max_length=7,
                        verbose_name="status",
                    ),
                ),
                ("rows", models.PositiveIntegerField(default=0, verbose_name="messages")),
                ("size", models.PositiveBigIntegerField(default=0, verbose_name="size")),
                ("attempts", models.PositiveSmallIntegerField(default=0)),
                ("lease_token", models.UUIDField(null=True)),
                ("lease_expires_at", models.DateTimeField(null=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("finished_at", models.DateTimeField(null=True)),
                ("expires_at", models.DateTimeField(null=True)),
            ],
            options={
                "verbose_name": "export",
                "verbose_name_plural": "exports",
                "ordering": ["-created_at", "-pk"],
            },
        ),
        migrations.CreateModel(
            name="MessageExportPart",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("position", models.PositiveIntegerField()),
                ("after", models.CharField(blank=True, max_length=40)),
                ("rows", models.PositiveIntegerField(default=0)),
                ("data", models.BinaryField()),
            ],
            options={
                "ordering": ["position"],
            },
        ),
        migrations.CreateModel(
            name="SavedFilter",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("name", models.CharField(max_length=60, verbose_name="name")),
                ("query", models.JSONField(default=dict)),
                ("is_shared", models.BooleanField(default=False, verbose_name="shared")),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "verbose_name": "saved filter",
                "verbose_name_plural": "saved filters",
                "ordering": ["name", "pk"],
            },
        ),
        migrations.AddField(
            model_name="messageexport",
            name="tenant",
            field=models.ForeignKey(
                editable=False, on_delete=django.db.models.deletion.PROTECT, related_name="+", to="core.tenant"
            ),
        ),
        migrations.AddField(
            model_name="messageexport",
            name="user",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
            ),
        ),
        migrations.AddField(
            model_name="messageexportpart",
            name="export",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="parts",
                to="notifications.messageexport",
            ),
        ),
        migrations.AddField(
            model_name="messageexportpart",
            name="tenant",
            field=models.ForeignKey(
                db_index=False,
                editable=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="core.tenant",
            ),
        ),
        migrations.AddField(
            model_name="savedfilter",
            name="owner",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
            ),
        ),
        migrations.AddField(
            model_name="savedfilter",
            name="tenant",
            field=models.ForeignKey(
                editable=False, on_delete=django.db.models.deletion.PROTECT, related_name="+", to="core.tenant"
            ),
        ),
        migrations.AddIndex(
            model_name="messageexport",
            index=models.Index(fields=["user", "-created_at"], name="export_of_user"),
        ),
        migrations.AddIndex(
            model_name="messageexport",
            index=models.Index(
                condition=models.Q(("status__in", ["QUEUED", "RUNNING"])),
                fields=["created_at"],
                name="export_unfinished",
            ),
        ),
        migrations.AddConstraint(
            model_name="messageexportpart",
            constraint=models.UniqueConstraint(fields=("export", "position"), name="export_part_once"),
        ),
        migrations.AddConstraint(
            model_name="savedfilter",
            constraint=models.UniqueConstraint(fields=("owner", "name"), name="saved_filter_once"),
        ),
        AddIndexOnline(
            model_name="message",
            index=models.Index(
                fields=[
                    "tenant",
                    "-created_at",
                    "-id",
                    "status",
                    "channel",
                    "notification_type",
                    "template",
                    "provider",
                    "patient",
                    "user",
                    "sent_by",
                    "bulk",
                ],
                name="message_list",
            ),
        ),
        AddIndexOnline(
            model_name="message",
            index=models.Index(
                condition=models.Q(("status__in", ["FAILED", "BOUNCED", "UNCONFIRMED"])),
                fields=["tenant", "-created_at", "-id"],
                name="message_problems",
            ),
        ),
        # message_list begins as it did. After the new one is there, so that the list never stands without.
        RemoveIndexOnline(model_name="message", name="message_latest"),
    ]
