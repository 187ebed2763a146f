"""What appointments tell in a copy of a patient's data, and what they say before it is erased. Registered at start."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _text
from django.utils.translation import gettext_lazy as _

from appointments.models import Appointment, AppointmentEvent, FamilyVisit, Reminder, Series, WaitlistEntry
from appointments.states import AWAITED
from core import subject_data
from core.models import Patient
from core.subject_data import Copy, Row, Section
from notifications import retention
from notifications.subject_erasing import erase_news


def _visits(copy: Copy) -> Iterator[Row]:
    rows = Appointment.objects.filter(patient=copy.patient).select_related("provider", "location", "department")
    for row in rows.order_by("starts_at", "pk"):
        yield {
            "number": row.number,
            "starts": row.starts_at,
            "ends": row.ends_at,
            "status": row.get_status_display(),
            # Who has treated the patient is part of the patient's own data.
            "with": row.provider.name_in(copy.language),
            "department": row.department.name_in(copy.language),
            "location": row.location.name_in(copy.language),
            "reason": copy.text(row.reason),
            "notes": copy.text(row.notes),
            "cancelled_by": row.get_cancelled_by_display() if row.cancelled_by else "",
            "confirmed": row.confirmed_at,
            "arrived": row.arrived_at,
        }


def _history(copy: Copy) -> Iterator[Row]:
    rows = AppointmentEvent.objects.filter(appointment__patient=copy.patient).select_related("appointment", "actor")
    for row in rows.order_by("created_at", "pk"):
        yield {
            "time": row.created_at,
            "number": row.appointment.number,
            "status": row.get_to_status_display(),
            "by": copy.staff(row.actor),
            "reason": copy.text(row.reason),
        }


def _reminders(copy: Copy) -> Iterator[Row]:
    rows = Reminder.objects.filter(appointment__patient=copy.patient).select_related("appointment")
    for row in rows.order_by("due_at", "pk"):
        yield {
            "number": row.appointment.number,
            "kind": row.get_kind_display(),
            "due": row.due_at,
            "status": row.get_status_display(),
        }


def _waiting(copy: Copy) -> Iterator[Row]:
    rows = WaitlistEntry.objects.filter(patient=copy.patient).select_related("department")
    for row in rows.order_by("created_at", "pk"):
        yield {
            "since": row.created_at,
            "department": row.department.name_in(copy.language),
            "from": row.first_day,
            "until": row.last_day,
            "state": row.get_state_display(),
        }


def _upcoming(patient: Patient) -> str:
    """An obstacle: whoever is still expected has to be reached."""
    if Appointment.objects.filter(patient=patient, status__in=AWAITED, starts_at__gt=timezone.now()).exists():
        return _text("There are visits still to come. Call them off first.")
    return ""


def _erase(patient: Patient) -> int:
    """What the staff was told about the visits. The visits themselves are a medical record."""
    WaitlistEntry.objects.filter(patient=patient, state=WaitlistEntry.State.WAITING).update(
        state=WaitlistEntry.State.ENDED, ended_at=timezone.now()
    )
    visits = list(Appointment.objects.filter(patient=patient).values_list("pk", flat=True))
    # A message to the family stands under one of the siblings, and names them all.
    return erase_news(visits) + retention.erase_words_about(set(_family_news([patient.pk])))


def _family_news(patient_ids: Any) -> QuerySet[FamilyVisit, uuid.UUID]:
    return FamilyVisit.objects.filter(appointment__patient__in=patient_ids).order_by().values_list("news", flat=True)


def register() -> None:
    for section in _SECTIONS:
        subject_data.register_section(section)
    subject_data.leave_out(Series._meta.label, "the frame around visits, which are told one by one")
    subject_data.register_obstacle("visits", _upcoming)
    subject_data.register_eraser("appointments", _erase)
    retention.register_named_in(_family_news)


_SECTIONS = (
    Section(
        "visits",
        _("Your visits"),
        {
            "number": _("Number"),
            "starts": _("Starts"),
            "ends": _("Ends"),
            "status": _("Status"),
            "with": _("With"),
            "department": _("Department"),
            "location": _("Where"),
            "reason": _("Reason"),
            "notes": _("Notes"),
            "cancelled_by": _("Called off by"),
            "confirmed": _("Confirmed"),
            "arrived": _("Arrived"),
        },
        _visits,
        ("appointments.Appointment",),
    ),
    Section(
        "visit_history",
        _("What happened to your visits"),
        {"time": _("Time"), "number": _("Number"), "status": _("Status"), "by": _("Who"), "reason": _("Reason")},
        _history,
        ("appointments.AppointmentEvent",),
    ),
    Section(
        "reminders",
        _("Reminders"),
        {"number": _("Number"), "kind": _("Kind"), "due": _("Due"), "status": _("Status")},
        _reminders,
        ("appointments.Reminder",),
    ),
    Section(
        "waiting_list",
        _("Waiting list"),
        {
            "since": _("Since"),
            "department": _("Department"),
            "from": _("Not before"),
            "until": _("Not after"),
            "state": _("State"),
        },
        _waiting,
        ("appointments.WaitlistEntry",),
    ),
)
