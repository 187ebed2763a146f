"""Payers, payment reminders and refunds."""

from __future__ import annotations

import datetime
import uuid

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import finance.models


class Migration(migrations.Migration):
    dependencies = [
        ("core", "0005_tenant_settings"),
        ("finance", "0001_initial"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="BillingPolicy",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("is_on", models.BooleanField(default=True, verbose_name="reminders of open bills")),
                (
                    "reminder_days",
                    models.JSONField(
                        blank=True, default=finance.models._usual_days, verbose_name="days from the due day"
                    ),
                ),
                ("remind_at", models.TimeField(default=datetime.time(10, 0), verbose_name="time of the day")),
                ("updated_at", models.DateTimeField(auto_now=True)),
            ],
            options={
                "verbose_name": "payment reminder policy",
                "verbose_name_plural": "payment reminder policies",
            },
        ),
        migrations.CreateModel(
            name="Refund",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("amount_minor", models.PositiveBigIntegerField(verbose_name="amount in halalas")),
                ("reason", models.CharField(blank=True, max_length=200, verbose_name="reason")),
                ("refund_key", models.UUIDField(blank=True, editable=False, null=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "verbose_name": "refund",
                "verbose_name_plural": "refunds",
                "ordering": ["-created_at"],
            },
        ),
        migrations.AddField(
            model_name="invoice",
            name="payer_email",
            field=models.EmailField(blank=True, max_length=254, verbose_name="payer's email"),
        ),
        migrations.AddField(
            model_name="invoice",
            name="payer_guardian",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="invoices",
                to="core.guardian",
            ),
        ),
        migrations.AddField(
            model_name="invoice",
            name="payer_language",
            field=models.CharField(
                blank=True, choices=[("en", "English"), ("ar", "Arabic")], max_length=2, verbose_name="payer's language"
            ),
        ),
        migrations.AddField(
            model_name="invoice",
            name="payer_name",
            field=models.CharField(blank=True, max_length=200, verbose_name="payer's name"),
        ),
        migrations.AddField(
            model_name="invoice",
            name="payer_phone",
            field=models.CharField(blank=True, max_length=20, verbose_name="payer's mobile phone"),
        ),
        migrations.AddField(
            model_name="invoice",
            name="refunded_minor",
            field=models.PositiveBigIntegerField(default=0, verbose_name="refunded in halalas"),
        ),
        migrations.AlterField(
            model_name="invoice",
            name="status",
            field=models.CharField(
                choices=[
                    ("ISSUED", "Issued"),
                    ("PART_PAID", "Partly paid"),
                    ("PAID", "Paid"),
                    ("VOID", "Void"),
                    ("REFUNDED", "Refunded"),
                ],
                default="ISSUED",
                max_length=9,
                verbose_name="status",
            ),
        ),
        migrations.AddIndex(
            model_name="invoice",
            index=models.Index(
                condition=models.Q(("status__in", ["ISSUED", "PART_PAID"])),
                fields=["tenant", "due_on"],
                name="invoice_open_by_due",
            ),
        ),
        migrations.AddConstraint(
            model_name="invoice",
            constraint=models.CheckConstraint(
                condition=models.Q(("refunded_minor__lte", models.F("paid_minor"))), name="invoice_not_overrefunded"
            ),
        ),
        migrations.AddConstraint(
            model_name="invoice",
            constraint=models.CheckConstraint(
                condition=models.Q(("payer_guardian", None), ("payer_name", ""), _connector="OR"),
                name="invoice_one_payer",
            ),
        ),
        migrations.AddField(
            model_name="billingpolicy",
            name="tenant",
            field=models.ForeignKey(
                editable=False, on_delete=django.db.models.deletion.PROTECT, related_name="+", to="core.tenant"
            ),
        ),
        migrations.AddField(
            model_name="refund",
            name="invoice",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="refunds", to="finance.invoice"
            ),
        ),
        migrations.AddField(
            model_name="refund",
            name="refunded_by",
            field=models.ForeignKey(
                null=True, on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
            ),
        ),
        migrations.AddField(
            model_name="refund",
            name="tenant",
            field=models.ForeignKey(
                editable=False, on_delete=django.db.models.deletion.PROTECT, related_name="+", to="core.tenant"
            ),
        ),
        migrations.AddConstraint(
            model_name="billingpolicy",
            constraint=models.UniqueConstraint(fields=("tenant",), name="billing_policy_once"),
        ),
        migrations.AddConstraint(
            model_name="refund",
            constraint=models.UniqueConstraint(fields=("tenant", "refund_key"), name="refund_key_once"),
        ),
    ]
