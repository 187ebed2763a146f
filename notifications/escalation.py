"""What nobody has acknowledged goes further: its rows. Who is told at each step, and over what, is ``integrations/staff``.

A row is claimed by its lock: the sweeper takes a step only while the row is OPEN, and whoever reads, acknowledges or
changes the visit closes it in the same transaction; the second of the two finds it done. The only writer of
``Escalation``.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from core.models import User
from notifications.models import Escalation, Notification, NotificationEvent
from notifications.states import EscalationStatus, StopReason


def start(event: NotificationEvent, *, after: dt.timedelta, useful_until: dt.datetime | None) -> None:
    """The clock runs from now. One an event: the second call changes nothing."""
    Escalation.objects.get_or_create(
        event=event,
        defaults={
            "tenant_id": event.tenant_id,
            "object_type": event.object_type,
            "object_id": event.object_id,
            "due_at": timezone.now() + after,
            "useful_until": useful_until,
        },
    )


def stop_for_events(
    event_ids: Iterable[uuid.UUID], reason: StopReason, *, by: User | None = None, action: uuid.UUID | None = None
) -> int:
    """Ends those that are open; nothing more of them goes out. Returns how many."""
    return _stop(Escalation.objects.filter(event__in=list(event_ids)), reason, by, action)


def stop_for_object(object_id: uuid.UUID, reason: StopReason) -> int:
    """The visit was moved, called off, begun; the incident is over."""
    return _stop(Escalation.objects.filter(object_id=object_id), reason, None, None)


@transaction.atomic(savepoint=False)
def start_again(action: uuid.UUID, *, by: User, after: dt.timedelta) -> int:
    """Their own act that stopped them was undone: the clock runs from now, from the step they had reached.

    Not where somebody else has read it meanwhile: it is known to a person, and they would not be asked again.
    """
    read_by_others = Notification.objects.filter(event=OuterRef("event"), is_read=True).exclude(user=by)
    stopped = Escalation.objects.filter(stopped_by_action=action, stopped_by=by, status=EscalationStatus.STOPPED)
    return _locked(stopped.filter(~Exists(read_by_others))).update(
        status=EscalationStatus.OPEN,
        due_at=timezone.now() + after,
        stop_reason="",
        stopped_by=None,
        stopped_at=None,
        stopped_by_action=None,
    )


def stepped(row: Escalation, *, step: int, due_at: dt.datetime) -> None:
    """The sweeper, which holds the row's lock, has taken a step."""
    Escalation.objects.filter(pk=row.pk).update(step=step, due_at=due_at)


def exhausted(row: Escalation) -> None:
    """Everybody was told and nobody has answered, or nobody is helped by it any more."""
    Escalation.objects.filter(pk=row.pk).update(status=EscalationStatus.EXHAUSTED, stopped_at=timezone.now())


@transaction.atomic(savepoint=False)
def _stop(rows: QuerySet[Escalation], reason: StopReason, by: User | None, action: uuid.UUID | None) -> int:
    is_open = Q(status=EscalationStatus.OPEN)
    if action is None:
        # For good: nobody takes back any more the reading that had stopped it before.
        rows = _locked(rows.filter(is_open | Q(stopped_by_action__isnull=False)))
        rows.filter(stopped_by_action__isnull=False).update(stopped_by_action=None)
    else:
        rows = _locked(rows.filter(is_open))
    return rows.filter(is_open).update(
        status=EscalationStatus.STOPPED,
        stop_reason=reason,
        stopped_by=by,
        stopped_at=timezone.now(),
        stopped_by_action=action,
    )


def _locked(rows: QuerySet[Escalation]) -> QuerySet[Escalation]:
    """The same rows, locked by key: one reader's many and another's may be the same, found in another order."""
    keys = rows.select_for_update(no_key=True).order_by("pk").values_list("pk", flat=True)
    return Escalation.objects.filter(pk__in=list(keys))
