"""Understands one reply: finds the question it answers, acts once, writes back at most one acknowledgement.

Everything that is not plain goes to a person. A visit is confirmed only in the version that was asked about, only when it
is the one thing that can be meant; a dead one is answered by how it stands. The words are in
``notifications/reply_words.py``, the questions in ``notifications/questions.py``, what is written back in
``notifications/reply_answers.py``.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from core.tenancy import tenant_scope
from integrations import answering
from notifications import conversations, events, opt_outs, questions, replies, reply_answers, reply_rules, reply_words
from notifications.models import Conversation, InboundMessage, Message
from notifications.questions import Asked, Look
from notifications.reply_words import Meaning, Reading

log = structlog.get_logger(__name__)

Outcome = InboundMessage.Outcome
_ANSWERS = (Meaning.CONFIRM, Meaning.CANCEL, Meaning.CHANGE)
_DONE = {
    Meaning.CONFIRM: Outcome.CONFIRMED,
    Meaning.CANCEL: Outcome.CANCELLED,
    Meaning.CHANGE: Outcome.CHANGE_ASKED,
}
# «لا» and “no” answer a question, or they are talk; “cancel” without anything to cancel may mean our messages.
_BARE_NO = frozenset({"2", "n", "no", "لا"})
# «غلط» may be said of a number, or of what has just been said.
_BARE_WRONG = frozenset({"wrong", "غلط"})
# The same words again within this, with nothing asked in between, are an impatient finger or a machine.
REPEATED_WITHIN = dt.timedelta(minutes=10)
# Our own words that come back within this were sent by a machine.
ECHO_WITHIN = dt.timedelta(days=1)
# One emergency text in so long: somebody in distress writes several messages.
WARN_AGAIN_AFTER = dt.timedelta(hours=1)
# A reply that fails so often is read by a person as it is.
MOST_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class _Case:
    reply: InboundMessage
    conversation: Conversation
    reading: Reading
    now: dt.datetime


def handle_waiting(limit: int = 500) -> dict[str, int]:
    """Every reply that nobody has understood yet, the first first. One that fails does not stop the others."""
    counts = {"handled": 0, "failed": 0}
    for tenant_id, reply_id in replies.unhandled(limit):
        try:
            counts["handled"] += handle(tenant_id, reply_id)
        except Exception as error:  # noqa: BLE001  # whatever it is, the next reply is answered
            counts["failed"] += 1
            # No traceback: its values may be names and numbers (invariant 12).
            log.error("reply_failed", reply_id=str(reply_id), error=type(error).__name__)  # noqa: TRY400
            _note_failure(tenant_id, reply_id)
    return counts


def handle(tenant_id: uuid.UUID, reply_id: uuid.UUID) -> bool:
    """Understands one reply and acts on it, once. False when it was done already."""
    with tenant_scope(tenant_id), transaction.atomic():
        reply = InboundMessage.objects.select_related("patient__tenant", "in_reply_to").get(pk=reply_id)
        conversation = conversations.locked_for(reply)
        # Its conversation's lock is the reply's: whoever comes second sees what the first has written.
        reply.refresh_from_db(fields=["handled_at"])
        if reply.handled_at is not None:
            return False
        case = _Case(reply, conversation, reply_words.read(reply.body), timezone.now())
        reply.meaning, reply.conversation = case.reading.meaning.value, conversation
        reply.outcome = _outcome(case)
        reply.handled_at = case.now
        reply.save(update_fields=["meaning", "conversation", "outcome", "handled_at"])
        return True


def _note_failure(tenant_id: uuid.UUID, reply_id: uuid.UUID) -> None:
    with tenant_scope(tenant_id), transaction.atomic():
        InboundMessage.objects.filter(pk=reply_id).update(attempts=F("attempts") + 1)
        reply = InboundMessage.objects.select_related("patient").get(pk=reply_id)
        if reply.attempts < MOST_ATTEMPTS or reply.handled_at is not None:
            return
        conversation = conversations.locked_for(reply)
        conversations.wait_for_person(conversation, reply)
        reply.conversation, reply.outcome, reply.handled_at = conversation, Outcome.STAFF, timezone.now()
        reply.save(update_fields=["conversation", "outcome", "handled_at"])


def _outcome(case: _Case) -> Outcome:
    rules = reply_rules.of(case.reply.tenant_id)
    if reply_words.is_danger(case.reply.body, rules.emergency_words):
        return _emergency(case, rules.emergency_number)
    if case.reading.meaning is Meaning.STOP:
        return _stop(case)
    if _is_machine(case, rules.most_a_minute):
        conversations.wait_for_person(case.conversation, case.reply)
        return Outcome.SILENT
    before = _same_before(case)
    if before is not None:
        if before.outcome == Outcome.STAFF:
            conversations.wait_for_person(case.conversation, case.reply)
        return Outcome.SILENT
    match case.reading.meaning:
        case Meaning.RESUME:
            return _resume(case)
        case Meaning.WRONG:
            is_about_words = case.reading.text in _BARE_WRONG and questions.is_in_talk(case.reply)
            return _to_staff(case) if is_about_words else _wrong_number(case)
        case Meaning.HELP:
            answering.answer(case.reply, reply_answers.HELP)
            return Outcome.HELPED
        case _:
            return _answer(case)


# --- guards ----------------------------------------------------------------------------------------------------------


def _is_machine(case: _Case, most_a_minute: int) -> bool:
    """More replies than a thumb writes, or our own words back."""
    reply, words = case.reply, case.reading.text
    theirs = InboundMessage.objects.filter(sender=reply.sender, created_at__lte=reply.created_at)
    if theirs.filter(created_at__gt=reply.created_at - dt.timedelta(minutes=1)).count() > most_a_minute:
        return True
    if len(words) < 12:
        return False
    sent = Message.objects.filter(
        recipient=reply.sender, channel=reply.channel, created_at__gt=reply.created_at - ECHO_WITHIN
    )
    return any(_holds(words, body) for body in sent.order_by("-created_at").values_list("body", flat=True)[:20])


def _holds(words: str, body: str) -> bool:
    """The reply is our text, or quotes it at length."""
    ours = reply_words.normalise(body)
    return bool(ours) and (words == ours or (len(ours) >= 40 and ours in words))


def _same_before(case: _Case) -> InboundMessage | None:
    """The reply just before, when it said the same in the same place and nothing was asked since."""
    reply = case.reply
    before = (
        InboundMessage.objects.filter(
            sender=reply.sender,
            channel=reply.channel,
            handled_at__isnull=False,
            created_at__gte=reply.created_at - REPEATED_WITHIN,
        )
        .exclude(pk=reply.pk)
        .order_by("-created_at")
        .first()
    )
    if before is None or reply_words.normalise(before.body) != case.reading.text:
        return None
    # “1” to Sara's message and “1” to Omar's are two answers.
    if (before.to, before.replied_to_id) != (reply.to, reply.replied_to_id):
        return None
    # The answer to “which one?” may be the very words that were unclear.
    if before.outcome == Outcome.ASKED or questions.has_new_question(reply, before.created_at):
        return None
    return before


# --- what is no answer to a question ---------------------------------------------------------------------------------


def _emergency(case: _Case, number: str) -> Outcome:
    conversations.wait_for_person(case.conversation, case.reply, is_urgent=True)
    _ring(case, "message.emergency")
    warned = case.conversation.warned_at
    if warned is None or case.now - warned > WARN_AGAIN_AFTER:
        conversations.note_warned(case.conversation, case.now)
        answering.answer(case.reply, reply_answers.EMERGENCY, number=answering.code(number))
    return Outcome.EMERGENCY


def _stop(case: _Case) -> Outcome:
    """Recorded by everybody who writes over that sender. Nothing is written back: they have asked for silence."""
    for tenant_id in replies.tenants_writing_to(case.reply):
        with tenant_scope(tenant_id):
            guardian = case.reply.in_reply_to.guardian if case.reply.in_reply_to is not None else None
            opt_outs.stop(**_opt(case, tenant_id), guardian=guardian if tenant_id == case.reply.tenant_id else None)
    conversations.note_answered(case.conversation)
    return Outcome.STOPPED


def _resume(case: _Case) -> Outcome:
    for tenant_id in replies.tenants_writing_to(case.reply):
        with tenant_scope(tenant_id):
            opt_outs.resume(**_opt(case, tenant_id))
    answering.answer(case.reply, reply_answers.RESUMED)
    return Outcome.RESUMED


def _opt(case: _Case, tenant_id: uuid.UUID) -> dict[str, Any]:
    reply = case.reply
    return {
        "tenant_id": tenant_id,
        "channel": reply.channel,
        "sender": reply.to,
        "address": reply.sender,
        "raw": reply.body,
        "source": "reply",
        "patient": reply.patient if tenant_id == reply.tenant_id else None,
    }


def _wrong_number(case: _Case) -> Outcome:
    """Somebody else's number: nothing more goes there, and nothing is said to who is not our patient."""
    answering.number_is_wrong(case.reply)
    conversations.note_answered(case.conversation)
    return Outcome.WRONG_NUMBER


def _to_staff(case: _Case) -> Outcome:
    conversations.wait_for_person(case.conversation, case.reply)
    _ring(case, "message.reply_received")
    return Outcome.STAFF


def _ring(case: _Case, key: str) -> None:
    events.record(
        key,
        tenant_id=case.reply.tenant_id,
        dedupe=str(case.reply.pk),
        obj=case.conversation,
        payload={"reply_id": str(case.reply.pk)},
    )


# --- answers ---------------------------------------------------------------------------------------------------------


def _answer(case: _Case) -> Outcome:
    asked = questions.asked_of(case.reply)
    if asked.is_elsewhere:
        return _to_staff(case)
    if case.conversation.pending and not asked.is_chosen:
        chosen = _chosen(case, asked)
        if chosen is not None:
            return chosen
    if asked.message is None:
        return _without_question(case)
    if len(replies.tenants_asking(case.reply)) > 1:
        return _by_link(case, asked)
    if case.reading.meaning in _ANSWERS:
        return _resolve(case, asked)
    return _named(case, asked) or _to_staff(case)


def _resolve(case: _Case, asked: Asked) -> Outcome:
    """1, 2, 3 or their words, to what was asked last."""
    meaning = case.reading.meaning
    can = asked.taking(meaning)
    if not can:
        return _tell_state(case, asked)
    if asked.is_last_dead or (asked.is_followed and not case.reading.numbers):
        # The last question is void, or a bare word may be said to what came after it: the digits are the question's own.
        return _ask_which(case, meaning, can)
    if len(can) == 1:
        return _act(case, meaning, can)
    if meaning is Meaning.CONFIRM and asked.is_one_message:
        # “1” under a message about several confirms all that it listed; “2” could mean the second one.
        return _act(case, meaning, can)
    return _ask_which(case, meaning, can)


def _named(case: _Case, asked: Asked) -> Outcome | None:
    """«1 2» or names, under one message about several: these are confirmed. None: for a person."""
    alive = [one for one in asked.latest if not one.is_dead]
    if not asked.is_one_message or len(alive) < 2:
        return None
    if case.reading.numbers and len(alive) < len(asked.latest):
        # The numbers are those of the text, in which one is listed that no longer holds: nobody counts as we would.
        open_ones = [one for one in alive if Meaning.CONFIRM in one.can]
        return _ask_which(case, Meaning.CONFIRM, open_ones) if open_ones else None
    picked = _picked(case.reading, alive)
    can = [one for one in picked if Meaning.CONFIRM in one.can]
    return _act(case, Meaning.CONFIRM, can) if can and len(can) == len(picked) else None


def _chosen(case: _Case, asked: Asked) -> Outcome | None:
    """The answer to “which one?”. None: it is no such answer, or something new was asked since."""
    wanted, things = conversations.asked_about(case.conversation, case.now)
    at = case.conversation.pending_at
    conversations.note_answered(case.conversation)
    if not things or at is None or not wanted or questions.has_new_question(case.reply, at):
        return None
    meaning, listed = Meaning(wanted), questions.look(things)
    if len(listed) != len(things):
        return _to_staff(case)
    picked = listed if case.reading.meaning is Meaning.ALL else _picked(case.reading, listed)
    if not picked:
        # Asked once; the second unclear answer is read by a person.
        return _to_staff(case)
    can = [one for one in picked if meaning in one.can]
    return _act(case, meaning, can) if len(can) == len(picked) else _tell_state(case, asked, picked)


def _picked(reading: Reading, listed: Sequence[Look]) -> list[Look]:
    """By their numbers in the list, or by name; empty when any of it is unclear."""
    if reading.numbers:
        if not all(1 <= number <= len(listed) for number in reading.numbers):
            return []
        return [listed[number - 1] for number in sorted(set(reading.numbers))]
    return [listed[index] for index in reply_words.named(reading.text, [one.names for one in listed])]


def _act(case: _Case, meaning: Meaning, looks: Sequence[Look]) -> Outcome:
    """Carries it out for each. What came too late is answered by how it stands."""
    if not all(answering.is_reader(case.reply, one.patient) for one in looks):
        # Blocked, of age, another number since: whoever writes may not decide about this patient any more.
        return _to_staff(case)
    done = [one for one in looks if questions.handler_of(one.thing).act(one.thing, meaning, case.reply)]
    conversations.note_answered(case.conversation)
    if len(done) < len(looks):
        # Somebody was faster: everything is told as it is now.
        return _tell(case, questions.look([one.thing for one in looks]), _DONE[meaning] if done else Outcome.TOLD)
    link = done[0].link if len(done) == 1 else None
    words = {
        Meaning.CONFIRM: reply_answers.CONFIRMED,
        Meaning.CANCEL: reply_answers.CANCELLED,
        Meaning.CHANGE: reply_answers.CHANGE_BY_LINK if link else reply_answers.CHANGE_ASKED,
    }[meaning]
    answering.answer(case.reply, words, look=done[0], lines=reply_answers.lines(done), link=link)
    return _DONE[meaning]


def _ask_which(case: _Case, meaning: Meaning, looks: Sequence[Look]) -> Outcome:
    if not all(answering.is_reader(case.reply, one.patient) for one in looks):
        return _to_staff(case)
    conversations.note_asked(case.conversation, meaning=meaning, things=[one.thing for one in looks], now=case.now)
    lines = reply_answers.lines(looks, numbered=True)
    answering.answer(case.reply, reply_answers.WHICH, look=looks[0], lines=lines)
    return Outcome.ASKED


def _tell_state(case: _Case, asked: Asked, looks: Sequence[Look] = ()) -> Outcome:
    """Nothing of it can be answered that way any more: how it stands, and where to look."""
    return _tell(case, looks or asked.latest or asked.looks, Outcome.TOLD)


def _tell(case: _Case, looks: Sequence[Look], outcome: Outcome) -> Outcome:
    if not looks or not all(answering.is_reader(case.reply, one.patient) for one in looks):
        return _to_staff(case)
    link = looks[0].link if len(looks) == 1 else None
    words = reply_answers.STATE_BY_LINK if link else reply_answers.STATE
    answering.answer(case.reply, words, look=looks[0], states=reply_answers.states(looks), link=link)
    return outcome


def _by_link(case: _Case, asked: Asked) -> Outcome:
    """Two clinic groups asked over one number: a link is always about the right one, and names nobody."""
    link = next((one.link for one in asked.latest if one.link and not one.is_dead), None)
    if link is None:
        return _to_staff(case)
    answering.answer(case.reply, reply_answers.BY_LINK, look=asked.latest[0], link=link)
    return Outcome.TOLD


def _without_question(case: _Case) -> Outcome:
    """Nothing was asked. “Cancel” gets a question back, never a silent unsubscription; all of it is read by a person."""
    if case.reading.meaning is Meaning.CANCEL and case.reading.text not in _BARE_NO:
        answering.answer(case.reply, reply_answers.NOTHING_OPEN)
    return _to_staff(case)
