"""The bell's rows and its counter.

``BellState`` (unread, version) is changed in the transaction of every change to the rows it counts, so a poll
compares one number, and the number is that of the rows. The only writer of ``Notification``, ``NotificationItem`` and
``BellState``; new rows are written by ``notifications/inbox_writing.py``. Locks are taken in one order: escalations,
notifications by user, bells by user.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections import Counter
from collections.abc import Callable, Collection
from enum import StrEnum

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from core.errors import DomainError
from core.models import User
from notifications import escalation
from notifications.inbox_writing import Note, Recipient, bump, notify_many
from notifications.models import Notification, NotificationEvent
from notifications.models.inbox import COUNTED
from notifications.states import Category, Level, StopReason

# How far ahead somebody may put a notification off.
LONGEST_SNOOZE = dt.timedelta(days=60)
# Woken, deleted: rows a transaction, so that no lock is held for long.
BATCH = 1000


def notify(
    *,
    user: User,
    title: str,
    message: str = "",
    title_ar: str = "",
    message_ar: str = "",
    level: str = Level.INFO,
    category: str = Category.GENERAL,
    related_object_type: str | None = None,
    related_object_id: uuid.UUID | None = None,
    event: NotificationEvent | None = None,
    dedupe_key: str | None = None,
) -> Notification:
    """One line in the user's bell. The same ``dedupe_key`` for the same user returns the row that is there."""
    if user.tenant_id is None:
        raise ValueError("a notification needs a user of a tenant")
    note = Note(
        title=title,
        title_ar=title_ar,
        message=message,
        message_ar=message_ar,
        level=Level(level),
        category=Category(category),
        related_object_type=related_object_type,
        related_object_id=related_object_id,
        event=event,
        dedupe_key=dedupe_key or str(uuid.uuid4()),
    )
    notify_many(tenant_id=user.tenant_id, note=note, recipients=[Recipient(user.pk)])
    return Notification.objects.get(user=user, dedupe_key=note.dedupe_key)


# --- reading ---------------------------------------------------------------------------------------------------------


def for_user(user: User) -> QuerySet[Notification]:
    """The user's own rows, the latest first: the whole history."""
    return Notification.objects.filter(user=user).order_by("-activity_at", "-pk")


def current(user: User) -> QuerySet[Notification]:
    """What lies in the inbox: neither put away nor put off."""
    return for_user(user).filter(archived_at=None, snoozed_until=None)


def latest(user: User, limit: int = 10) -> list[Notification]:
    return list(current(user).select_related("acknowledged_by", "instead_of")[:limit])


# --- acts of the reader ----------------------------------------------------------------------------------------------
# Each returns the act's id when it changed something, for ``undo``; None when everything was like that already.


class Act(StrEnum):
    """What a reader does; ``undo`` takes it back."""

    READ = "read"
    UNREAD = "unread"
    ARCHIVE = "archive"
    UNARCHIVE = "unarchive"
    SNOOZE = "snooze"
    WAKE = "wake"


_CHANGES: dict[Act, Callable[[dt.datetime], dict[str, object]]] = {
    Act.READ: lambda now: {"is_read": True, "read_at": now},
    Act.UNREAD: lambda _now: {"is_read": False, "read_at": None},
    Act.ARCHIVE: lambda now: {"archived_at": now},
    Act.UNARCHIVE: lambda _now: {"archived_at": None},
    Act.WAKE: lambda _now: {"snoozed_until": None},
}
_IS_DONE: dict[Act, Callable[[Notification], bool]] = {
    Act.READ: lambda row: row.is_read,
    Act.UNREAD: lambda row: not row.is_read,
    Act.ARCHIVE: lambda row: row.archived_at is not None,
    Act.UNARCHIVE: lambda row: row.archived_at is None,
    Act.WAKE: lambda row: row.snoozed_until is None,
}
_OPPOSITE = {
    Act.READ: Act.UNREAD,
    Act.UNREAD: Act.READ,
    Act.ARCHIVE: Act.UNARCHIVE,
    Act.UNARCHIVE: Act.ARCHIVE,
    Act.SNOOZE: Act.WAKE,
}


def mark_read(user: User, notification_id: uuid.UUID) -> uuid.UUID | None:
    """Reading also stops what would go further because nobody has."""
    return _act_on_one(user, notification_id, Act.READ)


def mark_unread(user: User, notification_id: uuid.UUID) -> uuid.UUID | None:
    return _act_on_one(user, notification_id, Act.UNREAD)


def archive(user: User, notification_id: uuid.UUID) -> uuid.UUID | None:
    """Puts it away: it stays in the history. What waits to be acknowledged cannot be put away."""
    return _act_on_one(user, notification_id, Act.ARCHIVE)


def unarchive(user: User, notification_id: uuid.UUID) -> uuid.UUID | None:
    return _act_on_one(user, notification_id, Act.UNARCHIVE)


def snooze(user: User, notification_id: uuid.UUID, until: dt.datetime) -> uuid.UUID | None:
    """Off the list until then; it comes back unread. Not what waits to be acknowledged."""
    now = timezone.now()
    if not now < until <= now + LONGEST_SNOOZE:
        raise DomainError(_("Choose a time between now and 60 days from now."), code="snooze_out_of_range")
    return _act_on_one(user, notification_id, Act.SNOOZE, until=until)


def wake(user: User, notification_id: uuid.UUID) -> uuid.UUID | None:
    """Back from being put off before its time."""
    return _act_on_one(user, notification_id, Act.WAKE)


@transaction.atomic
def _act_on_one(
    user: User, notification_id: uuid.UUID, act: Act, *, until: dt.datetime | None = None
) -> uuid.UUID | None:
    mine = Notification.objects.filter(user=user, pk=notification_id)
    action = uuid.uuid4()
    if act is Act.READ:
        alert = mine.filter(is_read=False, is_critical=True, event__isnull=False)
        escalation.stop_for_events(alert.values_list("event", flat=True), StopReason.READ, by=user, action=action)
    row = mine.select_for_update(no_key=True).first()
    if row is None or (act in _IS_DONE and _IS_DONE[act](row)):
        return None
    if act in (Act.ARCHIVE, Act.SNOOZE) and row.needs_acknowledgement:
        raise DomainError(_("Acknowledge it first: somebody is waiting."), code="needs_acknowledgement")
    _set(row, {"snoozed_until": until} if act is Act.SNOOZE else _CHANGES[act](timezone.now()), action)
    return action


def _set(row: Notification, changes: dict[str, object], action: uuid.UUID) -> None:
    """Writes a locked row and corrects the counter by what it was and is. What is no longer counted takes no more in."""
    was = _is_counted(row)
    changes = {**changes, "last_action": action, "updated_at": timezone.now()}
    for name, value in changes.items():
        setattr(row, name, value)
    counted = _is_counted(row)
    if not counted:
        changes["open_group"] = None
    Notification.objects.filter(pk=row.pk).update(**changes)
    bump(row.tenant_id, {row.user_id: counted - was})


def _is_counted(row: Notification) -> bool:
    """``COUNTED``, asked of a row in hand."""
    return not row.is_read and row.archived_at is None and row.snoozed_until is None


@transaction.atomic
def mark_all_read(user: User) -> tuple[int, uuid.UUID]:
    """Marks what is unread now; what arrives meanwhile stays unread and stays counted. (how many, the act's id)"""
    action = uuid.uuid4()
    now = timezone.now()
    unread = Notification.objects.filter(COUNTED, user=user)
    told_of = list(unread.filter(is_critical=True, event__isnull=False).values_list("event", flat=True))
    escalation.stop_for_events(told_of, StopReason.READ, by=user, action=action)
    # An alert that came in since then goes further, so it stays unread.
    known = Q(is_critical=False) | Q(event=None) | Q(event__in=told_of)
    # Locked by key like everywhere else: an UPDATE alone goes through them in whatever order it finds them.
    locked = unread.filter(known).select_for_update(no_key=True).order_by("pk")
    mine = Notification.objects.filter(pk__in=locked.values("pk"))
    changed = mine.update(is_read=True, read_at=now, updated_at=now, last_action=action, open_group=None)
    if changed and user.tenant_id is not None:
        bump(user.tenant_id, {user.pk: -changed})
    return changed, action


@transaction.atomic
def undo(user: User, act: Act, action: uuid.UUID) -> int:
    """Takes an act back, on the rows that nothing was done to since. Returns how many.

    What it had stopped from going further starts again, a full wait from now.
    """
    if user.tenant is not None:
        escalation.start_again(action, by=user, after=dt.timedelta(minutes=user.tenant.escalate_after_minutes))
    rows = list(
        Notification.objects.select_for_update(no_key=True).filter(user=user, last_action=action).order_by("pk")
    )
    back = _CHANGES[_OPPOSITE[act]](timezone.now())
    grown = 0
    for row in rows:
        was = _is_counted(row)
        for name, value in back.items():
            setattr(row, name, value)
        grown += _is_counted(row) - was
    Notification.objects.filter(user=user, last_action=action).update(
        **back, last_action=None, updated_at=timezone.now()
    )
    if rows:
        bump(rows[0].tenant_id, {user.pk: grown})
    return len(rows)


@transaction.atomic
def acknowledge(user: User, notification_id: uuid.UUID) -> bool:
    """“I am taking care of it”, for everybody who was told of the same event; nothing goes further.

    True for the first who does. For the reader it is read; for the others it stays as it is, with the name on it.
    """
    row = Notification.objects.filter(user=user, pk=notification_id).first()
    if row is None or not row.is_critical:
        return False
    if row.event_id is not None:
        escalation.stop_for_events([row.event_id], StopReason.ACKNOWLEDGED, by=user)
    same = Notification.objects.filter(event=row.event_id) if row.event_id else Notification.objects.filter(pk=row.pk)
    rows = list(same.select_for_update(no_key=True).order_by("user_id", "pk"))
    mine = next((one for one in rows if one.pk == row.pk), None)
    if mine is None:  # deleted since we looked
        return False
    now = timezone.now()
    is_first = mine.acknowledged_at is None
    if is_first:
        same.filter(acknowledged_at=None).update(acknowledged_at=now, acknowledged_by=user, updated_at=now)
        bump(row.tenant_id, {one.user_id: 0 for one in rows})
    if not mine.is_read:
        _set(mine, {"is_read": True, "read_at": now}, uuid.uuid4())
    return is_first


# --- acts of the house -----------------------------------------------------------------------------------------------


@transaction.atomic
def resolve(
    *, object_id: uuid.UUID, event_key: str, is_read: bool = False, among: Collection[uuid.UUID] | None = None
) -> int:
    """What these told of is over: they say so, nobody need answer any more. ``is_read``: nor look. Returns how many.

    ``among``: only rows with these ids, where others of the same object tell of more than this.
    """
    escalation.stop_for_object(object_id, StopReason.OVER)
    same = Notification.objects.filter(related_object_id=object_id, event_key=event_key, resolved_at=None)
    if among is not None:
        same = same.filter(pk__in=among)
    rows = list(same.select_for_update(no_key=True).order_by("user_id", "pk"))
    if not rows:
        return 0
    now = timezone.now()
    changes: Counter[uuid.UUID] = Counter({row.user_id: 0 for row in rows})
    if is_read:
        changes.update({row.user_id: 0 for row in rows})
        for row in rows:
            changes[row.user_id] -= _is_counted(row)
    read = {"is_read": True, "read_at": now, "open_group": None} if is_read else {}
    Notification.objects.filter(pk__in=[row.pk for row in rows]).update(resolved_at=now, updated_at=now, **read)
    bump(rows[0].tenant_id, changes)
    return len(rows)


def wake_due(tenant_id: uuid.UUID) -> int:
    """Brings back what was put off until now or before: unread, on top. Safe to run twice at once."""
    woken = 0
    while True:
        batch = _wake_batch(tenant_id)
        woken += batch
        if batch < BATCH:
            return woken


@transaction.atomic
def _wake_batch(tenant_id: uuid.UUID) -> int:
    now = timezone.now()
    due = Notification.objects.filter(tenant=tenant_id, snoozed_until__lte=now)
    rows = list(due.select_for_update(skip_locked=True, no_key=True).order_by("user_id", "pk")[:BATCH])
    back = Counter(row.user_id for row in rows if row.archived_at is None)
    Notification.objects.filter(pk__in=[row.pk for row in rows]).update(
        snoozed_until=None, is_read=False, read_at=None, is_silent=False, activity_at=now, updated_at=now
    )
    bump(tenant_id, back)
    return len(rows)


def delete_old(tenant_id: uuid.UUID, category: str, before: dt.datetime, *, unread_before: dt.datetime) -> int:
    """Housekeeping, ``BATCH`` rows a transaction: read or put away before ``before``, or never looked at since
    ``unread_before``. Never what is put off, nor a critical one that nobody has acknowledged.
    """
    deleted = 0
    while True:
        batch = _delete_batch(tenant_id, category, before, unread_before)
        deleted += batch
        if batch < BATCH:
            return deleted


@transaction.atomic
def _delete_batch(tenant_id: uuid.UUID, category: str, before: dt.datetime, unread_before: dt.datetime) -> int:
    old = Notification.objects.filter(
        Q(is_read=True) | Q(archived_at__isnull=False) | Q(activity_at__lt=unread_before),
        Q(is_critical=False) | Q(acknowledged_at__isnull=False) | Q(resolved_at__isnull=False),
        tenant=tenant_id,
        category=category,
        activity_at__lt=before,
        snoozed_until=None,
    )
    rows = list(old.select_for_update(skip_locked=True).order_by("activity_at")[:BATCH])
    gone = Counter({row.user_id: 0 for row in rows})
    for row in rows:
        gone[row.user_id] -= _is_counted(row)
    Notification.objects.filter(pk__in=[row.pk for row in rows]).delete()
    bump(tenant_id, {user_id: by for user_id, by in gone.items() if by})
    return len(rows)
