"""Records that something happened, in the transaction in which it happened; the rest follows after the commit."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from django.db.models import Model
from django.utils import timezone

from core.models import User
from core.queueing import enqueue_on_commit
from notifications import registry
from notifications.models import NotificationEvent

# Of many at once only as many ring: the sweeper finds the others within fifteen seconds, and the broker has other work.
_RUNG = 10


def record(
    key: str,
    *,
    tenant_id: uuid.UUID,
    dedupe: str,
    obj: Model | None = None,
    version: int = 0,
    actor: User | None = None,
    payload: Mapping[str, Any] | None = None,
) -> NotificationEvent:
    """One business event, once: the same ``dedupe`` within the tenant returns the row that is there.

    ``payload`` is JSON: ids, and what cannot be read again later. An event without deliveries is log only.
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
            "processed_at": None if entry.deliveries else timezone.now(),
        },
    )
    if is_new and entry.deliveries:
        _ring_for([event])
    return event


def record_many(
    key: str, *, tenant_id: uuid.UUID, object_type: str, objects: Mapping[str, uuid.UUID]
) -> list[NotificationEvent]:
    """``record`` for many of a kind, in two statements. ``objects``: dedupe → object id. Returns those that are new."""
    wanted = {f"{key}:{dedupe}": object_id for dedupe, object_id in objects.items()}
    there = set(NotificationEvent.objects.filter(dedupe_key__in=wanted).values_list("dedupe_key", flat=True))
    new = [
        NotificationEvent(
            tenant_id=tenant_id, key=key, dedupe_key=dedupe_key, object_type=object_type, object_id=object_id
        )
        for dedupe_key, object_id in wanted.items()
        if dedupe_key not in there
    ]
    # Another worker may have written the same in between: then its event is the one, and ours rings for nothing.
    NotificationEvent.objects.bulk_create(new, ignore_conflicts=True)
    _ring_for(new[:_RUNG])
    return new


def _ring_for(rows: Sequence[NotificationEvent]) -> None:
    # The panel of doorbells lives in core and knows the upper floors only at call time (house.md).
    from core.tasks import send_multi_channel_notification_task

    for event in rows:
        enqueue_on_commit(send_multi_channel_notification_task, str(event.tenant_id), str(event.pk))
