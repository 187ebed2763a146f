"""What providers' words do to messages, attempts, addresses and copies."""

from __future__ import annotations

import datetime as dt
import threading
import uuid
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from conftest import Clinic
from core.tenancy import tenant_scope
from notifications import lifecycle, receipt_case, receipts
from notifications.models import Message, MessageAttempt, ProviderReceipt, SuppressedAddress
from notifications.receipt_rules import PRICE_AFTER
from notifications.states import LogEvent, Outcome, Reason, Status
from notifications.tests.receipt_rows import add_attempt, checked, handed_over, hear, repeat, store


def suppressions() -> list[tuple[str, str]]:
    return list(SuppressedAddress.objects.filter(lifted_at=None).values_list("address", "reason"))


def events(message: Message) -> list[str]:
    return list(message.logs.order_by("position").values_list("event", flat=True))


# --- Store ----------------------------------------------------------------------------------------------------------


def test_storing_is_one_statement_and_looks_nothing_up(clinic: Clinic) -> None:
    message = handed_over(clinic)
    with CaptureQueriesContext(connection) as queries:
        assert store(message, "delivered")
    assert len(queries) == 1


def test_attempts_words_and_codes_are_told_apart_and_repetitions_are_not(clinic: Clinic) -> None:
    message = handed_over(clinic)
    assert store(message, "delivered")
    assert not store(message, "delivered")
    assert store(message, "delivered", attempt=2)
    assert store(message, "delivered", attempt=None)
    assert store(message, "delivered", sid="SM2")
    assert store(message, "transient")
    assert store(message, "content")
    assert ProviderReceipt.objects.count() == 6


@pytest.mark.parametrize("ref", ["", "nothing", "x" * 500, "a\x00b", "🙂" * 50])
def test_nonsense_in_the_address_is_kept(clinic: Clinic, ref: str) -> None:
    def keep(word: str) -> bool:
        return receipts.store(
            provider="twilio", message_ref=ref, provider_message_id="", status=word, payload={"x": "\x00"}
        )

    assert keep("sent")
    assert keep("delivered"), "long ones are told apart to their end"
    assert not keep("sent")
    assert receipts.apply_stored()["unknown"] == 2
    assert ProviderReceipt.objects.filter(message=None, applied_at__isnull=False).count() == 2


# --- Apply ----------------------------------------------------------------------------------------------------------


def test_a_batch_costs_the_same_number_of_statements_however_large(clinic: Clinic) -> None:
    def cost(number: int) -> int:
        for _turn in range(number):
            message = handed_over(clinic)
            for name in ("queued", "sent", "delivered", "read"):
                store(message, name, sid=str(message.pk))
        with CaptureQueriesContext(connection) as queries:
            assert receipts.apply_stored()["applied"] == 4 * number
        return sum(not query["sql"].startswith("UPDATE") for query in queries)

    # Elsewhere than on PostgreSQL updates of many rows are one statement a row.
    assert cost(2) == cost(20)


def test_a_receipt_with_the_providers_id_alone_finds_its_message(clinic: Clinic) -> None:
    message = handed_over(clinic)
    message.attempts.update(provider_message_id="SM-attempt")
    receipts.store(provider="twilio", message_ref="", provider_message_id="SM-attempt", status="delivered", payload={})
    assert receipts.apply_stored() == {"applied": 1, "moved": 1, "unknown": 0, "broken": 0}
    assert checked(message).status == Status.DELIVERED


def test_receipts_of_several_tenants_are_applied_each_in_its_own(clinic: Clinic, other_clinic: Clinic) -> None:
    ours = handed_over(clinic)
    with tenant_scope(other_clinic.tenant.pk):
        theirs = handed_over(other_clinic)
    store(ours, "delivered")
    store(theirs, "read", sid="SM2")
    assert receipts.apply_stored()["moved"] == 2
    assert checked(ours).status == Status.DELIVERED
    with tenant_scope(other_clinic.tenant.pk):
        assert checked(theirs).status == Status.READ
        assert set(theirs.logs.values_list("tenant", flat=True)) == {other_clinic.tenant.pk}


def test_more_receipts_than_one_batch_takes_are_all_applied(clinic: Clinic) -> None:
    messages = [handed_over(clinic) for _turn in range(5)]
    for message in messages:
        store(message, "delivered")
    assert receipts.apply_stored(limit=2)["applied"] == 5
    assert {checked(message).status for message in messages} == {Status.DELIVERED}


def test_one_that_cannot_be_applied_stops_no_other_and_is_tried_again(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken, fine = handed_over(clinic), handed_over(clinic)
    real = receipt_case.judge

    def judge(message: Message, *args: Any) -> Any:
        if message.pk == broken.pk:
            raise ValueError("+966501234567")
        return real(message, *args)

    for message in (broken, fine):
        store(message, "delivered")
    with monkeypatch.context() as patch:
        patch.setattr(receipt_case, "judge", judge)
        assert receipts.apply_stored(limit=1) == {"applied": 1, "moved": 1, "unknown": 0, "broken": 1}
    assert checked(fine).status == Status.DELIVERED
    assert receipts.apply_stored()["applied"] == 1
    assert checked(broken).status == Status.DELIVERED


def test_one_that_cannot_be_applied_for_a_day_is_kept_only(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    def judge(*_args: Any) -> Any:
        raise ValueError

    store(handed_over(clinic), "delivered")
    ProviderReceipt.objects.update(received_at=timezone.now() - dt.timedelta(days=2))
    monkeypatch.setattr(receipt_case, "judge", judge)
    assert receipts.apply_stored()["broken"] == 1
    assert receipts.apply_stored()["broken"] == 0


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_a_message_that_a_worker_is_just_writing_waits_and_stops_no_other(clinic: Clinic) -> None:
    held, free = handed_over(clinic), handed_over(clinic)
    for message in (held, free):
        store(message, "delivered")
    is_held, may_go = threading.Event(), threading.Event()

    def worker() -> None:
        try:
            with tenant_scope(clinic.tenant.pk), transaction.atomic():
                Message.objects.select_for_update().get(pk=held.pk)
                is_held.set()
                may_go.wait(timeout=10)
        finally:
            connection.close()

    thread = threading.Thread(target=worker)
    thread.start()
    assert is_held.wait(timeout=10)
    assert receipts.apply_stored(seconds=0.2)["applied"] == 1
    assert checked(free).status == Status.DELIVERED
    may_go.set()
    thread.join()
    assert receipts.apply_stored()["applied"] == 1
    assert checked(held).status == Status.DELIVERED


def test_a_word_nobody_has_seen_is_kept_and_changes_nothing(clinic: Clinic) -> None:
    message = hear(handed_over(clinic), "teleported")
    assert message.status == Status.SENT
    assert ProviderReceipt.objects.get().message == message


def test_a_receipt_may_come_before_the_providers_answer(clinic: Clinic) -> None:
    message = handed_over(clinic, Status.SENDING)
    lease = message.lease_token
    assert hear(message, "delivered").status == Status.DELIVERED
    assert (message.lease_token, message.provider_message_id) == (None, "SM1")
    assert not lifecycle.move(message.pk, Status.SENT, lease=lease)
    attempt = message.attempts.get()
    assert (attempt.provider_message_id, attempt.outcome) == ("SM1", Outcome.ACCEPTED), (
        "its own answer may write over it"
    )


def test_an_unknown_outcome_is_settled_and_its_attempt_counts_as_accepted(clinic: Clinic) -> None:
    message = handed_over(clinic, Status.UNCONFIRMED)
    message.attempts.update(outcome=Outcome.AMBIGUOUS)
    assert hear(message, "queued").status == Status.SENT
    attempt = message.attempts.get()
    assert (attempt.outcome, attempt.provider_message_id) == (Outcome.ACCEPTED, "SM1")
    assert message.next_check_at is not None


# --- Times ----------------------------------------------------------------------------------------------------------


def test_read_implies_delivered_and_nothing_waits_any_more(clinic: Clinic) -> None:
    message = handed_over(clinic)
    now = timezone.now()
    Message.objects.filter(pk=message.pk).update(next_attempt_at=now, fallback_due_at=now)
    hear(message, "read")
    assert message.delivered_at == message.read_at
    assert (message.next_attempt_at, message.fallback_due_at) == (None, None)


@pytest.mark.parametrize(("cost", "is_asked"), [(None, True), ("0.03", False)])
def test_the_price_is_asked_for_later_where_it_is_not_known(
    clinic: Clinic, cost: str | None, *, is_asked: bool
) -> None:
    message = handed_over(clinic)
    message.attempts.update(cost=cost)
    hear(message, "delivered")
    assert (message.next_check_at is not None) == is_asked
    if message.next_check_at is not None:
        assert timezone.now() < message.next_check_at <= timezone.now() + PRICE_AFTER


def test_a_message_that_a_receipt_calls_sent_is_looked_after(clinic: Clinic) -> None:
    message = handed_over(clinic, Status.UNCONFIRMED, notification_type="REMINDER", fallback_channels=["EMAIL"])
    hear(message, "sent")
    assert message.next_check_at is not None
    assert message.fallback_due_at is not None


# --- Attempts -------------------------------------------------------------------------------------------------------


@pytest.fixture
def second(clinic: Clinic) -> Message:
    """Failed once, sent again: SENT with its second attempt."""
    message = handed_over(clinic)
    message.attempts.update(provider_message_id="SM1")
    hear(message, "transient")
    assert message.next_attempt_at is not None
    add_attempt(message, 2, provider_message_id="SM2")
    lifecycle.move(message.pk, Status.SENT, fields={"provider_message_id": "SM2"})
    return message


@pytest.mark.parametrize("attempt", [1, None])
@pytest.mark.parametrize("name", ["content", "transient", "dead"])
def test_a_refusal_of_an_earlier_attempt_does_not_fail_the_next(
    second: Message, name: str, attempt: int | None
) -> None:
    repeat(second, name)
    store(second, name, attempt=attempt)
    receipts.apply_stored()
    assert checked(second).status == Status.SENT
    is_dead = name == "dead"
    assert suppressions() == ([(second.recipient, Reason.CONTACT_UNDELIVERABLE)] if is_dead else [])


def test_a_refusal_of_the_attempt_whose_worker_just_has_it_counts_and_an_earlier_one_does_not(clinic: Clinic) -> None:
    message = handed_over(clinic)
    hear(message, "transient")
    add_attempt(message, 2, is_open=True)
    assert hear(message, "content", attempt=1).status == Status.SENDING
    assert hear(message, "content", attempt=2, sid="SM2").status == Status.FAILED


def test_an_unknown_id_is_the_attempt_that_does_not_know_its_own_yet(clinic: Clinic) -> None:
    message = handed_over(clinic, Status.UNCONFIRMED)
    assert hear(message, "content", attempt=None, sid="SM7").status == Status.FAILED
    assert message.attempts.get().provider_message_id == "SM7"


@pytest.mark.parametrize("name", ["delivered", "read"])
@pytest.mark.parametrize("attempt", [1, None])
def test_what_an_earlier_attempt_delivered_is_delivered(second: Message, name: str, attempt: int | None) -> None:
    assert hear(second, name, attempt=attempt).status == name.upper()
    assert second.provider_message_id == "SM1"


def test_what_arrives_while_a_person_tries_again_is_not_sent_again(clinic: Clinic) -> None:
    message = hear(handed_over(clinic), "content")
    lifecycle.move(message.pk, Status.QUEUED, fields={"next_attempt_at": timezone.now()})
    assert hear(message, "transient").status == Status.QUEUED
    assert hear(message, "delivered").status == Status.DELIVERED
    assert message.next_attempt_at is None


def test_a_word_about_a_message_that_was_never_handed_over_changes_nothing(clinic: Clinic) -> None:
    message = handed_over(clinic, Status.QUEUED)
    MessageAttempt.objects.all().delete()
    Message.objects.filter(pk=message.pk).update(status=Status.QUEUED)
    store(message, "delivered")
    receipts.apply_stored()
    message.refresh_from_db()
    assert message.status == Status.QUEUED


def test_a_message_that_the_provider_has_after_all_is_not_sent_again(clinic: Clinic) -> None:
    message = handed_over(clinic, Status.UNCONFIRMED)
    message.attempts.update(outcome=Outcome.NOT_FOUND)
    lifecycle.fail(message, bounced=False, may_retry=True, code=Outcome.NOT_FOUND)
    assert hear(message, "sent").status == Status.FAILED
    assert message.next_attempt_at is None
    assert events(message)[-1] == LogEvent.RECEIPT
    assert hear(message, "transient").status == Status.FAILED
    assert (message.error_code, message.next_attempt_at is not None) == ("30008", True)


# --- Addresses ------------------------------------------------------------------------------------------------------


def test_a_dead_number_is_suppressed_until_somebody_reads_the_message(clinic: Clinic) -> None:
    message = hear(handed_over(clinic), "dead")
    assert suppressions() == [(message.recipient, Reason.CONTACT_UNDELIVERABLE)]
    assert hear(message, "read").status == Status.READ
    assert suppressions() == []


def test_an_opt_out_at_the_provider_is_suppressed_as_such(clinic: Clinic) -> None:
    message = handed_over(clinic)
    receipts.settle(message, word="failed", provider="twilio", error_code="21610")
    assert checked(message).reason == Reason.OPTED_OUT
    assert suppressions() == [(message.recipient, Reason.OPTED_OUT)]


@pytest.mark.parametrize("status", [Status.FAILED, Status.DELIVERED])
def test_a_complaint_suppresses_and_fails_nothing(
    clinic: Clinic, status: Status, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever an adapter's table makes of the word: who complains has got the mail."""
    from integrations.providers.twilio import TwilioProvider

    monkeypatch.setattr(TwilioProvider, "statuses", {**TwilioProvider.statuses, "complained": status})
    message = hear(handed_over(clinic), "delivered", "complained")
    assert message.status == Status.DELIVERED
    assert suppressions() == [(message.recipient, Reason.COMPLAINED)]


# --- Copies over other channels -------------------------------------------------------------------------------------


def test_a_late_delivery_withdraws_the_copies_that_wait_and_tells_those_that_left(clinic: Clinic) -> None:
    first = handed_over(clinic, fallback_channels=["WHATSAPP", "EMAIL"])
    copy = {"conversation_id": first.pk, "channel": "WHATSAPP", "fallback_channels": ["EMAIL"]}
    waiting = lifecycle.create(
        Message(
            tenant_id=first.tenant_id,
            patient=clinic.patient,
            notification_type="GENERAL",
            recipient=first.recipient,
            language="ar",
            dedupe_key=str(uuid.uuid4()),
            **copy,
        )
    )
    retried = hear(handed_over(clinic, **copy), "transient")
    out = handed_over(clinic, **copy)
    given_up = hear(handed_over(clinic, **copy), "content")
    Message.objects.filter(pk=out.pk).update(fallback_due_at=timezone.now())
    unrelated = handed_over(clinic, fallback_channels=["EMAIL"])
    assert given_up.fallback_due_at is not None

    hear(first, "delivered")
    for message in (waiting, retried):
        checked(message)
        assert (message.status, message.reason) == (Status.CANCELLED, Reason.DELIVERED_OTHERWISE)
    for message in (out, given_up):
        checked(message)
        assert message.fallback_due_at is None, "never a third"
        assert message.logs.get(event=LogEvent.FALLBACK).provider_response == {"delivered_by": "SMS"}
    assert (out.status, given_up.status) == (Status.SENT, Status.FAILED)
    assert LogEvent.FALLBACK not in events(unrelated)

    hear(first, "read")
    assert events(out).count(LogEvent.FALLBACK) == 1
    hear(out, "delivered")
    assert checked(first).status == Status.READ
    assert LogEvent.FALLBACK not in events(first), "nothing waits there"


# --- Asked, not told ------------------------------------------------------------------------------------------------


def test_an_answer_to_a_question_is_judged_like_a_receipt(clinic: Clinic) -> None:
    message = handed_over(clinic, Status.UNCONFIRMED)
    assert receipts.settle(message, word="sending", provider="twilio", provider_message_id="SM1")
    assert checked(message).status == Status.SENT
    assert receipts.settle(message, word="undelivered", provider="twilio", error_code="30005")
    assert checked(message).status == Status.BOUNCED
    assert not receipts.settle(message, word="delivered", provider="twilio")
    assert not receipts.settle(message, word="who knows", provider="twilio")
