"""The bell's rows and its counter; and what patients write back.

``BellState`` (unread, version) is changed in the transaction of every change to the rows it counts, so a poll
compares one number. The only writer of ``Notification`` and ``BellState``.
"""

from __future__ import annotations

import uuid

from django.db import IntegrityError, transaction
from django.db.models import F, QuerySet
from django.utils import timezone

from core.models import User
from notifications.models import BellState, Notification, NotificationEvent
from notifications.states import Level


@transaction.atomic
def notify(
    *,
    user: User,
    title: str,
    message: str = "",
    title_ar: str = "",
    message_ar: str = "",
    level: str = Level.INFO,
    related_object_type: str | None = None,
    related_object_id: uuid.UUID | None = None,
    event: NotificationEvent | None = None,
    dedupe_key: str | None = None,
) -> Notification:
    """One line in the user's bell. The same ``dedupe_key`` for the same user returns the row that is there."""
    if user.tenant_id is None:
        raise ValueError("a notification needs a user of a tenant")
    notification, is_new = Notification.objects.get_or_create(
        user=user,
        dedupe_key=dedupe_key or str(uuid.uuid4()),
        defaults={
            "tenant_id": user.tenant_id,
            "event": event,
            "event_key": event.key if event is not None else "",
            "title": title[:200],
            "title_ar": title_ar[:200],
            "message": message,
            "message_ar": message_ar,
            "notification_type": Level(level),
            "related_object_type": related_object_type,
            "related_object_id": related_object_id,
        },
    )
    if is_new:
        _bump(user.pk, user.tenant_id, unread=1)
    return notification


def for_user(user: User) -> QuerySet[Notification]:
    """The user's own rows, the latest first."""
    return Notification.objects.filter(user=user).order_by("-created_at", "-pk")


def latest(user: User, limit: int = 10) -> list[Notification]:
    return list(for_user(user)[:limit])


@transaction.atomic
def mark_read(user: User, notification_id: uuid.UUID) -> bool:
    """True when it was unread. Reading twice changes nothing."""
    changed = Notification.objects.filter(user=user, pk=notification_id, is_read=False).update(
        is_read=True, read_at=timezone.now(), updated_at=timezone.now()
    )
    if changed and user.tenant_id is not None:
        _bump(user.pk, user.tenant_id, unread=-1)
    return bool(changed)


@transaction.atomic
def mark_all_read(user: User) -> int:
    """Marks what is unread now; what arrives meanwhile stays unread and stays counted."""
    changed = Notification.objects.filter(user=user, is_read=False).update(
        is_read=True, read_at=timezone.now(), updated_at=timezone.now()
    )
    if changed and user.tenant_id is not None:
        _bump(user.pk, user.tenant_id, unread=-changed)
    return changed


@transaction.atomic
def delete_read_before(tenant_id: uuid.UUID, moment: object) -> int:
    """Housekeeping: read notifications older than ``moment``. Unread ones stay, so the counter does too."""
    deleted, _by_model = Notification.objects.filter(tenant_id=tenant_id, is_read=True, created_at__lt=moment).delete()
    return deleted


def _bump(user_id: uuid.UUID, tenant_id: uuid.UUID, *, unread: int) -> None:
    """One UPDATE; the first time an INSERT, and the loser of a race for it updates the winner's row."""
    state = BellState.objects.filter(user_id=user_id)
    if state.update(unread=F("unread") + unread, version=F("version") + 1):
        return
    try:
        with transaction.atomic():
            BellState.objects.create(tenant_id=tenant_id, user_id=user_id, unread=max(unread, 0), version=1)
    except IntegrityError:
        state.update(unread=F("unread") + unread, version=F("version") + 1)
