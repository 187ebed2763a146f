"""What a patient's link stands for."""

from __future__ import annotations

from django.db import models

from appointments.models.visits import Appointment
from core.tenancy import TenantModel


class ConfirmationToken(TenantModel):
    """The short code of the patient's link. Dead when used, expired, revoked or of an older version."""

    appointment = models.ForeignKey(Appointment, on_delete=models.CASCADE, related_name="tokens")
    version = models.PositiveIntegerField()
    code = models.CharField(max_length=24, unique=True)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    # At a sensitive place the link alone shows nothing: wrong dates of birth, and when they became too many.
    wrong_tries = models.PositiveSmallIntegerField(default=0)
    locked_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["appointment", "version"], name="confirmation_token_one_per_version")
        ]
