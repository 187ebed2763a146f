"""What the patients were told about their visits' time, or are about to be told: nobody hears the same twice in a row."""

from __future__ import annotations

import datetime as dt
import uuid
from collections import defaultdict
from collections.abc import Sequence

from django.db.models import Q

from appointments.models import FamilyVisit, Reminder
from appointments.reminders import rules
from appointments.reminders.planning import QuietTimes
from notifications.models import Message, NotificationEvent
from notifications.quiet import quiet_until
from notifications.states import NotificationType, Reason
from notifications.states import Status as MessageStatus

# So much later what waits for something is looked at again.
AFTER_FAILURE = dt.timedelta(minutes=1)
# A message that waits longer for its provider keeps no reminder back, which may take another channel.
ABOUT_TO_BE_SAID = dt.timedelta(minutes=10)
_SAYS_THE_TIME = (NotificationType.CONFIRMATION, NotificationType.CHANGE, NotificationType.REMINDER)
_HAS_LEFT = (MessageStatus.SENT, MessageStatus.DELIVERED, MessageStatus.READ, MessageStatus.UNCONFIRMED)
_FIRST_NEWS = ("appointment.booked", "appointment.rescheduled")


class Said:
    """Three queries."""

    def __init__(self, rows: Sequence[Reminder], now: dt.datetime, recent: dt.timedelta) -> None:
        self.now = now
        ids = [row.appointment_id for row in rows]
        in_family: dict[uuid.UUID, list[tuple[uuid.UUID, int]]] = defaultdict(list)
        for news_id, visit_id, version in FamilyVisit.objects.filter(appointment__in=ids).values_list(
            "news_id", "appointment_id", "version"
        ):
            in_family[news_id].append((visit_id, version))
        self._told: set[tuple[uuid.UUID, int]] = set()
        self._waits: dict[tuple[uuid.UUID, int], dt.datetime] = {}
        has_left = Q(status__in=_HAS_LEFT, sent_at__gt=now - recent)
        is_about_to = Q(status__in=(MessageStatus.QUEUED, MessageStatus.SENDING), created_at__gt=now - ABOUT_TO_BE_SAID)
        messages = Message.objects.filter(
            has_left | is_about_to,
            object_id__in=[*ids, *in_family],
            patient__isnull=False,
            notification_type__in=_SAYS_THE_TIME,
        )
        for object_id, version, status in messages.values_list("object_id", "object_version", "status"):
            if object_id is None:
                continue
            for visit in in_family.get(object_id) or [(object_id, version)]:
                if status in _HAS_LEFT:
                    self._told.add(visit)
                else:
                    self._waits[visit] = now + AFTER_FAILURE
        waiting = NotificationEvent.objects.filter(object_id__in=ids, due_at__isnull=False, processed_at=None)
        for object_id, version, due_at in waiting.filter(key__in=_FIRST_NEWS).values_list(
            "object_id", "object_version", "due_at"
        ):
            if object_id is not None and due_at is not None:
                self._waits[object_id, version] = max(due_at, now) + AFTER_FAILURE

    def refusal(self, row: Reminder) -> Reason | None:
        return Reason.RECENT_CONFIRMATION if (row.appointment_id, row.version) in self._told else None

    def wait_until(self, row: Reminder) -> dt.datetime | None:
        """News of the same visit is on its way: whether it leaves is known a little later."""
        return self._waits.get((row.appointment_id, row.version))


def may_come_along(rows: Sequence[Reminder], now: dt.datetime) -> list[Reminder]:
    """Of reminders that are due later: not what was just said or still rests, nor what is in a quiet time now."""
    if not rows:
        return []
    tenant_id = rows[0].tenant_id
    said = Said(rows, now, dt.timedelta(hours=rules.timing(tenant_id).recent_hours))
    quiet = QuietTimes(tenant_id, [row.appointment.patient_id for row in rows])
    return [
        row
        for row in rows
        if said.refusal(row) is None
        and said.wait_until(row) is None
        and all(quiet_until(one, now) is None for one in quiet.of(row.appointment))
    ]
