"""What waits for its time, through real processes: no broker message carries it, the sweeps of beat find the rows."""

from __future__ import annotations

import datetime as dt

import pytest
from django.utils import timezone

from appointments.models import ReminderTiming
from conftest import Clinic
from notifications.models import Notification, NotificationEvent
from notifications.states import Status
from tests.factories import PatientFactory
from tests.processes import House, house, wait_for
from tests.test_story import book, delivered, messages, noor

__all__ = ["house", "noor"]
pytestmark = [pytest.mark.worker, pytest.mark.django_db(transaction=True)]


def test_a_booking_rests_and_is_then_told_by_the_sweep(house: House, noor: Clinic, ten_oclock: dt.datetime) -> None:
    ReminderTiming.objects.update(undo_minutes=3)
    brother = PatientFactory(tenant=noor.tenant, name_en="Omar", phone=noor.patient.phone, email="")
    house.start_worker()
    house.start_beat()
    first = book(noor, ten_oclock)
    second = book(noor, ten_oclock + dt.timedelta(hours=1), patient=brother)
    rung = Notification.objects.filter(user=noor.provider, event_key="appointment.new")
    wait_for(lambda: rung.count() > 0, seconds=90, what="the provider's bell has the booking")
    assert messages(first, "appointment.booked") == {}, "the provider knows, the patient not yet"
    # Three minutes later, for a test that has other things to do: for one of them, and the other goes its own way.
    NotificationEvent.objects.filter(key="appointment.booked", object_id=second.pk).update(processed_at=timezone.now())
    NotificationEvent.objects.filter(key="appointment.booked", object_id=first.pk).update(due_at=timezone.now())
    delivered(first, "appointment.booked", "WHATSAPP", Status.READ, seconds=60)
