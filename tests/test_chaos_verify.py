"""The judge of the fault runs: each promise, broken once on invented rows, is seen to be broken."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from notifications.models import Message, MessageAttempt, ProviderReceipt
from notifications.states import LogEvent, Outcome, Status
from tests.chaos.verify import World, figures, verify


def world(status: Status = Status.DELIVERED, **fields: Any) -> World:
    """One message that went well: asked for once, accepted, two receipts, all in order."""
    message = Message(channel="SMS", recipient="+966500000001", body="x", status=status, **fields)
    ref, sid = str(message.pk), "SM1"
    events = [LogEvent.CREATED, LogEvent.QUEUED, LogEvent.SENDING, LogEvent.SENT, LogEvent.DELIVERED]
    message.attempt_count, message.log_position = 1, len(events)
    receipts = [
        ProviderReceipt(message_ref=ref, provider_message_id=sid, status=word, applied_at=timezone.now())
        for word in ("sent", "delivered")
    ]
    return World(
        messages=[message],
        logs={
            message.pk: [
                (place, event.value, "" if event is LogEvent.CREATED else event.value)
                for place, event in enumerate(events, start=1)
            ]
        },
        attempts={message.pk: [MessageAttempt(message=message, number=1, outcome=Outcome.ACCEPTED)]},
        receipts=receipts,
        accepted={ref: [copy(ref, sid)]},
        requests={ref: [request(ref, 1)]},
        callbacks=[callback(ref, sid, "sent"), callback(ref, sid, "delivered")],
    )


def copy(ref: str, sid: str, **changed: Any) -> dict[str, Any]:
    fields = {"attempt": "1", "fault": "none", "fate": "delivered", "accepted_at": 1.5, "answered": 1}
    return {"message_ref": ref, "sid": sid, **fields, **changed}


def request(ref: str, number: int, **changed: Any) -> dict[str, Any]:
    return {"number": number, "message_ref": ref, "attempt": str(number), "fault": "none", "at": number, **changed}


def callback(ref: str, sid: str, word: str, **changed: Any) -> dict[str, Any]:
    return {"kind": "signed", "message_ref": ref, "sid": sid, "word": word, "answer": 204, **changed}


def ref(there: World) -> str:
    return str(there.messages[0].pk)


def broken(there: World, *, made: int = 1) -> list[str]:
    return [promise.words for promise in verify(there, made=made) if not promise.is_kept]


def test_a_house_in_order_breaks_no_promise() -> None:
    there = world()
    assert broken(there) == []
    assert figures(there)["messages: DELIVERED"] == 1


def set_status(status: Status) -> Callable[[World], None]:
    def change(there: World) -> None:
        there.messages[0].status = status
        there.logs[there.messages[0].pk][-1] = (5, status.value, status.value)

    return change


def never_accepted(there: World) -> None:
    there.accepted.clear()


def accepted_twice(there: World) -> None:
    there.accepted[ref(there)].append(copy(ref(there), "SM2", fault="reset_accepted"))


def asked_again(there: World) -> None:
    there.requests[ref(there)].append(request(ref(there), 2))
    there.attempts[there.messages[0].pk].append(MessageAttempt(number=2, outcome=Outcome.AMBIGUOUS))
    there.messages[0].attempt_count = 2


def called_without_an_attempt(there: World) -> None:
    there.requests[ref(there)][0]["attempt"] = "7"


def attempt_left_open(there: World) -> None:
    there.attempts[there.messages[0].pk][0].outcome = ""


def log_ends_elsewhere(there: World) -> None:
    there.logs[there.messages[0].pk].pop()
    there.messages[0].log_position = 4


def log_has_a_gap(there: World) -> None:
    del there.logs[there.messages[0].pk][1]


def receipt_lost(there: World) -> None:
    there.receipts.pop()


def receipt_never_applied(there: World) -> None:
    there.receipts[0].applied_at = None


def forgery_believed(there: World) -> None:
    there.callbacks.append(callback(ref(there), "SM1", "undelivered", kind="forged", answer=204))


def forgery_stored(there: World) -> None:
    there.receipts.append(
        ProviderReceipt(message_ref=ref(there), provider_message_id="SM1", status="read", applied_at=timezone.now())
    )


def stranger_turned_away(there: World) -> None:
    there.callbacks.append(callback(str(uuid.uuid4()), "SM9", "delivered", kind="unknown", answer=404))


def dead_at_the_provider(there: World) -> None:
    there.accepted[ref(there)][0]["fate"] = "dead"


@pytest.mark.parametrize(
    ("breaks", "promise"),
    [
        (set_status(Status.SENDING), "0 lost: every message there"),
        (set_status(Status.FAILED), "every ambiguous one settled"),
        (set_status(Status.SENT), "what receipts said"),
        (set_status(Status.SENT), "the provider is well again"),
        (set_status(Status.UNCONFIRMED), "the provider is well again"),
        (never_accepted, "0 lost: what is said to have left"),
        (accepted_twice, "0 sent twice: one accepted copy"),
        (asked_again, "0 sent twice: refused or answered cleanly"),
        (called_without_an_attempt, "an attempt is written before the call"),
        (attempt_left_open, "an attempt is written before the call"),
        (log_ends_elsewhere, "status = fold of the log"),
        (log_has_a_gap, "status = fold of the log"),
        (receipt_lost, "what receipts said"),
        (receipt_never_applied, "what receipts said"),
        (forgery_believed, "forged call-backs"),
        (forgery_stored, "forged call-backs"),
        (stranger_turned_away, "forged call-backs"),
        (dead_at_the_provider, "no status is better or worse"),
    ],
)
def test_each_way_to_break_a_promise_is_seen(breaks: Callable[[World], None], promise: str) -> None:
    there = world()
    breaks(there)
    assert [words for words in broken(there) if words.startswith(promise)]


def test_a_row_that_is_not_there_is_lost() -> None:
    assert broken(world(), made=2) == ["0 lost: every message there, none stuck on its way"]


def test_twins_are_counted_together_for_nobody_can_tell_them_apart() -> None:
    """Two messages with the same words to the same number: two copies under one id are no copy too many."""
    one, other = world(), world()
    there = World(
        messages=one.messages + other.messages,
        logs=one.logs | other.logs,
        attempts=one.attempts | other.attempts,
        receipts=one.receipts + other.receipts,
        accepted={ref(one): [copy(ref(one), "SM1"), copy(ref(one), "SM2")]},
        requests=one.requests | other.requests,
        callbacks=one.callbacks + other.callbacks,
    )
    assert broken(there, made=2) == []
    there.messages[1].recipient = "+966500000002"
    assert "0 sent twice: one accepted copy a message" in broken(there, made=2)
