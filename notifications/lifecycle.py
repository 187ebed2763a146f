"""The only writer of ``Message.status`` and of ``MessageLog``: one row of the log for every move, in one transaction.

A move is a compare-and-set: it happens when the message is in a status that may move there (``states.TRANSITIONS``)
and, where a lease is given, while the lease is still ours. Otherwise nothing happens and the caller is told. ``move``
is for one message, ``claim`` and ``move_many`` for hundreds in a handful of statements; the rules are the same.
"""

from __future__ import annotations

import datetime as dt
import random
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Coalesce
from django.utils import timezone

from core.bulk import blank_row, insert_rows, update_rows
from core.ids import ordered_uuid, ordered_uuids
from core.models import User
from notifications import rollup_marks, states, undeliverable
from notifications.models import Message, MessageAttempt, MessageLog
from notifications.states import CANCELLABLE, RETRY_DELAYS, RETRY_JITTER, SUCCESS, TRANSITIONS, LogEvent, Reason, Status

# The end of each reason: withdrawn by a change, too late, or refused by a rule.
_STATUS_OF_REASON: dict[str, Status] = {
    Reason.STALE_VERSION: Status.CANCELLED,
    Reason.STATUS_NOT_ELIGIBLE: Status.CANCELLED,
    Reason.WITHDRAWN: Status.CANCELLED,
    Reason.SEND_STOPPED: Status.CANCELLED,
    Reason.DELIVERED_OTHERWISE: Status.CANCELLED,
    Reason.PAST_DUE: Status.EXPIRED,
}
# What the sending of a message looks at. Whole rows take twice as long to load, and there are hundreds in a batch.
_NEEDED_TO_SEND = (
    *("tenant", "event", "patient", "guardian", "user", "bulk", "notification_type", "channel", "recipient", "sender"),
    *("language", "subject", "body", "status", "provider", "retry_count", "attempt_count", "log_position"),
    *("expires_at", "fallback_channels", "segments", "cost", "currency", "created_at", "dedupe_key"),
    *("sent_by", "lane", "conversation_id", "object_type", "object_id"),
)
# What a move reads of a row before it decides.
_READ = (
    *("id", "tenant_id", "status", "lease_token", "retry_count", "log_position"),
    *("sent_at", "delivered_at", "created_at"),
)


@dataclass(slots=True)
class Move:
    """One wish to move one message. ``fields`` (attnames → values) are written with it.

    ``only_from`` narrows the legal starts; ``lease`` must still be the row's; ``event`` is a row of the timeline
    right before the move's own (a retry that begins).
    """

    message_id: uuid.UUID
    to: Status
    only_from: frozenset[str] | None = None
    lease: uuid.UUID | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)
    response: Mapping[str, Any] | None = None
    error: str = ""
    event: LogEvent | None = None
    actor: User | None = None


def status_of_refusal(reason: Reason) -> Status:
    """CANCELLED, EXPIRED or SUPPRESSED."""
    return _STATUS_OF_REASON.get(reason, Status.SUPPRESSED)


@transaction.atomic
def create(message: Message, *, refusal: Reason | None = None, details: Mapping[str, Any] | None = None) -> Message:
    """Inserts the message, QUEUED or refused at once, with its first log rows. ``details`` go into CREATED."""
    fields, logs = first_state(
        message.pk, message.tenant_id, refusal=refusal, details=details, actor_id=message.sent_by_id
    )
    for name, value in fields.items():
        setattr(message, name, value)
    message.save(force_insert=True)
    insert_rows(MessageLog, logs)
    # Who typed it sees the refusal at once.
    if message.sent_by_id is None and undeliverable.may_be_the_end(fields):
        undeliverable.note_ended([message.pk])
    return message


def first_state(
    message_id: uuid.UUID,
    tenant_id: uuid.UUID,
    *,
    refusal: Reason | None = None,
    details: Mapping[str, Any] | None = None,
    actor_id: uuid.UUID | None = None,
    now: dt.datetime | None = None,
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """How a new message starts: the fields of its state, and its first log rows for ``insert_rows``."""
    now = now or timezone.now()
    fields = first_fields(refusal, now)
    status = Status(fields["status"])
    created = _row(message_id, tenant_id, LogEvent.CREATED, 1, at=now, response=details, actor_id=actor_id)
    first = _row(
        message_id, tenant_id, LogEvent(status.value), 2, at=now, status=status.value, error=str(fields["reason"])
    )
    return fields, [created, first]


def first_fields(refusal: Reason | None, now: dt.datetime) -> dict[str, Any]:
    """The fields of a new message's state: queued, or refused at once."""
    return {
        "status": (Status.QUEUED if refusal is None else status_of_refusal(refusal)).value,
        "reason": refusal.value if refusal is not None else "",
        "next_attempt_at": now if refusal is None else None,
        "log_position": 2,
    }


def first_logs(rows: Sequence[Mapping[str, Any]], now: dt.datetime) -> Iterator[dict[str, Any]]:
    """The first log rows of many new messages, whose ``first_fields`` are in their rows."""
    keys = iter(ordered_uuids(2 * len(rows)))
    # All but four columns of each are the same for all.
    created = _row(uuid.UUID(int=0), uuid.UUID(int=0), LogEvent.CREATED, 1, at=now)
    first = _row(uuid.UUID(int=0), uuid.UUID(int=0), LogEvent.QUEUED, 2, at=now)
    for row in rows:
        of_message = {"tenant_id": row["tenant_id"], "message_id": row["id"]}
        yield {**created, **of_message, "id": next(keys), "actor_id": row["sent_by_id"]}
        status = row["status"]
        yield {**first, **of_message, "id": next(keys), "event": status, "status": status, "error": row["reason"]}


@transaction.atomic
def claim(
    due: QuerySet[Message],
    *,
    limit: int,
    lease_for: dt.timedelta,
    admit: Callable[[list[Message]], Mapping[uuid.UUID, str]],
) -> list[Message]:
    """Takes up to ``limit`` of the ``due`` messages: SENDING, ours until the lease runs out, the longest due first.

    ``due`` holds QUEUED messages and FAILED ones whose retry is due; rows that another worker is just taking are
    skipped. ``admit``, inside the transaction, refuses what must not leave and says which provider carries each of
    the rest. Each gets its open attempt, so that a crash from here on is seen. Returns the rows as they are now.
    """
    free = due.select_for_update(skip_locked=True, no_key=True, of=("self",)).only(*_NEEDED_TO_SEND)
    found = list(free.order_by("next_attempt_at")[:limit])
    carriers = admit(found) if found else {}
    rows = [row for row in found if row.pk in carriers]
    if not rows:
        return []
    now = timezone.now()
    lease = uuid.uuid4()
    groups: dict[tuple[str, str], list[uuid.UUID]] = defaultdict(list)
    for row in rows:
        groups[row.status, carriers[row.pk]].append(row.pk)
    changed = 0
    for (status, provider), ids in groups.items():
        again = 1 if status == Status.FAILED else 0
        # Conditional, because SQLite knows no row locks.
        changed += Message.objects.filter(pk__among=ids, status=status).update(
            status=Status.SENDING,
            provider=provider,
            lease_token=lease,
            lease_expires_at=now + lease_for,
            next_attempt_at=None,
            retry_count=F("retry_count") + again,
            attempt_count=F("attempt_count") + 1,
            log_position=F("log_position") + 1 + again,
            updated_at=now,
        )
    if changed != len(rows):
        raise RuntimeError("rows that were locked for the claim have changed")
    logs: list[dict[str, Any]] = []
    attempts: list[dict[str, Any]] = []
    blank = blank_row(MessageAttempt)
    for row in rows:
        if row.status == Status.FAILED:
            row.retry_count += 1
            row.log_position += 1
            logs.append(_row(row.pk, row.tenant_id, LogEvent.RETRY, row.log_position, at=now))
        row.status, row.provider = Status.SENDING.value, carriers[row.pk]
        row.lease_token, row.lease_expires_at, row.next_attempt_at = lease, now + lease_for, None
        row.attempt_count += 1
        row.log_position += 1
        row.updated_at = now
        logs.append(_row(row.pk, row.tenant_id, LogEvent.SENDING, row.log_position, at=now, status=Status.SENDING))
        row.attempt_id = ordered_uuid()
        attempts.append(
            {
                **blank,
                "id": row.attempt_id,
                "tenant_id": row.tenant_id,
                "message_id": row.pk,
                "number": row.attempt_count,
                "provider": row.provider,
                "lease_token": lease,
                "started_at": now,
            }
        )
    insert_rows(MessageLog, logs)
    insert_rows(MessageAttempt, attempts)
    rollup_marks.mark(rows[0].tenant_id, (row.created_at for row in rows))
    return rows


@transaction.atomic
def move_many(moves: Sequence[Move]) -> set[uuid.UUID]:
    """Moves messages of the open tenant scope; returns the ids of those that moved. Several moves of one message are
    made in the order given. A few statements, whatever the number.
    """
    now = timezone.now()
    locked = Message.objects.select_for_update(no_key=True).filter(pk__among={move.message_id for move in moves})
    rows: dict[uuid.UUID, dict[str, Any]] = {row["id"]: dict(row) for row in locked.order_by("pk").values(*_READ)}
    befores: dict[uuid.UUID, dict[str, Any]] = {}
    changes: dict[uuid.UUID, dict[str, Any]] = defaultdict(dict)
    logs: list[dict[str, Any]] = []
    for wish in moves:
        row = rows.get(wish.message_id)
        if row is None or not _may_move(row, wish):
            continue
        change = _stamped(row, wish.to, now) | dict(wish.fields) | {"status": wish.to, "updated_at": now}
        if wish.event is not None:
            row["log_position"] += 1
            logs.append(_row(row["id"], row["tenant_id"], wish.event, row["log_position"], at=now, actor=wish.actor))
        row["log_position"] += 1
        logs.append(
            _row(
                row["id"],
                row["tenant_id"],
                LogEvent(wish.to.value),
                row["log_position"],
                at=now,
                status=wish.to,
                response=wish.response,
                error=wish.error,
                actor=wish.actor,
            )
        )
        if row["id"] not in befores:
            befores[row["id"]] = {"status": row["status"], "retry_count": row["retry_count"]}
        row.update(change)
        changes[row["id"]].update(change, log_position=row["log_position"])
    _write(changes)
    insert_rows(MessageLog, logs)
    undeliverable.follow(befores, changes)
    if changes:
        moved = [rows[key] for key in changes]
        rollup_marks.mark(moved[0]["tenant_id"], (row["created_at"] for row in moved))
    return set(changes)


def _may_move(row: Mapping[str, Any], wish: Move) -> bool:
    if wish.to not in TRANSITIONS[row["status"]] or (wish.lease is not None and wish.lease != row["lease_token"]):
        return False
    return wish.only_from is None or row["status"] in wish.only_from


def _write(changes: Mapping[uuid.UUID, Mapping[str, Any]]) -> None:
    """One UPDATE for all rows that change the same columns."""
    alike: dict[tuple[str, ...], list[dict[str, Any]]] = defaultdict(list)
    for key, change in changes.items():
        alike[tuple(sorted(change))].append({"id": key, **change})
    for columns, rows in alike.items():
        update_rows(Message, rows, columns)


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
    new_rows = 1 if event is None else 2
    written = {"status": to, "updated_at": now, "log_position": F("log_position") + new_rows}
    if rows.update(**written, **_stamps(to, now), **(fields or {})) != 1:
        return False
    tenant_id, last, created_at = _after_move(message_id)
    logs = [] if event is None else [_row(message_id, tenant_id, event, last - 1, at=now, actor=actor)]
    logs.append(
        _row(
            message_id,
            tenant_id,
            LogEvent(to.value),
            last,
            at=now,
            status=to,
            response=response,
            error=error,
            actor=actor,
        )
    )
    insert_rows(MessageLog, logs)
    rollup_marks.mark(tenant_id, [created_at])
    if undeliverable.may_be_the_end({"status": to, **(fields or {})}):
        undeliverable.note_ended([message_id])
    elif to == Status.SUPPRESSED:
        undeliverable.note_unwanted([message_id])
    elif to in SUCCESS:
        undeliverable.note_reached([message_id])
    return True


@transaction.atomic
def note(
    message: Message, event: LogEvent, *, response: Mapping[str, Any] | None = None, actor: User | None = None
) -> None:
    """A row of the timeline that is no move: a copy over another channel, a copy that arrived."""
    Message.objects.filter(pk=message.pk).update(log_position=F("log_position") + 1)
    _tenant_id, last, created_at = _after_move(message.pk)
    rollup_marks.mark(message.tenant_id, [created_at])
    insert_rows(
        MessageLog,
        [_row(message.pk, message.tenant_id, event, last, at=timezone.now(), response=response, actor=actor)],
    )


def _after_move(message_id: uuid.UUID) -> tuple[uuid.UUID, int, dt.datetime]:
    """Whose it is, its last log position, when it was created."""
    return Message.objects.values_list("tenant_id", "log_position", "created_at").get(pk=message_id)


def refuse(message_id: uuid.UUID, reason: Reason, *, lease: uuid.UUID | None = None) -> bool:
    """Ends a message that must not leave: CANCELLED, EXPIRED or SUPPRESSED, with its reason."""
    planned = refusal_move(message_id, reason, lease=lease)
    return move(message_id, planned.to, lease=lease, fields=planned.fields, error=planned.error)


def refuse_many(refusals: Mapping[uuid.UUID, Reason], *, lease: uuid.UUID | None = None) -> set[uuid.UUID]:
    """``refuse`` for many: message id → reason. Returns the ids of those that ended."""
    return move_many([refusal_move(pk, reason, lease=lease) for pk, reason in refusals.items()])


def refusal_move(message_id: uuid.UUID, reason: Reason, *, lease: uuid.UUID | None = None) -> Move:
    """The end of a message that must not leave, as a Move."""
    return Move(
        message_id,
        status_of_refusal(reason),
        lease=lease,
        fields={
            "reason": reason,
            "next_attempt_at": None,
            "lease_token": None,
            "lease_expires_at": None,
        },
        error=str(reason),
    )


def cancel_for_object(object_id: uuid.UUID, before_version: int, reason: Reason) -> int:
    """Cancels what waits to be sent about older versions of an object; returns how many."""
    waiting = Message.objects.filter(
        object_id=object_id, object_version__lt=before_version, status__in=CANCELLABLE
    ).filter(Q(status=Status.QUEUED) | Q(next_attempt_at__isnull=False))
    return len(refuse_many(dict.fromkeys(waiting.values_list("pk", flat=True), reason)))


def fail(message: Message, *, lease: uuid.UUID | None = None, **outcome: Any) -> bool:
    """An attempt failed: ``planned_failure``, at once."""
    planned = planned_failure(message, lease=lease, **outcome)
    return move(
        planned.message_id,
        planned.to,
        lease=lease,
        fields=planned.fields,
        response=planned.response,
        error=planned.error,
    )


def planned_failure(
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
) -> Move:
    """What follows from a failed attempt: the next one after 60, 120, 240 s if there is one, never past
    ``expires_at``; or failed for good, with ``fallback_due_at`` when another channel may be tried.
    """
    now = timezone.now()
    next_attempt_at: dt.datetime | None = None
    if may_retry and not bounced and message.retry_count < states.MAX_RETRIES:
        delay = RETRY_DELAYS[message.retry_count] * (1 + random.uniform(0, RETRY_JITTER))  # noqa: S311  # no secret
        next_attempt_at = now + dt.timedelta(seconds=max(delay, retry_after or 0))
        if message.expires_at is not None and next_attempt_at >= message.expires_at:
            next_attempt_at = None
    for_good = next_attempt_at is None
    return Move(
        message.pk,
        Status.BOUNCED if bounced else Status.FAILED,
        lease=lease,
        fields={
            "error_code": code[:40],
            "error_message": detail[:300],
            "reason": reason or "",
            "next_attempt_at": next_attempt_at,
            "next_check_at": None,
            "lease_token": None,
            "lease_expires_at": None,
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


def _stamped(row: Mapping[str, Any], to: Status, now: dt.datetime) -> dict[str, Any]:
    """``_stamps`` with what the row holds filled in, for many rows in one UPDATE."""
    return {
        name: (row[name] or now) if isinstance(value, Coalesce) else value for name, value in _stamps(to, now).items()
    }


def _row(
    message_id: uuid.UUID,
    tenant_id: uuid.UUID,
    event: LogEvent,
    position: int,
    *,
    at: dt.datetime,
    status: str = "",
    response: Mapping[str, Any] | None = None,
    error: str = "",
    actor: User | None = None,
    actor_id: uuid.UUID | None = None,
) -> dict[str, Any]:
    return {
        "id": ordered_uuid(),
        "tenant_id": tenant_id,
        "message_id": message_id,
        "event": event.value,
        "status": status,
        "actor_id": actor.pk if actor is not None else actor_id,
        "provider_response": dict(response or {}),
        "error": error[:300],
        "created_at": at,
        "position": position,
    }
