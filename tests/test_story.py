"""The story, through real processes: a worker, beat and the sandbox, on the database and broker of this run."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterator

import pytest
import requests
from django.conf import settings
from django.utils import timezone

from appointments import services
from appointments.models import Appointment, Reminder, ReminderTiming
from conftest import Clinic, make_clinic
from core.tenancy import tenant_scope
from integrations.tasks import sweep_messages_task
from notifications import default_words, lifecycle
from notifications.models import Message, Notification, NotificationPreference
from notifications.states import Status
from tests.processes import House, house, wait_for

__all__ = ["house"]
pytestmark = [pytest.mark.worker, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def noor(house: House) -> Iterator[Clinic]:
    """A clinic with words, and a patient who reads Arabic and prefers WhatsApp."""
    made = make_clinic("noor")
    with tenant_scope(made.tenant.pk):
        default_words.install(made.tenant.pk)
        NotificationPreference.objects.create(tenant=made.tenant, patient=made.patient, preferred_channel="WHATSAPP")
        yield made


def book(clinic: Clinic, starts_at: dt.datetime, **fields: object) -> Appointment:
    wishes = {
        "actor": clinic.front_desk,
        "patient": clinic.patient,
        "provider": clinic.provider,
        "location": clinic.location,
        "department": clinic.department,
        "starts_at": starts_at,
        "duration": dt.timedelta(minutes=30),
    }
    return services.appointment_book(**(wishes | fields))


def messages(appointment: Appointment, key: str) -> dict[str, Message]:
    """The patient's messages of one event, by channel."""
    rows = Message.objects.filter(object_id=appointment.pk, event__key=key, patient__isnull=False)
    return {row.channel: row for row in rows}


def timeline(message: Message) -> list[str]:
    return list(message.logs.values_list("event", flat=True))


def delivered(appointment: Appointment, key: str, channel: str, status: Status, *, seconds: float = 30) -> None:
    def there() -> bool:
        row = messages(appointment, key).get(channel)
        return row is not None and row.status == status

    wait_for(there, seconds=seconds, what=f"{key} by {channel} is {status}")


def bell(clinic: Clinic, key: str) -> Notification:
    rows = Notification.objects.filter(user=clinic.provider, event_key=key)
    wait_for(rows.exists, seconds=15, what=f"the provider's bell has {key}")
    return rows.get()


def test_from_booking_to_the_patients_phone_and_the_providers_bell(
    house: House, noor: Clinic, ten_oclock: dt.datetime
) -> None:
    house.start_worker()
    house.start_beat()
    visit = book(noor, ten_oclock)
    bell(noor, "appointment.new")

    services.appointment_confirm(appointment_id=visit.pk, actor=noor.front_desk)
    delivered(visit, "appointment.confirmed", "WHATSAPP", Status.READ)
    delivered(visit, "appointment.confirmed", "EMAIL", Status.SENT)
    whatsapp = messages(visit, "appointment.confirmed")["WHATSAPP"]
    assert timeline(whatsapp) == ["CREATED", "QUEUED", "SENDING", "SENT", "DELIVERED", "READ"]
    assert whatsapp.provider_message_id.startswith("SM")
    assert whatsapp.language == "ar"
    assert noor.patient.name_ar in whatsapp.body

    services.appointment_reschedule(
        appointment_id=visit.pk,
        actor=noor.front_desk,
        starts_at=ten_oclock + dt.timedelta(days=1),
        reason="الطبيب مسافر",
    )
    delivered(visit, "appointment.rescheduled", "WHATSAPP", Status.READ)
    bell(noor, "appointment.rescheduled")
    by_version = {
        version: set(Reminder.objects.filter(appointment=visit, version=version).values_list("status", flat=True))
        for version in (1, 2)
    }
    assert by_version == {1: {"CANCELLED"}, 2: {"PLANNED"}}

    services.appointment_arrive(appointment_id=visit.pk, actor=noor.front_desk)
    arrived = bell(noor, "appointment.arrived")
    assert arrived.message, "clearance and consent"
    services.appointment_start(appointment_id=visit.pk, actor=noor.provider)
    services.appointment_complete(appointment_id=visit.pk, actor=noor.provider, next_steps="زيارة بعد شهر")
    delivered(visit, "appointment.completed", "EMAIL", Status.SENT)
    assert "زيارة بعد شهر" in messages(visit, "appointment.completed")["EMAIL"].body
    assert set(messages(visit, "appointment.completed")) == {"EMAIL"}

    other = book(noor, ten_oclock)
    services.appointment_cancel(appointment_id=other.pk, actor=noor.front_desk, reason="عطل في العيادة")
    delivered(other, "appointment.cancelled", "WHATSAPP", Status.READ)
    assert not Message.objects.exclude(status__in=["SENT", "DELIVERED", "READ", "CANCELLED"]).exists()
    for message in Message.objects.all():
        assert lifecycle.fold(message.logs.values_list("event", "status")) == message.status


def test_a_reminder_that_is_due_leaves_by_beat_and_a_cancelled_one_does_not(
    house: House, noor: Clinic, ten_oclock: dt.datetime
) -> None:
    kept = book(noor, ten_oclock)
    dropped = book(noor, ten_oclock + dt.timedelta(hours=1))
    services.appointment_cancel(appointment_id=dropped.pk, actor=noor.front_desk, reason="x")
    house.start_worker()
    delivered(kept, "appointment.booked", "WHATSAPP", Status.READ, seconds=90)
    # Who has just read of the visit would not be reminded of it.
    ReminderTiming.objects.update(recent_hours=0)
    Reminder.objects.filter(kind="24H").update(due_at=timezone.now())
    house.start_beat()
    # Beat looks every twenty seconds.
    delivered(kept, "appointment.reminder_24h", "WHATSAPP", Status.READ, seconds=60)
    assert messages(dropped, "appointment.reminder_24h") == {}


def test_a_worker_killed_in_mid_send_sends_nothing_twice(house: House, noor: Clinic) -> None:
    from integrations.messaging_service import MessagingService

    # This number's provider accepts and then hangs (the sandbox's table of magic numbers).
    type(noor.patient).objects.filter(pk=noor.patient.pk).update(phone="+966501110005")
    house.start_worker()
    message = MessagingService().send_message(
        tenant_id=noor.tenant.pk, patient_id=noor.patient.pk, channel="SMS", body="مرحبًا"
    )
    rows = Message.objects.filter(pk=message.pk)
    wait_for(lambda: _sandbox_count("+966501110005") == 1, seconds=20, what="the provider has accepted")
    house.kill("worker")
    if rows.get().status == Status.SENDING:
        rows.update(lease_expires_at=timezone.now())
        sweep_messages_task()
    house.start_worker()
    house.start_beat()
    wait_for(lambda: rows.get().status == Status.DELIVERED, seconds=30, what="the receipt settles it")
    time.sleep(1)
    assert _sandbox_count("+966501110005") == 1


def test_an_event_reaches_the_bell_within_a_second(house: House, noor: Clinic, ten_oclock: dt.datetime) -> None:
    house.start_worker()
    first = book(noor, ten_oclock)
    rows = Notification.objects.filter(user=noor.provider, event_key="appointment.new")
    wait_for(rows.exists, seconds=20, what="the worker has started")
    began = time.monotonic()
    second = book(noor, first.ends_at)
    wait_for(lambda: rows.filter(related_object_id=second.pk).exists(), seconds=10, what="the bell has it")
    # The measured figure is bin/bench's; here only that no sweep was needed.
    assert time.monotonic() - began < 5


def _sandbox_count(number: str) -> int:
    from integrations.sandbox import account

    answer = requests.get(
        f"{settings.SANDBOX_URL}/2010-04-01/Accounts/{account.SID}/Messages.json",
        params={"To": number},
        auth=(account.SID, account.TOKEN),
        timeout=5,
    )
    return len(answer.json()["messages"])
