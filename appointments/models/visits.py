"""The appointment and everything that hangs on its version.

States (facts on the clinic's domain, 6.1; the table of legal moves is ``appointments/states.py``)::

    BOOKED ──> CONFIRMED ──> ARRIVED ──> IN_PROGRESS ──> COMPLETED
      │  └──> RESCHEDULED ──^   │            │
      └──────> CANCELLED <──────┴────────────┘        NO_SHOW (after the start)

RESCHEDULED behaves like BOOKED with a new version; CONFIRMED falls back to it when the visit moves.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from core.tenancy import TenantModel

if TYPE_CHECKING:
    from core.models import User


@dataclass(frozen=True, slots=True)
class Act:
    """Who moves a visit and why. A service hangs it on the row before it saves; the signal handlers read it."""

    actor: User | None = None
    reason: str = ""
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Before:
    """A visit as the database had it before a save."""

    status: str
    starts_at: dt.datetime
    ends_at: dt.datetime
    version: int
    provider_id: Any


class Appointment(TenantModel):
    """One visit. ``version`` grows with every change of time, place or provider; messages carry it."""

    # Not columns: what the signal handlers need to know about the save that is going on.
    act: Act | None = None
    before: Before | None = None

    class Status(models.TextChoices):
        BOOKED = "BOOKED", _("Booked")
        CONFIRMED = "CONFIRMED", _("Confirmed")
        RESCHEDULED = "RESCHEDULED", _("Rescheduled")
        ARRIVED = "ARRIVED", _("Arrived")
        IN_PROGRESS = "IN_PROGRESS", _("In progress")
        COMPLETED = "COMPLETED", _("Completed")
        CANCELLED = "CANCELLED", _("Cancelled")
        NO_SHOW = "NO_SHOW", _("No-show")
        ENTERED_IN_ERROR = "ENTERED_IN_ERROR", _("Entered in error")

    class CancelledBy(models.TextChoices):
        CLINIC = "CLINIC", _("Clinic")
        PATIENT = "PATIENT", _("Patient")

    number = models.CharField(_("number"), max_length=20, blank=True, editable=False)
    patient = models.ForeignKey("core.Patient", on_delete=models.PROTECT, related_name="appointments")
    provider = models.ForeignKey("core.User", on_delete=models.PROTECT, related_name="appointments")
    location = models.ForeignKey("core.Location", on_delete=models.PROTECT, related_name="appointments")
    department = models.ForeignKey("core.Department", on_delete=models.PROTECT, related_name="appointments")
    starts_at = models.DateTimeField(_("starts at"))
    ends_at = models.DateTimeField(_("ends at"))
    status = models.CharField(_("status"), max_length=16, choices=Status.choices, default=Status.BOOKED)
    version = models.PositiveIntegerField(default=1)
    notes = models.TextField(_("notes for the team"), blank=True)
    # The last reason given for a move, a cancellation or a correction.
    reason = models.CharField(_("reason"), max_length=300, blank=True)
    cancelled_by = models.CharField(max_length=7, choices=CancelledBy.choices, blank=True)
    confirmed_at = models.DateTimeField(null=True, blank=True)
    arrived_at = models.DateTimeField(null=True, blank=True)
    started_at = models.DateTimeField(null=True, blank=True)
    completed_at = models.DateTimeField(null=True, blank=True)
    no_show_at = models.DateTimeField(null=True, blank=True)
    # The booking form's own key: the same form sent twice is one booking.
    booking_key = models.UUIDField(null=True, blank=True, editable=False)
    booked_by = models.ForeignKey("core.User", on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    # One of several that belong together, and which of them: its start in the series' rule, wherever it has moved since.
    series = models.ForeignKey("appointments.Series", on_delete=models.PROTECT, null=True, related_name="visits")
    series_start = models.DateTimeField(null=True, editable=False)
    # Booked anew for one that did not take place.
    replaces = models.ForeignKey("self", on_delete=models.PROTECT, null=True, related_name="replaced_by")
    # Back entries and imports: nobody is told.
    is_silent = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name = _("appointment")
        verbose_name_plural = _("appointments")
        ordering = ["starts_at", "pk"]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "number"], name="appointment_number_once"),
            models.UniqueConstraint(fields=["tenant", "booking_key"], name="appointment_booking_key_once"),
            models.CheckConstraint(
                condition=models.Q(ends_at__gt=models.F("starts_at")), name="appointment_ends_later"
            ),
        ]
        indexes = [
            # used by the calendar, the lists and the overlap check
            models.Index(fields=["tenant", "starts_at"], name="appointment_by_start"),
            models.Index(fields=["provider", "starts_at"], name="appointment_by_provider"),
            models.Index(fields=["patient", "-starts_at"], name="appointment_by_patient"),
        ]

    def __str__(self) -> str:
        return self.number

    @property
    def local_start(self) -> dt.datetime:
        """The start on the wall clock of the location."""
        return timezone.localtime(self.starts_at, self.location.zone)

    @property
    def local_end(self) -> dt.datetime:
        return timezone.localtime(self.ends_at, self.location.zone)


class AppointmentEvent(TenantModel):
    """One accepted move of the state machine. Append-only: the visit's own history."""

    appointment = models.ForeignKey(Appointment, on_delete=models.CASCADE, related_name="events")
    version = models.PositiveIntegerField()
    from_status = models.CharField(max_length=16, choices=Appointment.Status.choices, blank=True)
    to_status = models.CharField(max_length=16, choices=Appointment.Status.choices)
    actor = models.ForeignKey("core.User", on_delete=models.PROTECT, null=True, related_name="+")
    reason = models.CharField(max_length=300, blank=True)
    # What a reader of the history needs: the old start of a moved visit (ISO 8601), who cancelled.
    details = models.JSONField(default=dict)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["created_at", "pk"]
        indexes = [models.Index(fields=["appointment", "created_at"], name="appointment_history")]
