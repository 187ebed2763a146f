"""Slips at the desk, put right within minutes: the patient hears what holds in the end, once, and never nothing."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from appointments import services, tokens
from appointments.models import Appointment, ConfirmationToken, Reminder, ReminderTiming
from appointments.tasks import replan_reminders_task, send_due_reminders_task
from appointments.tests.test_booking import book
from conftest import Clinic
from core import tenant_settings
from integrations.tests.fakes import FakeProvider, provider
from notifications import default_words
from notifications.models import Message, Notification
from tests.journey import send_all, to

__all__ = ["provider"]
pytestmark = pytest.mark.django_db

S = Appointment.Status
MINUTE, HOUR, DAY = dt.timedelta(minutes=1), dt.timedelta(hours=1), dt.timedelta(days=1)
NOW = dt.timedelta(0)


@pytest.fixture(autouse=True)
def morning(clinic: Clinic) -> Iterator[time_machine.Coordinates]:
    """Nine o'clock, and a booking rests three minutes before it is told."""
    default_words.install(clinic.tenant.pk)
    ReminderTiming.objects.all().delete()
    # Only the phone: a letter wakes nobody, and would be told by night.
    clinic.patient.email = ""
    clinic.patient.save()
    with time_machine.travel(
        timezone.localtime().replace(hour=9, minute=0, second=0, microsecond=0), tick=False
    ) as clock:
        yield clock


@pytest.fixture
def ten(morning: time_machine.Coordinates) -> dt.datetime:
    """Ten o'clock in five days."""
    return timezone.now() + 5 * DAY + HOUR


def said(clock: time_machine.Coordinates, pause: dt.timedelta, provider: FakeProvider, clinic: Clinic) -> list[str]:
    """What the patient reads after a pause, with every sweep done."""
    clock.shift(pause)
    send_due_reminders_task()
    return [call.body for call in to(send_all(provider), clinic.patient.phone)]


def night(clinic: Clinic) -> None:
    tenant_settings.quiet_hours_set(actor=clinic.admin, quiet_from=dt.time(22), quiet_until=dt.time(8))
    replan_reminders_task()


def ids(clinic: Clinic, visit: Appointment) -> dict[str, object]:
    return {"appointment_id": visit.pk, "actor": clinic.front_desk}


# --- an arrival by a slip --------------------------------------------------------------------------------------------


def test_an_arrival_noted_by_a_slip_does_not_swallow_the_news_of_the_booking(
    clinic: Clinic, provider: FakeProvider, morning: time_machine.Coordinates, ten: dt.datetime
) -> None:
    visit = book(clinic, ten)
    morning.shift(MINUTE)
    services.appointment_arrive(**ids(clinic, visit))
    assert said(morning, 5 * MINUTE, provider, clinic) == []
    services.appointment_undo_arrival(**ids(clinic, visit))
    texts = said(morning, 4 * MINUTE, provider, clinic)
    assert len(texts) == 1
    assert tokens.link_for(visit) in texts[0]
    assert said(morning, HOUR, provider, clinic) == []


def test_an_arrival_noted_by_a_slip_does_not_swallow_the_new_time(
    clinic: Clinic, provider: FakeProvider, morning: time_machine.Coordinates, ten: dt.datetime
) -> None:
    visit = book(clinic, ten)
    assert len(said(morning, 4 * MINUTE, provider, clinic)) == 1
    services.appointment_reschedule(**ids(clinic, visit), starts_at=ten + 3 * HOUR)
    services.appointment_arrive(**ids(clinic, visit))
    services.appointment_undo_arrival(**ids(clinic, visit))
    texts = said(morning, 4 * MINUTE, provider, clinic)
    assert len(texts) == 1
    assert "1:00" in texts[0] or "01:00" in texts[0]
    assert said(morning, HOUR, provider, clinic) == []


def test_what_had_been_told_is_not_told_again_after_an_arrival_by_a_slip(
    clinic: Clinic, provider: FakeProvider, morning: time_machine.Coordinates, ten: dt.datetime
) -> None:
    visit = book(clinic, ten)
    assert len(said(morning, 4 * MINUTE, provider, clinic)) == 1
    services.appointment_confirm(**ids(clinic, visit))
    assert len(said(morning, MINUTE, provider, clinic)) == 1
    services.appointment_arrive(**ids(clinic, visit))
    services.appointment_undo_arrival(**ids(clinic, visit))
    assert said(morning, HOUR, provider, clinic) == []
    visit.refresh_from_db()
    assert visit.status == S.CONFIRMED


def test_an_arrival_by_a_slip_over_the_moment_of_a_reminder_costs_no_reminder(
    clinic: Clinic, provider: FakeProvider, morning: time_machine.Coordinates, ten: dt.datetime
) -> None:
    visit = book(clinic, ten)
    said(morning, 4 * MINUTE, provider, clinic)
    morning.move_to(ten - DAY - 5 * MINUTE)
    services.appointment_arrive(**ids(clinic, visit))
    assert said(morning, 10 * MINUTE, provider, clinic) == []
    services.appointment_undo_arrival(**ids(clinic, visit))
    assert len(said(morning, NOW, provider, clinic)) == 1
    assert said(morning, HOUR, provider, clinic) == []


# --- a confirmation by a slip ----------------------------------------------------------------------------------------


def test_a_confirmation_taken_back_by_night_leaves_the_booking_to_be_told(
    clinic: Clinic, provider: FakeProvider, morning: time_machine.Coordinates, ten: dt.datetime
) -> None:
    night(clinic)
    morning.shift(14 * HOUR)
    visit = book(clinic, ten)
    services.appointment_confirm(**ids(clinic, visit))
    assert said(morning, MINUTE, provider, clinic) == []
    services.appointment_unconfirm(**ids(clinic, visit), reason="the wrong line")
    assert said(morning, 5 * MINUTE, provider, clinic) == []
    texts = said(morning, 9 * HOUR, provider, clinic)
    assert len(texts) == 1
    assert tokens.link_for(visit) in texts[0]


# --- called off before anybody knew ----------------------------------------------------------------------------------


def test_booked_and_called_off_by_night_is_not_mentioned_in_the_morning(
    clinic: Clinic, provider: FakeProvider, morning: time_machine.Coordinates, ten: dt.datetime
) -> None:
    night(clinic)
    morning.shift(14 * HOUR)
    visit = book(clinic, ten)
    assert said(morning, 10 * MINUTE, provider, clinic) == [], "written down; it waits for the morning"
    services.appointment_cancel(**ids(clinic, visit), reason="a slip")
    assert said(morning, 10 * HOUR, provider, clinic) == []
    assert Notification.objects.filter(user=clinic.provider, event_key="appointment.cancelled").exists()


def test_who_was_told_by_day_is_told_in_the_morning_what_was_called_off_by_night(
    clinic: Clinic, provider: FakeProvider, morning: time_machine.Coordinates, ten: dt.datetime
) -> None:
    night(clinic)
    visit = book(clinic, ten)
    assert len(said(morning, 4 * MINUTE, provider, clinic)) == 1
    morning.shift(14 * HOUR)
    services.appointment_reschedule(**ids(clinic, visit), starts_at=ten + HOUR)
    said(morning, 10 * MINUTE, provider, clinic)
    services.appointment_cancel(**ids(clinic, visit), reason="ill")
    assert len(said(morning, 10 * HOUR, provider, clinic)) == 1


def test_reinstated_and_called_off_again_before_that_was_told_is_called_off_once(
    clinic: Clinic, provider: FakeProvider, morning: time_machine.Coordinates, ten: dt.datetime
) -> None:
    visit = book(clinic, ten)
    said(morning, 4 * MINUTE, provider, clinic)
    services.appointment_cancel(**ids(clinic, visit), reason="ill")
    assert len(said(morning, MINUTE, provider, clinic)) == 1
    services.appointment_reinstate(**ids(clinic, visit))
    services.appointment_cancel(**ids(clinic, visit), reason="still ill")
    assert said(morning, HOUR, provider, clinic) == []


def test_reinstated_and_moved_before_that_was_told_is_news_of_a_visit(
    clinic: Clinic, provider: FakeProvider, morning: time_machine.Coordinates, ten: dt.datetime
) -> None:
    """Who believes that it is off is not told that it has moved, but that it takes place."""
    visit = book(clinic, ten)
    said(morning, 4 * MINUTE, provider, clinic)
    services.appointment_cancel(**ids(clinic, visit), reason="ill")
    said(morning, MINUTE, provider, clinic)
    services.appointment_reinstate(**ids(clinic, visit))
    services.appointment_reschedule(**ids(clinic, visit), starts_at=ten + HOUR)
    assert len(said(morning, 10 * MINUTE, provider, clinic)) == 1
    last = Message.objects.filter(patient=clinic.patient).latest("created_at")
    assert last.event is not None
    assert last.event.key == "appointment.booked"


def test_a_reinstated_visit_has_each_reminder_once_and_no_old_link(
    clinic: Clinic, provider: FakeProvider, morning: time_machine.Coordinates, ten: dt.datetime
) -> None:
    visit = book(clinic, ten)
    said(morning, 4 * MINUTE, provider, clinic)
    old = tokens.link_for(visit)
    services.appointment_cancel(**ids(clinic, visit), reason="ill")
    said(morning, MINUTE, provider, clinic)
    services.appointment_reinstate(**ids(clinic, visit))
    services.appointment_cancel(**ids(clinic, visit), reason="ill after all")
    services.appointment_reinstate(**ids(clinic, visit))
    assert len(said(morning, 10 * MINUTE, provider, clinic)) == 1
    visit.refresh_from_db()
    assert visit.version == 3
    assert tokens.link_for(visit) != old
    Client().post(old.split(".example", 1)[-1] if ".example" in old else old)
    visit.refresh_from_db()
    assert visit.status == S.BOOKED
    assert ConfirmationToken.objects.filter(appointment=visit, revoked_at=None).count() == 1
    morning.move_to(ten - DAY)
    assert len(said(morning, NOW, provider, clinic)) == 1
    morning.move_to(ten - 2 * HOUR)
    assert len(said(morning, NOW, provider, clinic)) == 1
    assert Reminder.objects.filter(appointment=visit, status="SENT").count() == 2


def test_two_moves_by_night_are_one_message_from_the_time_that_was_known(
    clinic: Clinic, provider: FakeProvider, morning: time_machine.Coordinates, ten: dt.datetime
) -> None:
    night(clinic)
    visit = book(clinic, ten)
    said(morning, 4 * MINUTE, provider, clinic)
    morning.shift(14 * HOUR)
    for hours in (1, 3):
        services.appointment_reschedule(**ids(clinic, visit), starts_at=ten + hours * HOUR)
        assert said(morning, 10 * MINUTE, provider, clinic) == []
    assert len(said(morning, 10 * HOUR, provider, clinic)) == 1
    last = Message.objects.filter(patient=clinic.patient).latest("created_at")
    assert last.event is not None
    assert last.event.key == "appointment.rescheduled"
    assert dt.datetime.fromisoformat(last.event.payload["old_starts_at"]) == ten


def test_there_and_back_by_night_says_in_the_morning_that_the_visit_stands(
    clinic: Clinic, provider: FakeProvider, morning: time_machine.Coordinates, ten: dt.datetime
) -> None:
    night(clinic)
    visit = book(clinic, ten)
    said(morning, 4 * MINUTE, provider, clinic)
    morning.shift(14 * HOUR)
    for start in (ten + HOUR, ten):
        visit = services.appointment_reschedule(**ids(clinic, visit), starts_at=start)
        assert said(morning, 10 * MINUTE, provider, clinic) == []
    texts = said(morning, 10 * HOUR, provider, clinic)
    assert len(texts) == 1
    assert "10:00" in texts[0]
    assert tokens.link_for(visit) in texts[0]
    moves = Message.objects.filter(patient=clinic.patient, event__key="appointment.rescheduled")
    assert "SENT" not in moves.values_list("status", flat=True)


# --- moves -----------------------------------------------------------------------------------------------------------


def test_a_visit_that_moves_after_its_day_before_reminder_is_reminded_of_the_new_day(
    clinic: Clinic, provider: FakeProvider, morning: time_machine.Coordinates, ten: dt.datetime
) -> None:
    visit = book(clinic, ten)
    said(morning, 4 * MINUTE, provider, clinic)
    morning.move_to(ten - DAY)
    assert len(said(morning, NOW, provider, clinic)) == 1
    services.appointment_reschedule(**ids(clinic, visit), starts_at=ten + 2 * DAY)
    assert len(said(morning, 4 * MINUTE, provider, clinic)) == 1
    morning.move_to(ten - 2 * HOUR)
    assert said(morning, 2 * HOUR, provider, clinic) == [], "nothing of the old time"
    morning.move_to(ten + DAY)
    assert len(said(morning, NOW, provider, clinic)) == 1
    morning.move_to(ten + 2 * DAY - 2 * HOUR)
    assert len(said(morning, NOW, provider, clinic)) == 1


def test_moved_to_a_colleague_and_back_within_the_rest_is_one_message_with_a_living_link(
    clinic: Clinic, provider: FakeProvider, morning: time_machine.Coordinates, ten: dt.datetime
) -> None:
    visit = book(clinic, ten)
    said(morning, 4 * MINUTE, provider, clinic)
    services.appointment_reschedule(**ids(clinic, visit), starts_at=ten, provider=clinic.colleague)
    visit = services.appointment_reschedule(**ids(clinic, visit), starts_at=ten, provider=clinic.provider)
    texts = said(morning, 4 * MINUTE, provider, clinic)
    assert len(texts) == 1
    assert tokens.link_for(visit) in texts[0]
    morning.move_to(ten - DAY)
    assert len(said(morning, NOW, provider, clinic)) == 1


def test_a_visit_booked_two_hours_and_five_minutes_ahead_is_told_once(
    clinic: Clinic, provider: FakeProvider, morning: time_machine.Coordinates
) -> None:
    visit = book(clinic, timezone.now() + 2 * HOUR + 5 * MINUTE)
    assert len(said(morning, 4 * MINUTE, provider, clinic)) == 1
    assert said(morning, MINUTE, provider, clinic) == []
    assert said(morning, HOUR, provider, clinic) == []
    assert dict(Reminder.objects.filter(appointment=visit).values_list("kind", "reason")) == {
        "24H": "booked_inside_window",
        "2H": "recent_confirmation",
    }


def test_a_visit_a_quarter_past_midnight_is_told_of_in_the_day_and_in_the_evening(
    clinic: Clinic, provider: FakeProvider, morning: time_machine.Coordinates, ten: dt.datetime
) -> None:
    night(clinic)
    start = ten.astimezone(clinic.location.zone).replace(hour=0, minute=15)
    book(clinic, start)
    said(morning, 4 * MINUTE, provider, clinic)
    times = []
    while timezone.now() < start:
        if said(morning, 5 * MINUTE, provider, clinic):
            times.append(timezone.localtime(timezone.now(), clinic.location.zone))
    assert [(start.date() - time.date()).days for time in times] == [1, 1]
    # A look every five minutes.
    assert [f"{time:%H:%M}" for time in times] == ["08:04", "21:59"]


# --- a file that was silent for a while ------------------------------------------------------------------------------


def test_a_file_that_is_open_again_is_reminded_by_the_clock_and_the_rules_of_now(
    clinic: Clinic, provider: FakeProvider, morning: time_machine.Coordinates, ten: dt.datetime
) -> None:
    visit = book(clinic, ten)
    said(morning, 4 * MINUTE, provider, clinic)
    clinic.patient.is_restricted = True
    clinic.patient.save()
    clinic.location.timezone = "Europe/Berlin"
    clinic.location.save()
    night(clinic)
    tenant_settings.quiet_hours_set(actor=clinic.admin, quiet_from=dt.time(2), quiet_until=dt.time(12))
    replan_reminders_task()
    clinic.patient.is_restricted = False
    clinic.patient.save()
    row = Reminder.objects.get(appointment=visit, kind="24H")
    assert row.status == "PLANNED"
    assert f"{row.due_at.astimezone(clinic.location.zone):%H:%M}" == "12:00"
