from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.utils import timezone

from conftest import Clinic
from core.models import Patient
from core.tenancy import tenant_scope
from integrations import delivery, rates, recording, sms_providers
from integrations.delivery import deliver, drain
from integrations.fanout import process_event
from integrations.messaging_service import MessagingService
from integrations.sms_providers import Kind, Scope
from integrations.tasks import sweep_messages_task
from integrations.tests.fakes import FakeProvider, error
from notifications import lifecycle, receipts
from notifications.models import Message, MessageAttempt, Notification, NotificationEvent, NotificationPreference
from notifications.states import Lane, Outcome, Reason, Status
from notifications.suppression import suppress


def queue(clinic: Clinic, **fields: object) -> Message:
    message = MessagingService().send_message(
        tenant_id=clinic.tenant.pk, patient_id=clinic.patient.pk, channel="SMS", body="مرحبًا"
    )
    if fields:
        Message.objects.filter(pk=message.pk).update(**fields)
        message.refresh_from_db()
    return message


def again(message: Message) -> Message:
    message.refresh_from_db()
    assert lifecycle.fold(message.logs.values_list("event", "status")) == message.status
    return message


def receipt(message: Message, status: str, code: str = "", attempt: int | None = None) -> int:
    """Stores and applies one; returns how many messages moved."""
    receipts.store(
        provider="fake",
        message_ref=str(message.pk),
        provider_message_id=message.provider_message_id or "SM1",
        status=status,
        payload={},
        error_code=code,
        attempt=attempt,
    )
    return receipts.apply_stored()["moved"]


def test_a_queued_message_is_sent_once(clinic: Clinic, provider: FakeProvider) -> None:
    message = queue(clinic)
    assert deliver(message.pk)
    assert not deliver(message.pk)
    assert len(provider.calls) == 1
    assert again(message).status == Status.SENT
    assert message.provider_message_id
    assert list(message.logs.values_list("event", flat=True)) == ["CREATED", "QUEUED", "SENDING", "SENT"]


def test_the_call_back_address_carries_our_id(clinic: Clinic, provider: FakeProvider) -> None:
    message = queue(clinic)
    deliver(message.pk)
    assert provider.calls[0].callback_url.endswith(f"/webhooks/twilio/status/{message.pk}/?attempt=1")


@pytest.mark.django_db(transaction=True)
def test_no_transaction_is_open_during_the_call(clinic: Clinic, provider: FakeProvider) -> None:
    provider.on_send = lambda _outgoing: pytest.fail("in a transaction") if connection.in_atomic_block else None
    message = queue(clinic)
    assert deliver(message.pk)


def test_a_transient_failure_is_retried_when_due_and_not_before(clinic: Clinic, provider: FakeProvider) -> None:
    provider.script = [error(Kind.TRANSIENT, "20429")]
    message = queue(clinic)
    deliver(message.pk)
    assert again(message).status == Status.FAILED
    assert not deliver(message.pk), "not due yet"
    Message.objects.filter(pk=message.pk).update(next_attempt_at=timezone.now())
    assert deliver(message.pk)
    assert again(message).status == Status.SENT
    assert message.retry_count == 1
    assert "RETRY" in message.logs.values_list("event", flat=True)


def test_retry_after_of_the_provider_is_obeyed(clinic: Clinic, provider: FakeProvider) -> None:
    provider.script = [error(Kind.TRANSIENT, "20429", retry_after=600)]
    message = queue(clinic)
    deliver(message.pk)
    assert again(message).next_attempt_at - timezone.now() > dt.timedelta(seconds=590)


def test_a_dead_number_bounces_and_is_not_retried(clinic: Clinic, provider: FakeProvider) -> None:
    provider.script = [error(Kind.NUMBER, "21211")]
    message = queue(clinic)
    deliver(message.pk)
    assert again(message).status == Status.BOUNCED
    assert message.reason == Reason.CONTACT_UNDELIVERABLE
    assert not message.can_retry()


def test_a_content_error_fails_for_good(clinic: Clinic, provider: FakeProvider) -> None:
    provider.script = [error(Kind.CONTENT, "21617")]
    message = queue(clinic)
    deliver(message.pk)
    assert again(message).status == Status.FAILED
    assert message.next_attempt_at is None


def test_an_ambiguous_outcome_is_unconfirmed_and_never_sent_again(clinic: Clinic, provider: FakeProvider) -> None:
    provider.script = [error(Kind.AMBIGUOUS, "timeout")]
    message = queue(clinic)
    deliver(message.pk)
    assert again(message).status == Status.UNCONFIRMED
    assert not deliver(message.pk)
    sweep_messages_task()
    assert len(provider.calls) == 1


def test_a_receipt_settles_an_unconfirmed_message(clinic: Clinic, provider: FakeProvider) -> None:
    provider.script = [error(Kind.AMBIGUOUS, "timeout")]
    message = queue(clinic)
    deliver(message.pk)
    assert receipt(message, "delivered")
    assert again(message).status == Status.DELIVERED
    assert message.provider_message_id == "SM1"


def test_a_worker_killed_in_mid_send_leaves_unconfirmed_and_no_second_call(
    clinic: Clinic, provider: FakeProvider
) -> None:
    message = queue(clinic)

    def die(_outgoing: object) -> None:
        raise SystemExit

    provider.on_send = die
    with pytest.raises(SystemExit):
        deliver(message.pk)
    assert again(message).status == Status.SENDING
    Message.objects.filter(pk=message.pk).update(lease_expires_at=timezone.now())
    assert sweep_messages_task()["unconfirmed"] == 1
    assert again(message).status == Status.UNCONFIRMED
    provider.on_send = None
    assert not deliver(message.pk)
    assert len(provider.calls) == 1


def test_the_receipt_may_come_before_the_answer(clinic: Clinic, provider: FakeProvider) -> None:
    message = queue(clinic)
    provider.on_send = lambda outgoing: receipt(Message.objects.get(pk=outgoing.message_id), "delivered")
    deliver(message.pk)
    assert again(message).status == Status.DELIVERED
    assert message.provider_message_id


@pytest.mark.parametrize(
    ("change", "status", "reason"),
    [
        ({"sms_enabled": False}, Status.SUPPRESSED, Reason.OPT_OUT_CHANNEL),
        ({"expires": True}, Status.EXPIRED, Reason.PAST_DUE),
        ({"deceased": True}, Status.SUPPRESSED, Reason.DECEASED),
        ({"new_phone": True}, Status.SUPPRESSED, Reason.CONTACT_UNDELIVERABLE),
        ({"suspended": True}, Status.SUPPRESSED, Reason.TENANT_SUSPENDED),
    ],
)
def test_everything_is_checked_again_before_the_call(
    clinic: Clinic, provider: FakeProvider, change: dict[str, bool], status: Status, reason: Reason
) -> None:
    message = queue(clinic)
    match change:
        case {"sms_enabled": value}:
            NotificationPreference.objects.create(tenant=clinic.tenant, patient=clinic.patient, sms_enabled=value)
        case {"expires": True}:
            Message.objects.filter(pk=message.pk).update(expires_at=timezone.now())
        case {"deceased": True}:
            Patient.objects.filter(pk=clinic.patient.pk).update(deceased_at=timezone.localdate())
        case {"new_phone": True}:
            Patient.objects.filter(pk=clinic.patient.pk).update(phone="+966559999999")
        case {"suspended": True}:
            type(clinic.tenant).objects.filter(pk=clinic.tenant.pk).update(is_active=False)
    deliver(message.pk)
    assert provider.calls == []
    assert (again(message).status, message.reason) == (status, reason)


def test_the_sweeper_rings_for_each_lane_with_something_due(
    clinic: Clinic, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    rung: list[Lane] = []
    monkeypatch.setattr("integrations.tasks.ring_for", rung.append)
    queue(clinic, lane=Lane.BULK)
    queue(clinic, lane=Lane.URGENT, next_attempt_at=timezone.now() + dt.timedelta(seconds=9))
    sweep_messages_task()
    assert rung == [Lane.BULK]


def test_the_sweeper_ends_what_is_too_late(clinic: Clinic, provider: FakeProvider) -> None:
    message = queue(clinic, expires_at=timezone.now() - dt.timedelta(minutes=1))
    assert sweep_messages_task()["expired"] == 1
    assert again(message).status == Status.EXPIRED


def test_an_undeliverable_number_bounces_by_receipt(clinic: Clinic, provider: FakeProvider) -> None:
    message = queue(clinic)
    deliver(message.pk)
    receipt(again(message), "sent")
    receipt(message, "undelivered", "30006")
    assert again(message).status == Status.BOUNCED


def test_outsiders_messages_are_delivered_in_their_own_scope(
    clinic: Clinic, other_clinic: Clinic, provider: FakeProvider
) -> None:
    message = MessagingService().send_message(
        tenant_id=other_clinic.tenant.pk, patient_id=other_clinic.patient.pk, channel="SMS", body="x"
    )
    assert deliver(message.pk)
    assert not Message.objects.filter(pk=message.pk).exists(), "not visible from this clinic"


@pytest.mark.parametrize("scope", [Scope.ACCOUNT, Scope.SENDER])
def test_a_provider_that_refuses_our_account_stops_the_lane_and_burns_no_retry(
    clinic: Clinic, provider: FakeProvider, scope: Scope
) -> None:
    provider.script = [error(Kind.CONFIGURATION, "20003", scope=scope)]
    messages = [queue(clinic), queue(clinic)]
    drain(Lane.TRANSACTIONAL)
    for message in messages:
        assert again(message).status == Status.QUEUED
        assert message.retry_count == 0
        Message.objects.filter(pk=message.pk).update(next_attempt_at=timezone.now())
    assert len(provider.calls) == 1
    drain(Lane.TRANSACTIONAL)
    assert len(provider.calls) == 1, "the lane is stopped"
    alert = NotificationEvent.objects.get(key="system.alert")
    process_event(alert.tenant_id, alert.pk)
    rung = Notification.objects.get(event=alert)
    assert (rung.user, rung.notification_type) == (clinic.admin, "ERROR")
    assert "20003" in rung.message


def test_a_refused_setting_that_concerns_one_message_only_fails_it_and_tells_the_admins_once(
    clinic: Clinic, provider: FakeProvider
) -> None:
    provider.script = [error(Kind.CONFIGURATION, "21408", detail="x"), error(Kind.CONFIGURATION, "21408", detail="x")]
    messages = [queue(clinic), queue(clinic)]
    drain(Lane.TRANSACTIONAL)
    assert [again(message).status for message in messages] == [Status.FAILED, Status.FAILED]
    assert NotificationEvent.objects.filter(key="system.alert").count() == 1


def test_ten_thousand_messages_whose_doorbell_was_lost_are_rung_for_once(
    clinic: Clinic, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The broker holds no message, so it has none to lose: one ring makes a worker look for all of them."""
    rung: list[Lane] = []
    monkeypatch.setattr("integrations.tasks.ring_for", rung.append)
    lost = timezone.now() - dt.timedelta(hours=3)
    common = {"tenant": clinic.tenant, "patient": clinic.patient, "channel": "SMS", "notification_type": "GENERAL"}
    Message.objects.bulk_create(
        [Message(**common, language="ar", next_attempt_at=lost, dedupe_key=f"lost:{n}") for n in range(10_000)],
        batch_size=1000,
    )
    sweep_messages_task()
    assert rung == [Lane.TRANSACTIONAL]


@pytest.mark.parametrize("when", ["during the retry", "after the retry"])
def test_a_late_refusal_of_the_first_attempt_does_not_fail_the_second(
    clinic: Clinic, provider: FakeProvider, when: str
) -> None:
    message = queue(clinic)
    deliver(message.pk)
    first_id = again(message).provider_message_id
    receipt(message, "undelivered", "30003")
    Message.objects.filter(pk=message.pk).update(next_attempt_at=timezone.now())

    def late_refusal() -> int:
        receipts.store(
            provider="fake",
            message_ref=str(message.pk),
            provider_message_id=first_id,
            status="failed",
            payload={},
            error_code="30003",
            attempt=1,
        )
        return receipts.apply_stored()["moved"]

    if when == "during the retry":
        provider.on_send = lambda _outgoing: late_refusal()
    deliver(message.pk)
    if when == "after the retry":
        assert not late_refusal()
    assert again(message).status == Status.SENT
    assert message.next_attempt_at is None
    assert len(provider.calls) == 2


# --- Batches --------------------------------------------------------------------------------------------------------


def queue_many(clinic: Clinic, count: int, **fields: object) -> list[Message]:
    rows = [
        Message(
            tenant=clinic.tenant,
            patient=clinic.patient,
            channel="SMS",
            notification_type="GENERAL",
            language="ar",
            recipient=clinic.patient.phone,
            body="مرحبًا",
            dedupe_key=f"many:{clinic.tenant.slug}:{n}",
            **fields,
        )
        for n in range(count)
    ]
    for row in rows:
        lifecycle.create(row)
    return rows


def test_a_drain_sends_all_that_is_due_in_its_lane_and_nothing_of_the_others(
    clinic: Clinic, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "BATCH", 10)
    monkeypatch.setattr(delivery, "QUICK_SECONDS", 0)
    mine, other = queue_many(clinic, 25), queue(clinic, lane=Lane.BULK)
    assert drain(Lane.TRANSACTIONAL) == {"accepted": 25, "left": 0}
    assert provider.batches == [10, 10, 5]
    assert {again(message).status for message in mine} == {Status.SENT}
    assert again(other).status == Status.QUEUED


def test_the_cost_of_a_batch_does_not_grow_with_its_size(
    clinic: Clinic, provider: FakeProvider, django_assert_max_num_queries: Any
) -> None:
    queue_many(clinic, 40)
    with django_assert_max_num_queries(60):
        drain(Lane.TRANSACTIONAL)
    assert len(provider.calls) == 40


def test_tenants_share_a_batch_whatever_their_backlog(
    clinic: Clinic, other_clinic: Clinic, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "BATCH", 20)
    queue_many(clinic, 40)
    with tenant_scope(other_clinic.tenant.pk):
        queue_many(other_clinic, 5)
    drain(Lane.TRANSACTIONAL, seconds=0)
    of_other = [call for call in provider.calls if call.to == other_clinic.patient.phone]
    assert len(of_other) == 5, "the small one is not behind the large one"
    assert len(provider.calls) == 20, "what it did not need, the other one got"


def test_an_attempt_is_open_and_committed_before_the_call_and_closed_after_it(
    clinic: Clinic, provider: FakeProvider
) -> None:
    message = queue(clinic)
    seen: list[tuple[int, str, object]] = []
    provider.on_send = lambda _outgoing: seen.extend(
        MessageAttempt.objects.values_list("number", "outcome", "finished_at")
    )
    deliver(message.pk)
    assert seen == [(1, "", None)]
    attempt = again(message).attempts.get()
    assert (attempt.outcome, attempt.provider_message_id) == (Outcome.ACCEPTED, message.provider_message_id)
    assert attempt.finished_at is not None


def test_what_was_claimed_and_not_called_goes_back_and_counts_no_attempt(
    clinic: Clinic, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provider, "send_many", lambda _outgoings, **_: [])
    message = queue(clinic)
    assert not deliver(message.pk)
    assert again(message).status == Status.QUEUED
    assert (message.attempt_count, message.retry_count, message.attempts.count()) == (0, 0, 0)
    assert message.next_attempt_at > timezone.now()


def test_a_worker_that_lost_its_lease_changes_no_status_but_keeps_the_provider_s_id(
    clinic: Clinic, provider: FakeProvider
) -> None:
    message = queue(clinic)

    def lease_ends(_outgoing: object) -> None:
        Message.objects.filter(pk=message.pk).update(lease_expires_at=timezone.now())
        sweep_messages_task()

    provider.on_send = lease_ends
    deliver(message.pk)
    assert again(message).status == Status.UNCONFIRMED
    assert message.provider_message_id
    assert message.attempts.get().provider_message_id == message.provider_message_id


def test_answers_outlive_a_database_that_is_away_for_a_moment(
    clinic: Clinic, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, tries = recording._record, []

    def flaky(*args: Any) -> None:
        tries.append(1)
        if len(tries) < 3:
            raise OperationalError("the database is restarting")
        real(*args)

    monkeypatch.setattr(recording, "_record", flaky)
    monkeypatch.setattr(recording, "_reconnect", lambda: None)
    message = queue(clinic)
    deliver(message.pk)
    assert again(message).status == Status.SENT
    assert len(provider.calls) == 1


def test_a_suppressed_address_stops_even_what_is_queued(clinic: Clinic, provider: FakeProvider) -> None:
    message = queue(clinic)
    suppress(tenant_id=clinic.tenant.pk, channel="SMS", address=message.recipient, reason=Reason.OPTED_OUT)
    deliver(message.pk)
    assert provider.calls == []
    assert (again(message).status, message.reason) == (Status.SUPPRESSED, Reason.OPTED_OUT)


@pytest.mark.parametrize(
    ("kind", "reason"), [(Kind.NUMBER, Reason.CONTACT_UNDELIVERABLE), (Kind.OPTED_OUT, Reason.OPTED_OUT)]
)
def test_an_address_that_the_provider_calls_dead_or_opted_out_is_not_written_to_again(
    clinic: Clinic, provider: FakeProvider, kind: Kind, reason: Reason
) -> None:
    provider.script = [error(kind, "x")]
    deliver(queue(clinic).pk)
    assert queue(clinic).reason == reason


def test_a_refusal_within_a_batch_concerns_its_message_only(clinic: Clinic, provider: FakeProvider) -> None:
    provider.script = [None, error(Kind.CONTENT, "21617"), error(Kind.AMBIGUOUS, "reset"), error(Kind.TRANSIENT, "x")]
    messages = [queue(clinic) for _ in range(5)]
    assert drain(Lane.TRANSACTIONAL) == {"accepted": 2, "content": 1, "ambiguous": 1, "transient": 1, "left": 0}
    assert [again(message).status for message in messages] == [
        Status.SENT,
        Status.FAILED,
        Status.UNCONFIRMED,
        Status.FAILED,
        Status.SENT,
    ]


def test_a_provider_that_says_too_many_slows_the_sender_down(clinic: Clinic, provider: FakeProvider) -> None:
    provider.script = [error(Kind.TRANSIENT, "20429", response={"status": 429}, retry_after=30)]
    first = queue(clinic)
    deliver(first.pk)
    second = queue(clinic)
    assert drain(Lane.TRANSACTIONAL) == {"left": 0}
    assert again(second).status == Status.QUEUED


def test_the_second_provider_carries_what_the_first_one_cannot(
    clinic: Clinic, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    second = FakeProvider(name="second")
    monkeypatch.setattr(sms_providers, "providers_for", lambda _channel: [provider, second])
    monkeypatch.setattr(sms_providers, "get", {"fake": provider, "second": second}.__getitem__)
    provider.script = [error(Kind.TRANSIENT, "refused")] * 5 + [error(Kind.AMBIGUOUS, "reset")]
    down = [queue(clinic) for _ in range(6)]
    drain(Lane.TRANSACTIONAL)
    Message.objects.filter(status=Status.FAILED).update(next_attempt_at=timezone.now())
    drain(Lane.TRANSACTIONAL)
    assert len(second.calls) == 5, "those that were proven not sent"
    assert [again(message).status for message in down] == [Status.SENT] * 5 + [Status.UNCONFIRMED]
    assert {call.message_id for call in second.calls}.isdisjoint({str(down[5].pk)})


def test_a_process_that_was_frozen_after_its_claim_calls_nobody(
    clinic: Clinic, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = queue(clinic)
    claim = lifecycle.claim

    def then_freeze(*args: Any, **kwargs: Any) -> list[Message]:
        rows = claim(*args, **kwargs)
        for row in rows:
            row.lease_expires_at -= dt.timedelta(seconds=30)
        return rows

    monkeypatch.setattr(lifecycle, "claim", then_freeze)
    deliver(message.pk)
    assert provider.calls == []
    assert again(message).status == Status.QUEUED


def test_batches_grow_while_they_are_quick_and_shrink_when_they_are_slow() -> None:
    assert [delivery._next_size(100, took) for took in (0.1, 0.7, 5.0)] == [200, 100, 50]
    assert delivery._next_size(delivery.MOST, 0.1) == delivery.MOST
    assert delivery._next_size(delivery.LEAST, 20.0) == delivery.LEAST


@pytest.mark.parametrize(("refused", "pauses"), [(1, [1.0]), (4, [None])], ids=["a few", "many"])
def test_a_few_too_many_cost_a_breath_and_many_the_wait_that_doubles(
    clinic: Clinic, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch, refused: int, pauses: list[float | None]
) -> None:
    seen: list[float | None] = []
    monkeypatch.setattr(rates, "pause", lambda *, seconds, **_: seen.append(seconds))
    provider.script = [error(Kind.TRANSIENT, "20429", response={"status": 429})] * refused
    queue_many(clinic, 10)
    drain(Lane.TRANSACTIONAL, seconds=0)
    assert seen == pauses
