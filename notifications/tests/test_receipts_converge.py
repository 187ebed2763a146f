"""Whatever the order and number of a message's receipts, they end in one state. Found counterexamples are pinned."""

from __future__ import annotations

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conftest import Clinic
from notifications import receipts
from notifications.models import Message, SuppressedAddress
from notifications.states import Status
from notifications.tests.receipt_rows import WORDS, checked, handed_over, hear, repeat

STARTS = (Status.SENDING, Status.SENT, Status.UNCONFIRMED)


def outcome(message: Message) -> tuple[object, ...]:
    checked(message)
    is_suppressed = SuppressedAddress.objects.filter(message=message, lifted_at=None).exists()
    return (
        message.status,
        message.reason,
        message.error_code,
        message.next_attempt_at is not None,
        message.fallback_due_at is not None,
        is_suppressed,
    )


def fresh(clinic: Clinic, start: Status) -> Message:
    """Each with an address of its own, so that its suppression is its own."""
    fresh.count += 1
    return handed_over(clinic, start, recipient=f"+9665{fresh.count:08}", fallback_channels=["EMAIL"])


fresh.count = 0


@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    start=st.sampled_from(STARTS),
    names=st.lists(st.sampled_from(sorted(WORDS)), min_size=1, max_size=6),
    order=st.randoms(use_true_random=False),
)
def test_every_order_and_repetition_ends_in_the_same_state(
    clinic: Clinic, start: Status, names: list[str], order: random.Random
) -> None:
    shuffled = names + order.choices(names, k=order.randrange(3))
    order.shuffle(shuffled)
    expected = outcome(hear(fresh(clinic, start), *names))
    one_by_one, in_a_batch = fresh(clinic, start), fresh(clinic, start)
    for name in shuffled:
        repeat(one_by_one, name)
        receipts.apply_stored()
    for name in shuffled:
        repeat(in_a_batch, name)
    receipts.apply_stored()
    assert outcome(one_by_one) == expected, shuffled
    assert outcome(in_a_batch) == expected, shuffled


@pytest.mark.parametrize("start", STARTS)
def test_all_pairs_of_words_end_the_same_in_both_orders(clinic: Clinic, start: Status) -> None:
    pairs = [(a, b) for a in sorted(WORDS) for b in sorted(WORDS)]
    rows = {pair: fresh(clinic, start) for pair in pairs}
    for pair, message in rows.items():
        for name in pair:
            repeat(message, name)
    receipts.apply_stored()
    for (a, b), message in rows.items():
        assert outcome(message) == outcome(rows[b, a]), (a, b)


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["sent"], (Status.SENT, "", "", False)),
        (["transient"], (Status.FAILED, "", "30008", True)),
        (["transient", "content"], (Status.FAILED, "", "30007", False)),
        (["content", "sent", "queued"], (Status.FAILED, "", "30007", False)),
        (["content", "delivered"], (Status.DELIVERED, "", "", False)),
        (["transient", "delivered"], (Status.DELIVERED, "", "", False)),
        (["delivered", "dead"], (Status.BOUNCED, "contact_undeliverable", "30005", False)),
        (["dead", "delivered"], (Status.BOUNCED, "contact_undeliverable", "30005", False)),
        (["dead", "read"], (Status.READ, "", "", False)),
        (["read", "dead", "content"], (Status.READ, "", "", False)),
    ],
)
def test_the_highest_word_counts(clinic: Clinic, start: Status, names: list[str], expected: tuple[object, ...]) -> None:
    assert outcome(hear(fresh(clinic, start), *names))[:4] == expected


def test_in_a_batch_each_failure_is_held_against_the_worst_before_it(clinic: Clinic) -> None:
    message = fresh(clinic, Status.SENT)
    for name in ("transient", "opted out", "content"):
        repeat(message, name)
    receipts.apply_stored()
    assert outcome(message)[:4] == (Status.FAILED, "opted_out", "21610", False)


def test_a_word_of_acceptance_settles_only_what_was_unknown(clinic: Clinic) -> None:
    ends = {start: hear(fresh(clinic, start), "queued").status for start in STARTS}
    assert ends == {
        Status.SENDING: Status.SENDING,
        Status.SENT: Status.SENT,
        Status.UNCONFIRMED: Status.SENT,
    }
