"""What follows from a provider's word about a message. Decides and writes nothing; ``receipts.py`` does.

Words come late, twice, and in any order, so each has its place in one order, and whatever is said last, the highest
place counts::

    SENT < FAILED (for a while < for good) < DELIVERED < BOUNCED < READ

Equal places are told apart by the error's code, so that every order of the same words ends in the same state.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog

from integrations.sms_providers import Kind, Provider
from notifications import lifecycle
from notifications.lifecycle import Move
from notifications.models import Message, MessageAttempt
from notifications.states import RECEIPT_WITHIN, SUCCESS, TRANSITIONS, Outcome, Reason, Status

log = structlog.get_logger(__name__)

# A receipt usually follows within seconds of "sent"; after this the provider is asked.
FIRST_CHECK = dt.timedelta(minutes=1)
# Providers know the price some minutes after the delivery.
PRICE_AFTER = dt.timedelta(minutes=10)
# An email service's words for "marked as spam" and for a click on "unsubscribe". Both prove that the mail arrived, so
# they fail nothing.
COMPLAINT, UNSUBSCRIBED = "complained", "unsubscribed"

_SEVERITY = {
    Kind.TRANSIENT: 0,
    Kind.AMBIGUOUS: 1,
    Kind.CONTENT: 2,
    Kind.CONFIGURATION: 3,
    Kind.OPTED_OUT: 4,
    Kind.NUMBER: 5,
}
# What a failure means for the patient's address and for the reader.
REASON_OF_KIND = {Kind.NUMBER: Reason.CONTACT_UNDELIVERABLE, Kind.OPTED_OUT: Reason.OPTED_OUT}


@dataclass(frozen=True, slots=True)
class Word:
    """What a provider said about one message, in a receipt or when it was asked.

    ``attempt`` is the number in the call-back's address, ``response`` holds ids and codes for the timeline.
    """

    provider: str
    word: str
    attempt: int | None = None
    provider_message_id: str = ""
    error_code: str = ""
    response: Mapping[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Verdict:
    """What follows. ``rewrite`` are fields of a message that stays where it is: a worse word about the same failure."""

    move: Move | None = None
    rewrite: dict[str, Any] | None = None
    # What the attempt learns from this word: its provider's id, and that it was accepted after all.
    attempt: MessageAttempt | None = None
    taught: dict[str, Any] = field(default_factory=dict)
    suppress: Reason | None = None


def judge(
    message: Message, attempts: Sequence[MessageAttempt], said: Word, adapter: Provider, now: dt.datetime
) -> Verdict:
    """What follows from one word for the message as it stands; ``attempts`` are all of the message's."""
    status = adapter.parse_status(said.word)
    if status is None:
        log.warning("receipt_unknown_status", provider=said.provider, message_id=str(message.pk))
        return Verdict()
    attempt = _attempt(attempts, said)
    is_current = _is_current(message, attempts, attempt, said)
    if attempt is None and is_current and attempts:
        attempt = attempts[-1]
    verdict = Verdict(attempt=attempt)
    if attempt is not None:
        verdict.taught = _lesson(attempt, said, status, now)
    # A mail that the service rejected because of an old complaint carries the code, but by the word it has not arrived.
    if COMPLAINT in (said.word.lower(), said.error_code) or said.word.lower() == UNSUBSCRIBED:
        verdict.suppress = Reason.OPTED_OUT if said.word.lower() == UNSUBSCRIBED else Reason.COMPLAINED
        status = Status.DELIVERED if status in (Status.FAILED, Status.BOUNCED) else status
    if status in SUCCESS:
        _arrived(verdict, message, attempt, said, status, adapter, now)
    elif status in (Status.FAILED, Status.BOUNCED):
        _failed(verdict, message, said, status, adapter, now, is_current=is_current)
    elif is_current:
        _accepted(verdict, message, said, status, now)
    return verdict


def fallback_due_at(message: Message, now: dt.datetime) -> dt.datetime | None:
    """When the next channel takes over from a message without a receipt; soon enough to be of use. None: never."""
    wait = RECEIPT_WITHIN.get(message.notification_type)
    if wait is None or not message.fallback_channels:
        return None
    if message.expires_at is not None:
        wait = min(wait, (message.expires_at - now) / 3)
    return now + wait


# --- Which attempt --------------------------------------------------------------------------------------------------


def _attempt(attempts: Sequence[MessageAttempt], said: Word) -> MessageAttempt | None:
    """By the number in the call-back's address, else by the provider's id."""
    for attempt in attempts:
        if said.attempt is not None and attempt.number == said.attempt:
            return attempt
    for attempt in attempts:
        if said.provider_message_id and attempt.provider_message_id == said.provider_message_id:
            return attempt
    return None


def _is_current(
    message: Message, attempts: Sequence[MessageAttempt], attempt: MessageAttempt | None, said: Word
) -> bool:
    """Whether it is about the attempt that the message rests on now.

    A refusal of an attempt that was already given up must not fail the next one, or the message would be sent once
    more. A word of which we cannot tell counts for the last attempt only if that one does not know its id yet.
    """
    if attempt is not None:
        return attempt is attempts[-1]
    if not said.provider_message_id:
        return said.attempt is None
    if attempts:
        return not attempts[-1].provider_message_id
    return message.provider_message_id in ("", said.provider_message_id)


def _lesson(attempt: MessageAttempt, said: Word, status: Status, now: dt.datetime) -> dict[str, Any]:
    taught: dict[str, Any] = {}
    if said.provider_message_id and not attempt.provider_message_id:
        taught["provider_message_id"] = said.provider_message_id
    # So that its price is asked for.
    was_doubted = attempt.outcome in (Outcome.AMBIGUOUS, Outcome.NOT_FOUND)
    # Still open: the answer may yet come and write over this, or its worker is dead and nobody else closes it.
    if attempt.finished_at is None or (was_doubted and status not in (Status.FAILED, Status.BOUNCED)):
        taught |= {"outcome": Outcome.ACCEPTED.value, "finished_at": attempt.finished_at or now}
    return taught


# --- The three kinds of words ---------------------------------------------------------------------------------------


def _accepted(verdict: Verdict, message: Message, said: Word, status: Status, now: dt.datetime) -> None:
    """The provider has it, or a carrier has. That settles what was unknown, and proves nothing else."""
    if message.status == Status.UNCONFIRMED or (message.status == Status.SENDING and status == Status.SENT):
        verdict.move = Move(
            message.pk,
            Status.SENT,
            fields={
                **_settled(message, said),
                "next_check_at": message.next_check_at or now + FIRST_CHECK,
                "fallback_due_at": fallback_due_at(message, now),
            },
            response=said.response,
        )
    elif _was_held_for_absent(message) and message.next_attempt_at is not None:
        # It does have it: a second send would reach the patient twice.
        verdict.rewrite = {"next_attempt_at": None}


def _arrived(
    verdict: Verdict,
    message: Message,
    attempt: MessageAttempt | None,
    said: Word,
    status: Status,
    adapter: Provider,
    now: dt.datetime,
) -> None:
    """It is there, whichever attempt brought it. One that was never handed over cannot have arrived."""
    if not _can_move(message, status) or (message.status == Status.QUEUED and attempt is None):
        return
    verdict.move = Move(
        message.pk,
        status,
        fields={
            **_settled(message, said),
            "next_attempt_at": None,
            "next_check_at": _price_check(message, attempt, adapter, now),
            "fallback_due_at": None,
        },
        response=said.response,
    )


def _price_check(
    message: Message, attempt: MessageAttempt | None, adapter: Provider, now: dt.datetime
) -> dt.datetime | None:
    """When to ask what it cost; None where that is known, or never told."""
    is_known = (message.cost if attempt is None else attempt.cost) is not None
    return now + PRICE_AFTER if adapter.reports_prices and not is_known else None


def _failed(
    verdict: Verdict,
    message: Message,
    said: Word,
    status: Status,
    adapter: Provider,
    now: dt.datetime,
    *,
    is_current: bool,
) -> None:
    kind = adapter.kind_of(said.error_code)
    reason = REASON_OF_KIND.get(kind)
    # Read by somebody: whatever else is said, the address lives. A wish to get nothing more counts all the same.
    if reason is not None and not (kind is Kind.NUMBER and message.status == Status.READ):
        verdict.suppress = reason
    if not is_current:
        log.info("receipt_of_earlier_attempt", provider=said.provider, message_id=str(message.pk))
        return
    planned = lifecycle.planned_failure(
        message,
        bounced=status == Status.BOUNCED or kind is Kind.NUMBER,
        may_retry=kind is Kind.TRANSIENT,
        code=said.error_code,
        detail=adapter.explain(said.error_code),
        reason=reason,
        response=said.response,
    )
    # Networks bill what they could not deliver too.
    planned.fields = {**planned.fields, "next_check_at": _price_check(message, verdict.attempt, adapter, now)}
    if planned.to == message.status and _is_worse(message, said.error_code, kind, adapter):
        verdict.rewrite = dict(planned.fields)
        if message.next_attempt_at is None:
            # The next channel has been told already, and once is enough.
            del verdict.rewrite["fallback_due_at"]
        elif kind is Kind.TRANSIENT:
            verdict.rewrite["next_attempt_at"] = message.next_attempt_at
    elif _can_move(message, planned.to):
        verdict.move = planned


def _is_worse(message: Message, code: str, kind: Kind, adapter: Provider) -> bool:
    """Whether a failure outranks the one that the message failed with."""
    if code == message.error_code:
        return False
    if _was_held_for_absent(message):
        return True
    known = Kind.TRANSIENT if message.next_attempt_at is not None else adapter.kind_of(message.error_code)
    return (_SEVERITY[kind], code) > (_SEVERITY[known], message.error_code)


def _was_held_for_absent(message: Message) -> bool:
    """The provider seemed not to know it; any word of the provider about it is better."""
    return message.status == Status.FAILED and message.error_code == Outcome.NOT_FOUND


def _can_move(message: Message, to: Status) -> bool:
    return to in TRANSITIONS[message.status]


def _settled(message: Message, said: Word) -> dict[str, Any]:
    """What every good word leaves on the message: no lease, no error, and whose it is."""
    return {
        "provider": said.provider,
        "provider_message_id": said.provider_message_id[:80] or message.provider_message_id,
        "lease_token": None,
        "lease_expires_at": None,
        "error_code": "",
        "error_message": "",
        "reason": "",
    }
