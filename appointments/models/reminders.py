"""Reminders as rows with a due time."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from appointments.models.visits import Appointment
from core.tenancy import TenantModel


class Reminder(TenantModel):
    """A reminder as a row with a due time, planned in the appointment's transaction."""

    class Kind(models.TextChoices):
        DAY_BEFORE = "24H", _("24 hours before")
        TWO_HOURS = "2H", _("2 hours before")

    class Status(models.TextChoices):
        PLANNED = "PLANNED", _("Planned")
        SENT = "SENT", _("Handed to messaging")
        CANCELLED = "CANCELLED", _("Cancelled")
        EXPIRED = "EXPIRED", _("Too late to be useful")

    appointment = models.ForeignKey(Appointment, on_delete=models.CASCADE, related_name="reminders")
    version = models.PositiveIntegerField()
    kind = models.CharField(max_length=3, choices=Kind.choices)
    due_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    status = models.CharField(max_length=9, choices=Status.choices, default=Status.PLANNED)
    # Why it was cancelled or not sent, from notifications.states.Reason.
    reason = models.CharField(max_length=30, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["due_at"]
        constraints = [
            models.UniqueConstraint(fields=["appointment", "version", "kind"], name="reminder_once_per_version")
        ]
        indexes = [
            # used by the sweep of due reminders
            models.Index(fields=["due_at"], condition=models.Q(status="PLANNED"), name="reminder_due")
        ]
