"""Templates, messages and their timeline, preferences, and the bell's notifications.

Only ``notifications/lifecycle.py`` writes ``Message.status`` and ``MessageLog``.
"""

from __future__ import annotations

import uuid
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import gettext_lazy as _

from core.models import Language
from core.models.tenant import in_language
from core.tenancy import TenantModel
from notifications import rendering
from notifications.states import MAX_RETRIES, Channel, Level, LogEvent, NotificationType, Reason, Status


class MessageTemplate(TenantModel):
    """The words of a message in both languages. ``version`` grows with every change of the words."""

    code = models.CharField(_("code"), max_length=80)
    name = models.CharField(_("name"), max_length=120)
    channel = models.CharField(_("channel"), max_length=8, choices=Channel.choices)
    notification_type = models.CharField(_("type"), max_length=12, choices=NotificationType.choices)
    subject_en = models.CharField(_("subject in English"), max_length=200, blank=True)
    subject_ar = models.CharField(_("subject in Arabic"), max_length=200, blank=True)
    body_en = models.TextField(_("text in English"))
    body_ar = models.TextField(_("text in Arabic"), blank=True)
    variables = models.JSONField(
        _("placeholders"),
        default=list,
        blank=True,
        help_text=_("Names that may stand in the text: patient_name, date."),
    )
    version = models.PositiveIntegerField(default=1, editable=False)
    is_active = models.BooleanField(_("active"), default=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name = _("message template")
        verbose_name_plural = _("message templates")
        ordering = ["code", "channel"]
        constraints = [models.UniqueConstraint(fields=["tenant", "code", "channel"], name="template_once_per_channel")]

    def __str__(self) -> str:
        return f"{self.name} ({self.get_channel_display()})"

    def clean(self) -> None:
        """Refuses a text with a placeholder that is not declared in ``variables``."""
        errors: dict[str, list[str]] = {}
        for field in ("subject_en", "subject_ar", "body_en", "body_ar"):
            try:
                rendering.check_text(getattr(self, field), self.variables)
            except rendering.TemplateError as error:
                errors[field] = [str(error)]
        if errors:
            raise ValidationError(errors)

    def render(self, language: str = "en", **context: Any) -> str:
        """The body in that language. Raises ``rendering.TemplateError`` for a missing or unknown placeholder."""
        return rendering.render(self._body(language), self.variables, context, language)

    def render_subject(self, language: str = "en", **context: Any) -> str:
        return rendering.render(
            in_language(self.subject_en, self.subject_ar, language), self.variables, context, language
        )

    def _body(self, language: str) -> str:
        return in_language(self.body_en, self.body_ar, language)


class NotificationEvent(TenantModel):
    """Something happened. Recorded in the transaction of the act; the fan-out makes messages of it.

    ``payload`` holds ids and what cannot be read again later (the reason given, the old start); ``object_version``
    is the appointment's version, so that a stale event is recognised.
    """

    key = models.CharField(max_length=60)
    object_type = models.CharField(max_length=60, blank=True)
    object_id = models.UUIDField(null=True)
    object_version = models.PositiveIntegerField(default=0)
    actor = models.ForeignKey("core.User", on_delete=models.PROTECT, null=True, related_name="+")
    payload = models.JSONField(default=dict)
    dedupe_key = models.CharField(max_length=160)
    created_at = models.DateTimeField(auto_now_add=True)
    processed_at = models.DateTimeField(null=True)
    # A fan-out that failed is tried again by the sweeper; the class of the error tells support why.
    attempts = models.PositiveSmallIntegerField(default=0)
    error = models.CharField(max_length=200, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant", "dedupe_key"], name="event_once")]
        indexes = [
            # used by the sweeper
            models.Index(fields=["created_at"], condition=models.Q(processed_at=None), name="event_unprocessed")
        ]


class Message(TenantModel):
    """One outbound message to one address, frozen as it was sent."""

    Status = Status
    Channel = Channel

    event = models.ForeignKey(NotificationEvent, on_delete=models.PROTECT, null=True, related_name="messages")
    template = models.ForeignKey(MessageTemplate, on_delete=models.PROTECT, null=True, related_name="messages")
    template_version = models.PositiveIntegerField(null=True)
    notification_type = models.CharField(_("type"), max_length=12, choices=NotificationType.choices)
    # Exactly one of the two: a patient (or their guardian), or a member of staff.
    patient = models.ForeignKey("core.Patient", on_delete=models.PROTECT, null=True, related_name="messages")
    user = models.ForeignKey("core.User", on_delete=models.PROTECT, null=True, related_name="messages")
    guardian = models.ForeignKey("core.Guardian", on_delete=models.PROTECT, null=True, related_name="messages")
    sent_by = models.ForeignKey("core.User", on_delete=models.PROTECT, null=True, related_name="+")
    object_type = models.CharField(max_length=60, blank=True)
    object_id = models.UUIDField(null=True)
    object_version = models.PositiveIntegerField(default=0)

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
    # When the sweeper last handed it to the broker; it waits a little before it does so again.
    driven_at = models.DateTimeField(null=True)
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
            models.Index(fields=["tenant", "-created_at"], name="message_latest"),
            models.Index(fields=["patient", "-created_at"], name="message_by_patient"),
            models.Index(fields=["object_id"], name="message_by_object"),
            # used by receipts that carry only the provider's id, and by replies
            models.Index(fields=["provider_message_id"], name="message_by_provider_id"),
            models.Index(fields=["recipient", "-created_at"], name="message_by_recipient"),
            # used by the sweeper: what is due now
            models.Index(
                fields=["next_attempt_at"],
                condition=models.Q(status__in=["QUEUED", "FAILED"]),
                name="message_due",
            ),
            # used by the sweeper: whose worker died in mid-send
            models.Index(fields=["lease_expires_at"], condition=models.Q(status="SENDING"), name="message_lease"),
            # used by provider sync: who still waits for a receipt
            models.Index(
                fields=["next_check_at"],
                condition=models.Q(status__in=["SENT", "UNCONFIRMED"]),
                name="message_no_receipt",
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

    message = models.ForeignKey(Message, on_delete=models.CASCADE, related_name="logs")
    event = models.CharField(_("event"), max_length=11, choices=LogEvent.choices)
    # The status after this row; empty for rows that are no move.
    status = models.CharField(max_length=11, choices=Status.choices, blank=True)
    actor = models.ForeignKey("core.User", on_delete=models.PROTECT, null=True, related_name="+")
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


class NotificationPreference(TenantModel):
    """What a patient wants to get, and how. Without a row the defaults below hold."""

    patient = models.OneToOneField("core.Patient", on_delete=models.CASCADE, related_name="preference")
    sms_enabled = models.BooleanField(_("SMS"), default=True)
    whatsapp_enabled = models.BooleanField(_("WhatsApp"), default=True)
    email_enabled = models.BooleanField(_("Email"), default=True)
    reminders_enabled = models.BooleanField(_("Reminders"), default=True)
    confirmations_enabled = models.BooleanField(_("Confirmations"), default=True)
    results_enabled = models.BooleanField(_("Results"), default=True)
    billing_enabled = models.BooleanField(_("Billing"), default=True)
    # Only with consent (PDPL Art. 25), so off until the patient says yes.
    marketing_enabled = models.BooleanField(_("Marketing"), default=False)
    preferred_language = models.CharField(
        _("language"),
        max_length=2,
        choices=Language.choices,
        blank=True,
        help_text=_("Empty: the language in the patient's file."),
    )
    preferred_channel = models.CharField(
        _("preferred channel"), max_length=8, choices=Channel.choices, default=Channel.SMS
    )
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name = _("message preferences")
        verbose_name_plural = _("message preferences")

    def refusal(self, channel: str, notification_type: str) -> Reason | None:
        """Why this may not be sent, or None. CHANGE, GENERAL and STAFF cannot be switched off by type."""
        channels = {
            Channel.SMS: self.sms_enabled,
            Channel.WHATSAPP: self.whatsapp_enabled,
            Channel.EMAIL: self.email_enabled,
        }
        types = {
            NotificationType.REMINDER: self.reminders_enabled,
            NotificationType.CONFIRMATION: self.confirmations_enabled,
            NotificationType.RESULTS: self.results_enabled,
            NotificationType.BILLING: self.billing_enabled,
            NotificationType.MARKETING: self.marketing_enabled,
        }
        if not channels[Channel(channel)]:
            return Reason.OPT_OUT_CHANNEL
        if not types.get(NotificationType(notification_type), True):
            return Reason.NO_CONSENT if notification_type == NotificationType.MARKETING else Reason.OPT_OUT_TYPE
        return None

    def can_send(self, channel: str, notification_type: str) -> bool:
        return self.refusal(channel, notification_type) is None


class Notification(TenantModel):
    """One line in one user's bell, in both languages; ``title`` and ``message`` are the English text."""

    user = models.ForeignKey("core.User", on_delete=models.CASCADE, related_name="notifications")
    event = models.ForeignKey(NotificationEvent, on_delete=models.SET_NULL, null=True, related_name="notifications")
    event_key = models.CharField(max_length=60, blank=True)
    title = models.CharField(_("title"), max_length=200)
    title_ar = models.CharField(_("title in Arabic"), max_length=200, blank=True)
    message = models.TextField(_("text"), blank=True)
    message_ar = models.TextField(_("text in Arabic"), blank=True)
    notification_type = models.CharField(_("type"), max_length=7, choices=Level.choices, default=Level.INFO)
    is_read = models.BooleanField(_("read"), default=False)
    read_at = models.DateTimeField(null=True)
    related_object_type = models.CharField(max_length=60, null=True, blank=True)  # the contract's shape: null
    related_object_id = models.UUIDField(null=True, blank=True)
    dedupe_key = models.CharField(max_length=200)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name = _("notification")
        verbose_name_plural = _("notifications")
        ordering = ["-created_at", "-pk"]
        constraints = [models.UniqueConstraint(fields=["user", "dedupe_key"], name="notification_once")]
        indexes = [
            models.Index(fields=["user", "-created_at"], name="notification_latest"),
            models.Index(fields=["user"], condition=models.Q(is_read=False), name="notification_unread"),
        ]

    @property
    def display_title(self) -> str:
        return in_language(self.title, self.title_ar)

    @property
    def display_message(self) -> str:
        return in_language(self.message, self.message_ar)


class BellState(TenantModel):
    """The bell's one row a user: the unread count, and a version that grows with every change.

    A poll compares the version and is done; the list is not touched. Written by ``notifications/inbox.py`` only.
    """

    user = models.OneToOneField("core.User", on_delete=models.CASCADE, related_name="bell")
    unread = models.PositiveIntegerField(default=0)
    version = models.PositiveBigIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.unread} unread"


class ProviderReceipt(models.Model):
    """What a provider told us, kept raw before anything is believed. An unknown id is kept too."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    tenant = models.ForeignKey("core.Tenant", on_delete=models.PROTECT, null=True, related_name="+")
    message = models.ForeignKey(Message, on_delete=models.CASCADE, null=True, related_name="receipts")
    provider = models.CharField(max_length=20)
    provider_message_id = models.CharField(max_length=80, blank=True)
    status = models.CharField(max_length=30, blank=True)
    payload = models.JSONField(default=dict)
    # provider, provider's id and status: the same receipt twice is one row
    dedupe_key = models.CharField(max_length=200, unique=True)
    received_at = models.DateTimeField(auto_now_add=True)
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
