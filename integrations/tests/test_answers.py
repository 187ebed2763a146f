from __future__ import annotations

import datetime as dt
import threading
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from conftest import Clinic
from core.tenancy import tenant_scope
from integrations import answers, sync
from integrations.messaging_service import MessagingService
from integrations.sms_providers import Kind, LookUp
from integrations.tasks import provider_sync_task
from integrations.tests.fakes import FakeProvider, error
from integrations.tests.handed_over import (
    MINUTE,
    again,
    attempt,
    clock,
    handed_over,
    last_attempt,
    look_up,
    make_due,
    minutes_until_next,
    unknown,
)
from notifications import lifecycle
from notifications.models import MessageAttempt, ProviderReceipt
from notifications.states import Outcome, Status

__all__ = ["clock"]


# --- Unknown outcomes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("word", ["sent", "queued"])
def test_what_is_found_was_sent(clinic: Clinic, provider: FakeProvider, word: str) -> None:
    message = unknown(clinic)
    provider.found = look_up(word)
    assert provider_sync_task()["moved"] == 1
    assert (again(message).status, message.provider_message_id) == (Status.SENT, "SM1")
    known = last_attempt(message)
    assert (known.outcome, known.provider_message_id) == (Outcome.ACCEPTED, "SM1")


def test_what_is_found_with_an_unknown_word_is_not_sent_again(clinic: Clinic, provider: FakeProvider) -> None:
    message = unknown(clinic)
    provider.found = look_up("a word of tomorrow")
    provider_sync_task()
    assert again(message).status == Status.UNCONFIRMED
    assert last_attempt(message).provider_message_id == "SM1"
    provider.found = None
    make_due(message)
    provider_sync_task()
    assert provider.asked[-1]["provider_message_id"] == "SM1"
    assert again(message).status == Status.UNCONFIRMED


@pytest.mark.parametrize(
    ("code", "status", "is_retried"),
    [("30006", Status.BOUNCED, False), ("30003", Status.FAILED, True), ("30007", Status.FAILED, False)],
)
def test_what_is_found_failed_is_judged_by_its_code(
    clinic: Clinic, provider: FakeProvider, code: str, status: Status, is_retried: bool
) -> None:
    message = unknown(clinic)
    provider.found = look_up("undelivered", error_code=code)
    provider_sync_task()
    assert again(message).status == status
    assert (message.next_attempt_at is not None) == is_retried
    assert last_attempt(message).outcome == Outcome.ACCEPTED


@pytest.mark.parametrize(
    ("age", "status", "minutes"),
    [
        (dt.timedelta(seconds=30), Status.UNCONFIRMED, 0),
        (90 * MINUTE / 60, Status.UNCONFIRMED, 0),
        (3 * MINUTE, Status.UNCONFIRMED, 2),
        (5 * MINUTE, Status.FAILED, None),
    ],
    ids=["half a minute", "one and a half", "three", "five"],
)
def test_absence_is_believed_after_five_minutes(
    clinic: Clinic, provider: FakeProvider, age: dt.timedelta, status: Status, minutes: int | None
) -> None:
    message = unknown(clinic, age=age)
    provider_sync_task()
    assert again(message).status == status
    if minutes is not None:
        assert minutes_until_next(message) == minutes
        assert last_attempt(message).outcome == Outcome.AMBIGUOUS
    else:
        assert message.next_check_at is None
        assert message.next_attempt_at is not None, "it is tried again"
        assert last_attempt(message).outcome == Outcome.NOT_FOUND


def test_absence_that_was_seen_before_the_time_does_not_count_after_it(clinic: Clinic, provider: FakeProvider) -> None:
    message = unknown(clinic, age=6 * MINUTE)
    asked = sync._questions([message])[0]
    assert answers.record([answers.Answer(asked, asked.started_at + 4 * MINUTE, None)]) == 0
    assert again(message).status == Status.UNCONFIRMED


def test_an_absent_message_that_is_too_late_is_not_tried_again(clinic: Clinic, provider: FakeProvider) -> None:
    message = unknown(clinic, expires_at=timezone.now() + dt.timedelta(seconds=30))
    provider_sync_task()
    assert (again(message).status, message.next_attempt_at) == (Status.FAILED, None)


def test_an_absent_message_that_was_tried_enough_is_not_tried_again(clinic: Clinic, provider: FakeProvider) -> None:
    message = unknown(clinic, retry_count=3)
    provider_sync_task()
    assert (again(message).status, message.next_attempt_at) == (Status.FAILED, None)


def test_a_receipt_that_came_during_the_question_wins(
    clinic: Clinic, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = unknown(clinic)

    def meanwhile(**query: Any) -> None:
        lifecycle.move(message.pk, Status.DELIVERED)

    monkeypatch.setattr(provider, "look_up", meanwhile)
    assert provider_sync_task()["moved"] == 0
    assert again(message).status == Status.DELIVERED
    assert last_attempt(message).outcome == Outcome.AMBIGUOUS


def test_a_stored_receipt_that_waits_to_be_applied_forbids_another_send(clinic: Clinic, provider: FakeProvider) -> None:
    message = unknown(clinic)
    ProviderReceipt.objects.create(provider="fake", message_ref=str(message.pk), status="delivered", dedupe_key="r")
    provider_sync_task()
    assert again(message).status == Status.UNCONFIRMED
    assert minutes_until_next(message) == 10


def test_a_message_that_the_provider_once_named_is_never_sent_again(clinic: Clinic, provider: FakeProvider) -> None:
    message = handed_over(clinic, Status.UNCONFIRMED, its_id="SM1")
    MessageAttempt.objects.update(outcome=Outcome.AMBIGUOUS)
    provider_sync_task()
    assert provider.asked[0]["provider_message_id"] == "SM1"
    assert again(message).status == Status.UNCONFIRMED


def test_an_id_that_only_the_message_knows_is_asked_about(clinic: Clinic, provider: FakeProvider) -> None:
    message = handed_over(clinic, Status.SENT, its_id="SM1")
    MessageAttempt.objects.update(provider_message_id="", outcome=Outcome.AMBIGUOUS)
    provider.found = look_up()
    provider_sync_task()
    assert provider.asked[0]["provider_message_id"] == "SM1"
    assert last_attempt(again(message)).provider_message_id == "SM1"


def test_an_unknown_retry_is_not_judged_by_the_attempt_before_it(clinic: Clinic, provider: FakeProvider) -> None:
    message = unknown(clinic)
    attempt(message, began=timezone.now() - 30 * MINUTE, its_id="SM1", number=0, cost=Decimal("0.035"))
    provider.found = error(Kind.AMBIGUOUS, "timeout")
    provider_sync_task()
    asked = provider.asked[-1]
    assert (asked["provider_message_id"], asked["known_ids"]) == ("", {"SM1"})
    assert asked["sent_after"] == last_attempt(message).started_at
    assert again(message).status == Status.UNCONFIRMED
    assert minutes_until_next(message) == 10


def test_a_call_that_is_under_way_is_not_asked_about(clinic: Clinic, provider: FakeProvider) -> None:
    handed_over(clinic, Status.SENDING, its_id="")
    assert provider_sync_task()["asked"] == 0


# --- Copies that look alike -----------------------------------------------------------------------------------------


class List:
    """A provider that finds by text and skips the ids it is told: the newest first."""

    def __init__(self, *ids: str) -> None:
        self.ids = list(ids)

    def look_up(self, **query: Any) -> LookUp | None:
        left = [its_id for its_id in reversed(self.ids) if its_id not in query["known_ids"]]
        return look_up("sent", left[0]) if left else None


def test_the_copy_of_an_earlier_attempt_is_not_this_one(
    clinic: Clinic, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = unknown(clinic)
    attempt(message, began=timezone.now() - 30 * MINUTE, its_id="SM1", number=0)
    monkeypatch.setattr(provider, "look_up", List("SM1").look_up)
    provider_sync_task()
    assert again(message).status == Status.FAILED
    assert last_attempt(message).outcome == Outcome.NOT_FOUND


@pytest.mark.parametrize("whose", ["the same clinic's", "another clinic's"])
def test_the_copy_of_another_message_is_not_this_one(
    clinic: Clinic,
    other_clinic: Clinic,
    provider: FakeProvider,
    monkeypatch: pytest.MonkeyPatch,
    whose: str,
) -> None:
    """Two siblings on one phone, or one phone that is known to two clinic groups: identical words."""
    handed_over(clinic if whose == "the same clinic's" else other_clinic, its_id="SM1")
    message = unknown(clinic)
    monkeypatch.setattr(provider, "look_up", List("SM1").look_up)
    provider_sync_task()
    assert (again(message).status, message.provider_message_id) == (Status.FAILED, "")


@pytest.mark.parametrize("listed", [["SM1"], ["SM1", "SM2"]], ids=["one copy", "a copy each"])
def test_two_unknown_messages_alike_cannot_be_told_apart_so_none_is_sent_again(
    clinic: Clinic, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch, listed: list[str]
) -> None:
    first, second = unknown(clinic), unknown(clinic)
    monkeypatch.setattr(provider, "look_up", List(*listed).look_up)
    provider_sync_task()
    assert {again(first).status, again(second).status} == {Status.UNCONFIRMED}


def test_once_it_is_known_whose_one_copy_is_the_other_message_finds_its_own(
    clinic: Clinic, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    handed_over(clinic, its_id="SM1")
    second = unknown(clinic)
    monkeypatch.setattr(provider, "look_up", List("SM1", "SM2").look_up)
    provider_sync_task()
    assert (again(second).status, second.provider_message_id) == (Status.SENT, "SM2")


@pytest.mark.parametrize("other", [Status.UNCONFIRMED, Status.SENDING])
def test_while_another_like_it_is_fresh_and_open_a_copy_is_nobodys(
    clinic: Clinic, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch, other: Status
) -> None:
    """The receipt, which names its message, may still tell whose it is."""
    message = unknown(clinic)
    handed_over(clinic, other, its_id="", age=MINUTE, next_check_at=None)
    monkeypatch.setattr(provider, "look_up", List("SM1").look_up)
    provider_sync_task()
    assert again(message).status == Status.UNCONFIRMED
    MessageAttempt.objects.exclude(message=message).update(provider_message_id="SM1", outcome=Outcome.ACCEPTED)
    make_due(message)
    provider_sync_task()
    assert again(message).status == Status.FAILED


def test_a_copy_that_another_took_during_the_question_is_not_ours(
    clinic: Clinic, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    message, other = unknown(clinic), unknown(clinic, next_check_at=None)

    def meanwhile(**query: Any) -> LookUp:
        other.attempts.update(provider_message_id="SM1", outcome=Outcome.ACCEPTED)
        return look_up("sent")

    monkeypatch.setattr(provider, "look_up", meanwhile)
    provider_sync_task()
    assert again(message).status == Status.UNCONFIRMED


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_two_searches_at_the_same_moment_do_not_take_the_same_copy(
    clinic: Clinic, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    messages = [unknown(clinic), unknown(clinic)]
    both_have_asked = threading.Barrier(2, timeout=10)

    def answer(**query: Any) -> LookUp:
        both_have_asked.wait()
        return look_up("sent")

    monkeypatch.setattr(provider, "look_up", answer)

    def search(position: int) -> None:
        try:
            with tenant_scope(clinic.tenant.pk):
                sync.sync_message(messages[position])
        finally:
            connection.close()

    threads = [threading.Thread(target=search, args=[position]) for position in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # It may be either's, so it is nobody's.
    assert [again(message).status for message in messages] == [Status.UNCONFIRMED, Status.UNCONFIRMED]
    assert {message.attempts.get().provider_message_id for message in messages} == {""}


@pytest.mark.parametrize("status", [Status.DELIVERED, Status.FAILED])
def test_a_hint_about_a_settled_message_is_followed(clinic: Clinic, provider: FakeProvider, status: Status) -> None:
    message = handed_over(clinic, status, its_id="SM1" if status == Status.DELIVERED else "")
    if status == Status.FAILED:
        MessageAttempt.objects.update(outcome=Outcome.NOT_FOUND)
    provider.found = look_up("read")
    assert sync.sync_message(message)
    assert again(message).status == Status.READ
    assert last_attempt(message).outcome == Outcome.ACCEPTED


def test_what_carries_our_id_is_ours_whatever_looks_like_it(clinic: Clinic, provider: FakeProvider) -> None:
    message = unknown(clinic)
    handed_over(clinic, Status.SENDING, its_id="", age=MINUTE, next_check_at=None)
    provider.found = look_up("sent", message_id=str(message.pk))
    provider_sync_task()
    assert again(message).status == Status.SENT


# --- Prices ---------------------------------------------------------------------------------------------------------


def test_a_delivered_message_is_asked_for_its_price_and_billed_once(clinic: Clinic, provider: FakeProvider) -> None:
    message = handed_over(clinic, Status.DELIVERED)
    provider.found = look_up()
    provider_sync_task()
    assert again(message).cost is None
    assert minutes_until_next(message) == 10
    provider.found = look_up(cost=Decimal("0.035"), currency="USD", segments=2)
    for _ in range(3):
        make_due(message)
        provider_sync_task()
        MessagingService().update_message_status(message.pk)
    assert (again(message).cost, message.currency, message.segments) == (Decimal("0.035"), "USD", 2)
    assert message.next_check_at is None
    provider.found = look_up(cost=Decimal("0.070"), currency="USD", segments=2)
    assert MessagingService().update_message_status(message.pk).cost == Decimal("0.035"), "the first price counts"
    assert len(provider.asked) == 6, "asked for the price until it is known; by hand as often as somebody presses"
    assert (last_attempt(message).cost, last_attempt(message).segments) == (Decimal("0.035"), 2)


def test_each_billed_attempt_counts_once(clinic: Clinic, provider: FakeProvider) -> None:
    message = handed_over(clinic, Status.DELIVERED, its_id="SM1", age=20 * MINUTE)
    attempt(message, began=timezone.now() - 10 * MINUTE, its_id="", number=2, outcome=Outcome.TRANSIENT)
    attempt(message, began=timezone.now() - 5 * MINUTE, its_id="SM3", number=3)
    provider.found = look_up("delivered", cost=Decimal("0.035"), currency="USD", segments=1)
    assert provider_sync_task()["asked"] == 2
    assert (again(message).cost, message.segments) == (Decimal("0.070"), 1)
    assert list(message.attempts.values_list("cost", flat=True)) == [Decimal("0.035"), None, Decimal("0.035")]


def test_how_an_earlier_attempt_failed_does_not_move_the_message(clinic: Clinic, provider: FakeProvider) -> None:
    message = handed_over(clinic, Status.SENT, its_id="SM1", age=20 * MINUTE, provider_message_id="SM2")
    attempt(message, began=timezone.now() - 5 * MINUTE, its_id="SM2", number=2, cost=Decimal("0.035"), currency="USD")
    replies = {
        "SM1": look_up("undelivered", "SM1", error_code="30003", cost=Decimal("0.035"), currency="USD"),
        "SM2": look_up("sent", "SM2"),
    }
    provider.look_up = lambda **query: replies[query["provider_message_id"]]  # type: ignore[method-assign]
    assert provider_sync_task()["moved"] == 0
    assert (again(message).status, message.cost) == (Status.SENT, Decimal("0.070"))


def test_a_message_without_a_price_costs_nothing_that_we_know_of(clinic: Clinic, provider: FakeProvider) -> None:
    message = handed_over(clinic, Status.SENT)
    provider.found = look_up("failed", error_code="30008")
    provider_sync_task()
    assert again(message).cost is None
    assert message.currency == ""
