"""Quiet hours at the moment of sending: what may wake nobody waits for the morning, or is dropped with a reason.

The clinic group's night holds for every SMS and WhatsApp message to a patient, the patient's own for theirs. What goes all
the same: what somebody sends by hand, urgent news to many, the answer to what the reader did a moment ago, and a visit
that the clinic calls off shortly before it begins (``EventType.wakes``; tenant data). An email wakes nobody. Staff have
quiet hours of their own. A bulk send has the hours of its class besides (``bulk_hold.py``).

Put off means another due time: nothing is late meanwhile, and a message's page says when it goes. What would be of no
use any more in the morning ends as ``QUIET_DROPPED``: nobody is woken by what can no longer help, and nothing is lost
silently. Reminders are planned around the quiet hours, so only what an outage held back comes to that.
"""

from __future__ import annotations

import datetime as dt
import uuid
import zoneinfo
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from django.db.models import Q

from core import tenant_settings
from core.models import Location
from notifications import lifecycle, quiet, registry, selectors, sending_rules
from notifications.models import BulkSend, Message, NotificationEvent, NotificationPreference
from notifications.quiet import Schedule
from notifications.states import Channel, Lane, Reason

# What stops being of use within this after the end of the night is dropped: the queue of a morning takes a moment.
MARGIN = dt.timedelta(minutes=15)
# So long an answer is the answer to what its reader has just done; later it is news in the night.
OWN_ACT = dt.timedelta(minutes=30)
# Rows of one statement.
BATCH = 1000

LOUD_CHANNELS = (Channel.SMS, Channel.WHATSAPP)
_LOUD = Q(channel__in=LOUD_CHANNELS)
_BY_ITSELF = Q(sent_by=None) | Q(bulk__isnull=False, bulk__is_urgent=False)


# Object ids → the zone of the place that each is about.
Clocks = Callable[[Collection[uuid.UUID]], Mapping[uuid.UUID, str]]
_clocks: dict[str, Clocks] = {}


def register_clocks(object_type: str, clocks: Clocks) -> None:
    """Called by the app that knows the objects, at start: where the places have several clocks, each goes by its own."""
    _clocks[object_type] = clocks


def put_off(tenant_id: uuid.UUID, lane: int, now: dt.datetime) -> int:
    """Gives what is due in the lane and can wait the end of the night as its time; returns of how many.

    What cannot wait and may wake nobody ends here. What is about a place where it is day goes; what is about none waits
    while it is night at one of them. The tenant's scope is open. One query in the day, and by night another one while
    there is nothing to put off.
    """
    nights = _nights(tenant_id, now)
    until = max((end for end in nights.values() if end is not None), default=None)
    if until is None:
        return 0
    resting = selectors.due(lane, now).filter(_LOUD, _BY_ITSELF, patient__isnull=False)
    fields = ("pk", "event", "lane", "bulk", "expires_at", "object_type", "object_id")
    count = 0
    last: uuid.UUID | None = None
    # By their keys: an UPDATE cannot look at the bulk send, and what goes all the same stays due.
    while rows := list((resting if last is None else resting.filter(pk__gt=last)).order_by("pk").only(*fields)[:BATCH]):
        last = rows[-1].pk
        awake = waking(rows, now)
        zones = _zones_of(rows) if len(nights) > 1 else {}
        ends: dict[dt.datetime, list[Message]] = defaultdict(list)
        for row in rows:
            end = nights.get(zones[row.pk], until) if row.pk in zones else until
            if row.pk not in awake and end is not None:
                ends[end].append(row)
        for end, asleep in ends.items():
            late = {row.pk: Reason.QUIET_DROPPED for row in asleep if not _can_wait(row, end)}
            waiting = [row.pk for row in asleep if row.pk not in late]
            count += selectors.due(lane, now).filter(pk__in=waiting).update(next_attempt_at=end) if waiting else 0
            if late:
                lifecycle.refuse_many(late)
    return count


def _zones_of(rows: Sequence[Message]) -> dict[uuid.UUID, str]:
    """Message → the zone of the place it is about, of those that are about one. A query for each kind of object."""
    found: dict[uuid.UUID, str] = {}
    for object_type, clocks in _clocks.items():
        mine = {row.pk: row.object_id for row in rows if row.object_type == object_type and row.object_id is not None}
        zones = clocks(set(mine.values())) if mine else {}
        found.update({pk: zones[object_id] for pk, object_id in mine.items() if object_id in zones})
    return found


def hold_for_readers(found: Sequence[Message], now: dt.datetime) -> tuple[set[uuid.UUID], dict[uuid.UUID, Reason]]:
    """The same for the nights that patients have set for themselves: ids of what is put off, and what ends why.

    One query while no patient among them has a night of their own.
    """
    loud = [row for row in found if row.channel in LOUD_CHANNELS and row.patient_id and _is_by_itself(row)]
    ends = _own_nights(loud, now) if loud else {}
    resting = [row for row in loud if row.pk in ends]
    if not resting:
        return set(), {}
    awake = waking(resting, now) | _urgent_to_many(resting)
    put: set[uuid.UUID] = set()
    refused: dict[uuid.UUID, Reason] = {}
    for row in resting:
        if row.pk in awake:
            continue
        until = ends[row.pk]
        if _can_wait(row, until):
            Message.objects.filter(pk=row.pk).update(next_attempt_at=until)
            put.add(row.pk)
        else:
            refused[row.pk] = Reason.QUIET_DROPPED
    return put, refused


def waking(rows: Sequence[Message], now: dt.datetime) -> set[uuid.UUID]:
    """Those of these that go although it is quiet. One query, and one for each event that may wake somebody."""
    ids = {row.event_id for row in rows if row.event_id is not None}
    awake = {
        event.pk
        for event in (NotificationEvent.objects.filter(pk__among=ids) if ids else ())
        if is_own_act(event, now) or _wakes(event)
    }
    # Without an event in the urgent lane: the code or the answer for which somebody is waiting now.
    return {
        row.pk
        for row in rows
        if row.event_id in awake or (row.event_id is None and row.lane == Lane.URGENT and row.bulk_id is None)
    }


def is_own_act(event: NotificationEvent, now: dt.datetime) -> bool:
    """The reader did it a moment ago: they are awake and wait for the answer."""
    by_patient = event.actor_id is None and event.payload.get("by") == "PATIENT"
    return by_patient and now - event.created_at < OWN_ACT


def _wakes(event: NotificationEvent) -> bool:
    entry = registry.get(event.key)
    return entry.wakes is not None and entry.wakes(event)


def _can_wait(row: Message, until: dt.datetime) -> bool:
    return row.expires_at is None or row.expires_at > until + MARGIN


def _is_by_itself(row: Message) -> bool:
    return row.sent_by_id is None or row.bulk_id is not None


def _urgent_to_many(rows: Iterable[Message]) -> set[uuid.UUID]:
    of_send = {row.pk: row.bulk_id for row in rows if row.bulk_id is not None}
    if not of_send:
        return set()
    urgent = BulkSend.objects.filter(pk__in=set(of_send.values()), is_urgent=True)
    found = set(urgent.values_list("pk", flat=True))
    return {pk for pk, bulk in of_send.items() if bulk in found}


def _own_nights(rows: Sequence[Message], now: dt.datetime) -> dict[uuid.UUID, dt.datetime]:
    """Message → when its patient's own night ends, of those for whom it is night now: on the clock of what it is about."""
    patients = {row.patient_id for row in rows if row.patient_id is not None}
    wished = NotificationPreference.objects.filter(patient__among=patients, quiet_from__isnull=False)
    windows = {
        patient: (start, end)
        for patient, start, end in wished.values_list("patient_id", "quiet_from", "quiet_until")
        if start is not None and end is not None
    }
    mine = [row for row in rows if row.patient_id in windows]
    if not mine:
        return {}
    zones, clinics = _zones_of(mine), sending_rules.clinic_zone()
    ends = {
        row.pk: quiet.quiet_until(
            Schedule(
                zone=zoneinfo.ZoneInfo(zones[row.pk]) if row.pk in zones else clinics, window=windows[row.patient_id]
            ),
            now,
        )
        for row in mine
        if row.patient_id is not None
    }
    return {pk: end for pk, end in ends.items() if end is not None}


def quiet_until(tenant_id: uuid.UUID, now: dt.datetime, *, zone: str = "") -> dt.datetime | None:
    """When the tenant's quiet hours end, if it is quiet at one of its locations now, or on that zone's clock. None: day."""
    nights = _nights(tenant_id, now, zone)
    return max((end for end in nights.values() if end is not None), default=None)


def _nights(tenant_id: uuid.UUID, now: dt.datetime, zone: str = "") -> dict[str, dt.datetime | None]:
    """Each zone of the tenant's places → when its quiet hours end, None while it is day. Empty without quiet hours."""
    own = tenant_settings.of(tenant_id)
    if own.quiet_from is None or own.quiet_until is None:
        return {}
    zones = {zone} if zone else set(Location.objects.filter(is_active=True).values_list("timezone", flat=True))
    window = (own.quiet_from, own.quiet_until)
    return {name: quiet.quiet_until(Schedule(zone=zoneinfo.ZoneInfo(name), window=window), now) for name in zones}
