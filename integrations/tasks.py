"""The work of sending, by queue and by clock: the drains, the sweeper that makes the broker dispensable, the receipts.

All of it is safe to run twice at once and returns counts. Nothing here looks at a time window: what is due is
found, however old.
"""

from __future__ import annotations

import uuid

import structlog
from celery import shared_task
from django.utils import timezone

from core import tenant_settings
from core.models.settings import RECEIPT_DAYS
from core.tenancy import active_tenant_ids, tenant_scope
from integrations import (
    beat_watch,
    breaker,
    contact_fixes,
    credentials,
    delivery,
    hints,
    incidents,
    queue_watch,
    reply_handling,
    staff,
    staff_delivery,
    sync,
)
from integrations.bulk import run as bulk_run
from integrations.messaging_service import MessagingService
from integrations.outbox import ring_for
from notifications import inbox, lifecycle, receipts, retention, rollups, selectors
from notifications.lifecycle import Move
from notifications.models import Message, MessageAttempt
from notifications.states import CANCELLABLE, Lane, Outcome, Reason, Status

log = structlog.get_logger(__name__)

# Rows of one kind that a tenant gets in one tick of ten seconds: a large house's backlog does not starve a small one.
BATCH = 2000


@shared_task
def drain_task(lane: int) -> dict[str, int]:
    """Sends what is due in a lane.

    One that finds a backlog rings for one more, at once: so all workers of the lane come to help, and when its own turn
    is over another is waiting. It is one for one, so however long the backlog, the rings do not pile up.
    """
    rung: list[bool] = []

    def call_another() -> None:
        rung.append(True)
        ring_for(Lane(lane))

    counts = delivery.drain(lane, on_backlog=call_another)
    if counts["left"] and not rung:
        call_another()
    return counts


@shared_task
def sweep_messages_task() -> dict[str, int]:
    """Finds what is too late, orphaned by a dead worker, or waiting for its next channel; and rings for what is due."""
    counts = {"expired": 0, "unconfirmed": 0, "fell_back": 0}
    for tenant_id in active_tenant_ids():
        with tenant_scope(tenant_id):
            counts["expired"] += _expire(tenant_id)
            counts["unconfirmed"] += _doubt_orphans()
            counts["fell_back"] += _fall_back()
    breaker.settle()
    incidents.close_quiet()
    incidents.close_mended()
    incidents.resolve_told_late()
    now = timezone.now()
    for lane in Lane:
        if selectors.tenants_with_due(lane, now):
            ring_for(lane)
    queue_watch.watch()
    if any(counts.values()):
        log.info("messages_swept", **counts)
    return counts


def _expire(tenant_id: uuid.UUID) -> int:
    """What waits and is no longer of use ends, whether or not anything could be sent meanwhile."""
    late = Message.objects.filter(
        status__in=CANCELLABLE, next_attempt_at__isnull=False, expires_at__lte=timezone.now()
    ).values_list("pk", flat=True)
    ended = lifecycle.refuse_many(dict.fromkeys(late[:BATCH], Reason.PAST_DUE))
    if ended:
        incidents.note_expired(tenant_id, len(ended))
    return len(ended)


def _doubt_orphans() -> int:
    """Their worker died, or lost its database, between the call and the answer: nobody knows, so it is asked."""
    now = timezone.now()
    orphans = list(
        Message.objects.filter(status=Status.SENDING, lease_expires_at__lte=now).values_list("pk", "lease_token")[
            :BATCH
        ]
    )
    if not orphans:
        return 0
    moved = lifecycle.move_many(
        [
            Move(
                pk,
                Status.UNCONFIRMED,
                only_from=frozenset({Status.SENDING}),
                lease=lease,
                fields={
                    "provider_message_id": "",
                    "lease_token": None,
                    "lease_expires_at": None,
                    "next_check_at": now,
                },
                error="worker_lost",
            )
            for pk, lease in orphans
        ]
    )
    MessageAttempt.objects.filter(
        message__among=moved, lease_token__in={lease for _pk, lease in orphans}, finished_at=None
    ).update(outcome=Outcome.AMBIGUOUS, error_code="worker_lost", finished_at=now)
    return len(moved)


def _fall_back() -> int:
    """Failed for good, or without a word of its delivery for too long, with another channel to try."""
    waiting = Message.objects.filter(fallback_due_at__lte=timezone.now()).select_related("patient", "template", "event")
    return sum(MessagingService().fall_back(message) is not None for message in waiting[:BATCH])


@shared_task
def apply_receipts_task() -> dict[str, int]:
    """Applies what providers have reported. The web rings after it has stored a receipt."""
    counts = receipts.apply_stored()
    counts["moved"] += hints.follow()
    return counts


@shared_task
def sweep_receipts_task() -> dict[str, int]:
    """The same by the clock, for receipts whose doorbell was lost."""
    return apply_receipts_task()


@shared_task
def answer_replies_task() -> dict[str, int]:
    """Understands what patients have written back. The web rings after it has stored a reply."""
    return reply_handling.handle_waiting()


@shared_task
def sweep_replies_task() -> dict[str, int]:
    """The same by the clock, for replies whose doorbell was lost, or that failed."""
    return answer_replies_task()


@shared_task
def provider_sync_task() -> dict[str, int]:
    """Asks the providers about messages without a final receipt or a price (``integrations/sync.py``)."""
    return sync.sync_due()


@shared_task
def staff_watch_task() -> dict[str, int]:
    """Takes alerts that nobody has answered a step further, and brings back what was put off until now."""
    counts = {"stepped": 0, "ended": 0, "woken": 0}
    for tenant_id in active_tenant_ids():
        with tenant_scope(tenant_id):
            for name, count in staff.escalate_due().items():
                counts[name] += count
            counts["woken"] += inbox.wake_due(tenant_id)
    return counts


@shared_task
def send_staff_deliveries_task(tenant_id: str = "") -> dict[str, int]:
    """Sends what is due to staff beside the bell: of one tenant when it rang, of all by the clock."""
    counts: dict[str, int] = {}
    for one in [uuid.UUID(tenant_id)] if tenant_id else active_tenant_ids():
        for name, count in staff_delivery.send_due(one).items():
            counts[name] = counts.get(name, 0) + count
    return counts


@shared_task
def count_days_task() -> dict[str, int]:
    """Keeps the numbers of the days that have ended, and counts again what has changed since."""
    counts = {"kept": 0, "again": 0, "left": 0}
    for tenant_id in active_tenant_ids():
        with tenant_scope(tenant_id):
            for name, count in rollups.catch_up(tenant_id).items():
                counts[name] += count
    return counts


@shared_task
def check_counts_task() -> dict[str, int]:
    """Compares every kept number with a COUNT over the rows, mends what differs and tells the admins."""
    wrong = 0
    for tenant_id in active_tenant_ids():
        with tenant_scope(tenant_id):
            wrong += rollups.check(tenant_id)
    return {"days_mended": wrong}


@shared_task
def watch_beat_task() -> bool | None:
    """Tells when beat has fallen silent, and when it ticks again. Rung for by the workers themselves."""
    return beat_watch.watch()


@shared_task
def bulk_task(tenant_id: str, bulk_id: str) -> dict[str, int]:
    """Does what there is to do for one bulk send: starts it, goes on writing, cancels what a stop has left."""
    return bulk_run.advance(uuid.UUID(tenant_id), uuid.UUID(bulk_id))


@shared_task
def sweep_bulks_task() -> dict[str, int]:
    """The same by the clock: a start that is due, a worker that died, a send that has ended."""
    return bulk_run.sweep()


@shared_task
def retention_task() -> dict[str, int]:
    """Lets go what the tenants keep for a time only: words, raw reports, secrets of accounts that are out of use."""
    now = timezone.now()
    counts = {"words": 0, "secrets": 0}
    # Reports on messages that nobody knows belong to no tenant.
    counts["receipts"] = retention.delete_receipts(None, RECEIPT_DAYS, now)
    for tenant_id in active_tenant_ids():
        with tenant_scope(tenant_id):
            counts["words"] += retention.erase_words(tenant_id, now)
            counts["receipts"] += retention.delete_receipts(tenant_id, tenant_settings.of(tenant_id).receipt_days, now)
            counts["secrets"] += credentials.erase_retired(now)
    return counts


@shared_task
def resend_fixed_task(tenant_id: str, task_id: str) -> int:
    """Sends what reached nobody, now that somebody has put the contact right."""
    with tenant_scope(uuid.UUID(tenant_id)):
        return contact_fixes.look_after(uuid.UUID(task_id))


@shared_task
def sweep_fixed_contacts_task() -> dict[str, int]:
    """Finds the contacts that were put right and whose doorbell was lost."""
    return contact_fixes.look_after_all()
