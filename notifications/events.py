"""Records that something happened, in the transaction in which it happened; the rest follows after the commit."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from django.db.models import Model
from django.utils import timezone

from core.models import User
from core.queueing import enqueue_on_commit
from notifications import registry
from notifications.models import NotificationEvent


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
        # The panel of doorbells lives in core and knows the upper floors only at call time (house.md).
        from core.tasks import send_multi_channel_notification_task

        enqueue_on_commit(send_multi_channel_notification_task, str(tenant_id), str(event.pk))
    return event
