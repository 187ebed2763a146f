"""What a clinic group decides for itself: hours of rest, Ramadan, retention; places with hours, and out of use."""

from __future__ import annotations

import uuid

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("core", "0004_accounts")]

    operations = [
        migrations.AddField(
            model_name="department",
            name="is_active",
            field=models.BooleanField(default=True, verbose_name="active"),
        ),
        migrations.AddField(
            model_name="location",
            name="is_active",
            field=models.BooleanField(default=True, verbose_name="active"),
        ),
        migrations.AddField(
            model_name="location",
            name="opening_hours",
            field=models.JSONField(blank=True, default=list, verbose_name="opening hours"),
        ),
        migrations.AddField(
            model_name="location",
            name="ramadan_hours",
            field=models.JSONField(blank=True, default=list, verbose_name="opening hours in Ramadan"),
        ),
        migrations.CreateModel(
            name="TenantSettings",
            fields=[
                (
                    "id",
                    models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False),
                ),
                ("quiet_from", models.TimeField(blank=True, null=True, verbose_name="quiet from")),
                ("quiet_until", models.TimeField(blank=True, null=True, verbose_name="quiet until")),
                ("ramadan_from", models.DateField(blank=True, null=True, verbose_name="first day of Ramadan")),
                ("ramadan_until", models.DateField(blank=True, null=True, verbose_name="last day of Ramadan")),
                (
                    "message_days",
                    models.PositiveIntegerField(blank=True, null=True, verbose_name="words of messages"),
                ),
                (
                    "receipt_days",
                    models.PositiveIntegerField(default=90, verbose_name="raw reports of the providers"),
                ),
                ("export_days", models.PositiveIntegerField(default=7, verbose_name="exported files")),
                ("notification_days", models.JSONField(blank=True, default=dict, verbose_name="notifications")),
                ("words_erased_until", models.DateTimeField(null=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
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
                "verbose_name": "settings of a clinic group",
                "verbose_name_plural": "settings of clinic groups",
                "constraints": [
                    models.UniqueConstraint(fields=("tenant",), name="tenant_settings_once"),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("quiet_from", None), ("quiet_until", None)),
                            models.Q(("quiet_from__isnull", False), ("quiet_until__isnull", False)),
                            _connector="OR",
                        ),
                        name="quiet_has_two_ends",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("ramadan_from", None), ("ramadan_until", None)),
                            ("ramadan_until__gte", models.F("ramadan_from")),
                            _connector="OR",
                        ),
                        name="ramadan_has_a_length",
                    ),
                ],
            },
        ),
    ]
