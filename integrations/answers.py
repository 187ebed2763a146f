"""What providers answered when they were asked (``integrations/sync.py``), applied to messages and attempts.

Under the message's row lock, and by what the rows say then: between question and answer a receipt may have come.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext_noop as _

from core.bulk import update_rows
from integrations import sms_providers
from integrations.sms_providers import ADAPTERS, LookUp, Provider, ProviderError
from notifications import lifecycle, receipts, rollup_marks, selectors
from notifications.models import Message, MessageAttempt, ProviderReceipt
from notifications.receipt_rules import Word
from notifications.states import AWAITING_RECEIPT, Outcome, Status

# Who waits for a receipt or a price is asked about again after this, and each time after twice as long.
AGAIN = dt.timedelta(minutes=2)
SELDOM = dt.timedelta(hours=6)
# After this nobody waits any more.
HORIZON = dt.timedelta(days=3)
# An unknown outcome is asked about at these ages. "Not there" is believed at the last: providers list what they took
# within seconds, our slowest call ends within 20 s, and a receipt has had time to come.
UNKNOWN_ASKED_AT = (dt.timedelta(minutes=1), dt.timedelta(minutes=2), dt.timedelta(minutes=5))
ABSENT_AFTER = UNKNOWN_ASKED_AT[-1]
# The same words to the same address, handed over this much before ours or later, may stand for ours in a list.
NEAR = dt.timedelta(minutes=5)

# Nobody knows what these calls came to.
OPEN = ("", Outcome.AMBIGUOUS)
# The code of a provider that keeps no list: asking again is no use.
CANNOT_BE_ASKED = "no_look_up"
_LEARNT = ("provider_message_id", "outcome", "finished_at", "segments", "cost", "currency")
_SUMMED_UP = ("cost", "currency", "segments", "next_check_at")


@dataclass(frozen=True, slots=True)
class Question:
    """About one attempt of one message. Without ``provider_message_id`` it is a search by our id, or by address and
    text. ``turn`` is its place among its tenant's.
    """

    tenant_id: uuid.UUID
    message_id: uuid.UUID
    attempt_id: uuid.UUID
    provider: str
    provider_message_id: str
    channel: str
    to: str
    body: str
    started_at: dt.datetime
    is_unknown: bool
    turn: int


@dataclass(frozen=True, slots=True)
class Answer:
    """``found`` is None when the provider knows nothing of it, an error when it could not tell."""

    question: Question
    asked_at: dt.datetime
    found: LookUp | ProviderError | None


def attempts_of(message_ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, list[MessageAttempt]]:
    """The attempts of each message, in their order."""
    found: dict[uuid.UUID, list[MessageAttempt]] = defaultdict(list)
    for attempt in MessageAttempt.objects.filter(message__in=list(message_ids)).order_by("number"):
        found[attempt.message_id].append(attempt)
    return found


def adapter_of(name: str, channel: str) -> Provider | None:
    """None for an adapter that is gone, or has lost its settings, since the message was sent."""
    # Before it is made: some cannot be made without their settings.
    if name in ADAPTERS and sms_providers.adapter_class(name).missing_settings(channel):
        return None
    try:
        adapter = sms_providers.get(name)
    except KeyError:
        return None
    return adapter if not sms_providers.is_own(name) or adapter.is_usable(channel) else None


def awaits_price(attempt: MessageAttempt, channel: str) -> bool:
    """The provider took it (it has an id there), has not said yet what it costs, and will."""
    if not attempt.provider_message_id or attempt.cost is not None:
        return False
    adapter = adapter_of(attempt.provider, channel)
    return adapter is not None and adapter.reports_prices


def known_ids(question: Question) -> set[str]:
    """The provider's ids that cannot be the answer: those of this message's other attempts, and of other messages with
    the same words to the same address.
    """
    return _ids(_others_of(question), question) | _ids(_alike(question), question)


def _others_of(question: Question) -> QuerySet[MessageAttempt]:
    return MessageAttempt.objects.filter(message=question.message_id)


def _ids(attempts: QuerySet[MessageAttempt], question: Question) -> set[str]:
    found = attempts.exclude(pk=question.attempt_id).exclude(provider_message_id="")
    return set(found.values_list("provider_message_id", flat=True))


def _alike(question: Question) -> QuerySet[MessageAttempt]:
    return selectors.attempts_alike(
        channel=question.channel, recipient=question.to, body=question.body, since=question.started_at - NEAR
    )


@transaction.atomic
def record(answers: Sequence[Answer]) -> int:
    """Applies answers about messages of the open tenant scope. Returns how many messages moved."""
    ids = {answer.question.message_id for answer in answers}
    locked = Message.objects.select_for_update(no_key=True).filter(pk__in=ids).order_by("pk")
    messages = {row.pk: row for row in locked}
    attempts = attempts_of(messages)
    by_id = {attempt.pk: attempt for of_message in attempts.values() for attempt in of_message}
    now = timezone.now()
    learnt: dict[uuid.UUID, MessageAttempt] = {}
    news: list[Answer] = []
    for answer in answers:
        attempt = by_id.get(answer.question.attempt_id)
        if attempt is None:
            continue
        if isinstance(answer.found, LookUp) and _is_ours(answer, answer.found):
            _learn(attempt, answer.found, now)
        elif answer.found is None and _is_absent(answer, messages[attempt.message_id], attempts[attempt.message_id]):
            attempt.outcome, attempt.finished_at = Outcome.NOT_FOUND, attempt.finished_at or now
        else:
            continue
        learnt[attempt.pk] = attempt
        news.append(answer)
    # First, so that the ids are known when the status is settled by them.
    update_rows(MessageAttempt, [_values(attempt, _LEARNT) for attempt in learnt.values()], _LEARNT)
    moved = _settle(messages, news)
    unanswerable = {
        answer.question.message_id
        for answer in answers
        if isinstance(answer.found, ProviderError) and answer.found.code == CANNOT_BE_ASKED
    }
    statuses = dict(Message.objects.filter(pk__in=ids).values_list("pk", "status"))
    for row in messages.values():
        _sum_up(row, attempts[row.pk])
        is_over = row.pk in unanswerable
        row.next_check_at = None if is_over else _next_check(row, statuses[row.pk], attempts[row.pk], now)
    update_rows(Message, [_values(row, _SUMMED_UP) for row in messages.values()], _SUMMED_UP)
    if messages:
        rows = list(messages.values())
        rollup_marks.mark(rows[0].tenant_id, (row.created_at for row in rows))
    return moved


def _values(row: Message | MessageAttempt, columns: Sequence[str]) -> dict[str, Any]:
    return {"id": row.pk, **{name: getattr(row, name) for name in columns}}


def _is_ours(answer: Answer, found: LookUp) -> bool:
    """Asked by its id or found by ours: yes. Found by address and text: only what cannot be another message's.

    Two siblings on one phone may get the same words in the same second. While the fate of another such message is not
    known either, what was found may be either's: only a receipt, which names its message, can tell. Given to the wrong
    one, the other would count as absent and be sent a second time.
    """
    question = answer.question
    if question.provider_message_id:
        return True
    if found.message_id == str(question.message_id):
        return found.provider_message_id not in _ids(_others_of(question), question)
    # Locked in one order: two searches that found the same copy take it one after the other.
    alike = list(_alike(question).select_for_update(of=("self",)).order_by("pk"))
    others = [attempt for attempt in alike if attempt.message_id != question.message_id]
    taken = {attempt.provider_message_id for attempt in others} | _ids(_others_of(question), question)
    if found.provider_message_id in taken:
        return False
    return not any(not attempt.provider_message_id and attempt.outcome in OPEN for attempt in others)


def _is_absent(answer: Answer, message: Message, attempts: Sequence[MessageAttempt]) -> bool:
    """Proven, late enough, that the provider never got it, so that it may be sent again.

    A message of which it once told us an id was accepted, whatever it says today.
    """
    attempt = attempts[-1]
    return (
        message.status == Status.UNCONFIRMED
        and attempt.pk == answer.question.attempt_id
        and attempt.outcome in OPEN
        and not attempt.provider_message_id
        and not answer.question.provider_message_id
        and answer.asked_at >= attempt.started_at + ABSENT_AFTER
        # One that is stored and waits to be applied knows better.
        and not ProviderReceipt.objects.filter(applied_at=None, message_ref=str(message.pk)).exists()
    )


def _learn(attempt: MessageAttempt, found: LookUp, now: dt.datetime) -> None:
    """What the provider knows of one call. A price is taken once."""
    attempt.provider_message_id = attempt.provider_message_id or found.provider_message_id[:80]
    if attempt.outcome in (*OPEN, Outcome.NOT_FOUND):
        attempt.outcome, attempt.finished_at = Outcome.ACCEPTED, attempt.finished_at or now
    if attempt.cost is None and found.cost is not None:
        attempt.cost, attempt.currency = found.cost, found.currency[:3]
    attempt.segments = found.segments or attempt.segments


def _settle(messages: Mapping[uuid.UUID, Message], news: Sequence[Answer]) -> int:
    """Moves the messages as the answers say, where that is forward; how many moved."""
    moved = 0
    words: list[tuple[uuid.UUID, Word]] = []
    for answer in news:
        question, found = answer.question, answer.found
        message = messages[question.message_id]
        if not isinstance(found, LookUp):
            detail = _("The provider never received it.")
            moved += lifecycle.fail(message, bounced=False, may_retry=True, code=Outcome.NOT_FOUND, detail=detail)
        # The same again is no news, and the most frequent answer.
        elif sms_providers.get(question.provider).parse_status(found.status) != message.status:
            said = Word(
                provider=question.provider,
                word=found.status,
                provider_message_id=found.provider_message_id,
                error_code=found.error_code,
                response={"looked_up": True, "status": found.status},
            )
            words.append((message.pk, said))
    return moved + len(receipts.settle_many(words))


def _sum_up(message: Message, attempts: Sequence[MessageAttempt]) -> None:
    """The message's price is that of all its attempts, in the currency of the last; its length that of the last."""
    billed = [(attempt.cost, attempt.currency) for attempt in attempts if attempt.cost is not None]
    if billed:
        message.currency = billed[-1][1]
        message.cost = sum((cost for cost, currency in billed if currency == message.currency), Decimal(0))
    message.segments = next((attempt.segments for attempt in reversed(attempts) if attempt.segments), message.segments)


def _next_check(
    message: Message, status: str, attempts: Sequence[MessageAttempt], now: dt.datetime
) -> dt.datetime | None:
    """When to ask next. None: there is nothing to wait for any more, or nobody waits so long."""
    awaits = status in AWAITING_RECEIPT or any(awaits_price(attempt, message.channel) for attempt in attempts)
    if not attempts or not awaits:
        return None
    age = now - attempts[-1].started_at
    if age >= HORIZON:
        return None
    if status == Status.UNCONFIRMED and age < ABSENT_AFTER:
        return attempts[-1].started_at + next(later for later in UNKNOWN_ASKED_AT if later > age)
    return now + min(max(age, AGAIN), SELDOM)
