"""A message that cannot reach its address goes on over the next channel: once, and as one conversation."""

from __future__ import annotations

import datetime as dt

import pytest
import time_machine
from django.utils import timezone

from appointments import services
from appointments.models import Reminder
from appointments.reminders import send_due_reminders
from conftest import Clinic
from core.tasks import sweep_events_task
from integrations.delivery import deliver, drain
from integrations.fanout import process_event
from integrations.messaging_service import MessagingService
from integrations.sms_providers import Kind, LookUp, ProviderError
from integrations.tasks import sweep_messages_task
from integrations.tests.fakes import FakeProvider, error
from notifications import default_words, receipts
from notifications.models import Message, Notification, NotificationEvent, NotificationPreference, SenderCapability
from notifications.states import RECEIPT_WITHIN, Lane, NotificationType, Reason, Status


@pytest.fixture
def reminder(clinic: Clinic, ten_oclock: dt.datetime) -> Message:
    """The 24 h reminder of a visit, as it was queued: SMS first, then WhatsApp, then email."""
    default_words.install(clinic.tenant.pk)
    services.appointment_book(
        actor=clinic.front_desk,
        patient=clinic.patient,
        provider=clinic.provider,
        location=clinic.location,
        department=clinic.department,
        starts_at=ten_oclock,
        duration=dt.timedelta(minutes=30),
    )
    Reminder.objects.filter(kind="24H").update(due_at=timezone.now())
    assert send_due_reminders()["sent"] == 1
    event = NotificationEvent.objects.get(key="appointment.reminder_24h")
    process_event(event.tenant_id, event.pk)
    return Message.objects.get(event=event)


def copies(message: Message) -> list[tuple[str, str]]:
    rows = Message.objects.filter(conversation_id=message.conversation_id).order_by("created_at")
    return [(row.channel, row.status) for row in rows]


def last(message: Message) -> Message:
    return Message.objects.filter(conversation_id=message.conversation_id).order_by("-created_at")[0]


def report(message: Message, word: str, code: str = "") -> None:
    """The provider's receipt for the message's last attempt."""
    message.refresh_from_db()
    receipts.store(
        provider="fake",
        message_ref=str(message.pk),
        provider_message_id=message.provider_message_id,
        status=word,
        payload={},
        error_code=code,
        attempt=message.attempt_count,
    )
    receipts.apply_stored()


def test_the_chain_is_sms_whatsapp_email(clinic: Clinic, provider: FakeProvider, reminder: Message) -> None:
    provider.script = [error(Kind.NUMBER, "21211"), error(Kind.NUMBER, "63024")]
    deliver(reminder.pk)
    assert copies(reminder) == [("SMS", Status.BOUNCED), ("WHATSAPP", Status.QUEUED)]
    deliver(last(reminder).pk)
    deliver(last(reminder).pk)
    assert copies(reminder) == [("SMS", Status.BOUNCED), ("WHATSAPP", Status.BOUNCED), ("EMAIL", Status.SENT)]
    assert "FALLBACK" in reminder.logs.values_list("event", flat=True)
    assert last(reminder).logs.first().provider_response["instead_of"] == "WHATSAPP"


def test_the_copy_has_the_locations_own_sender(clinic: Clinic, provider: FakeProvider, reminder: Message) -> None:
    type(clinic.location).objects.filter(pk=clinic.location.pk).update(whatsapp_sender="+966112345678")
    provider.script = [error(Kind.NUMBER, "21211")]
    deliver(reminder.pk)
    assert (reminder.sender, last(reminder).sender) == ("CLINIC", "+966112345678")


def test_a_failure_that_will_be_retried_changes_no_channel(
    clinic: Clinic, provider: FakeProvider, reminder: Message
) -> None:
    provider.script = [error(Kind.TRANSIENT, "20429")]
    deliver(reminder.pk)
    sweep_messages_task()
    assert copies(reminder) == [("SMS", Status.FAILED)]


def test_an_unknown_outcome_changes_no_channel_at_once(
    clinic: Clinic, provider: FakeProvider, reminder: Message
) -> None:
    provider.script = [error(Kind.AMBIGUOUS, "timeout")]
    deliver(reminder.pk)
    sweep_messages_task()
    assert copies(reminder) == [("SMS", Status.UNCONFIRMED)]


@pytest.mark.parametrize("outcome", [None, error(Kind.AMBIGUOUS, "timeout")], ids=["sent", "unconfirmed"])
def test_without_a_receipt_in_time_the_next_channel_takes_over_once(
    clinic: Clinic, provider: FakeProvider, reminder: Message, outcome: ProviderError | None
) -> None:
    provider.script = [outcome]
    deliver(reminder.pk)
    reminder.refresh_from_db()
    wait = reminder.fallback_due_at - timezone.now()
    assert wait <= RECEIPT_WITHIN[NotificationType.REMINDER]
    Message.objects.filter(pk=reminder.pk).update(fallback_due_at=timezone.now())
    assert [sweep_messages_task()["fell_back"] for _ in range(2)] == [1, 0]
    assert [channel for channel, _status in copies(reminder)] == ["SMS", "WHATSAPP"]


def test_a_sender_without_reports_is_not_doubted_for_its_silence(
    clinic: Clinic, provider: FakeProvider, reminder: Message
) -> None:
    deliver(reminder.pk)
    reminder.refresh_from_db()
    SenderCapability.objects.create(tenant=clinic.tenant, channel="SMS", sender=reminder.sender, dlr=False)
    Message.objects.filter(pk=reminder.pk).update(fallback_due_at=timezone.now())
    assert [sweep_messages_task()["fell_back"] for _ in range(2)] == [0, 0]
    assert [channel for channel, _status in copies(reminder)] == ["SMS"]


def test_a_late_delivery_of_the_first_withdraws_the_waiting_copy_and_no_third_is_sent(
    clinic: Clinic, provider: FakeProvider, reminder: Message
) -> None:
    deliver(reminder.pk)
    Message.objects.filter(pk=reminder.pk).update(fallback_due_at=timezone.now())
    sweep_messages_task()
    report(reminder, "delivered")
    assert copies(reminder) == [("SMS", Status.DELIVERED), ("WHATSAPP", Status.CANCELLED)]
    assert last(reminder).reason == Reason.DELIVERED_OTHERWISE
    assert sweep_messages_task()["fell_back"] == 0


def test_a_late_delivery_of_the_first_marks_the_copy_that_is_out_already(
    clinic: Clinic, provider: FakeProvider, reminder: Message
) -> None:
    deliver(reminder.pk)
    Message.objects.filter(pk=reminder.pk).update(fallback_due_at=timezone.now())
    sweep_messages_task()
    deliver(last(reminder).pk)
    assert last(reminder).fallback_due_at is not None
    report(reminder, "delivered")
    assert last(reminder).fallback_due_at is None
    assert last(reminder).logs.last().provider_response["delivered_by"] == "SMS"


def test_a_message_that_arrived_needs_no_other_channel(
    clinic: Clinic, provider: FakeProvider, reminder: Message
) -> None:
    deliver(reminder.pk)
    report(reminder, "delivered")
    reminder.refresh_from_db()
    assert reminder.fallback_due_at is None


def test_a_bounce_by_receipt_falls_back_with_the_next_sweep_and_only_once(
    clinic: Clinic, provider: FakeProvider, reminder: Message
) -> None:
    deliver(reminder.pk)
    report(reminder, "undelivered", "30006")
    assert sweep_messages_task()["fell_back"] == 1
    assert sweep_messages_task()["fell_back"] == 0
    assert copies(reminder) == [("SMS", Status.BOUNCED), ("WHATSAPP", Status.QUEUED)]


def test_a_channel_that_the_patient_switched_off_is_passed_over(
    clinic: Clinic, provider: FakeProvider, reminder: Message
) -> None:
    NotificationPreference.objects.create(tenant=clinic.tenant, patient=clinic.patient, whatsapp_enabled=False)
    provider.script = [error(Kind.NUMBER, "21211")]
    deliver(reminder.pk)
    assert copies(reminder) == [("SMS", Status.BOUNCED), ("EMAIL", Status.QUEUED)]


def test_a_visit_that_was_cancelled_meanwhile_is_reminded_of_over_no_channel(
    clinic: Clinic, provider: FakeProvider, reminder: Message
) -> None:
    provider.on_send = lambda _outgoing: services.appointment_cancel(
        appointment_id=reminder.object_id, actor=clinic.front_desk, reason="x"
    )
    provider.script = [error(Kind.NUMBER, "21211")]
    deliver(reminder.pk)
    provider.on_send = None
    assert copies(reminder)[1] == ("WHATSAPP", Status.CANCELLED)
    deliver(last(reminder).pk)
    assert len(provider.calls) == 1
    assert Message.objects.filter(conversation_id=reminder.conversation_id, status=Status.SENT).count() == 0


def test_the_status_can_be_asked_for_by_hand(clinic: Clinic, provider: FakeProvider, reminder: Message) -> None:
    deliver(reminder.pk)
    provider.found = LookUp(status="delivered", provider_message_id="SM1")
    assert MessagingService().update_message_status(reminder.pk).status == Status.DELIVERED


def test_an_opt_out_at_the_provider_is_final_and_says_so(
    clinic: Clinic, provider: FakeProvider, reminder: Message
) -> None:
    provider.script = [error(Kind.OPTED_OUT, "21610")]
    deliver(reminder.pk)
    reminder.refresh_from_db()
    assert (reminder.status, reminder.reason) == (Status.FAILED, Reason.OPTED_OUT)
    assert reminder.next_attempt_at is None


def test_after_an_outage_of_four_hours_no_stale_reminder_leaves_and_the_admin_gets_one_summary(
    clinic: Clinic, provider: FakeProvider, reminder: Message
) -> None:
    """Everything of ours was down, neither a worker nor the sweeper ran, until it was no longer of use."""
    outage = dt.timedelta(hours=4)
    Message.objects.filter(pk=reminder.pk).update(expires_at=timezone.now() + outage - dt.timedelta(minutes=1))
    with time_machine.travel(timezone.now() + outage, tick=False) as clock:
        drain(Lane.URGENT)
        drain(Lane.TRANSACTIONAL)
        assert provider.calls == []
        reminder.refresh_from_db()
        assert (reminder.status, reminder.reason) == (Status.EXPIRED, Reason.PAST_DUE)
        assert [channel for channel, _status in copies(reminder)] == ["SMS"], "nor over another channel"
        sweep_messages_task()
        sweep_events_task()
        clock.shift(dt.timedelta(minutes=3))
        sweep_messages_task()
        sweep_messages_task()
        alert = NotificationEvent.objects.get(key="system.alert")
        process_event(alert.tenant_id, alert.pk)
    assert Notification.objects.get(event=alert).user == clinic.admin
