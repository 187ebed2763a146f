"""The patient's link from the verb to the provider: it is sent, opened, pressed, and what is said afterwards has changed.

Scenarios 2 and 3 of the clinic's facts, and the nastier ones around them.
"""

from __future__ import annotations

import datetime as dt
import re

import pytest
import time_machine
from django.test import Client
from django.urls import reverse

from appointments import services
from appointments.models import Appointment, AppointmentEvent, ConfirmationToken
from appointments.reminders import send_due_reminders
from appointments.tests.test_booking import book
from appointments.tests.test_views_link import press
from conftest import Clinic
from core.models import Patient, TenantSettings
from integrations import delivery
from integrations.fanout import process_event
from integrations.tests.fakes import FakeProvider, provider
from notifications import default_words
from notifications.models import DeskTask, Message, Notification, NotificationEvent
from notifications.states import Lane

__all__ = ["provider"]

S = Appointment.Status
# What fetches every address it sees: messengers' previews, mail scanners, a browser that loads ahead.
ROBOTS = [
    "WhatsApp/2.23.20.0",
    "facebookexternalhit/1.1",
    "Mozilla/5.0 (compatible; Google-Safety; +http://www.google.com/bot.html)",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Microsoft Office SafeLinks",
    "",
]


@pytest.fixture
def visit(clinic: Clinic, ten_oclock: dt.datetime, provider: FakeProvider) -> Appointment:
    default_words.install(clinic.tenant.pk)
    Patient.objects.filter(pk=clinic.patient.pk).update(language="en", email="")
    clinic.patient.refresh_from_db()
    return book(clinic, ten_oclock)


def sent(clinic: Clinic, provider: FakeProvider) -> list[str]:
    """The texts that leave now, without the marks that isolate names."""
    for pk in NotificationEvent.objects.filter(processed_at=None).values_list("pk", flat=True):
        process_event(clinic.tenant.pk, pk)
    before = len(provider.calls)
    for lane in (Lane.URGENT, Lane.TRANSACTIONAL):
        delivery.drain(lane)
    return [re.sub(r"[\u2066-\u2069]", "", call.body) for call in provider.calls[before:] if call.to[:1] == "+"]


def path_in(text: str) -> str:
    found = re.search(r"https?://[^/\s]+(/c/[a-z0-9]+)", text)
    assert found, text
    return found[1]


def test_scenario_02_a_press_on_the_reminders_link_confirms_once_and_the_next_reminder_asks_no_more(
    clinic: Clinic, visit: Appointment, provider: FakeProvider
) -> None:
    sent(clinic, provider)
    with time_machine.travel(visit.starts_at - dt.timedelta(hours=23, minutes=55), tick=True):
        send_due_reminders()
        [reminder] = sent(clinic, provider)
        assert "Please confirm" in reminder
        address = path_in(reminder)
        client = Client()
        assert client.get(address).status_code == 200
        visit.refresh_from_db()
        assert visit.status == S.BOOKED
        for _finger in range(2):
            press(client, address, {"answer": "confirm"})
        visit.refresh_from_db()
        assert visit.status == S.CONFIRMED
        assert AppointmentEvent.objects.filter(appointment=visit, to_status=S.CONFIRMED).count() == 1
        desk = clinic.client(clinic.front_desk).get(
            reverse("appointments:list"), {"first": visit.local_start.date().isoformat(), "status": S.CONFIRMED}
        )
        assert reverse("appointments:detail", args=[visit.pk]) in desk.content.decode()
        confirmations = sent(clinic, provider)
        assert len(confirmations) == 1
    with time_machine.travel(visit.starts_at - dt.timedelta(hours=1, minutes=55), tick=True):
        send_due_reminders()
        [second] = sent(clinic, provider)
        assert "confirm" not in second.lower()
        assert "10:00" in second


@pytest.mark.parametrize("robot", ROBOTS)
def test_scenario_03_a_preview_of_the_link_changes_nothing(
    clinic: Clinic, visit: Appointment, provider: FakeProvider, robot: str
) -> None:
    [text] = sent(clinic, provider)
    address = path_in(text)
    before = (NotificationEvent.objects.count(), Message.objects.count(), DeskTask.objects.count())
    client = Client(headers={"User-Agent": robot})
    for path in (address, f"{address}/", f"{address}/times", f"{address}/appointment.ics"):
        for method in (client.get, client.head):
            assert method(path).status_code == 200
            assert method(path, {"answer": "confirm", "time": visit.starts_at.isoformat()}).status_code == 200
        # And those that post to whatever they find.
        assert client.post(path, {"answer": "cancel"}).status_code in (405, 422)
    visit.refresh_from_db()
    assert (visit.status, visit.version) == (S.BOOKED, 1)
    assert (NotificationEvent.objects.count(), Message.objects.count(), DeskTask.objects.count()) == before
    assert not ConfirmationToken.objects.exclude(used_at=None).exists()


def test_a_link_of_a_visit_that_was_moved_and_cancelled_never_confirms(
    clinic: Clinic, visit: Appointment, provider: FakeProvider
) -> None:
    [text] = sent(clinic, provider)
    old = path_in(text)
    services.appointment_reschedule(
        appointment_id=visit.pk, actor=clinic.front_desk, starts_at=visit.starts_at + dt.timedelta(hours=1)
    )
    [text] = sent(clinic, provider)
    new = path_in(text)
    services.appointment_cancel(appointment_id=visit.pk, actor=clinic.front_desk, reason="x")
    for address in (old, new):
        assert press(Client(), address, {"answer": "confirm"}).status_code == 410
    visit.refresh_from_db()
    assert visit.status == S.CANCELLED


def test_a_time_taken_by_the_link_is_told_once_and_the_desk_hears_of_it(
    clinic: Clinic, visit: Appointment, provider: FakeProvider
) -> None:
    clinic.location.opening_hours = [["09:00", "12:00"]] * 7
    clinic.location.save()
    TenantSettings.objects.create(tenant=clinic.tenant, patients_may_move=True)
    [text] = sent(clinic, provider)
    wanted = visit.local_start + dt.timedelta(days=1, hours=1)
    press(Client(), f"{path_in(text)}/times", {"answer": "move", "time": wanted.isoformat()})
    [told] = sent(clinic, provider)
    assert "11:00" in told
    assert "confirmed" in told
    bells = Notification.objects.filter(user=clinic.front_desk, event_key="appointment.rescheduled")
    assert bells.count() == 1
    assert Notification.objects.filter(user=clinic.provider, event_key="appointment.rescheduled").count() == 1
    # The reminders are those of the new time.
    planned = visit.reminders.filter(status="PLANNED")
    assert planned.exists()
    assert set(planned.values_list("version", flat=True)) == {2}
