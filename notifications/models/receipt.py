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

    channel = models.CharField(_("channel"), max_length=8, choices=Channel.choices)
    sender = models.CharField(_("from"), max_length=254)
    body = models.TextField(_("text"), blank=True)
    provider = models.CharField(max_length=20)
    provider_message_id = models.CharField(max_length=80)
    patient = models.ForeignKey("core.Patient", on_delete=models.PROTECT, null=True, related_name="replies")
    in_reply_to = models.ForeignKey(Message, on_delete=models.SET_NULL, null=True, related_name="replies")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = _("reply")
        verbose_name_plural = _("replies")
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "provider", "provider_message_id"], name="inbound_once")
        ]
