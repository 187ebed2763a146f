"""What a patient wants to get, and which addresses are not written to."""

from __future__ import annotations

import datetime as dt

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from core.models import Language
from core.tenancy import TenantModel
from notifications.consent_states import NEED_A_YES, NO, ConsentStatus, Purpose, purpose_of, state
from notifications.models.message import Message
from notifications.states import Channel, NotificationType, Reason

# What a patient may switch off, by type or over one channel. The rest is part of the care, or needs a consent anyway.
OPTIONAL_TYPES = (
    NotificationType.REMINDER,
    NotificationType.CONFIRMATION,
    NotificationType.RESULTS,
    NotificationType.BILLING,
)


def cell(channel: str, notification_type: str) -> str:
    """One square of the matrix as ``switched_off`` keeps it."""
    return f"{Channel(channel).value}:{NotificationType(notification_type).value}"


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
    # "SMS:BILLING": one kind of message over one channel, where both are on otherwise.
    switched_off = models.JSONField(_("switched off"), default=list, blank=True)
    # What holds of the consents (``consent_states.Held``). Written with each record by ``consents`` only.
    consents = models.JSONField(default=dict, blank=True, editable=False)
    # The patient's own night, on the clock of the clinic. Both or neither; midnight may lie between them.
    quiet_from = models.TimeField(_("quiet from"), null=True, blank=True)
    quiet_until = models.TimeField(_("quiet until"), null=True, blank=True)
    # Visits of one day of a family with one phone are told in one message.
    combine_family = models.BooleanField(_("One message for the family"), default=True)
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
        constraints = [
            models.CheckConstraint(
                condition=models.Q(quiet_from=None, quiet_until=None)
                | models.Q(quiet_from__isnull=False, quiet_until__isnull=False),
                name="own_quiet_has_two_ends",
            )
        ]

    def refusal(
        self,
        channel: str,
        notification_type: str,
        *,
        whatsapp_needs_consent: bool = False,
        now: dt.datetime | None = None,
    ) -> Reason | None:
        """Why this may not be sent, or None: consent first, then the wish. No query.

        CHANGE, GENERAL and STAFF cannot be switched off by type; a withdrawn consent for messages stops all of them.
        """
        now = now or timezone.now()
        purpose = purpose_of(notification_type)
        agreed = self.agreed(purpose, channel, now=now)
        if purpose in NEED_A_YES and agreed != ConsentStatus.GRANTED:
            return Reason.CONSENT_WITHDRAWN if agreed == ConsentStatus.WITHDRAWN else Reason.NO_CONSENT
        if agreed in NO:
            return Reason.CONSENT_WITHDRAWN
        if channel == Channel.WHATSAPP:
            # The desk may have written the channel beside it, or not: it means the same.
            opted_in = self.agreed(Purpose.WHATSAPP, channel, now=now)
            if opted_in in NO:
                return Reason.CONSENT_WITHDRAWN
            if whatsapp_needs_consent and opted_in != ConsentStatus.GRANTED:
                return Reason.NO_CONSENT
        if not self.channels[Channel(channel)]:
            return Reason.OPT_OUT_CHANNEL
        return None if self.wants(channel, notification_type) else Reason.OPT_OUT_TYPE

    def wants(self, channel: str, notification_type: str) -> bool:
        """The wish about a kind of message over a channel that is on. No consent is asked."""
        if notification_type not in OPTIONAL_TYPES:
            return True
        return self.types.get(notification_type, True) and cell(channel, notification_type) not in self.switched_off

    def agreed(self, purpose: str, channel: str = "", *, now: dt.datetime | None = None) -> ConsentStatus:
        return state(self.consents, purpose, channel, now or timezone.now())

    def agreed_somewhere(self, purpose: str) -> bool:
        """A yes over all channels or one of them: there is something to take back."""
        return any(self.agreed(purpose, channel) == ConsentStatus.GRANTED for channel in ("", *Channel.values))

    @property
    def channels(self) -> dict[str, bool]:
        return {
            Channel.SMS: self.sms_enabled,
            Channel.WHATSAPP: self.whatsapp_enabled,
            Channel.EMAIL: self.email_enabled,
        }

    @property
    def types(self) -> dict[str, bool]:
        return {
            NotificationType.REMINDER: self.reminders_enabled,
            NotificationType.CONFIRMATION: self.confirmations_enabled,
            NotificationType.RESULTS: self.results_enabled,
            NotificationType.BILLING: self.billing_enabled,
        }

    @property
    def awareness_enabled(self) -> bool:
        return self.agreed_somewhere(Purpose.AWARENESS)

    @property
    def marketing_enabled(self) -> bool:
        return self.agreed_somewhere(Purpose.PROMOTION)

    def can_send(self, channel: str, notification_type: str) -> bool:
        return self.refusal(channel, notification_type) is None


class SuppressedAddress(TenantModel):
    """An address that must not be written to over a channel: dead, opted out, or complained. Lifted by a person.

    Written by ``notifications/suppression.py`` only.
    """

    channel = models.CharField(_("channel"), max_length=8, choices=Channel.choices)
    address = models.CharField(_("address"), max_length=254)
    # Of ours, where only one was told to stop; empty: whatever we write from over that channel.
    sender = models.CharField(_("sender"), max_length=254, blank=True)
    reason = models.CharField(_("reason"), max_length=30, choices=Reason.choices)
    code = models.CharField(_("provider's code"), max_length=40, blank=True)
    message = models.ForeignKey(Message, on_delete=models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(_("since"), auto_now_add=True)
    lifted_at = models.DateTimeField(_("lifted"), null=True)
    lifted_by = models.ForeignKey("core.User", on_delete=models.PROTECT, null=True, related_name="+")

    class Meta:
        verbose_name = _("suppressed address")
        verbose_name_plural = _("suppressed addresses")
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "channel", "address", "sender"],
                condition=models.Q(lifted_at__isnull=True),
                name="suppressed_once",
            )
        ]

    def __str__(self) -> str:
        return f"{self.channel} {self.reason}"
