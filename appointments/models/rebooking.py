"""The link by which a patient asks for a new visit instead of one that did not take place."""

from __future__ import annotations

from django.db import models

from core.tenancy import TenantModel


class RebookLink(TenantModel):
    """One a visit. It asks once; the desk's task holds the wish. Written by ``appointments/rebooking.py`` only."""

    appointment = models.OneToOneField("appointments.Appointment", on_delete=models.CASCADE, related_name="rebook_link")
    code = models.CharField(max_length=24, unique=True)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)
