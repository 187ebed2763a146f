"""Replies that are understood, conversations, what a sender can do."""

from __future__ import annotations

import uuid
from typing import Any

import django.core.validators
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models
from django.db.models import F

CHANNELS = [("SMS", "SMS"), ("WHATSAPP", "WhatsApp"), ("EMAIL", "Email")]
OUTCOMES = [
    ("CONFIRMED", "Confirmed"),
    ("CANCELLED", "Called off"),
    ("CHANGE_ASKED", "Another time asked for"),
    ("TOLD", "Told how things stand"),
    ("ASKED", "Asked which one is meant"),
    ("STOPPED", "Messages stopped"),
    ("RESUMED", "Messages resumed"),
    ("WRONG_NUMBER", "Wrong number"),
    ("HELPED", "Told how to reach the clinic"),
    ("EMERGENCY", "Words of danger"),
    ("STAFF", "For a person to read"),
    ("SILENT", "Not answered: repeated, or written by a machine"),
]


def call_old_replies_handled(apps: Any, schema_editor: Any) -> None:
    """What came before was read by people; nobody is answered years later."""
    apps.get_model("notifications", "InboundMessage").objects.filter(handled_at=None).update(handled_at=F("created_at"))


def _id() -> Any:
    return ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False))


def _tenant() -> Any:
    return (
        "tenant",
        models.ForeignKey(
            editable=False, on_delete=django.db.models.deletion.PROTECT, related_name="+", to="core.tenant"
        ),
    )


class Migration(migrations.Migration):
    dependencies = [
        ("core", "0006_guardianship_and_restrictions"),
        ("notifications", "0015_consents"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]
    operations = [
        migrations.CreateModel(
            name="Conversation",
            fields=[
                _id(),
                ("address", models.CharField(max_length=254, verbose_name="number")),
                ("channel", models.CharField(choices=CHANNELS, max_length=8, verbose_name="channel")),
                (
                    "state",
                    models.CharField(
                        choices=[("OPEN", "Open"), ("DONE", "Done")], default="DONE", max_length=4, verbose_name="state"
                    ),
                ),
                ("unread", models.PositiveIntegerField(default=0, verbose_name="unread")),
                ("last_reply_at", models.DateTimeField(verbose_name="last reply")),
                ("pending", models.JSONField(blank=True, default=dict)),
                ("pending_at", models.DateTimeField(null=True)),
                ("warned_at", models.DateTimeField(null=True)),
                (
                    "assigned_to",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "patient",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="conversations",
                        to="core.patient",
                    ),
                ),
                _tenant(),
            ],
            options={
                "verbose_name": "conversation",
                "verbose_name_plural": "conversations",
                "ordering": ["-last_reply_at", "-pk"],
                "indexes": [
                    models.Index(fields=["tenant", "state", "-last_reply_at", "-id"], name="conversation_list")
                ],
                "constraints": [models.UniqueConstraint(fields=("tenant", "address"), name="conversation_once")],
            },
        ),
        migrations.CreateModel(
            name="SenderCapability",
            fields=[
                _id(),
                ("channel", models.CharField(choices=CHANNELS, max_length=8, verbose_name="channel")),
                ("sender", models.CharField(blank=True, max_length=254, verbose_name="sender")),
                ("two_way", models.BooleanField(default=False, verbose_name="patients can reply")),
                ("dlr", models.BooleanField(default=True, verbose_name="reports its deliveries")),
                ("url_hosts", models.JSONField(blank=True, default=list, verbose_name="allowed hosts of links")),
                (
                    "max_sender_len",
                    models.PositiveSmallIntegerField(
                        default=11,
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(20),
                        ],
                        verbose_name="longest name of a sender",
                    ),
                ),
                _tenant(),
            ],
            options={
                "verbose_name": "capabilities of a sender",
                "verbose_name_plural": "capabilities of senders",
                "constraints": [
                    models.UniqueConstraint(fields=("tenant", "channel", "sender"), name="sender_capability_once")
                ],
            },
        ),
        migrations.CreateModel(
            name="ReplySettings",
            fields=[
                _id(),
                ("emergency_words", models.JSONField(blank=True, default=list, verbose_name="more words of danger")),
                (
                    "emergency_number",
                    models.CharField(default="997", max_length=40, verbose_name="emergency number"),
                ),
                (
                    "most_a_minute",
                    models.PositiveSmallIntegerField(
                        default=5,
                        validators=[
                            django.core.validators.MinValueValidator(2),
                            django.core.validators.MaxValueValidator(60),
                        ],
                        verbose_name="replies a minute",
                    ),
                ),
                _tenant(),
            ],
            options={
                "verbose_name": "settings of replies",
                "verbose_name_plural": "settings of replies",
                "constraints": [models.UniqueConstraint(fields=("tenant",), name="reply_settings_once")],
            },
        ),
        migrations.AddField("inboundmessage", "attempts", models.PositiveSmallIntegerField(default=0)),
        migrations.AddField("inboundmessage", "handled_at", models.DateTimeField(null=True)),
        migrations.AddField("inboundmessage", "is_shared", models.BooleanField(default=False)),
        migrations.AddField(
            "inboundmessage", "meaning", models.CharField(blank=True, max_length=10, verbose_name="understood as")
        ),
        migrations.AddField(
            "inboundmessage",
            "outcome",
            models.CharField(blank=True, choices=OUTCOMES, max_length=12, verbose_name="what became of it"),
        ),
        migrations.AddField("inboundmessage", "replied_to_id", models.CharField(blank=True, max_length=80)),
        migrations.AddField("inboundmessage", "to", models.CharField(blank=True, max_length=254, verbose_name="to")),
        migrations.AddField(
            "inboundmessage",
            "conversation",
            models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="replies",
                to="notifications.conversation",
            ),
        ),
        migrations.AddIndex(
            "inboundmessage",
            models.Index(condition=models.Q(("handled_at", None)), fields=["created_at"], name="inbound_unhandled"),
        ),
        migrations.AddIndex(
            "inboundmessage", models.Index(fields=["tenant", "sender", "-created_at"], name="inbound_by_sender")
        ),
        migrations.RunPython(call_old_replies_handled, migrations.RunPython.noop, elidable=True),
    ]
