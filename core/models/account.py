"""What an account has beside its row: an authenticator app as second factor, and letters about the account itself.

None of it belongs to a tenant's scope: it is needed before anybody has signed in.
"""

from __future__ import annotations

import secrets
import uuid
from binascii import hexlify, unhexlify
from typing import Any

from django.db import models
from django.utils.translation import gettext_lazy as _
from django_otp.plugins.otp_totp.models import TOTPDevice

from core.secrets import seal, unseal

# 160 bits: what RFC 4226 (section 4, R6) recommends, and 32 letters to type where no camera is at hand.
SECRET_BYTES = 20


class Authenticator(TOTPDevice):  # type: ignore[misc]  # django-otp ships no types
    """django-otp's device, with its secret sealed: a copy of the database makes no codes.

    The column ``key`` holds the sealed secret in hexadecimal. A row that was not sealed here matches no code.
    """

    class Meta:
        proxy = True

    @classmethod
    def new_secret(cls) -> bytes:
        return secrets.token_bytes(SECRET_BYTES)

    def set_secret(self, secret: bytes) -> None:
        """Seals it for the device's user, so that a row moved to somebody else opens nothing."""
        self.key = hexlify(seal(secret, self.user_id.bytes)).decode()

    @property
    def bin_key(self) -> bytes:
        """The secret, as django-otp asks for it. Raises ``core.secrets.SecretUnreadable``."""
        return unseal(unhexlify(self.key), self.user_id.bytes)


class AccountLetter(models.Model):
    """One email about an account. The row is the queue; ``core.account_letters`` sends it and holds no link itself.

    A wish for an address that nobody has is a row without a user: it is counted like the others, and never sent.
    """

    class Kind(models.TextChoices):
        RESET = "RESET", _("Link for a new password")
        INVITE = "INVITE", _("Invitation")
        PASSWORD_CHANGED = "PASSWORD_CHANGED", _("The password was changed")
        FACTOR_ON = "FACTOR_ON", _("The second step was turned on")
        FACTOR_OFF = "FACTOR_OFF", _("The second step was turned off")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user: models.ForeignKey[Any, Any] = models.ForeignKey(
        "core.User", on_delete=models.CASCADE, null=True, related_name="+"
    )
    kind = models.CharField(max_length=20, choices=Kind.choices)
    ip = models.GenericIPAddressField(null=True)
    created_at = models.DateTimeField()
    next_attempt_at = models.DateTimeField()
    attempts = models.PositiveSmallIntegerField(default=0)
    sent_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = "account letter"
        verbose_name_plural = "account letters"
        indexes = [
            # How often this address has asked of late.
            models.Index(fields=["ip", "created_at"], name="letter_by_ip"),
            # The sweeper's.
            models.Index(fields=["next_attempt_at"], condition=models.Q(sent_at=None), name="letter_waiting"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.pk}"
