"""Asks the providers what became of messages: receipts that never came, outcomes nobody knows, prices.

    claim    what is due (``next_check_at``), fairly from all tenants; its next question is pushed forward at once, so
             that another run finds other rows
    ask      many from the provider's list, the rest one by one at a gentle pace; no transaction
    record   ``integrations/answers.py``: the status, the attempt's id and price, the next question

A message whose outcome is unknown is sent again only when the provider is proven to know nothing of it, and never
while a receipt may still be on its way. Everything is asked less and less often, and after the horizon no more: it
stays as it is, visibly.
"""

from __future__ import annotations

import datetime as dt
import itertools
import random
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from operator import attrgetter

import structlog
from django.db import DataError, IntegrityError, transaction
from django.db.models import Case, Value, When
from django.utils import timezone

from core.tenancy import tenant_scope
from integrations.answers import (
    CANNOT_BE_ASKED,
    NEAR,
    OPEN,
    Answer,
    Question,
    adapter_of,
    attempts_of,
    awaits_price,
    known_ids,
    record,
)
from integrations.sms_providers import CannotList, Kind, LookUp, Provider, ProviderError, crashed
from notifications import selectors
from notifications.models import Message
from notifications.states import AWAITING_RECEIPT, Outcome, Status

log = structlog.get_logger(__name__)

# A run ends before the next one begins (a minute); what it took and did not get to comes back after CLAIMED_FOR, which
# is longer than a run and its last call.
RUN_SECONDS = 40.0
CLAIMED_FOR = dt.timedelta(seconds=90)
# Rows of a run: 20 pages of a provider's list would cover more, the rest of the work would not fit into its time.
TAKE = 5000
# A tenant's least share of a run.
SHARE = 50
# From this number on the provider's list is cheaper than single questions. It is read up to 20 pages of 1,000.
MANY = 50
LISTED_AT_MOST = 20_000
# Single questions a second. Providers allow far more; sending goes first.
RATE = 10
# Questions in a row without an answer, after which the provider is left in peace until the next run.
SILENCE = 3
# Rows of one transaction.
CHUNK = 500

_URGENCY = Case(
    When(status=Status.UNCONFIRMED, then=Value(0)), When(status=Status.SENT, then=Value(1)), default=Value(2)
)


def sync_due() -> dict[str, int]:
    """One run over all that is due. Returns counts: single questions, answers from lists, messages that moved."""
    counts: Counter[str] = Counter(asked=0, listed=0, moved=0)
    ends = time.monotonic() + RUN_SECONDS
    by_provider: dict[str, list[Question]] = defaultdict(list)
    for question in _claim_fairly():
        by_provider[question.provider].append(question)
    for place, questions in enumerate(by_provider.values()):
        now = time.monotonic()
        _Run(now + (ends - now) / (len(by_provider) - place), counts).ask(questions)
    if by_provider:
        log.info("providers_asked", **counts)
    return dict(counts)


def sync_message(message: Message) -> bool:
    """Asks about one message at once, whatever is known of it, and applies the answers. True when its status moved.

    Its tenant's scope is open, a transaction is not.
    """
    questions = _questions([message], even_settled=True)
    return record([_ask(adapter_of(question.provider, question.channel), question) for question in questions]) > 0


# --- claim ----------------------------------------------------------------------------------------------------------


def _claim_fairly() -> list[Question]:
    """Equal shares for all tenants that have something to ask; what one does not need, the next gets."""
    tenants = selectors.tenants_to_ask_about(timezone.now())
    random.shuffle(tenants)
    questions: list[Question] = []
    for place, tenant_id in enumerate(tenants):
        room = TAKE - len(questions)
        if room <= 0:
            break
        with tenant_scope(tenant_id):
            questions += _claim(min(room, max(SHARE, room // (len(tenants) - place))))
    return questions


@transaction.atomic
def _claim(limit: int) -> list[Question]:
    """Takes up to ``limit`` messages of the open scope: unknown outcomes first, then receipts, then prices."""
    now = timezone.now()
    due = Message.objects.filter(next_check_at__lte=now).order_by(_URGENCY, "next_check_at")
    rows = list(due.select_for_update(skip_locked=True, no_key=True)[:limit])
    Message.objects.filter(pk__in=[row.pk for row in rows]).update(next_check_at=now + CLAIMED_FOR)
    questions = _questions(rows)
    idle = {row.pk for row in rows} - {question.message_id for question in questions}
    # They wait for nothing that a provider could tell.
    Message.objects.filter(pk__in=idle).update(next_check_at=None)
    return questions


def _questions(rows: Sequence[Message], *, even_settled: bool = False) -> list[Question]:
    """What there is to ask about each message: how the last attempt stands, and prices of all that were accepted."""
    awaiting = frozenset(Status) - {Status.SENDING} if even_settled else AWAITING_RECEIPT
    askable = (*OPEN, Outcome.ACCEPTED, Outcome.NOT_FOUND) if even_settled else (*OPEN, Outcome.ACCEPTED)
    questions: list[Question] = []
    attempts = attempts_of([row.pk for row in rows])
    for row in rows:
        of_row = attempts[row.pk]
        for attempt in of_row:
            is_last = attempt is of_row[-1]
            its_id = attempt.provider_message_id
            if is_last and not its_id and all(row.provider_message_id != other.provider_message_id for other in of_row):
                its_id = row.provider_message_id  # a receipt told it before the answer of the call was stored
            waits = is_last and row.status in awaiting and attempt.outcome in askable
            if waits or awaits_price(attempt, row.channel):
                questions.append(
                    Question(
                        tenant_id=row.tenant_id,
                        message_id=row.pk,
                        attempt_id=attempt.pk,
                        provider=attempt.provider,
                        provider_message_id=its_id,
                        channel=row.channel,
                        to=row.recipient,
                        body=row.body,
                        started_at=attempt.started_at,
                        is_unknown=row.status == Status.UNCONFIRMED,
                        turn=len(questions),
                    )
                )
    return questions


# --- ask ------------------------------------------------------------------------------------------------------------


class _Run:
    """The questions to one provider until ``ends`` (``time.monotonic``). Adds to ``counts``."""

    def __init__(self, ends: float, counts: Counter[str]) -> None:
        self._ends = ends
        self._counts = counts
        self._next_call = 0.0
        self._silent = 0

    def ask(self, questions: Sequence[Question]) -> None:
        """From the list where there are many, then one by one, what is unknown first."""
        known = [question for question in questions if question.provider_message_id]
        listed = self._from_list(known) if len(known) >= MANY else set()
        singly = [question for question in questions if question not in listed]
        for question in sorted(singly, key=lambda question: (not question.is_unknown, question.turn)):
            if not self._may_go_on():
                break
            answer = _ask(adapter_of(question.provider, question.channel), question)
            self._counts["asked"] += 1
            self._note(answer)
            self._record(question.tenant_id, [answer])

    def _from_list(self, questions: Sequence[Question]) -> set[Question]:
        """Finds them in the provider's list by its ids; returns those that it held. Others are not proven absent."""
        provider = adapter_of(questions[0].provider, questions[0].channel)
        if provider is None:
            return set()
        asked_at = timezone.now()
        wanted = {question.provider_message_id: question for question in questions}
        times = [question.started_at for question in questions]
        answers: list[Answer] = []
        try:
            listing = provider.look_up_many(min(times) - NEAR, max(times) + NEAR)
            for found in itertools.islice(listing, LISTED_AT_MOST):
                question = wanted.pop(found.provider_message_id, None)
                if question is not None:
                    answers.append(Answer(question, asked_at, found))
                if not wanted or time.monotonic() >= self._ends:
                    break
        except CannotList:
            pass
        except ProviderError as error:
            self._note(Answer(questions[0], asked_at, error))
        except Exception as error:  # noqa: BLE001  # as in _ask
            self._note(Answer(questions[0], asked_at, crashed(error)))
        self._counts["listed"] += len(answers)
        by_tenant = attrgetter("question.tenant_id")
        for tenant_id, theirs in itertools.groupby(sorted(answers, key=by_tenant), key=by_tenant):
            for chunk in _chunks(theirs):
                self._record(tenant_id, chunk)
        return {answer.question for answer in answers}

    def _record(self, tenant_id: uuid.UUID, answers: Sequence[Answer]) -> None:
        """All at once; if that fails, one by one, so that one that cannot be recorded stops no other."""
        try:
            with tenant_scope(tenant_id):
                self._counts["moved"] += record(answers)
        except (DataError, IntegrityError) as error:
            log.error("answers_not_recorded", count=len(answers), error=type(error).__name__)  # noqa: TRY400  # its text may quote the row
            if len(answers) > 1:
                for answer in answers:
                    self._record(tenant_id, [answer])

    def _may_go_on(self) -> bool:
        """Waits for its turn of the pace. False when the provider has had enough, or the time is over."""
        if self._silent >= SILENCE:
            return False
        time.sleep(max(0.0, self._next_call - time.monotonic()))
        now = time.monotonic()
        self._next_call = now + 1 / RATE
        return now < self._ends

    def _note(self, answer: Answer) -> None:
        if not isinstance(answer.found, ProviderError):
            self._silent = 0
        elif _is_too_many(answer.found):
            self._silent = SILENCE
        elif answer.found.code != CANNOT_BE_ASKED:
            self._silent += 1


def _chunks(answers: Iterable[Answer]) -> Iterator[list[Answer]]:
    rest = iter(answers)
    while chunk := list(itertools.islice(rest, CHUNK)):
        yield chunk


def _is_too_many(error: ProviderError) -> bool:
    return error.kind is Kind.TRANSIENT and (error.retry_after is not None or error.code in ("429", "20429"))


def _ask(provider: Provider | None, question: Question) -> Answer:
    asked_at = timezone.now()
    found: LookUp | ProviderError | None
    if provider is None:
        return Answer(question, asked_at, ProviderError(Kind.CONFIGURATION, code="no_adapter"))
    taken: Collection[str] = ()
    if not question.provider_message_id:
        with tenant_scope(question.tenant_id):
            taken = known_ids(question)
    try:
        found = provider.look_up(
            message_id=str(question.message_id),
            to=question.to,
            channel=question.channel,
            body=question.body,
            sent_after=question.started_at,
            provider_message_id=question.provider_message_id,
            known_ids=taken,
        )
    except ProviderError as error:
        log.info("look_up_failed", message_id=str(question.message_id), kind=error.kind.value, code=error.code)
        found = error
    except Exception as error:  # noqa: BLE001  # an answer that nobody foresaw must not end the run for all others
        found = crashed(error)
    return Answer(question, asked_at, found)
