"""What a patient wants to get, and which addresses are not written to."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from core.models import Language
from core.tenancy import TenantModel
from notifications.models.message import Message
from notifications.states import Channel, NotificationType, Reason


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
    # Health campaigns of the clinic: on until the patient says no.
    awareness_enabled = models.BooleanField(_("Health awareness"), default=True)
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
            NotificationType.AWARENESS: self.awareness_enabled,
            NotificationType.MARKETING: self.marketing_enabled,
        }
        if not channels[Channel(channel)]:
            return Reason.OPT_OUT_CHANNEL
        if not types.get(NotificationType(notification_type), True):
            return Reason.NO_CONSENT if notification_type == NotificationType.MARKETING else Reason.OPT_OUT_TYPE
        return None

    def can_send(self, channel: str, notification_type: str) -> bool:
        return self.refusal(channel, notification_type) is None


class SuppressedAddress(TenantModel):
    """An address that must not be written to over a channel: dead, opted out, or complained. Lifted by a person.

    Written by ``notifications/suppression.py`` only.
    """

    channel = models.CharField(_("channel"), max_length=8, choices=Channel.choices)
    address = models.CharField(_("address"), max_length=254)
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
                fields=["tenant", "channel", "address"],
                condition=models.Q(lifted_at__isnull=True),
                name="suppressed_once",
            )
        ]

    def __str__(self) -> str:
        return f"{self.channel} {self.reason}"
