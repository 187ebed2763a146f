"""What comes back: providers' receipts and patients' replies."""

from __future__ import annotations

import uuid

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from core.tenancy import TenantModel
from notifications.models.message import Message
from notifications.states import Channel


class ProviderReceipt(models.Model):
    """What a provider told us, kept raw before anything is believed. An unknown id is kept too."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    tenant = models.ForeignKey("core.Tenant", on_delete=models.PROTECT, null=True, related_name="+", db_index=False)
    message = models.ForeignKey(Message, on_delete=models.CASCADE, null=True, related_name="receipts")
    # As it came: our id from the call-back's address and the attempt that it names. Tied to the message when applied.
    message_ref = models.CharField(max_length=40, blank=True)
    attempt = models.PositiveSmallIntegerField(null=True)
    provider = models.CharField(max_length=20)
    provider_message_id = models.CharField(max_length=80, blank=True)
    status = models.CharField(max_length=30, blank=True)
    error_code = models.CharField(max_length=40, blank=True)
    payload = models.JSONField(default=dict)
    # The same receipt twice is one row.
    dedupe_key = models.CharField(max_length=200, unique=True)
    received_at = models.DateTimeField(default=timezone.now)
    applied_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            # used by the sweeper: stored, but not yet applied
            models.Index(fields=["received_at"], condition=models.Q(applied_at=None), name="receipt_unapplied")
        ]

    def __str__(self) -> str:
        return f"{self.provider} {self.status}"


class InboundMessage(TenantModel):
    """A patient's reply. ``in_reply_to`` is the last message that went to that number."""

    class Outcome(models.TextChoices):
        """What became of it. One closed list."""

        CONFIRMED = "CONFIRMED", _("Confirmed")
        CANCELLED = "CANCELLED", _("Called off")
        CHANGE_ASKED = "CHANGE_ASKED", _("Another time asked for")
        TOLD = "TOLD", _("Told how things stand")
        ASKED = "ASKED", _("Asked which one is meant")
        STOPPED = "STOPPED", _("Messages stopped")
        RESUMED = "RESUMED", _("Messages resumed")
        WRONG_NUMBER = "WRONG_NUMBER", _("Wrong number")
        HELPED = "HELPED", _("Told how to reach the clinic")
        EMERGENCY = "EMERGENCY", _("Words of danger")
        STAFF = "STAFF", _("For a person to read")
        SILENT = "SILENT", _("Not answered: repeated, or written by a machine")

    channel = models.CharField(_("channel"), max_length=8, choices=Channel.choices)
    sender = models.CharField(_("from"), max_length=254)
    # Our number or name that it was sent to.
    to = models.CharField(_("to"), max_length=254, blank=True)
    # It came over a number that several clinic groups may use.
    is_shared = models.BooleanField(default=False)
    body = models.TextField(_("text"), blank=True)
    provider = models.CharField(max_length=20)
    provider_message_id = models.CharField(max_length=80)
    # WhatsApp names the message that is being answered, when the patient chose one.
    replied_to_id = models.CharField(max_length=80, blank=True)
    patient = models.ForeignKey("core.Patient", on_delete=models.PROTECT, null=True, related_name="replies")
    in_reply_to = models.ForeignKey(Message, on_delete=models.SET_NULL, null=True, related_name="replies")
    conversation = models.ForeignKey(
        "notifications.Conversation", on_delete=models.PROTECT, null=True, related_name="replies"
    )
    meaning = models.CharField(_("understood as"), max_length=10, blank=True)
    outcome = models.CharField(_("what became of it"), max_length=12, choices=Outcome.choices, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    # Empty: still to be understood. A failure is tried again by the sweeper, then a person reads it.
    handled_at = models.DateTimeField(null=True)
    attempts = models.PositiveSmallIntegerField(default=0)

    class Meta:
        verbose_name = _("reply")
        verbose_name_plural = _("replies")
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "provider", "provider_message_id"], name="inbound_once")
        ]
        indexes = [
            # used by the sweeper
            models.Index(fields=["created_at"], condition=models.Q(handled_at=None), name="inbound_unhandled"),
            # used by the page of a conversation, the guard against loops and WhatsApp's window
            models.Index(fields=["tenant", "sender", "-created_at"], name="inbound_by_sender"),
        ]
