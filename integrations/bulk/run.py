"""A send on its way: writes the messages chunk by chunk, cancels what a stop has left, and sees when it is done.

A chunk is one transaction: its messages, and the mark in the send how far it has come. So after a crash it goes on
where it stopped, and two runners at once cannot both write. The mark is moved only while the send is STARTING and the
lease is ours: a pause or a stop is seen before the next chunk.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence
from typing import Any

import structlog
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from core.bulk import tell_planner
from core.queueing import ring
from core.tenancy import active_tenant_ids, tenant_scope
from integrations.bulk import plan, words
from integrations.bulk_send import MANY, Job, Recipient
from notifications import lifecycle
from notifications.bulk_states import BulkState
from notifications.models import BulkRecipient, BulkSend, Message, MessageLog
from notifications.states import Reason, Status

log = structlog.get_logger(__name__)

# Longer than a chunk of 2,500 messages takes on a slow day; renewed with each.
LEASE = dt.timedelta(seconds=60)
# What a stop cancels in one transaction.
STOP_BATCH = 1000
# Still to be sent, or being sent. FAILED counts while it will be tried again.
_WAITING = Q(status__in=[Status.QUEUED, Status.SENDING]) | Q(status=Status.FAILED, next_attempt_at__isnull=False)


class _Lost(Exception):
    """The send is no longer ours: paused, stopped, or another runner has it."""


def ring_for(bulk: BulkSend) -> None:
    """Tells a worker, after the commit, that there is something to do for this send."""
    from integrations.tasks import bulk_task

    tenant_id, bulk_id = str(bulk.tenant_id), str(bulk.pk)
    transaction.on_commit(lambda: ring(bulk_task, tenant_id, bulk_id, queue="bulk"))


def advance(tenant_id: uuid.UUID, bulk_id: uuid.UUID) -> dict[str, int]:
    """Does what there is to do for one send. Safe to call at any time, twice at once too."""
    with tenant_scope(tenant_id):
        bulk = BulkSend.objects.filter(pk=bulk_id).first()
        if bulk is None:
            return {}
        if bulk.state == BulkState.SCHEDULED and bulk.scheduled_at is not None and bulk.scheduled_at <= timezone.now():
            _begin(bulk)
        match bulk.state:
            case BulkState.STARTING:
                return _write(bulk)
            case BulkState.STOPPED:
                return {"cancelled": _cancel(bulk)}
            case BulkState.RUNNING:
                return {"done": int(_finish(bulk))}
    return {}


def sweep() -> dict[str, int]:
    """By the clock: what is due to start, was left by a dead worker, is stopped but not cancelled, or has ended."""
    counts = {"rung": 0, "done": 0}
    now = timezone.now()
    for tenant_id in active_tenant_ids():
        with tenant_scope(tenant_id):
            for bulk in BulkSend.objects.filter(_to_look_at(now), finished_at=None).order_by("created_at"):
                if bulk.state == BulkState.RUNNING:
                    counts["done"] += _finish(bulk)
                else:
                    ring_for(bulk)
                    counts["rung"] += 1
    return counts


def _to_look_at(now: dt.datetime) -> Q:
    orphaned = Q(lease_expires_at=None) | Q(lease_expires_at__lte=now)
    return (
        Q(state=BulkState.SCHEDULED, scheduled_at__lte=now)
        | Q(Q(state=BulkState.STARTING) & orphaned)
        | Q(state__in=[BulkState.RUNNING, BulkState.STOPPED])
    )


def _begin(bulk: BulkSend) -> None:
    now = timezone.now()
    expires_at = now + dt.timedelta(hours=bulk.useful_hours)
    begun = BulkSend.objects.filter(pk=bulk.pk, state=BulkState.SCHEDULED).update(
        state=BulkState.STARTING, started_at=now, expires_at=expires_at, updated_at=now
    )
    if begun:
        log.info("bulk_started", bulk_id=str(bulk.pk))
    bulk.refresh_from_db()


# --- writing ---------------------------------------------------------------------------------------------------------


def _write(bulk: BulkSend) -> dict[str, int]:
    """Writes what is left to be written. Counts by what became of each."""
    counts = {"queued": 0, "refused": 0, "failed": 0}
    now = timezone.now()
    free = Q(lease_expires_at=None) | Q(lease_expires_at__lte=now)
    lease = uuid.uuid4()
    taken = BulkSend.objects.filter(free, pk=bulk.pk, state=BulkState.STARTING).update(
        lease_token=lease, lease_expires_at=now + LEASE
    )
    if not taken:
        return counts
    bulk.refresh_from_db()
    bulk.lease_token = lease
    job = words.job_of(bulk)
    everybody = BulkRecipient.objects.filter(bulk=bulk)
    try:
        for chunk in plan.chunks(everybody.filter(reason=""), after=bulk.cursor):
            families = plan.regrouped(job, bulk, chunk) if bulk.totals.get("folded") else chunk
            _write_chunk(job, bulk, families, counts, cursor=chunk[-1][1])
        for chunk in plan.chunks(_left_alone(bulk, everybody)):
            _write_chunk(job, bulk, chunk, counts, cursor=bulk.cursor)
        _hold(bulk, state=BulkState.RUNNING, written_at=timezone.now(), lease_token=None, lease_expires_at=None)
    except _Lost:
        log.info("bulk_writing_ended", bulk_id=str(bulk.pk), **counts)
        return counts
    if sum(counts.values()) >= MANY:
        tell_planner(Message, MessageLog)
    log.info("bulk_written", bulk_id=str(bulk.pk), **counts)
    return counts


def _write_chunk(
    job: Job, bulk: BulkSend, chunk: Sequence[tuple[Any, ...]], counts: dict[str, int], *, cursor: int
) -> None:
    people: list[Recipient] = plan.as_recipients(bulk, chunk)

    def mark() -> None:
        _hold(bulk, cursor=cursor, lease_expires_at=timezone.now() + LEASE)

    for name, count in job.write(people, inside=mark).items():
        counts[name] += count
    bulk.cursor = cursor


def _hold(bulk: BulkSend, **fields: Any) -> None:
    """Writes to the send while it is ours and STARTING; ``_Lost`` otherwise, which undoes the chunk."""
    ours = BulkSend.objects.filter(
        pk=bulk.pk, state=BulkState.STARTING, lease_token=bulk.lease_token, cursor=bulk.cursor
    )
    if not ours.update(updated_at=timezone.now(), **fields):
        raise _Lost


def _left_alone(bulk: BulkSend, everybody: QuerySet[BulkRecipient]) -> QuerySet[BulkRecipient]:
    """Those folded into a relative who gets nothing after all (has died, has said no meanwhile): they get their own."""
    if not bulk.totals.get("folded"):
        return everybody.none()
    # In steps: with the rows just written the planner has no figures for a join of all three.
    refused = list(Message.objects.filter(bulk=bulk).exclude(reason="").values_list("patient_id", flat=True))
    heads = list(everybody.filter(patient__among=refused, reason="").values_list("position", flat=True))
    return everybody.filter(reason=Reason.COMBINED, folded_into__among=heads)


# --- ending ----------------------------------------------------------------------------------------------------------


def _cancel(bulk: BulkSend) -> int:
    """Cancels what has not left, in batches; the send is over when nothing waits any more."""
    cancelled = 0
    waiting = Message.objects.filter(
        bulk=bulk, status__in=[Status.QUEUED, Status.FAILED], next_attempt_at__isnull=False
    )
    while batch := list(waiting.values_list("pk", flat=True)[:STOP_BATCH]):
        moved = lifecycle.refuse_many(dict.fromkeys(batch, Reason.SEND_STOPPED))
        cancelled += len(moved)
        if not moved:
            break
    _finish(bulk)
    return cancelled


def _finish(bulk: BulkSend) -> bool:
    """Ends a send of which nothing waits any more: RUNNING becomes DONE, a stopped one is finished."""
    if Message.objects.filter(_WAITING, bulk=bulk).exists():
        return False
    now = timezone.now()
    running = BulkSend.objects.filter(pk=bulk.pk, state=BulkState.RUNNING)
    stopped = BulkSend.objects.filter(pk=bulk.pk, state=BulkState.STOPPED, finished_at=None)
    done = running.update(state=BulkState.DONE, finished_at=now, updated_at=now)
    return bool(done or stopped.update(finished_at=now, updated_at=now))
