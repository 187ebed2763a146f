"""The rows of what goes to staff beside the bell: written, claimed, finished. Sending is ``integrations/staff_delivery``.

The only writer of ``NotificationDelivery``. One row a notification, channel and step, by a unique constraint. A claim
takes all that is due to a person at once, under the lock of that person's row, so two senders never make two summaries
of one; the lease's end is the claim's token: whoever does not find it on the row has lost the row.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from core.models import User
from notifications.models import ChatTarget, Notification, NotificationDelivery
from notifications.states import DeliveryStatus, DropReason, StaffChannel

# Longer than all the calls of one claim can take: those of a person's devices, one after the other.
LEASE = dt.timedelta(minutes=3)
# People whose rows are taken at once.
PEOPLE = 20
CHUNK = 1000
# A test that somebody asked for: goes out whatever is switched off.
TEST_STEP = 900
# Steps from here on are no steps of an escalation: each stands for one of the tenant's own Slack or Teams channels.
TEAM_STEP = 1000
_TEAM_STEPS = 30_000

_doorbells: list[Callable[[uuid.UUID], None]] = []


@dataclass(frozen=True, slots=True)
class Wish:
    """A notification that shall also go over ``channel``, at ``due_at``; ``held_for``: see ``NotificationDelivery``."""

    notification_id: uuid.UUID
    user_id: uuid.UUID
    channel: StaffChannel
    due_at: dt.datetime
    held_for: str = ""


def register_doorbell(ring: Callable[[uuid.UUID], None]) -> None:
    """The senders stand a floor above: they say at start how they are called for a tenant."""
    if ring not in _doorbells:
        _doorbells.append(ring)


def enqueue(
    *, tenant_id: uuid.UUID, deliveries: Sequence[Wish], step: int = 0, useful_until: dt.datetime | None = None
) -> None:
    """Writes the rows that are not there yet, and rings on commit when some are due. The bell is no channel of these."""
    rows = [
        NotificationDelivery(
            tenant_id=tenant_id,
            notification_id=wish.notification_id,
            user_id=wish.user_id,
            channel=wish.channel,
            step=step,
            due_at=wish.due_at,
            held_for=wish.held_for,
            useful_until=useful_until,
        )
        for wish in deliveries
        if wish.channel != StaffChannel.IN_APP
    ]
    if not rows:
        return
    NotificationDelivery.objects.bulk_create(rows, batch_size=CHUNK, ignore_conflicts=True)
    now = timezone.now()
    if any(row.due_at <= now for row in rows):
        transaction.on_commit(lambda: _ring(tenant_id))


def enqueue_for_team(
    *, tenant_id: uuid.UUID, notification_ids: Collection[uuid.UUID], useful_until: dt.datetime | None = None
) -> None:
    """A system alert also goes to each of the tenant's own channels, once however many admins are told.

    ``notification_ids`` are the rows of one event. The guarantee hangs on the first of them, by the same unique
    constraint: its ``step`` names the channel. An event that was told before is not told again.
    """
    rows = list(Notification.objects.filter(pk__in=list(notification_ids)).order_by("user_id"))
    steps = [
        team_step(target_id)
        for target_id in ChatTarget.objects.filter(user=None, is_active=True).values_list("pk", flat=True)
    ]
    if not rows or not steps:
        return
    event_id = rows[0].event_id
    if event_id is not None:
        told = NotificationDelivery.objects.filter(
            notification__event=event_id, channel=StaffChannel.CHAT, step__in=steps
        )
        steps = [step for step in steps if step not in set(told.values_list("step", flat=True))]
    wish = Wish(rows[0].pk, rows[0].user_id, StaffChannel.CHAT, timezone.now())
    for step in steps:
        enqueue(tenant_id=tenant_id, deliveries=[wish], step=step, useful_until=useful_until)


def team_step(target_id: uuid.UUID) -> int:
    """The step that stands for a tenant's channel; ``notifications/chat.py`` sees to it that no two share one."""
    return TEAM_STEP + target_id.int % _TEAM_STEPS


def _ring(tenant_id: uuid.UUID) -> None:
    for ring in _doorbells:
        ring(tenant_id)


# --- claims ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Claim:
    """Rows of one tenant that are ours until ``lease``."""

    rows: tuple[NotificationDelivery, ...]
    lease: dt.datetime


@transaction.atomic
def claim() -> Claim | None:
    """Takes what is due to some people of the open scope's tenant; None when nothing is, or others have it."""
    now = timezone.now()
    due = NotificationDelivery.objects.filter(status=DeliveryStatus.PENDING, due_at__lte=now)
    waiting = list(dict.fromkeys(due.order_by("due_at").values_list("user_id", flat=True)[:CHUNK]))
    if not waiting:
        return None
    # "No key": rows that refer to the person can be written meanwhile. SQLite has one writer at a time anyway.
    free = User.objects.select_for_update(skip_locked=True, no_key=True).filter(pk__in=waiting)
    people = list(free.order_by("pk").values_list("pk", flat=True)[:PEOPLE])
    rows = list(
        due.filter(user__in=people)
        .select_for_update(skip_locked=True, of=("self",))
        .select_related("notification__event", "user__location", "user__tenant")
        .order_by("due_at", "pk")
    )
    if not rows:
        return None
    lease = now + LEASE
    ours = NotificationDelivery.objects.filter(pk__in=[row.pk for row in rows], status=DeliveryStatus.PENDING)
    if ours.update(status=DeliveryStatus.SENDING, lease_expires_at=lease) != len(rows):
        raise LostClaim
    return Claim(rows=tuple(rows), lease=lease)


class LostClaim(Exception):
    """The rows are no longer as they were claimed: somebody else has them, and we stop."""


def start_attempt(rows: Collection[NotificationDelivery], lease: dt.datetime) -> None:
    """Says, before the call, that it is being made: what is found with its lease over may have gone out.

    Raises ``LostClaim`` unless every row is still ours.
    """
    with transaction.atomic():
        if _ours(rows, lease).filter(lease_expires_at__gt=timezone.now()).update(attempts=F("attempts") + 1) != len(
            rows
        ):
            raise LostClaim


def finish(
    rows: Collection[NotificationDelivery],
    lease: dt.datetime,
    status: DeliveryStatus,
    *,
    reason: DropReason | None = None,
    email_id: uuid.UUID | None = None,
) -> None:
    """The end of each row. Raises ``LostClaim`` unless every row is still ours."""
    with transaction.atomic():
        ended = _ours(rows, lease).update(
            status=status,
            reason=reason or "",
            email_id=email_id,
            lease_expires_at=None,
            finished_at=timezone.now(),
        )
        if ended != len(rows):
            raise LostClaim


def put_back(rows: Collection[NotificationDelivery], lease: dt.datetime, *, until: dt.datetime) -> None:
    """Tried without success: again at ``until``. Raises ``LostClaim`` unless every row is still ours."""
    with transaction.atomic():
        back = _ours(rows, lease).update(status=DeliveryStatus.PENDING, due_at=until, lease_expires_at=None)
        if back != len(rows):
            raise LostClaim


def _ours(rows: Iterable[NotificationDelivery], lease: dt.datetime) -> QuerySet[NotificationDelivery]:
    return NotificationDelivery.objects.filter(
        pk__in=[row.pk for row in rows], status=DeliveryStatus.SENDING, lease_expires_at=lease
    )


def settle_orphans() -> int:
    """Rows of the open scope whose sender died. Returns how many.

    What was never handed over waits again, and so does an email: its key allows one. A call that was begun may have
    gone through; it is not made twice, and the row says that we do not know of a success.
    """
    orphans = NotificationDelivery.objects.filter(status=DeliveryStatus.SENDING, lease_expires_at__lte=timezone.now())
    again = orphans.filter(Q(channel=StaffChannel.EMAIL) | Q(attempts=0))
    back = again.update(status=DeliveryStatus.PENDING, lease_expires_at=None)
    return back + orphans.update(
        status=DeliveryStatus.FAILED,
        reason=DropReason.UNREACHABLE,
        lease_expires_at=None,
        finished_at=timezone.now(),
    )
