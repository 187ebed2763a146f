"""The verbs that move a visit through its states without a new time."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from appointments.models import Act, Appointment, AppointmentEvent
from appointments.services.common import apply, clean_reason, locked
from appointments.states import AWAITED, IllegalMove, Verb, check_actor, check_move
from core.access import Can, allows
from core.errors import DomainError
from core.models import Role, User
from core.permissions import NotAllowed
from notifications import events

S = Appointment.Status
By = Appointment.CancelledBy


@transaction.atomic
def appointment_confirm(*, appointment_id: uuid.UUID, actor: User | None = None, answered: str = "") -> Appointment:
    """The visit will take place as planned. Without an actor it is the patient, by the link or by a reply.

    ``answered`` is who has written and is told on that way: a guardian's id, or “patient”.
    """
    now = timezone.now()
    details = {"by": By.CLINIC.value if actor is not None else By.PATIENT.value} | _answered(answered)
    return _move(
        locked(appointment_id),
        actor,
        Verb.CONFIRM,
        S.CONFIRMED,
        {"confirmed_at": now, "reason": ""},
        now=now,
        details=details,
    )


@transaction.atomic
def appointment_unconfirm(*, appointment_id: uuid.UUID, actor: User, reason: str) -> Appointment:
    """Takes a confirmation back; the patient is asked again by the next message."""
    return _move(
        locked(appointment_id),
        actor,
        Verb.UNCONFIRM,
        S.BOOKED,
        {"confirmed_at": None},
        reason=clean_reason(reason, required=True),
        audited_as="appointment.unconfirmed",
    )


@transaction.atomic
def appointment_arrive(*, appointment_id: uuid.UUID, actor: User) -> Appointment:
    """The patient is here; the provider is told, with what is still open."""
    now = timezone.now()
    return _move(locked(appointment_id), actor, Verb.ARRIVE, S.ARRIVED, {"arrived_at": now}, now=now)


@transaction.atomic
def appointment_undo_arrival(*, appointment_id: uuid.UUID, actor: User, reason: str = "") -> Appointment:
    """Back to the status before the arrival, soon after it; the provider's alert is withdrawn."""
    appointment = locked(appointment_id)
    check_actor(appointment, Verb.UNDO_ARRIVAL, actor)
    if appointment.status in AWAITED:
        return appointment
    arrival = (
        AppointmentEvent.objects.filter(appointment=appointment, to_status=S.ARRIVED).order_by("-created_at").first()
    )
    earlier = arrival.from_status if arrival is not None and arrival.from_status else S.BOOKED
    now = timezone.now()
    check_move(appointment, earlier, Verb.UNDO_ARRIVAL, now)
    return apply(
        appointment,
        Act(actor=actor, reason=clean_reason(reason, required=False)),
        {"status": S(earlier), "arrived_at": None},
        audited_as="appointment.arrival_undone",
    )


@transaction.atomic
def appointment_start(*, appointment_id: uuid.UUID, actor: User) -> Appointment:
    """The provider has begun. Log only: nobody is told."""
    now = timezone.now()
    return _move(locked(appointment_id), actor, Verb.START, S.IN_PROGRESS, {"started_at": now}, now=now)


@transaction.atomic
def appointment_complete(*, appointment_id: uuid.UUID, actor: User, next_steps: str = "") -> Appointment:
    """The visit is over; the patient is thanked. ``next_steps`` is free text for the patient's email."""
    now = timezone.now()
    details = {"next_steps": next_steps.strip()} if next_steps.strip() else {}
    return _move(
        locked(appointment_id), actor, Verb.COMPLETE, S.COMPLETED, {"completed_at": now}, now=now, details=details
    )


@transaction.atomic
def appointment_reopen(*, appointment_id: uuid.UUID, actor: User, reason: str) -> Appointment:
    """An admin's correction: completed by mistake, still in progress."""
    return _move(
        locked(appointment_id),
        actor,
        Verb.REOPEN,
        S.IN_PROGRESS,
        {"completed_at": None},
        reason=clean_reason(reason, required=True),
        audited_as="appointment.reopened",
    )


@transaction.atomic
def appointment_cancel(
    *,
    appointment_id: uuid.UUID,
    actor: User | None,
    reason: str = "",
    by: str = By.CLINIC,
    told_together: str = "",
    answered: str = "",
) -> Appointment:
    """Calls the visit off. The clinic must say why; the patient (by the link, before the start) need not.

    ``told_together`` names what tells of this and others at once (a series, an absence): then nobody is told of this one.
    ``answered`` is who has written and is told on that way: a guardian's id, or “patient”.
    """
    text = clean_reason(reason, required=by == By.CLINIC)
    appointment = locked(appointment_id)
    if actor is None:
        if by != By.PATIENT:
            raise NotAllowed
        if appointment.status != S.CANCELLED and appointment.status not in AWAITED:
            raise IllegalMove(appointment.status, S.CANCELLED)
        if timezone.now() >= appointment.starts_at:
            raise DomainError(_("The appointment has already begun or is over."), code="already_begun")
    return _move(
        appointment,
        actor,
        Verb.CANCEL,
        S.CANCELLED,
        {"cancelled_by": By(by)},
        reason=text,
        details={"by": By(by).value}
        | ({"told_together": told_together} if told_together else {})
        | _answered(answered),
        audited_as="appointment.cancelled",
    )


@transaction.atomic
def appointment_no_show(*, appointment_id: uuid.UUID, actor: User) -> Appointment:
    """The patient did not come. Only after the start and a grace."""
    now = timezone.now()
    return _move(
        locked(appointment_id),
        actor,
        Verb.NO_SHOW,
        S.NO_SHOW,
        {"no_show_at": now},
        now=now,
        audited_as="appointment.no_show",
    )


@transaction.atomic
def appointment_correct_no_show(*, appointment_id: uuid.UUID, actor: User, to: str, reason: str) -> Appointment:
    """The patient was here after all: ``to`` is ARRIVED or COMPLETED. The follow-up is withdrawn."""
    now = timezone.now()
    stamp = {S.ARRIVED: "arrived_at", S.COMPLETED: "completed_at"}.get(S(to))
    if stamp is None:
        raise IllegalMove(S.NO_SHOW, to)
    return _move(
        locked(appointment_id),
        actor,
        Verb.CORRECT_NO_SHOW,
        S(to),
        {stamp: now, "no_show_at": None},
        reason=clean_reason(reason, required=True),
        now=now,
        audited_as="appointment.no_show_corrected",
    )


@transaction.atomic
def appointment_void(*, appointment_id: uuid.UUID, actor: User, reason: str) -> Appointment:
    """Entered in error: as if it had never been. The patient is told nothing; a calendar that has it takes it out."""
    return _move(
        locked(appointment_id),
        actor,
        Verb.VOID,
        S.ENTERED_IN_ERROR,
        {},
        reason=clean_reason(reason, required=True),
        audited_as="appointment.voided",
    )


@transaction.atomic
def appointment_tell_results_ready(*, appointment_id: uuid.UUID, actor: User) -> Appointment:
    """Tells the patient, once a visit, that results are ready. What they say is never part of a message."""
    appointment = locked(appointment_id)
    if not (allows(actor, Can.TREAT) or allows(actor, Can.MANAGE_APPOINTMENTS)):
        raise NotAllowed
    if appointment.tenant_id != actor.tenant_id:
        raise NotAllowed
    if actor.role == Role.PROVIDER and appointment.provider_id != actor.pk:
        raise NotAllowed(_("This appointment is with another provider."))
    if appointment.status not in (S.IN_PROGRESS, S.COMPLETED):
        raise DomainError(_("There are results only after the visit."), code="no_visit_yet")
    events.record(
        "results.ready",
        tenant_id=appointment.tenant_id,
        dedupe=str(appointment.pk),
        obj=appointment,
        version=appointment.version,
        actor=actor,
    )
    return appointment


def _answered(by: str) -> dict[str, str]:
    """What the event's messages learn of it (``events.py``): no echo to who has just written."""
    return {"answered": by} if by else {}


def _move(
    appointment: Appointment,
    actor: User | None,
    verb: Verb,
    to: str,
    changes: dict[str, Any],
    *,
    reason: str = "",
    details: dict[str, Any] | None = None,
    now: dt.datetime | None = None,
    audited_as: str | None = None,
) -> Appointment:
    """Who, whither, when, save. The own state again is no second event."""
    if actor is not None:
        check_actor(appointment, verb, actor)
    if appointment.status == to:
        return appointment
    check_move(appointment, to, verb, now or timezone.now())
    changes = {"status": to, **changes}
    if reason:
        changes["reason"] = reason
    return apply(appointment, Act(actor=actor, reason=reason, details=details or {}), changes, audited_as=audited_as)
