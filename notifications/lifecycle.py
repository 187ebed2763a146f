"""The only writer of ``Message.status`` and of ``MessageLog``: one row of the log for every move, in one transaction.

A move is a compare-and-set: it happens when the message is in a status that may move there (``states.TRANSITIONS``)
and, where a lease is given, while the lease is still ours. Otherwise nothing happens and the caller is told.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from django.db import transaction
from django.db.models import F, Max, Q
from django.db.models.functions import Coalesce
from django.utils import timezone

from core.models import User
from notifications import states
from notifications.models import Message, MessageLog
from notifications.states import CANCELLABLE, RETRY_DELAYS, TRANSITIONS, LogEvent, Reason, Status

# The end of each reason: withdrawn by a change, too late, or refused by a rule.
_STATUS_OF_REASON: dict[str, Status] = {
    Reason.STALE_VERSION: Status.CANCELLED,
    Reason.STATUS_NOT_ELIGIBLE: Status.CANCELLED,
    Reason.WITHDRAWN: Status.CANCELLED,
    Reason.PAST_DUE: Status.EXPIRED,
}


def status_of_refusal(reason: Reason) -> Status:
    """CANCELLED, EXPIRED or SUPPRESSED."""
    return _STATUS_OF_REASON.get(reason, Status.SUPPRESSED)


@transaction.atomic
def create(message: Message, *, refusal: Reason | None = None, details: Mapping[str, Any] | None = None) -> Message:
    """Inserts the message, QUEUED or refused at once, with its first log rows. ``details`` go into CREATED."""
    now = timezone.now()
    message.status = Status.QUEUED if refusal is None else status_of_refusal(refusal)
    message.reason = refusal or ""
    message.next_attempt_at = now if refusal is None else None
    message.save(force_insert=True)
    _log(message.pk, message.tenant_id, LogEvent.CREATED, at=now, actor=message.sent_by, response=details)
    _log(
        message.pk,
        message.tenant_id,
        LogEvent(message.status.value),
        at=now,
        status=message.status,
        error=str(refusal or ""),
    )
    return message


@transaction.atomic
def move(
    message_id: uuid.UUID,
    to: Status,
    *,
    only_from: Iterable[str] | None = None,
    lease: uuid.UUID | None = None,
    where: Q | None = None,
    fields: Mapping[str, Any] | None = None,
    response: Mapping[str, Any] | None = None,
    error: str = "",
    actor: User | None = None,
    event: LogEvent | None = None,
) -> bool:
    """Moves one message, or returns False when it is not where it would have to be.

    ``only_from`` narrows the legal starts, ``where`` adds conditions, ``fields`` are written in the same UPDATE.
    ``event`` is a row of the timeline right before the move's own (a retry that begins).
    """
    starts = [start for start, ends in TRANSITIONS.items() if to in ends]
    if only_from is not None:
        starts = [start for start in starts if start in set(only_from)]
    rows = Message.objects.filter(pk=message_id, status__in=starts)
    if lease is not None:
        rows = rows.filter(lease_token=lease)
    if where is not None:
        rows = rows.filter(where)
    now = timezone.now()
    if rows.update(status=to, updated_at=now, **_stamps(to, now), **(fields or {})) != 1:
        return False
    tenant_id = Message.objects.values_list("tenant_id", flat=True).get(pk=message_id)
    if event is not None:
        _log(message_id, tenant_id, event, at=now, actor=actor)
    _log(message_id, tenant_id, LogEvent(to.value), at=now, status=to, response=response, error=error, actor=actor)
    return True


def note(
    message: Message, event: LogEvent, *, response: Mapping[str, Any] | None = None, actor: User | None = None
) -> None:
    """A row of the timeline that is no move: a retry that begins, a copy over another channel."""
    _log(message.pk, message.tenant_id, event, at=timezone.now(), response=response, actor=actor)


def refuse(message_id: uuid.UUID, reason: Reason, *, lease: uuid.UUID | None = None) -> bool:
    """Ends a message that must not leave: CANCELLED, EXPIRED or SUPPRESSED, with its reason."""
    return move(
        message_id,
        status_of_refusal(reason),
        lease=lease,
        fields={"reason": reason, "next_attempt_at": None},
        error=str(reason),
    )


def cancel_for_object(object_id: uuid.UUID, before_version: int, reason: Reason) -> int:
    """Cancels what waits to be sent about older versions of an object; returns how many."""
    waiting = Message.objects.filter(
        object_id=object_id, object_version__lt=before_version, status__in=CANCELLABLE
    ).filter(Q(status=Status.QUEUED) | Q(next_attempt_at__isnull=False))
    return sum(refuse(pk, reason) for pk in waiting.values_list("pk", flat=True))


@transaction.atomic
def fail(
    message: Message,
    *,
    bounced: bool,
    may_retry: bool,
    lease: uuid.UUID | None = None,
    code: str = "",
    detail: str = "",
    reason: Reason | None = None,
    response: Mapping[str, Any] | None = None,
    retry_after: float | None = None,
) -> bool:
    """An attempt failed. Plans the next one after 60, 120, 240 s if there is one, never past ``expires_at``.

    Failed for good with another channel to try: the sweeper and the caller find it by ``fallback_due_at``.
    """
    now = timezone.now()
    next_attempt_at: dt.datetime | None = None
    if may_retry and not bounced and message.retry_count < states.MAX_RETRIES:
        delay = max(RETRY_DELAYS[message.retry_count], retry_after or 0)
        next_attempt_at = now + dt.timedelta(seconds=delay)
        if message.expires_at is not None and next_attempt_at >= message.expires_at:
            next_attempt_at = None
    for_good = next_attempt_at is None
    return move(
        message.pk,
        Status.BOUNCED if bounced else Status.FAILED,
        lease=lease,
        fields={
            "error_code": code[:40],
            "error_message": detail[:300],
            "reason": reason or "",
            "next_attempt_at": next_attempt_at,
            "next_check_at": None,
            "driven_at": None,
            "fallback_due_at": now if for_good and message.fallback_channels else None,
        },
        response=response,
        error=f"{code} {detail}".strip()[:300],
    )


def fold(rows: Iterable[tuple[str, str]]) -> str:
    """The status that follows from the log: ``rows`` are (event, status) in order. The last status counts."""
    status = ""
    for _event, after in rows:
        status = after or status
    return status


def _stamps(to: Status, now: dt.datetime) -> dict[str, Any]:
    """The time stamps of a move. DELIVERED implies SENT, READ implies both; the first of each counts."""
    match to:
        case Status.SENT:
            return {"sent_at": Coalesce(F("sent_at"), now), "failed_at": None}
        case Status.DELIVERED:
            return {"sent_at": Coalesce(F("sent_at"), now), "delivered_at": now, "failed_at": None}
        case Status.READ:
            return {
                "sent_at": Coalesce(F("sent_at"), now),
                "delivered_at": Coalesce(F("delivered_at"), now),
                "read_at": now,
                "failed_at": None,
            }
        case Status.FAILED | Status.BOUNCED:
            return {"failed_at": now}
    return {}


def _log(
    message_id: uuid.UUID,
    tenant_id: uuid.UUID,
    event: LogEvent,
    *,
    at: dt.datetime,
    status: str = "",
    response: Mapping[str, Any] | None = None,
    error: str = "",
    actor: User | None = None,
) -> None:
    last = MessageLog.objects.filter(message_id=message_id).aggregate(last=Max("position"))["last"]
    MessageLog.objects.create(
        message_id=message_id,
        tenant_id=tenant_id,
        event=event,
        status=status,
        actor=actor,
        provider_response=dict(response or {}),
        error=error[:300],
        created_at=at,
        position=(last or 0) + 1,
    )
