"""The verbs that take a place in the provider's day: book, reschedule, reinstate."""

from __future__ import annotations

import datetime as dt
import uuid

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from appointments import selectors
from appointments.models import Act, Appointment, Series
from appointments.services.common import apply, clean_reason, locked, snapshot
from appointments.states import Verb, check_actor, check_move
from core import audit
from core.access import Can
from core.errors import DomainError
from core.models import Department, Location, Patient, Role, User
from core.permissions import demand
from notifications import desk_tasks
from notifications.states import TaskKind

S = Appointment.Status
By = Appointment.CancelledBy

# A date further away is a slip of the keyboard.
BOOK_AHEAD = dt.timedelta(days=2 * 366)
LONGEST_VISIT = dt.timedelta(hours=8)


@transaction.atomic
def appointment_book(
    *,
    actor: User | None,
    patient: Patient,
    provider: User,
    location: Location,
    department: Department,
    starts_at: dt.datetime,
    duration: dt.timedelta,
    notes: str = "",
    booking_key: uuid.UUID | None = None,
    is_silent: bool = False,
    series: Series | None = None,
    replaces: Appointment | None = None,
) -> Appointment:
    """Books a visit. The same ``booking_key`` again returns the visit that is there; silent ones tell nobody.

    One of a ``series`` is told of with the others. ``replaces``: the visit that did not take place. Without an actor it
    is the patient, who accepts a time that was offered.
    """
    if actor is not None:
        demand(actor, Can.MANAGE_APPOINTMENTS, patient, provider, location, department)
    starts_at = _utc(starts_at)
    provider = locked_provider(provider.pk)
    if booking_key is not None:
        booked = Appointment.objects.filter(booking_key=booking_key).first()
        if booked is not None:
            return booked
    _check_patient(patient)
    check_slot(provider, location, starts_at, duration)
    appointment = Appointment(
        tenant_id=patient.tenant_id,
        patient=patient,
        provider=provider,
        location=location,
        department=department,
        starts_at=starts_at,
        ends_at=starts_at + duration,
        notes=notes.strip(),
        booking_key=booking_key,
        booked_by=actor,
        is_silent=is_silent,
        series=series,
        series_start=starts_at if series is not None else None,
        replaces=replaces,
    )
    appointment.act = Act(
        actor=actor,
        details=({} if actor is not None else {"by": By.PATIENT.value})
        | ({"told_together": "series"} if series is not None else {}),
    )
    appointment.save(force_insert=True)
    if replaces is not None:
        desk_tasks.end_for_object(replaces.pk, [TaskKind.REBOOK, TaskKind.CALL])
    audit.record(
        tenant_id=appointment.tenant_id,
        actor=actor,
        action="appointment.booked",
        obj=appointment,
        after=snapshot(appointment),
    )
    return appointment


@transaction.atomic
def appointment_reschedule(
    *,
    appointment_id: uuid.UUID,
    actor: User | None,
    starts_at: dt.datetime,
    duration: dt.timedelta | None = None,
    provider: User | None = None,
    reason: str = "",
    confirmed_with_it: bool = False,
) -> Appointment:
    """Moves the visit to another time or provider: a new version, to be confirmed anew.

    Without an actor it is the patient, by a link; whoever serves the link says which times are theirs to take.
    ``confirmed_with_it``: the caller confirms it in the same transaction, and the patient reads of that alone.
    """
    appointment = locked(appointment_id)
    if actor is not None:
        check_actor(appointment, Verb.RESCHEDULE, actor)
    check_move(appointment, S.RESCHEDULED, Verb.RESCHEDULE, timezone.now())
    text = clean_reason(reason, required=False)
    starts_at = _utc(starts_at)
    length = duration or appointment.ends_at - appointment.starts_at
    new_provider = provider or appointment.provider
    if actor is not None:
        demand(actor, Can.MANAGE_APPOINTMENTS, new_provider)
    if (starts_at, starts_at + length, new_provider.pk) == (
        appointment.starts_at,
        appointment.ends_at,
        appointment.provider_id,
    ):
        raise DomainError(_("Nothing has changed: choose another time or another provider."), code="nothing_changed")
    new_provider = locked_provider(new_provider.pk)
    _check_patient(appointment.patient)
    check_slot(new_provider, appointment.location, starts_at, length, moving=appointment)
    return apply(
        appointment,
        Act(
            actor=actor,
            reason=text,
            details=({} if actor is not None else {"by": By.PATIENT.value})
            | ({"confirmed_with_it": True} if confirmed_with_it else {}),
        ),
        {
            "status": S.RESCHEDULED,
            "version": appointment.version + 1,
            "starts_at": starts_at,
            "ends_at": starts_at + length,
            "provider": new_provider,
            "reason": text,
            "confirmed_at": None,
        },
        audited_as="appointment.rescheduled",
    )


@transaction.atomic
def appointment_reinstate(*, appointment_id: uuid.UUID, actor: User, reason: str = "") -> Appointment:
    """Takes a cancellation back, before the start and while the time is still free: booked anew, a new version."""
    appointment = locked(appointment_id)
    check_actor(appointment, Verb.REINSTATE, actor)
    if appointment.status == S.BOOKED:
        return appointment
    check_move(appointment, S.BOOKED, Verb.REINSTATE, timezone.now())
    text = clean_reason(reason, required=False)
    provider = locked_provider(appointment.provider_id)
    _check_patient(appointment.patient)
    check_slot(
        provider,
        appointment.location,
        appointment.starts_at,
        appointment.ends_at - appointment.starts_at,
        moving=appointment,
    )
    return apply(
        appointment,
        Act(actor=actor, reason=text),
        {
            "status": S.BOOKED,
            "version": appointment.version + 1,
            "reason": text,
            "cancelled_by": "",
            "confirmed_at": None,
        },
        audited_as="appointment.reinstated",
    )


def _utc(moment: dt.datetime) -> dt.datetime:
    """All arithmetic is done in UTC: within one zone Python reckons on the wall clock, wrong when the clock changes."""
    if timezone.is_naive(moment):
        raise ValueError("a start needs a time zone")
    return moment.astimezone(dt.UTC)


def locked_provider(provider_id: uuid.UUID) -> User:
    """The provider's row, held until the transaction ends: two bookings of one provider cannot race."""
    provider = User.objects.select_for_update(of=("self",), no_key=True).get(pk=provider_id)
    if provider.role != Role.PROVIDER:
        raise DomainError(_("%(name)s is not a provider.") % {"name": provider.name}, code="not_a_provider")
    if not provider.is_active:
        raise DomainError(_("%(name)s no longer works here.") % {"name": provider.name}, code="provider_inactive")
    return provider


def _check_patient(patient: Patient) -> None:
    if patient.deceased_at is not None:
        raise DomainError(_("This patient has died; nothing can be booked."), code="deceased")
    if patient.merged_into_id is not None:
        raise DomainError(_("This file was merged into another one. Book for that patient."), code="merged_away")
    if not patient.is_active:
        raise DomainError(_("This patient's file is closed. Open it again before booking."), code="patient_inactive")


def check_slot(
    provider: User,
    location: Location,
    starts_at: dt.datetime,
    duration: dt.timedelta,
    *,
    moving: Appointment | None = None,
) -> None:
    """Raises ``DomainError`` for a time that is past, too far away, of no sensible length, taken, or in an absence."""
    now = timezone.now()
    if starts_at <= now:
        raise DomainError(_("This time is in the past. Choose a time that is still to come."), code="start_past")
    if starts_at > now + BOOK_AHEAD:
        raise DomainError(_("This date is more than two years away. Please check the year."), code="start_far")
    if not dt.timedelta(0) < duration <= LONGEST_VISIT:
        raise DomainError(
            _("A visit lasts between a minute and %(hours)d hours.") % {"hours": LONGEST_VISIT.total_seconds() // 3600},
            code="duration_invalid",
        )
    if selectors.is_away(provider, location, starts_at, starts_at + duration):
        raise DomainError(
            _("%(name)s is away at that time. Choose another time or another provider.") % {"name": provider.name},
            code="provider_away",
        )
    other = selectors.overlapping(
        provider=provider, starts_at=starts_at, ends_at=starts_at + duration, except_for=moving
    ).first()
    if other is not None:
        zone = location.zone
        raise DomainError(
            _("%(name)s already has an appointment on %(day)s from %(start)s to %(end)s. Choose another time.")
            % {
                "name": provider.name,
                "day": timezone.localtime(other.starts_at, zone).strftime("%Y-%m-%d"),
                "start": timezone.localtime(other.starts_at, zone).strftime("%H:%M"),
                "end": timezone.localtime(other.ends_at, zone).strftime("%H:%M"),
            },
            code="overlap",
        )
