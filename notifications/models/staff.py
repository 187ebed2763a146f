"""How staff are reached beside the bell, what they want, and what happens when nobody answers.

The one writer of each: ``staff_preferences`` (StaffPreference), ``staff_outbox`` (NotificationDelivery), ``push``
(PushSubscription), ``chat`` (ChatTarget), ``escalation`` (Escalation), ``announcements`` (Announcement).
"""

from __future__ import annotations

import datetime as dt

from django.db import models
from django.utils.translation import gettext_lazy as _

from core.models import Role
from core.models.tenant import in_language, validate_zone
from core.secrets import EncryptedTextField
from core.tenancy import TenantModel
from notifications.models.event import NotificationEvent
from notifications.models.inbox import Notification
from notifications.states import (
    DeliveryStatus,
    DropReason,
    EscalationStatus,
    Frequency,
    StaffChannel,
    StopReason,
)


class StaffPreference(TenantModel):
    """What one member of staff wants to hear of, how, and when not. Without a row the defaults below hold.

    ``matrix``: category → the channels that are on; a category that is missing has its default
    (``staff_preferences.DEFAULT_MATRIX``). Times are on the wall clock of ``timezone``, or of the user's location.
    """

    user = models.OneToOneField("core.User", on_delete=models.CASCADE, related_name="staff_preference")
    matrix = models.JSONField(default=dict)
    # Both or neither; the end may lie on the next day.
    quiet_starts = models.TimeField(_("quiet from"), null=True, blank=True)
    quiet_ends = models.TimeField(_("quiet until"), null=True, blank=True)
    # Instead of the two above, from sunset of the eve to the end of Ramadan as the Umm al-Qura calendar has it.
    ramadan_quiet_starts = models.TimeField(_("quiet from in Ramadan"), null=True, blank=True)
    ramadan_quiet_ends = models.TimeField(_("quiet until in Ramadan"), null=True, blank=True)
    is_quiet_on_weekends = models.BooleanField(_("quiet on weekends"), default=False)
    is_quiet_on_holidays = models.BooleanField(_("quiet on holidays"), default=False)
    timezone = models.CharField(_("time zone"), max_length=64, blank=True, validators=[validate_zone])
    frequency = models.CharField(_("email comes"), max_length=9, choices=Frequency.choices, default=Frequency.IMMEDIATE)
    digest_time = models.TimeField(_("time of the summary"), default=dt.time(8))
    # Monday is 0, so 6 is Sunday, where the week begins.
    digest_weekday = models.PositiveSmallIntegerField(_("day of the weekly summary"), default=6)
    has_sound = models.BooleanField(_("sound"), default=False)
    has_toasts = models.BooleanField(_("show new ones in the corner"), default=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name = _("staff preferences")
        verbose_name_plural = _("staff preferences")


class NotificationDelivery(TenantModel):
    """A notification on its way over one channel beside the bell: due now, after the quiet hours, or in a summary."""

    notification = models.ForeignKey(Notification, on_delete=models.CASCADE, related_name="deliveries", db_index=False)
    user = models.ForeignKey("core.User", on_delete=models.CASCADE, related_name="+", db_index=False)
    channel = models.CharField(_("channel"), max_length=6, choices=StaffChannel.choices)
    # 0: when it happened; the escalation's step when it goes further over this channel.
    step = models.PositiveSmallIntegerField(default=0)
    status = models.CharField(_("status"), max_length=7, choices=DeliveryStatus.choices, default=DeliveryStatus.PENDING)
    reason = models.CharField(_("reason"), max_length=16, choices=DropReason.choices, blank=True)
    # Gathered with others of the same user that are due: quiet hours ("quiet") or a summary ("digest"); empty: alone.
    held_for = models.CharField(max_length=6, blank=True)
    due_at = models.DateTimeField()
    useful_until = models.DateTimeField(null=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    lease_expires_at = models.DateTimeField(null=True)
    # The email that carried it.
    email = models.ForeignKey(
        "notifications.Message", on_delete=models.SET_NULL, null=True, related_name="+", db_index=False
    )
    created_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = _("staff delivery")
        verbose_name_plural = _("staff deliveries")
        constraints = [models.UniqueConstraint(fields=["notification", "channel", "step"], name="staff_delivery_once")]
        indexes = [
            # used by the sender and the sweeper
            models.Index(
                fields=["due_at"],
                condition=models.Q(status__in=["PENDING", "SENDING"]),
                name="staff_delivery_due",
            )
        ]


class PushSubscription(TenantModel):
    """One browser of one user that takes push messages (RFC 8030; the keys are RFC 8291's)."""

    user = models.ForeignKey("core.User", on_delete=models.CASCADE, related_name="push_subscriptions")
    endpoint = models.URLField(max_length=500, unique=True)
    p256dh = models.CharField(max_length=100)
    auth = models.CharField(max_length=50)
    # What the person calls it by: "Chrome on Android".
    device = models.CharField(_("device"), max_length=80, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    last_success_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = _("browser for push")
        verbose_name_plural = _("browsers for push")


class ChatTarget(TenantModel):
    """A Slack or Teams channel: the tenant's (no user), told of system alerts, or a person's own."""

    user = models.ForeignKey("core.User", on_delete=models.CASCADE, null=True, related_name="chat_targets")
    name = models.CharField(_("name"), max_length=80)
    # The webhook's address lets anybody write there: encrypted at rest, never shown again.
    url = EncryptedTextField(_("webhook address"))
    kind = models.CharField(max_length=5, choices=[("slack", "Slack"), ("teams", "Microsoft Teams")])
    is_active = models.BooleanField(_("active"), default=True)
    created_at = models.DateTimeField(auto_now_add=True)
    last_success_at = models.DateTimeField(null=True)
    last_failure_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = _("Slack or Teams channel")
        verbose_name_plural = _("Slack and Teams channels")


class Escalation(TenantModel):
    """A critical event that nobody has acknowledged yet, and when it goes a step further. One an event."""

    event = models.OneToOneField(NotificationEvent, on_delete=models.CASCADE, related_name="escalation")
    object_type = models.CharField(max_length=60, blank=True)
    object_id = models.UUIDField(null=True)
    status = models.CharField(
        _("status"), max_length=9, choices=EscalationStatus.choices, default=EscalationStatus.OPEN
    )
    # The last step that was taken; 0: those it is for were told.
    step = models.PositiveSmallIntegerField(default=0)
    due_at = models.DateTimeField()
    # Nobody is helped by it after this.
    useful_until = models.DateTimeField(null=True)
    stop_reason = models.CharField(max_length=12, choices=StopReason.choices, blank=True)
    stopped_by = models.ForeignKey("core.User", on_delete=models.SET_NULL, null=True, related_name="+")
    stopped_at = models.DateTimeField(null=True)
    # The act that stopped it; undoing the act starts it again.
    stopped_by_action = models.UUIDField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = _("escalation")
        verbose_name_plural = _("escalations")
        indexes = [
            # used by the sweeper
            models.Index(fields=["due_at"], condition=models.Q(status="OPEN"), name="escalation_due"),
            models.Index(fields=["object_id"], condition=models.Q(status="OPEN"), name="escalation_by_object"),
            # used by the rollups of a day
            models.Index(fields=["tenant", "created_at"], name="escalation_by_day"),
        ]


class Announcement(TenantModel):
    """A word from an admin to all staff or to one role."""

    author = models.ForeignKey("core.User", on_delete=models.PROTECT, related_name="+")
    # Empty: all staff.
    role = models.CharField(_("for"), max_length=12, choices=Role.choices, blank=True)
    title_en = models.CharField(_("title in English"), max_length=200, blank=True)
    title_ar = models.CharField(_("title in Arabic"), max_length=200, blank=True)
    body_en = models.TextField(_("text in English"), blank=True)
    body_ar = models.TextField(_("text in Arabic"), blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = _("announcement")
        verbose_name_plural = _("announcements")
        ordering = ["-created_at"]
        indexes = [models.Index(fields=["tenant", "-created_at"], name="announcement_latest")]

    @property
    def title(self) -> str:
        return in_language(self.title_en, self.title_ar)

    @property
    def body(self) -> str:
        return in_language(self.body_en, self.body_ar)
