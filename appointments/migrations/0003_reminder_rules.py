"""Reminders by the clinic's own rules, and what is told of several visits at once."""

from __future__ import annotations

import uuid

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("appointments", "0002_people_and_places"), ("core", "0005_tenant_settings")]
    operations = [
        migrations.AlterField(
            model_name="reminder",
            name="kind",
            field=models.CharField(
                choices=[("3D", "3 days before"), ("24H", "24 hours before"), ("2H", "2 hours before")], max_length=3
            ),
        ),
        migrations.CreateModel(
            name="FamilyNews",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("BOOKED", "Appointment booked"),
                            ("3D", "3 days before"),
                            ("24H", "24 hours before"),
                            ("2H", "2 hours before"),
                        ],
                        max_length=6,
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("settled_at", models.DateTimeField(null=True)),
                (
                    "tenant",
                    models.ForeignKey(
                        editable=False, on_delete=django.db.models.deletion.PROTECT, related_name="+", to="core.tenant"
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="FamilyVisit",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("version", models.PositiveIntegerField()),
                (
                    "appointment",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="family_news",
                        to="appointments.appointment",
                    ),
                ),
                (
                    "news",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="visits", to="appointments.familynews"
                    ),
                ),
                (
                    "tenant",
                    models.ForeignKey(
                        editable=False, on_delete=django.db.models.deletion.PROTECT, related_name="+", to="core.tenant"
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="ReminderRule",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                (
                    "kind",
                    models.CharField(
                        choices=[("3D", "3 days before"), ("24H", "24 hours before"), ("2H", "2 hours before")],
                        max_length=3,
                    ),
                ),
                ("is_on", models.BooleanField(default=True, verbose_name="sent")),
                ("offset_minutes", models.PositiveIntegerField(verbose_name="minutes before the start")),
                ("lead_minutes", models.PositiveIntegerField(verbose_name="least lead in minutes")),
                ("until_minutes", models.PositiveIntegerField(verbose_name="useless within minutes of the start")),
                ("updated_at", models.DateTimeField(auto_now=True)),
                (
                    "department",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="core.department",
                    ),
                ),
                (
                    "tenant",
                    models.ForeignKey(
                        editable=False, on_delete=django.db.models.deletion.PROTECT, related_name="+", to="core.tenant"
                    ),
                ),
            ],
            options={
                "verbose_name": "rule for reminders",
                "verbose_name_plural": "rules for reminders",
            },
        ),
        migrations.CreateModel(
            name="ReminderTiming",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                (
                    "undo_minutes",
                    models.PositiveSmallIntegerField(default=3, verbose_name="minutes before a booking is told"),
                ),
                (
                    "recent_hours",
                    models.PositiveSmallIntegerField(
                        default=2, verbose_name="hours without a reminder after other news"
                    ),
                ),
                (
                    "at_once_per_address",
                    models.PositiveSmallIntegerField(default=2, verbose_name="reminders to one phone at once"),
                ),
                ("replan_after", models.UUIDField(editable=False, null=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
                (
                    "tenant",
                    models.ForeignKey(
                        editable=False, on_delete=django.db.models.deletion.PROTECT, related_name="+", to="core.tenant"
                    ),
                ),
            ],
            options={
                "verbose_name": "timing of reminders",
                "verbose_name_plural": "timing of reminders",
            },
        ),
        migrations.AddIndex(
            model_name="familynews",
            index=models.Index(
                condition=models.Q(("settled_at", None)), fields=["created_at"], name="family_news_open"
            ),
        ),
        migrations.AddConstraint(
            model_name="familyvisit",
            constraint=models.UniqueConstraint(fields=("news", "appointment"), name="family_visit_once"),
        ),
        migrations.AddConstraint(
            model_name="reminderrule",
            constraint=models.UniqueConstraint(
                condition=models.Q(("department", None)), fields=("tenant", "kind"), name="reminder_rule_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="reminderrule",
            constraint=models.UniqueConstraint(
                condition=models.Q(("department__isnull", False)),
                fields=("department", "kind"),
                name="reminder_rule_once_per_department",
            ),
        ),
        migrations.AddIndex(
            model_name="remindertiming",
            index=models.Index(
                condition=models.Q(("replan_after__isnull", False)), fields=["tenant"], name="reminder_timing_replan"
            ),
        ),
        migrations.AddConstraint(
            model_name="remindertiming",
            constraint=models.UniqueConstraint(fields=("tenant",), name="reminder_timing_once"),
        ),
    ]
