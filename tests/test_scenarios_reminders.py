"""When a patient hears of a visit: after the undo delay, a day and two hours before, once a family, never too late."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import pytest
import time_machine
from django.conf import settings
from django.test import Client
from django.utils import timezone

from appointments import services, tokens
from appointments.models import Appointment, FamilyNews, Reminder, ReminderTiming
from appointments.tasks import send_due_reminders_task
from appointments.tests.test_booking import book
from conftest import Clinic
from core.models import Patient
from integrations.sms_providers import Kind, Outgoing, ProviderError
from integrations.tests.fakes import FakeProvider, provider
from notifications import default_words
from notifications.models import Message, Notification, NotificationEvent, NotificationPreference
from notifications.states import Reason
from tests.factories import GuardianFactory, GuardianshipFactory, PatientFactory
from tests.journey import send_all, to

__all__ = ["provider"]
pytestmark = pytest.mark.django_db

MINUTE, HOUR, DAY = dt.timedelta(minutes=1), dt.timedelta(hours=1), dt.timedelta(days=1)
PHONE = "+966551234567"


@pytest.fixture(autouse=True)
def morning(clinic: Clinic) -> Iterator[time_machine.Coordinates]:
    """Nine o'clock at the clinic, and a booking rests three minutes before it is told, as everywhere."""
    default_words.install(clinic.tenant.pk)
    ReminderTiming.objects.all().delete()
    with time_machine.travel(
        timezone.localtime().replace(hour=9, minute=0, second=0, microsecond=0), tick=False
    ) as clock:
        yield clock


@pytest.fixture
def ten(morning: time_machine.Coordinates) -> dt.datetime:
    """Ten o'clock in five days."""
    return timezone.now() + 5 * DAY + HOUR


def child(clinic: Clinic, name_en: str, name_ar: str, **fields: object) -> Patient:
    """A child whose mother has the family's phone."""
    made: Patient = PatientFactory(
        tenant=clinic.tenant,
        name_en=name_en,
        name_ar=name_ar,
        birth_date=timezone.localdate() - dt.timedelta(days=8 * 365),
        phone="",
        email="",
        **fields,
    )
    mother = GuardianFactory(tenant=clinic.tenant, phone=PHONE, email="")
    GuardianshipFactory(tenant=clinic.tenant, patient=made, guardian=mother)
    return made


@pytest.fixture
def sara(clinic: Clinic) -> Patient:
    return child(clinic, "Sara Al-Harbi", "سارة الحربي")


@pytest.fixture
def omar(clinic: Clinic) -> Patient:
    return child(clinic, "Omar Al-Harbi", "عمر الحربي")


def after(clock: time_machine.Coordinates, pause: dt.timedelta, provider: FakeProvider, address: str) -> list[str]:
    """What is said to an address after a pause, with every sweep done."""
    clock.shift(pause)
    send_due_reminders_task()
    # Twice: what is told together is an event of its own.
    return [call.body for call in to(send_all(provider) + send_all(provider), address)]


def test_scenario_01_one_confirmation_two_reminders_and_nothing_else(
    clinic: Clinic, provider: FakeProvider, morning: time_machine.Coordinates, ten: dt.datetime
) -> None:
    book(clinic, ten)
    said: dict[dt.timedelta, list[str]] = {}
    step = 10 * MINUTE
    while timezone.now() < ten + DAY:
        found = after(morning, step, provider, clinic.patient.phone)
        if found:
            said[ten - timezone.now()] = found
    assert list(said) == [5 * DAY + HOUR - step, DAY, 2 * HOUR], "the confirmation, and both reminders in time"
    texts = [text for texts in said.values() for text in texts]
    assert len(texts) == 3
    assert all("10:00 ص" in text or "10:00" in text for text in texts), "on the clock of the location"
    assert all(clinic.patient.name_ar in text for text in texts)
    assert set(Reminder.objects.values_list("kind", "status", "reason")) == {("24H", "SENT", ""), ("2H", "SENT", "")}
    assert not Message.objects.filter(patient=clinic.patient).exclude(status="SENT").exists()


def test_scenario_09_two_moves_within_the_undo_delay_are_one_message_with_the_final_time(
    clinic: Clinic, provider: FakeProvider, morning: time_machine.Coordinates, ten: dt.datetime
) -> None:
    visit = book(clinic, ten)
    assert len(after(morning, 4 * MINUTE, provider, clinic.patient.phone)) == 1
    for hours in (1, 4):
        services.appointment_reschedule(
            appointment_id=visit.pk, actor=clinic.front_desk, starts_at=ten + hours * HOUR, reason="x"
        )
        assert after(morning, MINUTE, provider, clinic.patient.phone) == [], "it rests"
    assert Notification.objects.filter(user=clinic.provider, event_key="appointment.rescheduled").exists(), "at once"
    (told,) = after(morning, 2 * MINUTE, provider, clinic.patient.phone)
    assert "02:00" in told or "2:00" in told
    assert "11:00" not in told
    (letter,) = [call for call in provider.calls if call.to == clinic.patient.email]
    assert "10:00" in letter.body, "and from the time the patient knew"
    assert "11:00" not in letter.body
    dropped = NotificationEvent.objects.exclude(dropped_because="")
    assert [(row.key, row.dropped_because) for row in dropped] == [("appointment.rescheduled", Reason.STALE_VERSION)]
    assert set(Reminder.objects.filter(version=3).values_list("status", flat=True)) == {"PLANNED"}


def test_a_booking_that_is_moved_before_it_was_told_is_told_as_a_booking(
    clinic: Clinic, provider: FakeProvider, morning: time_machine.Coordinates, ten: dt.datetime
) -> None:
    visit = book(clinic, ten)
    morning.shift(MINUTE)
    services.appointment_reschedule(appointment_id=visit.pk, actor=clinic.front_desk, starts_at=ten + HOUR)
    (told,) = after(morning, 3 * MINUTE, provider, clinic.patient.phone)
    assert "11:00" in told
    assert "10:00" not in told
    assert Message.objects.get(patient=clinic.patient).event.key == "appointment.booked"


def test_a_visit_that_is_moved_and_moved_back_tells_its_time_once(
    clinic: Clinic, provider: FakeProvider, morning: time_machine.Coordinates, ten: dt.datetime
) -> None:
    visit = book(clinic, ten)
    after(morning, 4 * MINUTE, provider, clinic.patient.phone)
    for starts_at in (ten + HOUR, ten):
        services.appointment_reschedule(appointment_id=visit.pk, actor=clinic.front_desk, starts_at=starts_at)
    (told,) = after(morning, 3 * MINUTE, provider, clinic.patient.phone)
    assert told.count("10:00") == 1, "not “from ten to ten”"


def test_what_is_called_off_before_it_was_told_is_never_mentioned(
    clinic: Clinic, provider: FakeProvider, morning: time_machine.Coordinates, ten: dt.datetime
) -> None:
    visit = book(clinic, ten)
    morning.shift(MINUTE)
    services.appointment_cancel(appointment_id=visit.pk, actor=clinic.front_desk, reason="slip")
    assert after(morning, 5 * MINUTE, provider, clinic.patient.phone) == []
    assert not Message.objects.filter(patient=clinic.patient).exists()
    assert Notification.objects.filter(user=clinic.provider, event_key="appointment.cancelled").exists()


def test_what_was_told_and_moves_and_is_called_off_is_told_as_called_off(
    clinic: Clinic, provider: FakeProvider, morning: time_machine.Coordinates, ten: dt.datetime
) -> None:
    visit = book(clinic, ten)
    after(morning, 4 * MINUTE, provider, clinic.patient.phone)
    services.appointment_reschedule(appointment_id=visit.pk, actor=clinic.front_desk, starts_at=ten + HOUR)
    services.appointment_cancel(appointment_id=visit.pk, actor=clinic.front_desk, reason="x")
    after(morning, 5 * MINUTE, provider, clinic.patient.phone)
    keys = Message.objects.filter(patient=clinic.patient, channel="SMS").values_list("event__key", flat=True)
    assert sorted(keys) == ["appointment.booked", "appointment.cancelled"]


def test_who_arrives_before_the_booking_was_told_hears_nothing_of_it(
    clinic: Clinic, provider: FakeProvider, morning: time_machine.Coordinates
) -> None:
    visit = book(clinic, timezone.now() + 5 * MINUTE)
    services.appointment_arrive(appointment_id=visit.pk, actor=clinic.front_desk)
    assert after(morning, 4 * MINUTE, provider, clinic.patient.phone) == []


def test_after_an_outage_the_nearest_visits_come_first_few_to_a_phone_and_what_is_too_late_never(
    clinic: Clinic, provider: FakeProvider, morning: time_machine.Coordinates, ten: dt.datetime
) -> None:
    NotificationPreference.objects.create(tenant=clinic.tenant, patient=clinic.patient, combine_family=False)
    starts = [ten + number * HOUR for number in range(5)]
    for start in reversed(starts):
        book(clinic, start)
    after(morning, 4 * MINUTE, provider, clinic.patient.phone)
    # Nothing ran for a day: it is half past eight on the day of the visits.
    morning.move_to(ten - 90 * MINUTE)
    rounds = [after(morning, dt.timedelta(seconds=20), provider, clinic.patient.phone) for _round in range(6)]
    assert [len(texts) for texts in rounds[:3]] == [2, 2, 0], "two to a phone in one go, the others a little later"
    expired = Reminder.objects.filter(status="EXPIRED", reason=Reason.PAST_DUE)
    assert {row.appointment.starts_at for row in expired.filter(kind="24H")} == set(starts[:2])
    first = [
        row.appointment.starts_at
        for row in Reminder.objects.filter(status="SENT").order_by("updated_at", "appointment__starts_at")
    ]
    assert first == sorted(first), "by their start"


def test_the_siblings_of_one_day_get_one_reminder(
    clinic: Clinic,
    provider: FakeProvider,
    morning: time_machine.Coordinates,
    ten: dt.datetime,
    sara: Patient,
    omar: Patient,
) -> None:
    book(clinic, ten, patient=sara)
    assert len(after(morning, HOUR, provider, PHONE)) == 1
    book(clinic, ten + 30 * MINUTE, patient=omar, provider=clinic.colleague)
    assert len(after(morning, 4 * MINUTE, provider, PHONE)) == 1, "booked an hour apart: told one by one"
    morning.move_to(ten - DAY)
    (day_before,) = after(morning, dt.timedelta(0), provider, PHONE)
    assert day_before.index("سارة") < day_before.index("10:00") < day_before.index("عمر") < day_before.index("10:30")
    assert after(morning, 30 * MINUTE, provider, PHONE) == [], "his own time was part of it"
    morning.move_to(ten - 2 * HOUR)
    assert len(after(morning, dt.timedelta(0), provider, PHONE)) == 1
    assert after(morning, 30 * MINUTE, provider, PHONE) == []
    assert set(Reminder.objects.values_list("status", "reason")) == {("SENT", Reason.COMBINED)}
    assert FamilyNews.objects.count() == 2


def test_siblings_booked_within_the_undo_delay_are_told_in_one_message(
    clinic: Clinic,
    provider: FakeProvider,
    morning: time_machine.Coordinates,
    ten: dt.datetime,
    sara: Patient,
    omar: Patient,
) -> None:
    book(clinic, ten, patient=sara)
    morning.shift(2 * MINUTE)
    book(clinic, ten + 30 * MINUTE, patient=omar)
    assert after(morning, MINUTE, provider, PHONE) == [], "his news rests, and hers waits for it"
    (told,) = after(morning, 2 * MINUTE, provider, PHONE)
    assert told.index("سارة") < told.index("عمر")
    assert after(morning, 10 * MINUTE, provider, PHONE) == []
    message = Message.objects.get(event__key="appointment.booked_together")
    desk = clinic.client(clinic.front_desk)
    for visit in Appointment.objects.all():
        page = desk.get(f"/appointments/{visit.pk}/")
        assert [line.message for line in page.context["appointment_messages"] if line.message.patient_id] == [message]


def test_the_link_of_a_familys_message_leads_on_to_the_others(
    clinic: Clinic,
    provider: FakeProvider,
    morning: time_machine.Coordinates,
    ten: dt.datetime,
    sara: Patient,
    omar: Patient,
) -> None:
    hers = book(clinic, ten, patient=sara)
    his = book(clinic, ten + 30 * MINUTE, patient=omar)
    (told,) = after(morning, 4 * MINUTE, provider, PHONE)
    first, other = tokens.link_for(hers), tokens.link_for(his)
    assert first in told
    assert other not in told
    page = Client().get(first.removeprefix(settings.PUBLIC_BASE_URL))
    assert f'href="{other}?lang=ar"' in page.content.decode()
    services.appointment_cancel(appointment_id=his.pk, actor=clinic.front_desk, reason="x")
    assert other not in Client().get(first.removeprefix(settings.PUBLIC_BASE_URL)).content.decode()


def test_a_family_that_wants_its_messages_apart_gets_them_apart(
    clinic: Clinic,
    provider: FakeProvider,
    morning: time_machine.Coordinates,
    ten: dt.datetime,
    sara: Patient,
    omar: Patient,
) -> None:
    NotificationPreference.objects.create(tenant=clinic.tenant, patient=omar, combine_family=False)
    book(clinic, ten, patient=sara)
    book(clinic, ten + 30 * MINUTE, patient=omar)
    assert len(after(morning, 4 * MINUTE, provider, PHONE)) == 2
    morning.move_to(ten - DAY)
    assert len(after(morning, dt.timedelta(0), provider, PHONE)) == 1
    assert len(after(morning, 30 * MINUTE, provider, PHONE)) == 1


def test_when_one_of_them_is_called_off_before_it_leaves_the_others_are_told_all_the_same(
    clinic: Clinic,
    provider: FakeProvider,
    morning: time_machine.Coordinates,
    ten: dt.datetime,
    sara: Patient,
    omar: Patient,
) -> None:
    hers = book(clinic, ten, patient=sara)
    book(clinic, ten + 30 * MINUTE, patient=omar)
    after(morning, 4 * MINUTE, provider, PHONE)
    morning.move_to(ten - DAY)
    send_due_reminders_task()
    # Written down, not sent yet.
    services.appointment_cancel(appointment_id=hers.pk, actor=clinic.front_desk, reason="x")
    texts = [call.body for call in to(send_all(provider), PHONE)]
    assert ["عمر" in text for text in texts] == [False], "that hers is off, and no list with her in it"
    (left,) = after(morning, dt.timedelta(seconds=20), provider, PHONE)
    assert "عمر" in left
    assert "سارة" not in left
    assert after(morning, HOUR, provider, PHONE) == []


def test_no_reminder_of_what_was_said_within_the_last_two_hours(
    clinic: Clinic, provider: FakeProvider, morning: time_machine.Coordinates
) -> None:
    visit = book(clinic, timezone.now() + DAY + HOUR)
    assert len(after(morning, 4 * MINUTE, provider, clinic.patient.phone)) == 1
    assert after(morning, HOUR, provider, clinic.patient.phone) == []
    row = Reminder.objects.get(appointment=visit, kind="24H")
    assert (row.status, row.reason) == ("CANCELLED", Reason.RECENT_CONFIRMATION)
    morning.move_to(visit.starts_at - 2 * HOUR)
    assert len(after(morning, dt.timedelta(0), provider, clinic.patient.phone)) == 1


def test_a_reminder_that_meets_its_own_booking_on_the_way_waits_and_gives_way(
    clinic: Clinic, provider: FakeProvider, morning: time_machine.Coordinates
) -> None:
    """Booked a minute more than a day ahead: the reminder is due while the booking still rests."""
    visit: Appointment = book(clinic, timezone.now() + DAY + MINUTE)
    assert after(morning, MINUTE, provider, clinic.patient.phone) == []
    assert len(after(morning, 2 * MINUTE, provider, clinic.patient.phone)) == 1, "the booking"
    assert after(morning, 5 * MINUTE, provider, clinic.patient.phone) == []
    assert Reminder.objects.get(appointment=visit, kind="24H").reason == Reason.RECENT_CONFIRMATION


def grown_up(clinic: Clinic, name_en: str, name_ar: str, email: str) -> Patient:
    """One of two grown-up siblings who share the family's phone, not their letters."""
    made: Patient = PatientFactory(tenant=clinic.tenant, name_en=name_en, name_ar=name_ar, phone=PHONE, email=email)
    return made


def test_who_shares_a_phone_but_no_email_is_reminded_in_one_message_that_goes_to_neither_email(
    clinic: Clinic, provider: FakeProvider, morning: time_machine.Coordinates, ten: dt.datetime
) -> None:
    book(clinic, ten, patient=grown_up(clinic, "Huda Al-Harbi", "هدى الحربي", "huda@mail.example"))
    book(clinic, ten + 30 * MINUTE, patient=grown_up(clinic, "Badr Al-Harbi", "بدر الحربي", "badr@mail.example"))
    (told,) = after(morning, 4 * MINUTE, provider, PHONE)
    assert told.index("هدى") < told.index("بدر")
    morning.move_to(ten - DAY)
    (day_before,) = after(morning, dt.timedelta(0), provider, PHONE)
    assert day_before.index("هدى") < day_before.index("بدر")
    message = Message.objects.get(event__key="appointment.reminder_together")
    assert "EMAIL" not in message.fallback_channels


def test_when_their_phone_takes_no_message_each_gets_a_letter_about_themselves_alone(
    clinic: Clinic, provider: FakeProvider, morning: time_machine.Coordinates, ten: dt.datetime
) -> None:
    book(clinic, ten, patient=grown_up(clinic, "Huda Al-Harbi", "هدى الحربي", "huda@mail.example"))
    book(clinic, ten + 30 * MINUTE, patient=grown_up(clinic, "Badr Al-Harbi", "بدر الحربي", "badr@mail.example"))
    after(morning, 4 * MINUTE, provider, PHONE)

    def refuse(outgoing: Outgoing) -> None:
        if outgoing.to == PHONE:
            raise ProviderError(Kind.NUMBER, code="30006")

    provider.on_send = refuse
    morning.move_to(ten - DAY)
    letters: dict[str, list[str]] = {"huda@mail.example": [], "badr@mail.example": []}
    for _ in range(6):
        send_due_reminders_task()
        for call in send_all(provider):
            if call.to in letters:
                letters[call.to].append(call.body)
        morning.shift(10 * MINUTE)
    assert {address: len(bodies) for address, bodies in letters.items()} == dict.fromkeys(letters, 1)
    assert "بدر" not in letters["huda@mail.example"][0]
    assert "هدى" not in letters["badr@mail.example"][0]
