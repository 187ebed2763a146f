"""A clinic group may have its own accounts at providers."""

from __future__ import annotations

import uuid

import django.db.models.deletion
from django.db import migrations, models

import core.secrets


class Migration(migrations.Migration):
    dependencies = [
        ("core", "0001_initial"),
        ("integrations", "0002_name_incidents_of_queues_events_and_beat"),
    ]

    operations = [
        migrations.CreateModel(
            name="ProviderAccount",
            fields=[
                (
                    "id",
                    models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False),
                ),
                ("name", models.CharField(editable=False, max_length=20, unique=True)),
                (
                    "kind",
                    models.CharField(
                        choices=[("twilio", "Twilio"), ("unifonic", "Unifonic"), ("smtp", "Email server")],
                        max_length=8,
                        verbose_name="provider",
                    ),
                ),
                ("login", models.CharField(blank=True, max_length=254, verbose_name="account")),
                ("server", models.CharField(blank=True, max_length=254, verbose_name="server")),
                ("secret", core.secrets.EncryptedTextField(blank=True, verbose_name="secret")),
                ("last_four", models.CharField(blank=True, max_length=4)),
                ("sms_sender", models.CharField(blank=True, max_length=40, verbose_name="SMS sender")),
                ("whatsapp_sender", models.CharField(blank=True, max_length=40, verbose_name="WhatsApp sender")),
                ("email_sender", models.CharField(blank=True, max_length=254, verbose_name="email sender")),
                ("webhook_key", core.secrets.EncryptedTextField(blank=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("retired_at", models.DateTimeField(null=True)),
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
                "verbose_name": "clinic group's provider account",
                "verbose_name_plural": "clinic groups' provider accounts",
                "indexes": [models.Index(fields=["kind", "login"], name="account_by_login")],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("retired_at__isnull", True)),
                        fields=("tenant", "kind"),
                        name="account_in_use_once",
                    )
                ],
            },
        ),
    ]
