"""News of a visit that is booked or moved rests a few minutes: a correction meanwhile is the news, and the only message.

Staff are told at once; only the patient's part waits. A visit that is called off before anything was told is not
mentioned at all. What was booked for a family within the same minutes is told in one message.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from appointments import enclosures
from appointments.models import Appointment, AppointmentEvent, FamilyNews, FamilyVisit
from appointments.reminders import family, rules
from notifications import events, lifecycle
from notifications.models import Message, NotificationEvent
from notifications.registry import Audience
from notifications.states import CANCELLABLE, NEVER_LEFT, NotificationType, Reason, Status

BOOKED, MOVED = "appointment.booked", "appointment.rescheduled"
CONFIRMED, CANCELLED = "appointment.confirmed", "appointment.cancelled"
VOIDED, SERIES_BOOKED = "appointment.entered_in_error", "series.booked"
RESTING = (BOOKED, MOVED)
_TELLS_OF_A_BOOKING = (BOOKED, family.BOOKED_KEY)
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
        # Nobody knows of the visit yet, or who does believes that it is off.
        key = BOOKED
    record_move(key, appointment, move, payload, suffix=":patient", audiences=(Audience.PATIENT,), due_at=due_at)


def tell_cancelled(appointment: Appointment, move: AppointmentEvent, overtaken: list[NotificationEvent]) -> None:
    """Who was never told of the visit, or was told last that it is off, need not hear that it is off."""
    waited = any(event.key in _TELLS_OF_A_BOOKING for event in overtaken) or _rests_with_its_series(appointment)
    audiences = _STAFF if waited and not is_told(appointment) else ()
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


def overtake(appointment: Appointment, reason: Reason) -> list[NotificationEvent]:
    """``take_back``, and what is written down already and waits for the end of the night. Returns both."""
    rested = take_back(appointment, reason)
    return rested + withdraw_messages(NotificationEvent.objects.filter(pk__in=_held(appointment)), reason)


def _held(appointment: Appointment) -> list[uuid.UUID]:
    """The events of news about the visit that is put off. What is due now may be on its way."""
    mine = Message.objects.filter(object_id__in=family.told_by(appointment), patient__isnull=False)
    held = mine.filter(status=Status.QUEUED, next_attempt_at__gt=timezone.now())
    return list(held.filter(event__key__in=[*RESTING, family.BOOKED_KEY]).values_list("event", flat=True).distinct())


def withdraw_messages(about: QuerySet[NotificationEvent], reason: Reason) -> list[NotificationEvent]:
    """Ends the patients' messages of these events that have not left; returns the events of which nobody has read any.

    A fan-out that is under way is waited for.
    """
    found = list(about.select_for_update(no_key=True, of=("self",)).order_by("created_at", "pk"))
    messages = Message.objects.filter(event__in=[event.pk for event in found], patient__isnull=False)
    waiting = messages.filter(status__in=CANCELLABLE).filter(Q(status=Status.QUEUED) | Q(next_attempt_at__isnull=False))
    owners = dict(waiting.values_list("pk", "event"))
    withdrawn = {owners[pk] for pk in lifecycle.refuse_many(dict.fromkeys(owners, reason))}
    read = set(messages.filter(event__in=withdrawn).exclude(status__in=NEVER_LEFT).values_list("event", flat=True))
    return [event for event in found if event.pk in withdrawn - read]


def tell_after_all(appointment: Appointment, move: AppointmentEvent) -> None:
    """A step was taken back that had stopped the news of the visit: what nobody has heard is told, as it is now."""
    mine = FamilyVisit.objects.filter(appointment=appointment, version=appointment.version)
    is_own = Q(object_id=appointment.pk, object_version=appointment.version)
    is_mine = is_own | Q(object_id__in=list(mine.values_list("news", flat=True)))
    stopped = NotificationEvent.objects.filter(is_mine, key__in=[*_TELLS_OF_A_BOOKING, MOVED, CONFIRMED])
    messages = Message.objects.filter(is_mine, patient__isnull=False)
    is_news = (
        stopped.filter(dropped_because=Reason.STATUS_NOT_ELIGIBLE).exists()
        or messages.filter(event__in=stopped.values("pk"), reason=Reason.STATUS_NOT_ELIGIBLE).exists()
    )
    if not is_news or messages.exclude(status__in=NEVER_LEFT).exists():
        return
    key, payload = BOOKED, _payload(move)
    if appointment.status == Appointment.Status.CONFIRMED:
        key = CONFIRMED
    elif appointment.status == Appointment.Status.RESCHEDULED:
        moved = stopped.filter(key=MOVED).order_by("created_at", "pk").last()
        if moved is not None:
            key, payload = MOVED, moved.payload
    due_at = rest(appointment, move)
    record_move(key, appointment, move, payload, suffix=":patient", audiences=(Audience.PATIENT,), due_at=due_at)


def is_told(appointment: Appointment) -> bool:
    """The patient knows of it, or may: the last that has left, or is about to, says anything but that it is off."""
    about = Message.objects.filter(object_id__in=family.told_by(appointment), patient__isnull=False)
    is_put_off = Q(status=Status.QUEUED, next_attempt_at__gt=timezone.now())
    left = about.exclude(status__in=NEVER_LEFT).exclude(is_put_off).order_by("created_at", "pk")
    last = left.values_list("event__key", flat=True).reverse()[:1]
    return any(key != CANCELLED for key in last)


def is_untold(appointment: Appointment) -> bool:
    """Its first news rests or is put off, and nothing else has been said of it."""
    known = Q(pk__in=_held(appointment)) | Q(object_id=appointment.pk, due_at__isnull=False, processed_at=None)
    waits = NotificationEvent.objects.filter(known, key__in=_TELLS_OF_A_BOOKING).exists()
    return (waits or _rests_with_its_series(appointment)) and not is_told(appointment)


def _rests_with_its_series(appointment: Appointment) -> bool:
    if appointment.series_id is None:
        return False
    resting = NotificationEvent.objects.filter(object_id=appointment.series_id, key=SERIES_BOOKED, processed_at=None)
    return resting.filter(due_at__isnull=False).exists()


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
