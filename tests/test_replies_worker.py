"""A reply through real processes: the sandbox's phone, the web's webhook, a worker, and the answer on the phone."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import pytest

from appointments import services
from appointments.models import Appointment
from conftest import Clinic, make_clinic
from core.tenancy import tenant_scope
from notifications import default_words, replies
from notifications.models import InboundMessage, Message, NotificationEvent, NotificationPreference
from notifications.states import Status
from tests.processes import House, house, wait_for

__all__ = ["house"]
pytestmark = [pytest.mark.worker, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def noor(house: House) -> Iterator[Clinic]:
    made = make_clinic("noor")
    with tenant_scope(made.tenant.pk):
        default_words.install(made.tenant.pk)
        NotificationPreference.objects.create(tenant=made.tenant, patient=made.patient, preferred_channel="WHATSAPP")
        yield made


def test_a_reply_is_understood_and_answered_by_a_worker(house: House, noor: Clinic, ten_oclock: dt.datetime) -> None:
    """Without a doorbell: the sweeper finds what the web has stored, as after a broker that was away."""
    house.start_worker()
    house.start_beat()
    visit = services.appointment_book(
        actor=noor.front_desk,
        patient=noor.patient,
        provider=noor.provider,
        location=noor.location,
        department=noor.department,
        starts_at=ten_oclock,
        duration=dt.timedelta(minutes=30),
    )
    # What rests so that it can be undone need not be waited for here.
    NotificationEvent.objects.filter(processed_at=None).update(due_at=None)
    asked = Message.objects.filter(object_id=visit.pk, channel="WHATSAPP", status__in=[Status.DELIVERED, Status.READ])
    wait_for(asked.exists, seconds=90, what="the question is on the phone")

    replies.receive(
        provider="sandbox",
        channel="WHATSAPP",
        sender=noor.patient.phone,
        to="",
        body="١",
        provider_message_id="SMreply1",
    )
    wait_for(
        lambda: Appointment.objects.get(pk=visit.pk).status == "CONFIRMED", seconds=60, what="the worker has confirmed"
    )
    reply = InboundMessage.objects.get()
    answer = Message.objects.filter(dedupe_key=f"reply:{reply.pk}", status__in=[Status.DELIVERED, Status.READ])
    wait_for(answer.exists, seconds=60, what="the acknowledgement is on the phone")
    assert reply.outcome == "CONFIRMED"
