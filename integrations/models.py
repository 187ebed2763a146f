"""The state of the ways out: how each provider does, what is wrong, how fast each sender may go.

Providers are the house's, not a tenant's: these rows have no tenant, or name one where only it is concerned.
``integrations/breaker.py`` writes ``ProviderState``, ``integrations/incidents.py`` writes ``Incident``,
``integrations/rates.py`` writes ``RateBucket``. A clinic group's own account (``ProviderAccount``) stands beside them under
a name of its own.
"""

from __future__ import annotations

import uuid

from django.db import models
from django.utils.translation import gettext_lazy as _

from core.secrets import EncryptedTextField
from core.tenancy import TenantModel
from notifications.states import Channel


class ProviderState(models.Model):
    """How one provider does on one channel: the breaker.

    CLOSED: calls go through. OPEN: none until ``retry_at``. HALF_OPEN: a few probes. STOPPED: it refuses our account
    or this sender (``sender`` not empty); a probe at ``retry_at``, or a person who has mended it, starts it again.
    """

    class State(models.TextChoices):
        CLOSED = "closed", _("Working")
        OPEN = "open", _("Down")
        HALF_OPEN = "half_open", _("Being tried")
        STOPPED = "stopped", _("Stopped")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    provider = models.CharField(_("provider"), max_length=20)
    channel = models.CharField(_("channel"), max_length=8, choices=Channel.choices)
    # Empty: the whole account on that channel.
    sender = models.CharField(_("sender"), max_length=254, blank=True)
    state = models.CharField(_("state"), max_length=9, choices=State.choices, default=State.CLOSED)
    # Calls of this and the former half minute: all, failed without a clean answer, and slow.
    window_at = models.DateTimeField(null=True)
    calls = models.PositiveIntegerField(default=0)
    failures = models.PositiveIntegerField(default=0)
    slow = models.PositiveIntegerField(default=0)
    former_calls = models.PositiveIntegerField(default=0)
    former_failures = models.PositiveIntegerField(default=0)
    former_slow = models.PositiveIntegerField(default=0)
    # Good probes in a row, and how often it opened without holding since: each opening waits longer.
    probes_good = models.PositiveSmallIntegerField(default=0)
    openings = models.PositiveSmallIntegerField(default=0)
    opened_at = models.DateTimeField(null=True)
    retry_at = models.DateTimeField(null=True)
    code = models.CharField(max_length=40, blank=True)
    last_success_at = models.DateTimeField(null=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name = _("provider's state")
        verbose_name_plural = _("providers' states")
        constraints = [models.UniqueConstraint(fields=["provider", "channel", "sender"], name="provider_state_once")]

    def __str__(self) -> str:
        return f"{self.provider} {self.channel} {self.state}"


class Incident(models.Model):
    """Something of ours that needed a person, from its start to its end. Told once, not per message."""

    class Kind(models.TextChoices):
        OUTAGE = "outage", _("Provider down")
        CONFIGURATION = "configuration", _("Account or settings refused")
        EXPIRED = "expired", _("Messages too late to be sent")
        SETTINGS = "settings", _("Messages refused because of our settings")
        QUEUE = "queue", _("Messages wait too long")
        EVENTS = "events", _("News is not turned into messages")
        BEAT = "beat", _("The clock is silent")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(_("kind"), max_length=13, choices=Kind.choices)
    # Empty: it concerns everybody.
    tenant = models.ForeignKey("core.Tenant", on_delete=models.CASCADE, null=True, related_name="+")
    provider = models.CharField(_("provider"), max_length=20, blank=True)
    channel = models.CharField(_("channel"), max_length=8, choices=Channel.choices, blank=True)
    # Of QUEUE the lane's name and of SETTINGS the provider's code instead: what there may be several of at once.
    sender = models.CharField(_("sender"), max_length=254, blank=True)
    code = models.CharField(_("code"), max_length=40, blank=True)
    detail = models.CharField(_("what happened"), max_length=300, blank=True)
    started_at = models.DateTimeField(_("from"))
    ended_at = models.DateTimeField(_("to"), null=True)

    class Meta:
        verbose_name = _("incident")
        verbose_name_plural = _("incidents")
        ordering = ["-started_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "provider", "channel", "sender"],
                condition=models.Q(ended_at__isnull=True, tenant__isnull=True),
                name="incident_open_once",
            ),
            models.UniqueConstraint(
                fields=["tenant", "kind", "provider", "channel", "sender"],
                condition=models.Q(ended_at__isnull=True, tenant__isnull=False),
                name="incident_open_once_per_tenant",
            ),
        ]
        indexes = [models.Index(fields=["-started_at"], name="incident_latest")]

    def __str__(self) -> str:
        return f"{self.kind} {self.provider} {self.started_at:%Y-%m-%d %H:%M}"


class RateBucket(models.Model):
    """The token bucket of one tenant's sender at one provider. No row: as fast as the provider takes it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    tenant = models.ForeignKey("core.Tenant", on_delete=models.CASCADE, related_name="+")
    provider = models.CharField(_("provider"), max_length=20)
    channel = models.CharField(_("channel"), max_length=8, choices=Channel.choices)
    sender = models.CharField(_("sender"), max_length=254, blank=True)
    # Messages a second; empty: the provider's own limit from its adapter, and without one none.
    rate = models.FloatField(_("messages a second"), null=True, blank=True)
    tokens = models.FloatField(default=0)
    refilled_at = models.DateTimeField(null=True)
    # The provider said "too many": nothing goes before this.
    paused_until = models.DateTimeField(null=True)
    pauses = models.PositiveSmallIntegerField(default=0)

    class Meta:
        verbose_name = _("sender's speed limit")
        verbose_name_plural = _("senders' speed limits")
        constraints = [models.UniqueConstraint(fields=["tenant", "provider", "channel", "sender"], name="bucket_once")]

    def __str__(self) -> str:
        return f"{self.provider} {self.channel}"


class ProviderAccount(TenantModel):
    """A clinic group's own account at a provider. Messages go over it instead of the house's.

    ``name`` stands on messages, attempts, breakers and buckets where a house's provider stands, so each account has its
    own state. A row never gets other credentials: new ones are a new row, and the old one is kept, out of use, while
    the provider still reports on what went over it. Written by ``integrations/credentials.py`` only.
    """

    class Kind(models.TextChoices):
        TWILIO = "twilio", "Twilio"
        UNIFONIC = "unifonic", "Unifonic"
        SMTP = "smtp", _("Email server")

    # twilio@4f9a0c21de: as long as the columns that hold a provider's name.
    name = models.CharField(max_length=20, unique=True, editable=False)
    kind = models.CharField(_("provider"), max_length=8, choices=Kind.choices)
    # What is no secret: the account SID, the server and the user name there.
    login = models.CharField(_("account"), max_length=254, blank=True)
    server = models.CharField(_("server"), max_length=254, blank=True)
    # Token, AppSid or password. None: it was encrypted with a key that is gone; empty: it was deleted.
    secret = EncryptedTextField(_("secret"), blank=True)
    last_four = models.CharField(max_length=4, blank=True)
    sms_sender = models.CharField(_("SMS sender"), max_length=40, blank=True)
    whatsapp_sender = models.CharField(_("WhatsApp sender"), max_length=40, blank=True)
    email_sender = models.CharField(_("email sender"), max_length=254, blank=True)
    # What we write into the call-back's address of a provider that signs nothing.
    webhook_key = EncryptedTextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    retired_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = _("clinic group's provider account")
        verbose_name_plural = _("clinic groups' provider accounts")
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "kind"],
                condition=models.Q(retired_at__isnull=True),
                name="account_in_use_once",
            )
        ]
        # used by the providers' reports, which name the account
        indexes = [models.Index(fields=["kind", "login"], name="account_by_login")]

    def __str__(self) -> str:
        return self.name

    @property
    def senders(self) -> dict[str, str]:
        """Channel → the account's own sender there. Without one it does not carry the channel."""
        both = {Channel.SMS: self.sms_sender, Channel.WHATSAPP: self.whatsapp_sender, Channel.EMAIL: self.email_sender}
        return {str(channel): sender for channel, sender in both.items() if sender}
