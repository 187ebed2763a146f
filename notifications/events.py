"""Records that something happened, in the transaction in which it happened; the rest follows after the commit."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from django.db.models import Model, Q
from django.utils import timezone

from core.models import User
from core.queueing import enqueue_on_commit
from notifications import registry
from notifications.models import NotificationEvent
from notifications.registry import Audience
from notifications.states import Reason

# Of many at once only as many ring: the sweeper finds the others within fifteen seconds, and the broker has other work.
_RUNG = 10
# An event whose doorbell works is processed long before.
_BELL_LOST_AFTER = dt.timedelta(seconds=5)
# Events of one sweep of one tenant.
_SWEPT = 500


def record(
    key: str,
    *,
    tenant_id: uuid.UUID,
    dedupe: str,
    obj: Model | None = None,
    version: int = 0,
    actor: User | None = None,
    payload: Mapping[str, Any] | None = None,
    due_at: dt.datetime | None = None,
    audiences: Collection[Audience] = (),
) -> NotificationEvent:
    """One business event, once: the same ``dedupe`` within the tenant returns the row that is there.

    ``payload`` is JSON: ids, and what cannot be read again later. An event without deliveries is log only.
    ``due_at``: nobody is told before; until then ``drop_waiting`` takes it back. The sweeper finds it when it is due.
    ``audiences``: only these are told.
    """
    entry = registry.get(key)
    event, is_new = NotificationEvent.objects.get_or_create(
        tenant_id=tenant_id,
        dedupe_key=f"{key}:{dedupe}",
        defaults={
            "key": key,
            "object_type": obj._meta.label_lower if obj is not None else "",
            "object_id": obj.pk if obj is not None else None,
            "object_version": version,
            "actor": actor,
            "payload": dict(payload or {}),
            "due_at": due_at,
            "audiences": sorted(audiences),
            "processed_at": None if entry.deliveries else timezone.now(),
        },
    )
    if is_new and entry.deliveries and is_due(event):
        _ring_for([event])
    return event


def is_due(event: NotificationEvent) -> bool:
    return event.due_at is None or event.due_at <= timezone.now()


def to_sweep(now: dt.datetime, *, max_attempts: int) -> list[uuid.UUID]:
    """The events that a worker should have begun with by now, the first first: whose bell was lost, whose time has come.

    The tenant's scope is open.
    """
    begun_by = Q(due_at=None, created_at__lte=now - _BELL_LOST_AFTER) | Q(due_at__lte=now)
    waiting = NotificationEvent.objects.filter(begun_by, processed_at=None, attempts__lt=max_attempts)
    return list(waiting.order_by("created_at").values_list("pk", flat=True)[:_SWEPT])


def drop_waiting(object_id: uuid.UUID, keys: Collection[str], reason: Reason) -> list[NotificationEvent]:
    """Takes back what waits to be told about an object; returns it. What a worker has begun with is not among it.

    Call it before the messages of the object are cancelled: a fan-out that is under way is waited for here.
    """
    waiting = NotificationEvent.objects.filter(object_id=object_id, due_at__isnull=False, processed_at=None)
    found = list(waiting.filter(key__in=list(keys)).select_for_update().order_by("created_at", "pk"))
    NotificationEvent.objects.filter(pk__in=[event.pk for event in found]).update(
        processed_at=timezone.now(), dropped_because=reason
    )
    return found


def record_many(
    key: str,
    *,
    tenant_id: uuid.UUID,
    object_type: str,
    objects: Mapping[str, uuid.UUID],
    extras: Mapping[str, Mapping[str, Any]] | None = None,
    rings: int = _RUNG,
) -> list[NotificationEvent]:
    """``record`` for many of a kind, in two statements. ``objects``: dedupe → object id. Returns those that are new.

    ``extras``: dedupe → more columns of that event. ``rings``: for how many a worker is woken at once.
    """
    wanted = {f"{key}:{dedupe}": object_id for dedupe, object_id in objects.items()}
    there = set(NotificationEvent.objects.filter(dedupe_key__in=wanted).values_list("dedupe_key", flat=True))
    new = [
        NotificationEvent(
            tenant_id=tenant_id,
            key=key,
            dedupe_key=dedupe_key,
            object_type=object_type,
            object_id=object_id,
            **(extras or {}).get(dedupe_key.removeprefix(f"{key}:"), {}),
        )
        for dedupe_key, object_id in wanted.items()
        if dedupe_key not in there
    ]
    # Another worker may have written the same in between: then its event is the one, and ours rings for nothing.
    NotificationEvent.objects.bulk_create(new, ignore_conflicts=True)
    _ring_for(new[:rings])
    return new


def _ring_for(rows: Sequence[NotificationEvent]) -> None:
    # The panel of doorbells lives in core and knows the upper floors only at call time (house.md).
    from core.tasks import send_multi_channel_notification_task

    for event in rows:
        enqueue_on_commit(send_multi_channel_notification_task, str(event.tenant_id), str(event.pk))
