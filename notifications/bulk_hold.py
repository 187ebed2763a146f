"""Which messages wait although they are due: of a send that is paused, stopped, or outside its hours; of a class that is.

Asked by every claim, so it is one look into a small partial index, and no more while nothing is under way.
"""

from __future__ import annotations

import datetime as dt
import uuid
import zoneinfo
from collections import defaultdict
from collections.abc import Sequence

from django.db.models import QuerySet

from notifications import message_classes, sending_rules
from notifications.bulk_states import UNDER_WAY, BulkState, MessageClass, class_of
from notifications.message_classes import Rule
from notifications.models import BulkSend, Message
from notifications.states import Reason

_READ = ("pk", "state", "message_class", "is_urgent", "timezone", "sends_from", "sends_until", "updated_at")


def held(now: dt.datetime) -> list[uuid.UUID]:
    """The sends of the open tenant scope whose messages must not be claimed now."""
    return [bulk.pk for bulk, rule in _under_way() if is_held(bulk, rule, now)]


def excused(now: dt.datetime, limit: dt.timedelta) -> list[uuid.UUID]:
    """The sends whose messages may be late by ``limit`` without a fault: held now, or until less than that ago."""
    return [
        bulk.pk
        for bulk, rule in _under_way()
        if is_held(bulk, rule, now) or is_held(bulk, rule, now - limit) or bulk.updated_at > now - limit
    ]


def _under_way() -> list[tuple[BulkSend, Rule]]:
    rows = list(BulkSend.objects.filter(state__in=UNDER_WAY, finished_at=None).only(*_READ).order_by())
    rules = message_classes.rules() if rows else {}
    return [(row, rules[row.message_class]) for row in rows]


def is_held(bulk: BulkSend, rule: Rule, now: dt.datetime) -> bool:
    """Whether a send under way keeps its messages back at that moment."""
    if bulk.state in (BulkState.PAUSED, BulkState.STOPPED):
        return True
    zone = zoneinfo.ZoneInfo(bulk.timezone)
    return not message_classes.is_open(now, zone, *windows(bulk, rule))


def windows(bulk: BulkSend, rule: Rule) -> list[tuple[dt.time, dt.time]]:
    """The hours in which messages of a send may leave: its class's, unless it is an urgent service, and its own."""
    found = []
    if not (bulk.is_urgent and bulk.message_class == MessageClass.SERVICE):
        found.append((rule.opens_at, rule.closes_at))
    if bulk.sends_from is not None and bulk.sends_until is not None:
        found.append((bulk.sends_from, bulk.sends_until))
    return found


def opens_at(bulk: BulkSend, now: dt.datetime) -> dt.datetime | None:
    """When messages of a send may leave next; None when its hours and those of its class never meet."""
    rule = message_classes.rules()[bulk.message_class]
    return message_classes.next_opening(now, zoneinfo.ZoneInfo(bulk.timezone), *windows(bulk, rule))


def without_held(due: QuerySet[Message], now: dt.datetime) -> QuerySet[Message]:
    """``due`` without the messages that their send holds back."""
    kept = held(now)
    return due.exclude(bulk__in=kept) if kept else due


def postpone(found: Sequence[Message], now: dt.datetime) -> tuple[set[uuid.UUID], dict[uuid.UUID, Reason]]:
    """Puts off single messages of a class whose hours are over, to the next opening; returns their ids.

    Those of a send under way are held by ``held``. What comes back when it is over (a failure that was reported late, a
    person's retry) keeps to its hours here, and a stop stays one. A message that is of no use any more by then ends with
    ``CLASS_WINDOW``: the second answer.
    """
    waiting, refused = _of_sends_that_are_over(found)
    by_class: dict[str, list[Message]] = defaultdict(list)
    for row in found:
        message_class = class_of(row.notification_type)
        if message_class != MessageClass.SERVICE and row.bulk_id is None:
            by_class[message_class].append(row)
    if by_class:
        rules = message_classes.rules()
        # These messages are about none of the clinic group's places.
        zone = sending_rules.clinic_zone()
        for message_class, rows in by_class.items():
            waiting.append((zone, [(rules[message_class].opens_at, rules[message_class].closes_at)], rows))
    put_off: set[uuid.UUID] = set()
    for zone, hours, rows in waiting:
        opening = message_classes.next_opening(now, zone, *hours)
        if opening is not None and opening > now:
            late = {row.pk for row in rows if row.expires_at is not None and row.expires_at <= opening}
            keys = {row.pk for row in rows} - late
            Message.objects.filter(pk__among=keys).update(next_attempt_at=opening)
            put_off |= keys
            refused |= dict.fromkeys(late, Reason.CLASS_WINDOW)
    return put_off, refused


# Whose wall clock, the hours on it, and the messages that keep to them.
_Group = tuple[zoneinfo.ZoneInfo, list[tuple[dt.time, dt.time]], list[Message]]


def _of_sends_that_are_over(found: Sequence[Message]) -> tuple[list[_Group], dict[uuid.UUID, Reason]]:
    """The hours of ended sends with their messages, and the messages of those that were stopped. No query without any."""
    by_send: dict[uuid.UUID, list[Message]] = defaultdict(list)
    for row in found:
        if row.bulk_id is not None:
            by_send[row.bulk_id].append(row)
    if not by_send:
        return [], {}
    over = list(BulkSend.objects.filter(pk__in=by_send, finished_at__isnull=False).only(*_READ).order_by())
    rules = message_classes.rules() if over else {}
    groups: list[_Group] = []
    refused: dict[uuid.UUID, Reason] = {}
    for bulk in over:
        if bulk.state == BulkState.STOPPED:
            refused |= dict.fromkeys((row.pk for row in by_send[bulk.pk]), Reason.SEND_STOPPED)
        else:
            hours = windows(bulk, rules[bulk.message_class])
            groups.append((zoneinfo.ZoneInfo(bulk.timezone), hours, by_send[bulk.pk]))
    return groups, refused
