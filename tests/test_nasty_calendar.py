"""Calendar entries as a calendar reads them: numbers that never fall, values that nobody can break out of."""

from __future__ import annotations

import datetime as dt
import uuid
import zoneinfo
from typing import Any

import pytest
import time_machine
from icalendar import Calendar

from appointments import calendar_file, services
from appointments.calendar_file import Method, method_of
from appointments.models import Appointment, Series
from appointments.tests.test_booking import book
from appointments.tests.test_calendar_file import entry, of_series, series, written
from conftest import Clinic
from core.models import Location, Patient, Tenant

__all__ = ["series"]
pytestmark = pytest.mark.django_db
S = Appointment.Status
HOUR = dt.timedelta(hours=1)


@pytest.fixture
def visit(clinic: Clinic, ten_oclock: dt.datetime) -> Appointment:
    return book(clinic, ten_oclock)


def full(visit: Appointment) -> Appointment:
    return Appointment.objects.select_related("tenant", "patient", "location", "series__location").get(pk=visit.pk)


def file_of(visit: Appointment, **fields: str) -> bytes:
    row = full(visit)
    return calendar_file.ics_for(row, method_of(row), **fields)


def test_the_number_rises_through_book_move_move_cancel_reinstate_move_cancel(
    clinic: Clinic, visit: Appointment
) -> None:
    desk, seen = clinic.front_desk, [written(visit)]

    def move(hours: int) -> None:
        services.appointment_reschedule(
            appointment_id=visit.pk, actor=desk, starts_at=visit.starts_at + hours * HOUR, reason="x"
        )

    for act in (
        lambda: move(1),
        lambda: move(2),
        lambda: services.appointment_cancel(appointment_id=visit.pk, actor=desk, reason="x"),
        lambda: services.appointment_reinstate(appointment_id=visit.pk, actor=desk),
        lambda: move(3),
        lambda: services.appointment_cancel(appointment_id=visit.pk, actor=desk, reason="x"),
    ):
        act()
        seen.append(written(visit))
    numbers = [int(event["SEQUENCE"]) for event in seen]
    assert numbers == sorted(set(numbers))
    assert {str(event["UID"]) for event in seen} == {str(visit.pk)}
    assert [str(event["STATUS"]) for event in seen] == [
        "TENTATIVE", "TENTATIVE", "TENTATIVE", "CANCELLED", "TENTATIVE", "TENTATIVE", "CANCELLED",
    ]  # fmt: skip


def test_a_no_show_that_was_a_slip_takes_no_occurrence_of_the_series_back_in_number(
    clinic: Clinic, series: Series
) -> None:
    """The others of the series move meanwhile: what a calendar has seen of them it must still believe afterwards."""
    first, later = series.visits.order_by("series_start")[:2]
    seen: list[int] = []

    def look() -> None:
        rows = series.visits.select_related("tenant", "patient", "location", "series__location").order_by(
            "series_start"
        )
        whole = calendar_file.series_sequence(series, list(rows))
        seen.append(whole)

    look()
    with time_machine.travel(first.starts_at + HOUR, tick=False):
        services.appointment_no_show(appointment_id=first.pk, actor=clinic.front_desk)
        look()
        services.appointment_reschedule(
            appointment_id=later.pk, actor=clinic.front_desk, starts_at=later.starts_at + HOUR, reason="x"
        )
        look()
        services.appointment_correct_no_show(
            appointment_id=first.pk, actor=clinic.front_desk, to=S.ARRIVED, reason="was here"
        )
        look()
        services.appointment_cancel(appointment_id=later.pk, actor=clinic.front_desk, reason="x")
        look()
    assert seen == sorted(seen), "a calendar never goes back"
    assert seen[-1] > seen[2], "and the cancellation is newer than the move before it"


def test_an_occurrence_at_another_clock_is_still_found_in_its_series(clinic: Clinic, series: Series) -> None:
    """The day moved to a place in another zone: the calendar looks for the occurrence by the rule's own clock."""
    away = Location.objects.create(tenant=clinic.tenant, name_en="Cairo", timezone="Africa/Cairo")
    visit = series.visits.order_by("series_start")[2]
    Appointment.objects.filter(pk=visit.pk).update(location=away)
    event = entry(file_of(visit))
    [rule] = [one for one in of_series(series) if "RRULE" in one]
    assert event["RECURRENCE-ID"].params["TZID"] == rule["DTSTART"].params["TZID"] == "Asia/Riyadh"
    assert event["DTSTART"].params["TZID"] == "Africa/Cairo"
    assert event.decoded("recurrence-id") == visit.series_start


NASTY = 'عيادة "النور"; قسم, الأطفال\\ \r\nATTENDEE:mailto:x@y.z\r\nEND:VEVENT'


@pytest.mark.parametrize("field", ["patient", "tenant", "location", "address", "discreet"])
@pytest.mark.parametrize("language", ["en", "ar"])
def test_no_name_breaks_out_of_its_value(clinic: Clinic, visit: Appointment, field: str, language: str) -> None:
    {
        "patient": lambda: Patient.objects.update(name_en=NASTY, name_ar=NASTY),
        "tenant": lambda: Tenant.objects.update(name_en=NASTY, name_ar=NASTY),
        "location": lambda: Location.objects.update(name_en=NASTY, name_ar=NASTY),
        "address": lambda: Location.objects.update(address_en=NASTY, address_ar=NASTY),
        "discreet": lambda: Location.objects.update(
            is_sensitive=True, discreet_name_en=NASTY[:60], discreet_name_ar=NASTY[:60]
        ),
    }[field]()
    content = file_of(visit, language=language, attendee="sara@mail.example")
    calendar = Calendar.from_ical(content)
    [event] = calendar.walk("VEVENT")
    assert event["ATTENDEE"] == "mailto:sara@mail.example"
    assert str(event["UID"]) == str(visit.pk)
    assert content.count(b"BEGIN:VEVENT") == content.replace(b"\r\n ", b"").count(b"\r\nEND:VEVENT\r\n") == 1
    for line in content.split(b"\r\n"):
        assert len(line) <= 75
        line.decode("utf-8")
        assert not {9 if byte == 9 else byte for byte in line} & set(range(9)), "no control characters"
    assert b"\n" not in content.replace(b"\r\n", b"")


def test_long_arabic_names_are_folded_within_75_octets_and_never_in_a_letter(
    clinic: Clinic, visit: Appointment
) -> None:
    long = "مجمع عيادات النور التخصصية للأطفال وصحة الأسرة " * 4
    Tenant.objects.update(name_ar=long.strip()[:150])
    Location.objects.update(name_ar=long.strip()[:150], address_ar=long.strip()[:190])
    content = file_of(visit, language="ar", attendee=f"{'a' * 60}@mail.example")
    lines = content.split(b"\r\n")
    assert max(map(len, lines)) <= 75
    for line in lines:
        line.decode("utf-8")
    [event] = Calendar.from_ical(content).walk("VEVENT")
    assert long.strip()[:150] in event["SUMMARY"]


@pytest.mark.parametrize(
    ("zone", "day"),
    [
        ("Europe/London", dt.date(2027, 3, 28)),
        ("Europe/London", dt.date(2027, 10, 31)),
        ("Africa/Cairo", dt.date(2027, 4, 30)),
        ("America/New_York", dt.date(2027, 11, 7)),
        ("Asia/Riyadh", dt.date(2027, 6, 1)),
    ],
)
def test_where_the_clock_changes_the_entry_carries_its_own_rules(clinic: Clinic, zone: str, day: dt.date) -> None:
    clock = zoneinfo.ZoneInfo(zone)
    Location.objects.update(timezone=zone)
    clinic.location.refresh_from_db()
    start = dt.datetime.combine(day, dt.time(10), clock)
    with time_machine.travel(start - dt.timedelta(days=3), tick=False):
        visit = book(clinic, start)
        content = file_of(visit)
    calendar = Calendar.from_ical(content)
    [rules] = calendar.walk("VTIMEZONE")
    assert str(rules["TZID"]) == zone
    # As a calendar that knows no zone by name reads it: by the rules in the file alone.
    offsets = {part["TZOFFSETTO"].td for part in rules.subcomponents}
    assert start.utcoffset() in offsets
    [event] = calendar.walk("VEVENT")
    assert event.decoded("dtstart") == start
    assert event.decoded("dtend") - event.decoded("dtstart") == dt.timedelta(minutes=30)


def test_at_a_sensitive_place_no_part_of_the_file_names_anything(clinic: Clinic, visit: Appointment) -> None:
    Location.objects.update(
        is_sensitive=True, discreet_name_en="The Garden", discreet_name_ar="الحديقة", address_en="Psychiatry Street 3",
        email_sender="Garden <hello@garden.example>",
    )  # fmt: skip
    for language in ("en", "ar"):
        content = file_of(visit, language=language, attendee="x@mail.example").replace(b"\r\n ", b"").decode()
        for name in (
            clinic.tenant.name_en, clinic.tenant.name_ar, clinic.location.name_en, clinic.location.name_ar,
            clinic.patient.name_en, clinic.patient.name_ar, "Sara", "سارة", clinic.department.name_en,
            clinic.provider.name_en, "sychiatry", visit.number, "noor",
        ):  # fmt: skip
            assert name not in content, name
    assert calendar_file.FILE_NAME == "appointment.ics"


def test_the_type_of_the_answer_names_the_method_of_the_file(clinic: Clinic, visit: Appointment, client: Any) -> None:
    from appointments.tests.test_views_link import address

    link = f"{address(visit)}/appointment.ics"
    for method, act in (
        ("REQUEST", lambda: None),
        ("CANCEL", lambda: services.appointment_cancel(appointment_id=visit.pk, actor=clinic.front_desk, reason="x")),
    ):
        act()
        answer = client.get(link)
        assert answer.headers["Content-Type"] == f"text/calendar; charset=utf-8; method={method}"
        assert str(Calendar.from_ical(answer.content)["METHOD"]) == method
        assert answer.headers["Content-Disposition"] == 'attachment; filename="appointment.ics"'
    assert method_of(full(visit)) is Method.CANCEL
    assert uuid.UUID(str(entry(answer.content)["UID"])) == visit.pk
