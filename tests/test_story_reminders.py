"""What waits for its time, through real processes: no broker message carries it, the sweeps of beat find the rows."""

from __future__ import annotations

import datetime as dt

import pytest
from django.utils import timezone

from appointments.models import FamilyNews, Reminder, ReminderTiming
from conftest import Clinic
from notifications.models import Message, Notification, NotificationEvent
from notifications.states import Status
from tests.factories import PatientFactory
from tests.processes import House, house, wait_for
from tests.test_story import book, delivered, messages, noor

__all__ = ["house", "noor"]
pytestmark = [pytest.mark.worker, pytest.mark.django_db(transaction=True)]


def test_a_booking_rests_and_siblings_are_reminded_in_one_message(
    house: House, noor: Clinic, ten_oclock: dt.datetime
) -> None:
    ReminderTiming.objects.update(undo_minutes=3)
    brother = PatientFactory(tenant=noor.tenant, name_en="Omar", phone=noor.patient.phone, email=noor.patient.email)
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

    # Preferences differ (WhatsApp, SMS), so these two would be told apart; alike, they are told in one.
    noor.patient.preference.delete()
    ReminderTiming.objects.update(recent_hours=0)
    # As on the day before: the brother's is due an hour later, and comes along.
    an_hour_later = timezone.now() + dt.timedelta(hours=1)
    Reminder.objects.filter(appointment=second, kind="24H").update(due_at=an_hour_later)
    Reminder.objects.filter(appointment=first, kind="24H").update(due_at=timezone.now())
    rows = Message.objects.filter(event__key="appointment.reminder_together", status__in=["SENT", "DELIVERED", "READ"])
    wait_for(rows.exists, seconds=90, what="one reminder for both")
    assert Message.objects.filter(event__key="appointment.reminder_24h").count() == 0
    assert FamilyNews.objects.get().visits.count() == 2
    assert set(Reminder.objects.filter(kind="24H").values_list("status", flat=True)) == {"SENT"}
