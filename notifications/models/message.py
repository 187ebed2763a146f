"""One outbound message, its timeline and its attempts.

Only ``notifications/lifecycle.py`` writes ``Message.status`` and ``MessageLog``.
"""

from __future__ import annotations

import uuid
from typing import Any

from django.db import models
from django.utils.translation import gettext_lazy as _

from core.models import Language
from core.tenancy import TenantModel
from notifications.models.event import NotificationEvent
from notifications.models.template import MessageTemplate
from notifications.states import MAX_RETRIES, Channel, Lane, LogEvent, NotificationType, Outcome, Reason, Status


class Message(TenantModel):
    """One outbound message to one address, frozen as it was sent."""

    Status = Status
    Channel = Channel

    # Every index is written anew at each of a message's moves, so there are only those that a query needs (Meta), and
    # those that few rows belong to are partial.
    tenant = models.ForeignKey(
        "core.Tenant", on_delete=models.PROTECT, related_name="+", editable=False, db_index=False
    )
    event = models.ForeignKey(
        NotificationEvent, on_delete=models.PROTECT, null=True, related_name="messages", db_index=False
    )
    template = models.ForeignKey(
        MessageTemplate, on_delete=models.PROTECT, null=True, related_name="messages", db_index=False
    )
    template_version = models.PositiveIntegerField(null=True)
    notification_type = models.CharField(_("type"), max_length=12, choices=NotificationType.choices)
    # Exactly one of the two: a patient (or their guardian), or a member of staff.
    patient = models.ForeignKey(
        "core.Patient", on_delete=models.PROTECT, null=True, related_name="messages", db_index=False
    )
    user = models.ForeignKey("core.User", on_delete=models.PROTECT, null=True, related_name="messages", db_index=False)
    guardian = models.ForeignKey(
        "core.Guardian", on_delete=models.PROTECT, null=True, related_name="messages", db_index=False
    )
    sent_by = models.ForeignKey("core.User", on_delete=models.PROTECT, null=True, related_name="+", db_index=False)
    # The bulk send it belongs to.
    bulk = models.ForeignKey(
        "notifications.BulkSend", on_delete=models.PROTECT, null=True, related_name="messages", db_index=False
    )
    object_type = models.CharField(max_length=60, blank=True)
    object_id = models.UUIDField(null=True)
    object_version = models.PositiveIntegerField(default=0)

    lane = models.PositiveSmallIntegerField(_("lane"), choices=Lane.choices, default=Lane.TRANSACTIONAL)
    channel = models.CharField(_("channel"), max_length=8, choices=Channel.choices)
    recipient = models.CharField(_("address"), max_length=254, blank=True)
    sender = models.CharField(_("sender"), max_length=254, blank=True)
    language = models.CharField(_("language"), max_length=2, choices=Language.choices)
    subject = models.CharField(_("subject"), max_length=300, blank=True)
    body = models.TextField(_("text"), blank=True)

    status = models.CharField(_("status"), max_length=11, choices=Status.choices, default=Status.QUEUED)
    reason = models.CharField(_("reason"), max_length=30, choices=Reason.choices, blank=True)
    provider = models.CharField(_("provider"), max_length=20, blank=True)
    provider_message_id = models.CharField(_("provider's id"), max_length=80, blank=True)
    retry_count = models.PositiveSmallIntegerField(_("retries"), default=0)
    next_attempt_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(_("useful until"), null=True)
    # How often a provider was called for it, and the position of its last log row.
    attempt_count = models.PositiveSmallIntegerField(default=0)
    log_position = models.PositiveSmallIntegerField(default=0)
    # When the provider is asked about it next, and when the next channel takes over.
    next_check_at = models.DateTimeField(null=True)
    fallback_due_at = models.DateTimeField(null=True)
    lease_token = models.UUIDField(null=True)
    lease_expires_at = models.DateTimeField(null=True)
    # Channels still to be tried when this one fails for good, in order.
    fallback_channels = models.JSONField(default=list)
    # All copies of one message over several channels share it; it is the id of the first.
    conversation_id = models.UUIDField(default=uuid.uuid4)
    cost = models.DecimalField(_("cost"), max_digits=10, decimal_places=5, null=True)
    currency = models.CharField(_("currency"), max_length=3, blank=True)
    segments = models.PositiveSmallIntegerField(_("segments"), default=0)
    error_code = models.CharField(_("error code"), max_length=40, blank=True)
    error_message = models.CharField(_("error"), max_length=300, blank=True)
    sent_at = models.DateTimeField(null=True)
    delivered_at = models.DateTimeField(null=True)
    read_at = models.DateTimeField(null=True)
    failed_at = models.DateTimeField(null=True)
    dedupe_key = models.CharField(max_length=200)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    # The open attempt of a message that was just claimed; no column, set by ``lifecycle.claim``.
    attempt_id: uuid.UUID

    class Meta:
        verbose_name = _("message")
        verbose_name_plural = _("messages")
        ordering = ["-created_at", "-pk"]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "dedupe_key"], name="message_once"),
            models.CheckConstraint(
                condition=models.Q(patient__isnull=False) ^ models.Q(user__isnull=False),
                name="message_for_patient_or_user",
            ),
        ]
        indexes = [
            # used by the message list (message_filters.py), its exports and the dashboard. It begins with the list's order
            # and holds all that the list filters by: whatever is combined, the worst is to read the tenant's part of
            # this index, never its rows.
            models.Index(
                fields=[
                    *("tenant", "-created_at", "-id"),
                    *("status", "channel", "notification_type", "template", "provider"),
                    *("patient", "user", "sent_by", "bulk"),
                ],
                name="message_list",
            ),
            # used by the same for "needs attention". No message that goes well ever enters it.
            models.Index(
                fields=["tenant", "-created_at", "-id"],
                condition=models.Q(status__in=["FAILED", "BOUNCED", "UNCONFIRMED"]),
                name="message_problems",
            ),
            models.Index(fields=["patient", "-created_at"], name="message_by_patient"),
            models.Index(fields=["object_id"], condition=models.Q(object_id__isnull=False), name="message_by_object"),
            models.Index(fields=["event"], condition=models.Q(event__isnull=False), name="message_by_event"),
            # used by the progress and the results of a bulk send
            models.Index(fields=["bulk"], condition=models.Q(bulk__isnull=False), name="message_by_bulk"),
            # used by replies
            models.Index(fields=["recipient", "-created_at"], name="message_by_recipient"),
            # used by the claim: what is due in a lane, tenant by tenant; and by the sweeper: what of it is too late
            models.Index(
                fields=["tenant", "lane", "next_attempt_at", "expires_at"],
                condition=models.Q(status__in=["QUEUED", "FAILED"], next_attempt_at__isnull=False),
                name="message_due",
            ),
            # used by the sweeper: whose worker died in mid-send
            models.Index(fields=["lease_expires_at"], condition=models.Q(status="SENDING"), name="message_lease"),
            # used by provider sync: who still waits for a receipt or a price
            models.Index(
                fields=["next_check_at"], condition=models.Q(next_check_at__isnull=False), name="message_to_ask_about"
            ),
            # used by the sweeper: failed for good, with another channel to try
            models.Index(
                fields=["fallback_due_at"], condition=models.Q(fallback_due_at__isnull=False), name="message_fallback"
            ),
        ]

    def can_retry(self) -> bool:
        """A failed message may be tried again, at most three times."""
        return self.status == Status.FAILED and self.retry_count < MAX_RETRIES

    @property
    def short_id(self) -> str:
        return str(self.pk)[:8]


class MessageLog(TenantModel):
    """One move of one message. Append-only; the message's status is the fold of these rows."""

    # The message's own tenant is checked; this copy, which never differs, only serves the scope.
    tenant = models.ForeignKey(
        "core.Tenant",
        on_delete=models.PROTECT,
        related_name="+",
        editable=False,
        db_index=False,
        db_constraint=False,
    )
    message = models.ForeignKey(Message, on_delete=models.CASCADE, related_name="logs", db_index=False)
    event = models.CharField(_("event"), max_length=11, choices=LogEvent.choices)
    # The status after this row; empty for rows that are no move.
    status = models.CharField(max_length=11, choices=Status.choices, blank=True)
    actor = models.ForeignKey("core.User", on_delete=models.PROTECT, null=True, related_name="+", db_index=False)
    provider_response = models.JSONField(_("provider's answer"), default=dict)
    error = models.CharField(_("error"), max_length=300, blank=True)
    created_at = models.DateTimeField(_("time"))
    # Rows of one message in the order they were written, also within one microsecond.
    position = models.PositiveSmallIntegerField()

    class Meta:
        ordering = ["position"]
        constraints = [models.UniqueConstraint(fields=["message", "position"], name="log_position_once")]

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise TypeError("message logs are append-only")
        super().save(*args, **kwargs)


class MessageAttempt(TenantModel):
    """One call of one provider. Committed before the call, closed after it; open with its lease over: nobody knows.

    A message that is SENDING without an attempt of its lease was never handed over, and may safely be queued again.
    """

    # The message's own tenant is checked; this copy, which never differs, only serves the scope.
    tenant = models.ForeignKey(
        "core.Tenant",
        on_delete=models.PROTECT,
        related_name="+",
        editable=False,
        db_index=False,
        db_constraint=False,
    )
    message = models.ForeignKey(Message, on_delete=models.CASCADE, related_name="attempts", db_index=False)
    # 1 for the first call; the call-back's address carries it.
    number = models.PositiveSmallIntegerField(_("attempt"))
    provider = models.CharField(_("provider"), max_length=20)
    lease_token = models.UUIDField()
    started_at = models.DateTimeField(_("started"))
    finished_at = models.DateTimeField(_("finished"), null=True)
    # Empty while the call is under way.
    outcome = models.CharField(_("outcome"), max_length=13, choices=Outcome.choices, blank=True)
    provider_message_id = models.CharField(_("provider's id"), max_length=80, blank=True)
    error_code = models.CharField(_("error code"), max_length=40, blank=True)
    duration_ms = models.PositiveIntegerField(_("duration"), null=True)
    # What the provider bills for this call; the message's cost is the sum over its attempts.
    segments = models.PositiveSmallIntegerField(_("segments"), default=0)
    cost = models.DecimalField(_("cost"), max_digits=10, decimal_places=5, null=True)
    currency = models.CharField(_("currency"), max_length=3, blank=True)

    class Meta:
        verbose_name = _("attempt")
        verbose_name_plural = _("attempts")
        ordering = ["number"]
        constraints = [models.UniqueConstraint(fields=["message", "number"], name="attempt_once")]
        indexes = [
            # used by receipts that carry only the provider's id
            models.Index(
                fields=["provider_message_id"],
                condition=~models.Q(provider_message_id=""),
                name="attempt_by_provider_id",
            )
        ]

    def __str__(self) -> str:
        return f"{self.provider} {self.number} {self.outcome}"
