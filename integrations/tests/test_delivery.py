from __future__ import annotations

import datetime as dt

import pytest
from django.db import connection
from django.utils import timezone

from conftest import Clinic
from core.models import Patient
from integrations.delivery import deliver
from integrations.fanout import process_event
from integrations.messaging_service import MessagingService
from integrations.sms_providers import Kind
from integrations.tasks import provider_sync_task, sweep_messages_task
from integrations.tests.fakes import FakeProvider, error
from notifications import lifecycle, receipts
from notifications.models import Message, Notification, NotificationEvent, NotificationPreference, ProviderReceipt
from notifications.states import Reason, Status


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


def receipt(message: Message, status: str, code: str = "") -> bool:
    stored = receipts.store(
        provider="fake",
        message_ref=str(message.pk),
        provider_message_id=message.provider_message_id or "SM1",
        status=status,
        payload={"ErrorCode": code} if code else {},
    )
    return receipts.apply(stored.pk)


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
    assert provider.calls[0].callback_url.endswith(f"/webhooks/twilio/status/{message.pk}/")


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


def test_proven_absence_allows_another_try(clinic: Clinic, provider: FakeProvider) -> None:
    provider.script = [error(Kind.AMBIGUOUS, "timeout")]
    message = queue(clinic)
    deliver(message.pk)
    Message.objects.filter(pk=message.pk).update(next_check_at=timezone.now())
    assert provider_sync_task() == {"asked": 1, "moved": 1}
    assert again(message).status == Status.FAILED
    assert message.next_attempt_at is not None


def test_a_provider_that_cannot_tell_leaves_it_unconfirmed(clinic: Clinic, provider: FakeProvider) -> None:
    provider.script = [error(Kind.AMBIGUOUS, "timeout")]
    provider.found = error(Kind.AMBIGUOUS, "timeout")
    message = queue(clinic)
    deliver(message.pk)
    Message.objects.filter(pk=message.pk).update(next_check_at=timezone.now())
    provider_sync_task()
    assert again(message).status == Status.UNCONFIRMED
    assert message.next_check_at > timezone.now()


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


def test_the_sweeper_drives_what_the_broker_lost_and_not_what_is_fresh(
    clinic: Clinic, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    rung: list[str] = []
    monkeypatch.setattr("integrations.tasks.publish", lambda _task, pk: rung.append(pk) or True)
    fresh, lost = queue(clinic), queue(clinic)
    Message.objects.filter(pk=lost.pk).update(next_attempt_at=timezone.now() - dt.timedelta(seconds=11))
    assert sweep_messages_task()["driven"] == 1
    assert rung == [str(lost.pk)]
    sweep_messages_task()
    assert rung == [str(lost.pk)], "left alone for half a minute"
    assert again(fresh).status == Status.QUEUED


def test_the_sweeper_ends_what_is_too_late(clinic: Clinic, provider: FakeProvider) -> None:
    message = queue(clinic, expires_at=timezone.now() - dt.timedelta(minutes=1))
    assert sweep_messages_task()["expired"] == 1
    assert again(message).status == Status.EXPIRED


def test_an_unknown_id_is_stored(clinic: Clinic, provider: FakeProvider) -> None:
    stored = receipts.store(
        provider="fake", message_ref="nonsense", provider_message_id="SMx", status="sent", payload={}
    )
    assert not receipts.apply(stored.pk)
    assert ProviderReceipt.objects.get().message is None


def test_the_same_receipt_twice_is_one_row(clinic: Clinic, provider: FakeProvider) -> None:
    message = queue(clinic)
    deliver(message.pk)
    assert receipt(message, "delivered")
    assert not receipt(message, "delivered")
    assert ProviderReceipt.objects.count() == 1
    assert message.logs.filter(event="DELIVERED").count() == 1


def test_an_undeliverable_number_bounces_by_receipt(clinic: Clinic, provider: FakeProvider) -> None:
    message = queue(clinic)
    deliver(message.pk)
    receipt(message, "sent")
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


def test_a_provider_that_refuses_our_account_tells_the_admins_once(clinic: Clinic, provider: FakeProvider) -> None:
    provider.script = [error(Kind.CONFIGURATION, "20003"), error(Kind.CONFIGURATION, "20003")]
    for message in (queue(clinic), queue(clinic)):
        deliver(message.pk)
        assert again(message).status == Status.FAILED
    event = NotificationEvent.objects.get(key="system.alert")
    process_event(event.tenant_id, event.pk)
    rung = Notification.objects.get(event=event)
    assert (rung.user, rung.notification_type) == (clinic.admin, "ERROR")
    assert "20003" in rung.message
    assert "الرسائل النصية" in rung.title_ar


def test_ten_thousand_lost_messages_are_driven_within_a_minute(
    clinic: Clinic, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    rung: list[str] = []
    monkeypatch.setattr("integrations.tasks.publish", lambda _task, pk: rung.append(pk) or True)
    lost = timezone.now() - dt.timedelta(minutes=1)
    Message.objects.bulk_create(
        [
            Message(
                tenant=clinic.tenant,
                patient=clinic.patient,
                channel="SMS",
                notification_type="GENERAL",
                language="ar",
                next_attempt_at=lost,
                dedupe_key=f"lost:{n}",
            )
            for n in range(10_000)
        ],
        batch_size=1000,
    )
    ticks = [sweep_messages_task()["driven"] for _ in range(6)]
    assert sum(ticks) == 10_000
    assert len(set(rung)) == 10_000, "each once"


@pytest.mark.parametrize("when", ["during the retry", "after the retry"])
def test_a_late_refusal_of_the_first_attempt_does_not_fail_the_second(
    clinic: Clinic, provider: FakeProvider, when: str
) -> None:
    message = queue(clinic)
    deliver(message.pk)
    first_id = again(message).provider_message_id
    receipt(message, "undelivered", "30003")
    Message.objects.filter(pk=message.pk).update(next_attempt_at=timezone.now())

    def late_refusal() -> bool:
        stored = receipts.store(
            provider="fake",
            message_ref=str(message.pk),
            provider_message_id=first_id,
            status="failed",
            payload={"ErrorCode": "30003"},
        )
        return receipts.apply(stored.pk)

    if when == "during the retry":
        provider.on_send = lambda _outgoing: late_refusal()
    deliver(message.pk)
    if when == "after the retry":
        assert not late_refusal()
    assert again(message).status == Status.SENT
    assert message.next_attempt_at is None
    assert len(provider.calls) == 2


def test_an_unknown_retry_is_not_judged_by_the_attempt_before_it(clinic: Clinic, provider: FakeProvider) -> None:
    message = queue(clinic)
    deliver(message.pk)
    receipt(again(message), "undelivered", "30003")
    Message.objects.filter(pk=message.pk).update(next_attempt_at=timezone.now())
    provider.script = [error(Kind.AMBIGUOUS, "timeout")]
    deliver(message.pk)
    assert again(message).status == Status.UNCONFIRMED
    Message.objects.filter(pk=message.pk).update(next_check_at=timezone.now())
    provider.found = error(Kind.AMBIGUOUS, "timeout")
    provider_sync_task()
    assert provider.asked[-1]["provider_message_id"] == ""
