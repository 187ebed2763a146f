"""Letters that tell of several visits at once: what they put into a calendar, and whose name stands on the paper."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterator
from email import message_from_bytes, policy

import pytest
import time_machine
from django.utils import timezone
from icalendar import Calendar

from appointments import absences
from appointments.models import Appointment, ReminderTiming
from appointments.tasks import send_due_reminders_task
from appointments.tests.test_booking import book
from appointments.tests.test_calendar_file import written
from conftest import Clinic
from core.models import Location
from integrations.providers import letter
from integrations.sms_providers import Outgoing
from integrations.tests.fakes import FakeProvider, provider
from integrations.tests.test_enclosures import brand
from notifications import default_words
from notifications.models import NotificationPreference
from tests.factories import GuardianFactory, GuardianshipFactory, PatientFactory
from tests.journey import send_all, to

__all__ = ["provider"]
pytestmark = pytest.mark.django_db

HOUR = dt.timedelta(hours=1)


@pytest.fixture(autouse=True)
def morning(clinic: Clinic) -> Iterator[time_machine.Coordinates]:
    """Nine o'clock; a booking is told at once."""
    default_words.install(clinic.tenant.pk)
    ReminderTiming.objects.update_or_create(tenant=clinic.tenant, defaults={"undo_minutes": 0})
    start = timezone.localtime().replace(hour=9, minute=0, second=0, microsecond=0)
    with time_machine.travel(start, tick=False) as clock:
        yield clock


@pytest.fixture
def ten(morning: time_machine.Coordinates) -> dt.datetime:
    """Ten o'clock in five days."""
    return timezone.now() + dt.timedelta(days=5) + HOUR


def call_off(clinic: Clinic, ten: dt.datetime) -> None:
    absences.call_off(
        actor=clinic.front_desk,
        provider=clinic.provider,
        starts_at=ten - HOUR,
        ends_at=ten + 8 * HOUR,
        reason="ill",
        key=uuid.uuid4(),
    )


def letters(clinic: Clinic, provider: FakeProvider) -> list[Outgoing]:
    return to(send_all(provider), clinic.patient.email)


@pytest.mark.parametrize("count", [1, 3])
def test_a_day_that_is_called_off_leaves_the_calendar(
    clinic: Clinic, provider: FakeProvider, ten: dt.datetime, count: int
) -> None:
    """The visits stood there as if they took place."""
    visits = [book(clinic, ten + number * HOUR) for number in range(count)]
    before = {str(visit.pk): int(written(visit)["SEQUENCE"]) for visit in visits}
    letters(clinic, provider)
    call_off(clinic, ten)
    [mail] = letters(clinic, provider)
    assert {file.method for file in mail.calendars} == {"CANCEL"}
    assert len({file.name for file in mail.calendars}) == count
    taken_out = {}
    for file in mail.calendars:
        [event] = Calendar.from_ical(file.content).walk("VEVENT")
        assert str(event["STATUS"]) == "CANCELLED"
        assert str(event["ATTENDEE"]) == f"mailto:{clinic.patient.email}"
        taken_out[str(event["UID"])] = int(event["SEQUENCE"])
    assert taken_out == {uid: number + 1 for uid, number in before.items()}


def test_one_entry_is_an_invitation_and_several_are_files(
    clinic: Clinic, provider: FakeProvider, ten: dt.datetime
) -> None:
    """Beside the words a mail program shows one: it would hide the others."""
    for count in (1, 2):
        Appointment.objects.all().update(status=Appointment.Status.ENTERED_IN_ERROR)
        for number in range(count):
            book(clinic, ten + dt.timedelta(days=count) + number * HOUR)
        letters(clinic, provider)
        call_off(clinic, ten + dt.timedelta(days=count))
        [mail] = letters(clinic, provider)
        read = message_from_bytes(letter.write(mail).content, policy=policy.default)
        kinds = [part.get_content_type() for part in read.walk() if not part.get_content_disposition()]
        assert kinds.count("text/calendar") == (1 if count == 1 else 0)
        assert len(list(read.iter_attachments())) == count
        as_django = letter.as_django(mail)
        assert [one.mimetype for one in as_django.alternatives][1:] == ["text/calendar; method=CANCEL"] * (count == 1)
        assert len(as_django.attachments) == count


def test_a_place_that_is_not_named_stands_on_no_letter_that_calls_off(
    clinic: Clinic, provider: FakeProvider, ten: dt.datetime
) -> None:
    brand(clinic, track_opens=True)
    Location.objects.filter(pk=clinic.location.pk).update(is_sensitive=True)
    clinic.location.refresh_from_db()
    book(clinic, ten)
    letters(clinic, provider)
    call_off(clinic, ten)
    [mail] = letters(clinic, provider)
    assert mail.letterhead is None
    assert clinic.tenant.name_en not in letter.write(mail).content.decode()


def test_nor_on_a_reminder_of_several(
    clinic: Clinic, provider: FakeProvider, morning: time_machine.Coordinates, ten: dt.datetime
) -> None:
    """Their mother wants emails first."""
    brand(clinic)
    mother = GuardianFactory(tenant=clinic.tenant, email="mother@home.example")
    for number, (name_en, name_ar) in enumerate((("Sara Al-Harbi", "سارة الحربي"), ("Omar Al-Harbi", "عمر الحربي"))):
        child = PatientFactory(
            tenant=clinic.tenant,
            name_en=name_en,
            name_ar=name_ar,
            birth_date=timezone.localdate() - dt.timedelta(days=8 * 365),
            phone="",
            email="",
        )
        GuardianshipFactory(tenant=clinic.tenant, patient=child, guardian=mother)
        NotificationPreference.objects.create(tenant=clinic.tenant, patient=child, preferred_channel="EMAIL")
        book(clinic, ten + number * HOUR, patient=child)
    Location.objects.filter(pk=clinic.location.pk).update(is_sensitive=True)
    send_all(provider)
    morning.move_to(ten - dt.timedelta(hours=23, minutes=50))
    send_due_reminders_task()
    [mail] = to(send_all(provider), mother.email)
    assert "10:00" in mail.body
    assert "11:00" in mail.body
    assert mail.letterhead is None
    assert mail.calendars == ()
