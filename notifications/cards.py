"""Bell rows whose text is read when it is drawn: the arrival alert's checks as they are now, not as they were told.

The row keeps the words it came with, as the record of what was told. A change raises the bell's version (``touch``), so
that an open panel fetches itself again; nothing becomes unread, nothing is heard, nothing goes further.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from notifications import registry, rendering
from notifications.inbox_writing import bump
from notifications.models import Notification
from notifications.registry import Bell

Rows = TypeVar("Rows", bound=Sequence[Notification])


def freshen(rows: Rows) -> Rows:
    """Gives the rows that are still going on today's text; not saved. No query where there are none of these."""
    of_key: dict[str, list[Notification]] = defaultdict(list)
    for row in rows:
        if row.event_key and row.related_object_id is not None:
            of_key[row.event_key].append(row)
    for key, mine in of_key.items():
        _freshen(key, mine)
    return rows


def _freshen(key: str, rows: Sequence[Notification]) -> None:
    try:
        entry = registry.get(key)
    except KeyError:
        # Of an event that the product no longer has: it stays as it was told.
        return
    bell = next((delivery.bell for delivery in entry.deliveries if delivery.bell is not None), None)
    if entry.live is None or bell is None:
        return
    values = entry.live([row.related_object_id for row in rows if row.related_object_id is not None])
    for row in rows:
        now = values.get(row.related_object_id) if row.related_object_id is not None else None
        if now is not None:
            row.message, row.message_ar = _words(bell, now)


def _words(bell: Bell, values: Mapping[str, Any]) -> tuple[str, str]:
    return (
        rendering.render(bell.body_en, values.keys(), values, "en"),
        rendering.render(bell.body_ar, values.keys(), values, "ar"),
    )


def touch(*, tenant_id: uuid.UUID, key: str, object_ids: Sequence[uuid.UUID]) -> int:
    """What the rows of these objects would say has changed: whoever has one sees it at the next poll. How many people."""
    rows = Notification.objects.filter(related_object_id__in=object_ids, event_key=key, archived_at=None)
    readers = set(rows.order_by().values_list("user", flat=True))
    bump(tenant_id, dict.fromkeys(readers, 0))
    return len(readers)
