"""Records what came of a batch of calls: statuses, logs and attempts in one transaction, then all that follows.

Only what is still ours is written: a worker that lost its lease changes no status. Called by ``delivery`` alone.
"""

from __future__ import annotations

import datetime as dt
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from django.db import InterfaceError, OperationalError, connection, transaction
from django.utils import timezone
from django.utils.translation import gettext_noop as _

from core.bulk import update_rows
from integrations import breaker, incidents, rates
from integrations.messaging_service import MessagingService
from integrations.sms_providers import Accepted, Call, Kind, Provider, ProviderError, Scope
from notifications import lifecycle, rollup_marks, trials
from notifications.lifecycle import Move
from notifications.models import Message, MessageAttempt
from notifications.receipt_rules import FIRST_CHECK, REASON_OF_KIND, fallback_due_at
from notifications.states import Outcome, Status
from notifications.suppression import suppress

log = structlog.get_logger(__name__)

# What was handed back waits this long, so that a lane that is held is not claimed in circles.
HELD_FOR = dt.timedelta(seconds=5)
# From this share of a batch on, "too many" means the sender and not a few calls that came at a bad moment.
MANY_TOO_MANY = 0.2
SHORT_BREATH = 1.0
# How long a database that is away is waited for; the lease is longer.
PATIENCE_SECONDS = 20.0
_DATABASE_IS_AWAY = (OperationalError, InterfaceError)


def record(provider: Provider, rows: Sequence[Message], outcomes: Mapping[uuid.UUID, Call]) -> None:
    """A database that is away for a moment must not lose answers that cannot be asked for again."""
    ends = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            _record(provider, rows, outcomes)
        except _DATABASE_IS_AWAY as error:
            if time.monotonic() >= ends:
                raise
            log.warning("record_held_up", count=len(rows), error=type(error).__name__)
            _reconnect()
        else:
            return


def _reconnect() -> None:
    connection.close()
    time.sleep(0.5)


@transaction.atomic
def _record(provider: Provider, rows: Sequence[Message], outcomes: Mapping[uuid.UUID, Call]) -> None:
    """Writes one tenant's outcomes. What is no longer ours is left alone, except that its attempt learns its id."""
    now = timezone.now()
    moves: list[Move] = []
    attempts: list[dict[str, Any]] = []
    not_called: list[Message] = []
    for row in rows:
        call = outcomes.get(row.pk)
        if call is None:
            moves.append(_hand_back(row, now))
            not_called.append(row)
            continue
        moves.append(_move_of(row, call.result, provider, now))
        attempts.append(_attempt_of(row, call, now))
    moved = lifecycle.move_many(moves)
    _close_attempts([item for item in attempts if item["message_id"] in moved])
    never_made = [row.attempt_id for row in not_called if row.pk in moved]
    if never_made:
        MessageAttempt.objects.filter(pk__in=never_made).delete()
    _keep_evidence([row for row in rows if row.pk in outcomes and row.pk not in moved], outcomes, now)
    for row in rows:
        call = outcomes.get(row.pk)
        if call is not None and isinstance(call.result, ProviderError) and call.result.kind in REASON_OF_KIND:
            suppress(
                tenant_id=row.tenant_id,
                channel=row.channel,
                address=row.recipient,
                reason=REASON_OF_KIND[call.result.kind],
                code=call.result.code,
                message_id=row.pk,
            )


def _close_attempts(closed: Sequence[dict[str, Any]]) -> None:
    """An attempt without the provider's id keeps what a receipt, faster than the answer, has taught it."""
    accepted = [item for item in closed if item["provider_message_id"]]
    others = [item for item in closed if not item["provider_message_id"]]
    update_rows(MessageAttempt, accepted, [*_RESULT, "provider_message_id"])
    update_rows(MessageAttempt, others, _RESULT)


def _keep_evidence(rows: Sequence[Message], outcomes: Mapping[uuid.UUID, Call], now: dt.datetime) -> None:
    """The receipt was faster than the answer, or the lease ran out: others settle the status, the answer helps them.

    What is known of an attempt already stays; what is not is filled in.
    """
    if not rows:
        return
    there = {row.pk: row for row in MessageAttempt.objects.filter(pk__in=[row.attempt_id for row in rows])}
    filled = []
    for row in rows:
        known, new = there.get(row.attempt_id), _attempt_of(row, outcomes[row.pk], now)
        if known is not None:
            filled.append({"id": known.pk, **{name: getattr(known, name) or new[name] for name in _EVIDENCE}})
    update_rows(MessageAttempt, filled, _EVIDENCE)
    ids = {row.pk: outcomes[row.pk].result for row in rows}
    nameless = Message.objects.select_for_update(no_key=True).filter(pk__in=ids, provider_message_id="").order_by("pk")
    counts = {row.pk: row.attempt_count for row in rows}
    update_rows(
        Message,
        [
            {"id": pk, "provider_message_id": result.provider_message_id[:80]}
            for pk, count in nameless.values_list("pk", "attempt_count")
            if isinstance(result := ids[pk], Accepted) and counts[pk] == count
        ],
        ["provider_message_id"],
    )
    rollup_marks.mark(rows[0].tenant_id, (row.created_at for row in rows))
    log.info("answers_late", count=len(rows))


_RESULT = ("finished_at", "outcome", "error_code", "duration_ms", "segments", "cost", "currency")
_EVIDENCE = (*_RESULT, "provider_message_id")


def _attempt_of(row: Message, call: Call, now: dt.datetime) -> dict[str, Any]:
    closed: dict[str, Any] = {
        "id": row.attempt_id,
        "message_id": row.pk,
        "finished_at": now,
        "duration_ms": call.milliseconds,
        "provider_message_id": "",
        "error_code": "",
        "segments": 0,
        "cost": None,
        "currency": "",
    }
    result = call.result
    if isinstance(result, Accepted):
        return closed | {
            "outcome": Outcome.ACCEPTED,
            "provider_message_id": result.provider_message_id[:80],
            "segments": result.segments or 0,
            "cost": result.cost,
            "currency": result.currency,
        }
    return closed | {"outcome": Outcome(result.kind.value), "error_code": result.code[:40]}


def _move_of(row: Message, result: Accepted | ProviderError, provider: Provider, now: dt.datetime) -> Move:
    if isinstance(result, Accepted):
        return _accepted(row, result, provider, now)
    if result.kind is Kind.AMBIGUOUS:
        return Move(
            row.pk,
            Status.UNCONFIRMED,
            lease=row.lease_token,
            fields={
                # That of an attempt before this one: asking about it would tell the wrong story.
                "provider_message_id": "",
                "error_code": result.code[:40],
                "error_message": result.detail[:300],
                "lease_token": None,
                "lease_expires_at": None,
                "next_check_at": now + FIRST_CHECK,
                "fallback_due_at": fallback_due_at(row, now) if provider.webhook else None,
            },
            response=result.response,
            error=f"{result.code} {result.detail}".strip()[:300],
        )
    # Somebody who tries the way out waits for the answer, not for the way to open.
    if _stops_the_lane(result) and not trials.provider_of(row.dedupe_key):
        return _hand_back(row, now, error=result)
    return lifecycle.planned_failure(
        row,
        lease=row.lease_token,
        bounced=result.kind is Kind.NUMBER,
        may_retry=result.kind is Kind.TRANSIENT,
        code=result.code,
        detail=result.detail,
        reason=REASON_OF_KIND.get(result.kind),
        response=result.response,
        retry_after=result.retry_after,
    )


def _stops_the_lane(error: ProviderError) -> bool:
    """Our account or this sender was refused: nothing is wrong with the message, so it waits for the lane."""
    return error.kind is Kind.CONFIGURATION and error.scope is not Scope.MESSAGE


def _accepted(row: Message, accepted: Accepted, provider: Provider, now: dt.datetime) -> Move:
    fields: dict[str, Any] = {
        "provider_message_id": accepted.provider_message_id[:80],
        "error_code": "",
        "error_message": "",
        "reason": "",
        "lease_token": None,
        "lease_expires_at": None,
        # Without call-backs there is nobody to ask either.
        "next_check_at": now + FIRST_CHECK if provider.webhook else None,
        "fallback_due_at": fallback_due_at(row, now) if provider.webhook else None,
        "segments": accepted.segments or row.segments,
        "cost": row.cost if accepted.cost is None else accepted.cost + (row.cost or 0),
        "currency": accepted.currency or row.currency,
    }
    response = {"provider_message_id": accepted.provider_message_id, **accepted.response}
    return Move(row.pk, Status.SENT, lease=row.lease_token, fields=fields, response=response)


def _hand_back(row: Message, now: dt.datetime, *, error: ProviderError | None = None) -> Move:
    """Claimed, but proven not to be at the provider: it waits in the queue again, and no retry is counted."""
    return Move(
        row.pk,
        Status.QUEUED,
        only_from=frozenset({Status.SENDING}),
        lease=row.lease_token,
        fields={
            "next_attempt_at": now + HELD_FOR,
            "lease_token": None,
            "lease_expires_at": None,
            "attempt_count": row.attempt_count if error is not None else row.attempt_count - 1,
        },
        response=error.response if error is not None else None,
        error=f"{error.code} {error.detail}".strip()[:300] if error is not None else "handed_back",
    )


def follow_up(
    tenant_id: uuid.UUID, provider: Provider, rows: Sequence[Message], outcomes: Mapping[uuid.UUID, Call]
) -> None:
    """What follows from a tenant's outcomes: the breaker, the sender's speed, the admins, the next channel."""
    groups: dict[tuple[str, str], list[Call]] = defaultdict(list)
    failures: Counter[tuple[str, str]] = Counter()
    for row in rows:
        # A group without a call reports that too: it gives back the turn to probe.
        calls = groups[row.channel, row.sender]
        call = outcomes.get(row.pk)
        if call is None:
            continue
        calls.append(call)
        if isinstance(call.result, ProviderError):
            failures[call.result.kind.value, call.result.code] += 1
    for (channel, sender), calls in groups.items():
        breaker.report(provider.name, channel, sender, calls, tenant_id=tenant_id)
        _slow_down(tenant_id, provider, channel, sender, calls)
    for (kind, code), count in failures.items():
        log.warning("sends_failed", provider=provider.name, kind=kind, code=code, count=count)
    _after_failures(rows, outcomes)


def _slow_down(tenant_id: uuid.UUID, provider: Provider, channel: str, sender: str, calls: Sequence[Call]) -> None:
    refused = [call.result for call in calls if isinstance(call.result, ProviderError)]
    too_many = [error for error in refused if error.kind is Kind.TRANSIENT and error.response.get("status") == 429]
    if not too_many:
        return
    told = max((error.retry_after for error in too_many if error.retry_after is not None), default=None)
    if told is None and len(too_many) < len(calls) * MANY_TOO_MANY:
        # Most went through: a breath, and not the wait that doubles each time.
        told = SHORT_BREATH
    rates.pause(tenant_id=tenant_id, provider_name=provider.name, channel=channel, sender=sender, seconds=told)


def _after_failures(rows: Sequence[Message], outcomes: Mapping[uuid.UUID, Call]) -> None:
    """The next channel at once, and a word to the admins where our set-up refused a single message."""
    told: set[tuple[str, str]] = set()
    failed = [
        row for row in rows if (call := outcomes.get(row.pk)) is not None and isinstance(call.result, ProviderError)
    ]
    for row in failed:
        error = outcomes[row.pk].result
        assert isinstance(error, ProviderError)
        is_ours = error.kind is Kind.CONFIGURATION and error.scope is Scope.MESSAGE
        if is_ours and (row.channel, error.code) not in told:
            told.add((row.channel, error.code))
            # Without words of ours for it there is still the code.
            detail = error.detail or _("The provider gives no reason.")
            incidents.note_refused_by_settings(row.tenant_id, channel=row.channel, code=error.code, detail=detail)
        if error.permanent and row.fallback_channels and not _stops_the_lane(error):
            # The whole row: the claim loaded what sending needs.
            MessagingService().fall_back(Message.objects.get(pk=row.pk))
