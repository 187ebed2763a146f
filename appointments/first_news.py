"""News of a visit that is booked or moved rests a few minutes: a correction meanwhile is the news, and the only message.

Staff are told at once; only the patient's part waits. A visit that is called off before anything was told is not
mentioned at all. What was booked for a family within the same minutes is told in one message.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.utils import timezone

from appointments import enclosures
from appointments.models import Appointment, AppointmentEvent, FamilyNews
from appointments.reminders import family, rules
from notifications import events
from notifications.models import Message, NotificationEvent
from notifications.registry import Audience
from notifications.states import NEVER_LEFT, NotificationType, Reason

BOOKED, MOVED = "appointment.booked", "appointment.rescheduled"
CANCELLED, VOIDED = "appointment.cancelled", "appointment.entered_in_error"
RESTING = (BOOKED, MOVED)
_STAFF = (Audience.PROVIDER, Audience.FRONT_DESK)
# News that one message may tell of many visits: a series that was booked, a provider's day that was called off.
_TOLD_TOGETHER = frozenset({"appointment.new", BOOKED, CANCELLED})
# However many relatives are booked one after the other: the first is told after so many rests.
_LONGEST = 3


def rest(appointment: Appointment, move: AppointmentEvent) -> dt.datetime | None:
    """When the patient is told; None: at once, because the clinic group wants it so or it was the patient's own act."""
    if move.actor is None and move.details.get("by") == Appointment.CancelledBy.PATIENT:
        return None
    minutes = rules.timing(appointment.tenant_id).undo_minutes
    return timezone.now() + dt.timedelta(minutes=minutes) if minutes else None


def tell_booked(appointment: Appointment, move: AppointmentEvent) -> None:
    record_move(BOOKED, appointment, move, _payload(move), due_at=rest(appointment, move))


def tell_moved(appointment: Appointment, move: AppointmentEvent, overtaken: list[NotificationEvent]) -> None:
    """The provider at once; the patient after the rest, of the way from what they know to what holds then.

    ``overtaken``: what waited to be told and is not true any more.
    """
    due_at = rest(appointment, move)
    payload = _payload(move)
    if "confirmed_with_it" in move.details:
        # The patient has chosen the time: the confirmation, which follows at once, is their one message.
        record_move(MOVED, appointment, move, payload, audiences=_STAFF)
        return
    if due_at is None and not overtaken:
        record_move(MOVED, appointment, move, payload)
        return
    record_move(MOVED, appointment, move, payload, suffix=":staff", audiences=_STAFF)
    key = MOVED
    first = next((event for event in overtaken if event.key == MOVED), None)
    if first is not None:
        # Two moves in a row: what the patient knows is the time before the first one.
        known = first.payload.get("old_starts_at")
        payload["old_starts_at"] = known or payload.get("old_starts_at")
        if known and dt.datetime.fromisoformat(known) == appointment.starts_at:
            # There and back again. The link they have is dead, the visit and its time are not.
            key = BOOKED
    elif overtaken and not is_told(appointment):
        key = BOOKED
    record_move(key, appointment, move, payload, suffix=":patient", audiences=(Audience.PATIENT,), due_at=due_at)


def tell_cancelled(appointment: Appointment, move: AppointmentEvent, overtaken: list[NotificationEvent]) -> None:
    """Who was never told of the visit need not hear that it is off."""
    is_news = any(event.key == BOOKED for event in overtaken) and not is_told(appointment)
    audiences = _STAFF if is_news else ()
    record_move(CANCELLED, appointment, move, _payload(move), audiences=audiences)


def tell_voided(appointment: Appointment, move: AppointmentEvent) -> None:
    """Nothing is said of what never was, but a calendar that has an entry of it is told to take it out."""
    # One that was called off has been taken out already; one that is over stands in nobody's way.
    may_stand_there = move.from_status != Appointment.Status.CANCELLED and appointment.starts_at > timezone.now()
    if may_stand_there and enclosures.is_in_a_calendar(appointment):
        record_move(VOIDED, appointment, move, {}, audiences=(Audience.PATIENT,))


def take_back(appointment: Appointment, reason: Reason) -> list[NotificationEvent]:
    """What waits to be told about the visit and no longer holds. Before its messages are cancelled."""
    return events.drop_waiting(appointment.pk, RESTING, reason)


def is_told(appointment: Appointment) -> bool:
    """Something about it has reached the patient, or may have."""
    about = Message.objects.filter(object_id__in=family.told_by(appointment), patient__isnull=False)
    return about.exclude(status__in=NEVER_LEFT).exists()


def is_untold(appointment: Appointment) -> bool:
    """Its first news still rests, and nothing else has been said of it."""
    resting = NotificationEvent.objects.filter(object_id=appointment.pk, key=BOOKED, due_at__isnull=False)
    return resting.filter(processed_at=None).exists() and not is_told(appointment)


def record_move(
    key: str,
    appointment: Appointment,
    move: AppointmentEvent,
    payload: Mapping[str, Any],
    *,
    suffix: str = "",
    audiences: tuple[Audience, ...] = (),
    due_at: dt.datetime | None = None,
) -> None:
    """One event a move, or one for each part: the history's row makes it unique.

    What is told together with others has its own event.
    """
    if "told_together" in move.details and key in _TOLD_TOGETHER:
        return
    events.record(
        key,
        tenant_id=appointment.tenant_id,
        dedupe=f"{move.pk}{suffix}",
        obj=appointment,
        version=appointment.version,
        actor=move.actor,
        payload=payload,
        due_at=due_at,
        audiences=audiences,
    )


def _payload(move: AppointmentEvent) -> dict[str, Any]:
    return {"reason": move.reason, **move.details}


@transaction.atomic
def gather(event: NotificationEvent) -> bool:
    """Puts bookings of one family that wait to be told into one message; True: this one is told with them, or a bit later.

    Called when the event's time has come, with no row locked: the rows are locked here, in one order.
    """
    rows_of = Appointment.objects.select_related("patient__tenant", "location")
    found = rows_of.filter(pk=event.object_id).first() if event.object_id is not None else None
    if found is None or found.version != event.object_version:
        return False
    visits = {visit.pk: visit for visit in _read_together(found)}
    waiting = NotificationEvent.objects.filter(
        object_id__in=visits, key=BOOKED, due_at__isnull=False, processed_at=None
    )
    rows = [
        row
        for row in waiting.select_for_update().order_by("pk")
        if row.object_id is not None and visits[row.object_id].version == row.object_version
    ]
    if len(rows) < 2 or all(row.pk != event.pk for row in rows):
        return False
    now = timezone.now()
    last = max(row.due_at for row in rows if row.due_at is not None)
    latest = event.created_at + dt.timedelta(minutes=_LONGEST * rules.timing(event.tenant_id).undo_minutes)
    if min(last, latest) > now:
        NotificationEvent.objects.filter(pk=event.pk).update(due_at=min(last, latest))
        return True
    told = sorted((visits[row.object_id] for row in rows if row.object_id), key=lambda visit: visit.starts_at)
    for first in range(0, len(told), family.MOST):
        family.record(FamilyNews.Kind.BOOKED, told[first : first + family.MOST])
    NotificationEvent.objects.filter(pk__in=[row.pk for row in rows]).update(
        processed_at=now, dropped_because=Reason.COMBINED
    )
    return True


def _read_together(visit: Appointment) -> list[Appointment]:
    """The visit and those of the same day and place that are read on the same phone in the same way."""
    reading = family.readings([visit.patient], NotificationType.CONFIRMATION)[visit.patient_id][1]
    if reading is None:
        return []
    midnight = visit.local_start.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    rows = Appointment.objects.filter(
        patient__in=family.relatives([reading]),
        location=visit.location,
        status__in=family.TOLD_AS_BOOKED,
        starts_at__gte=midnight,
        starts_at__lt=midnight + dt.timedelta(days=1),
    ).select_related("patient__tenant", "location")
    known = family.readings({row.patient for row in rows}, NotificationType.CONFIRMATION)
    return [row for row in rows if known[row.patient_id][1] == reading]
