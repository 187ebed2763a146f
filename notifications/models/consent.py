"""What patients have agreed to, what they have told us to stop, and the words they agreed to.

Consents and the log of stops are proof (PDPL Art. 25, Implementing Regulation Art. 11 and 12): triggers of the database
refuse every change and every deletion, as for the audit trail (``migrations/0015_consents.py``).
"""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from core.models import Language
from core.models.tenant import in_language
from core.tenancy import TenantModel
from notifications.consent_states import ConsentStatus, Method, OptAct, OptSource, Purpose
from notifications.states import Channel


class ConsentText(TenantModel):
    """The words somebody agreed to. A version is never changed: new words are a new version. Written by ``consents``."""

    purpose = models.CharField(_("purpose"), max_length=13, choices=Purpose.choices)
    version = models.PositiveIntegerField(_("version"))
    words_en = models.TextField(_("words in English"))
    words_ar = models.TextField(_("words in Arabic"))
    created_at = models.DateTimeField(_("since"), auto_now_add=True)
    created_by = models.ForeignKey("core.User", on_delete=models.PROTECT, null=True, related_name="+")

    class Meta:
        verbose_name = _("words of a consent")
        verbose_name_plural = _("words of consents")
        ordering = ["purpose", "-version"]
        constraints = [models.UniqueConstraint(fields=["tenant", "purpose", "version"], name="consent_text_once")]

    def words_in(self, language: str | None = None) -> str:
        return in_language(self.words_en, self.words_ar, language)


class ConsentRecord(TenantModel):
    """One word of a patient, or of the guardian for them, about one purpose. Append-only: the latest counts."""

    patient = models.ForeignKey("core.Patient", on_delete=models.PROTECT, related_name="consent_records")
    guardian = models.ForeignKey("core.Guardian", on_delete=models.PROTECT, null=True, related_name="+")
    purpose = models.CharField(_("purpose"), max_length=13, choices=Purpose.choices)
    # Empty: over every channel.
    channel = models.CharField(_("channel"), max_length=8, choices=Channel.choices, blank=True)
    status = models.CharField(_("status"), max_length=9, choices=ConsentStatus.choices)
    method = models.CharField(_("how"), max_length=9, choices=Method.choices)
    captured_by = models.ForeignKey("core.User", on_delete=models.PROTECT, null=True, related_name="+")
    # "promotion 3": the purpose's ``ConsentText`` and its version; empty for a no, which needs no words.
    text_version = models.CharField(_("version of the words"), max_length=20, blank=True)
    language = models.CharField(_("language"), max_length=2, choices=Language.choices, blank=True)
    evidence = models.CharField(_("evidence"), max_length=300, blank=True)
    # When it was said; a paper form is entered later.
    at = models.DateTimeField(_("said at"))
    valid_until = models.DateTimeField(_("valid until"), null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = _("consent")
        verbose_name_plural = _("consents")
        ordering = ["-at", "-created_at", "-pk"]
        indexes = [models.Index(fields=["patient", "-at"], name="consent_by_patient")]


class OptEvent(TenantModel):
    """A stop or a new start by whoever reads an address, as it came. Append-only, each row sealed with the one before.

    Written by ``notifications/opt_log.py`` only.
    """

    position = models.PositiveIntegerField()
    act = models.CharField(_("what"), max_length=5, choices=OptAct.choices)
    channel = models.CharField(_("channel"), max_length=8, choices=Channel.choices)
    # Ours, that was told to stop; empty: whatever we write from over that channel.
    sender = models.CharField(_("sender"), max_length=254, blank=True)
    address = models.CharField(_("address"), max_length=254)
    raw = models.TextField(_("as it came"), blank=True)
    source = models.CharField(_("source"), max_length=9, choices=OptSource.choices)
    patient = models.ForeignKey("core.Patient", on_delete=models.PROTECT, null=True, related_name="opt_events")
    actor = models.ForeignKey("core.User", on_delete=models.PROTECT, null=True, related_name="+")
    at = models.DateTimeField(_("time"))
    # SHA-256 over this row and the seal of the one before, in hexadecimal digits.
    seal = models.CharField(max_length=64)

    class Meta:
        verbose_name = _("opt-out")
        verbose_name_plural = _("opt-outs")
        ordering = ["position"]
        constraints = [models.UniqueConstraint(fields=["tenant", "position"], name="opt_event_in_line")]
        indexes = [models.Index(fields=["tenant", "address", "-position"], name="opt_event_by_address")]


class SendingRule(TenantModel):
    """What a clinic group decides about sending as such. Without a row the defaults hold. Written by ``sending_rules``."""

    # Type of message → how many a patient gets on one day at most, where they are others than the house's.
    daily_caps = models.JSONField(_("at most a day"), default=dict, blank=True)
    # Without a recorded yes nothing goes over WhatsApp, whatever it is about.
    whatsapp_needs_consent = models.BooleanField(_("WhatsApp only with consent"), default=False)
    # A visit called off by the clinic that was to begin within so long wakes people in quiet hours; 0: never.
    wakes_within_minutes = models.PositiveIntegerField(_("called off shortly before: told in quiet hours"), default=180)

    class Meta:
        verbose_name = _("rules of sending")
        verbose_name_plural = _("rules of sending")
        constraints = [models.UniqueConstraint(fields=["tenant"], name="sending_rule_once")]
