"""How patients and guardians come to their own view: a wish for a code, a code for each clinic group, a session.

None of these people is a ``User``: they are known by the address in a patient's file, and by nothing else. Written by
``core/portal_sign_in.py`` and ``core/portal_sessions.py`` only.
"""

from __future__ import annotations

import uuid
from typing import Any

from django.db import models
from django.utils.translation import gettext_lazy as _

from core.secrets import EncryptedTextField


class PortalRequest(models.Model):
    """Somebody has typed an address. Belongs to no tenant: whether anybody knows the address is found out by a worker.

    So a known address and an unknown one cost the same, and are answered the same.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    # The address itself, for the worker; emptied when the codes are made.
    address = EncryptedTextField(blank=True)
    # What counts how often an address was asked for: keyed, so that nobody can look an address up.
    address_hash = models.CharField(max_length=64)
    ip = models.GenericIPAddressField(null=True)
    tries = models.PositiveSmallIntegerField(default=0)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    # When the worker has made the codes; and how often it has begun.
    handled_at = models.DateTimeField(null=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    used_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = "wish for a sign-in code"
        verbose_name_plural = "wishes for a sign-in code"
        indexes = [
            # The throttles: this address, this network.
            models.Index(fields=["address_hash", "created_at"], name="portal_by_address"),
            models.Index(fields=["ip", "created_at"], name="portal_by_ip"),
            # The sweeper's: whose doorbell was lost.
            models.Index(fields=["created_at"], condition=models.Q(handled_at=None), name="portal_waiting"),
        ]

    def __str__(self) -> str:
        return str(self.pk)


class PortalCode(models.Model):
    """The code that one clinic group sends for a wish. A family known to two groups gets two messages, each with its own.

    ``digest`` is what a typed code is compared with. ``sealed`` is the code for the worker that sends it, bound to this
    row; both are emptied when the wish is used or over. ``message`` holds no code, at no time.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    request = models.ForeignKey(PortalRequest, on_delete=models.CASCADE, related_name="codes")
    tenant = models.ForeignKey("core.Tenant", on_delete=models.CASCADE, related_name="+")
    address = models.CharField(max_length=254)
    digest = models.CharField(max_length=64, blank=True)
    sealed = models.BinaryField(default=bytes)
    # Of the message that carries it; ``core`` knows no messages.
    message_id = models.UUIDField(null=True)

    class Meta:
        verbose_name = "sign-in code"
        verbose_name_plural = "sign-in codes"
        constraints = [models.UniqueConstraint(fields=["request", "tenant"], name="portal_code_once")]
        indexes = [
            # used by the sending
            models.Index(fields=["message_id"], condition=models.Q(message_id__isnull=False), name="portal_by_message")
        ]

    def __str__(self) -> str:
        return str(self.pk)


class PortalSession(models.Model):
    """A browser in which the code of an address was typed. The cookie holds a key of which only the hash is kept here.

    What it may see is worked out anew at each page from the files that hold the address (``core.portal_people``), so a
    number that is taken out of a file opens nothing from then on. Found before its tenant is known.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    key_hash = models.CharField(max_length=64, unique=True)
    tenant: models.ForeignKey[Any, Any] = models.ForeignKey("core.Tenant", on_delete=models.CASCADE, related_name="+")
    address = models.CharField(max_length=254)
    # Whose file is open; and those for which the birth date was asked and given.
    patient: models.ForeignKey[Any, Any] = models.ForeignKey(
        "core.Patient", on_delete=models.CASCADE, null=True, related_name="+"
    )
    proven = models.JSONField(default=list)
    wrong_dates = models.PositiveSmallIntegerField(default=0)
    user_agent = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = _("patient's session")
        verbose_name_plural = _("patients' sessions")
        indexes = [
            # used when an address is taken away from everybody
            models.Index(fields=["tenant", "address"], name="portal_session_by_address"),
            # used by the clean-up
            models.Index(fields=["last_seen_at"], name="portal_session_by_age"),
        ]

    def __str__(self) -> str:
        return str(self.pk)


class PortalGuess(models.Model):
    """How many wrong birth dates were tried for one file on one day, over all sessions. Deleted some days later."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    tenant: models.ForeignKey[Any, Any] = models.ForeignKey("core.Tenant", on_delete=models.CASCADE, related_name="+")
    patient: models.ForeignKey[Any, Any] = models.ForeignKey("core.Patient", on_delete=models.CASCADE, related_name="+")
    # Of the clinic.
    day = models.DateField()
    wrong = models.PositiveSmallIntegerField(default=0)

    class Meta:
        verbose_name = "guesses at a birth date"
        verbose_name_plural = "guesses at birth dates"
        constraints = [models.UniqueConstraint(fields=["patient", "day"], name="portal_guess_once")]

    def __str__(self) -> str:
        return str(self.pk)
