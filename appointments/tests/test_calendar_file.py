"""The calendar entry: one for a visit's whole life, newer with each change, and silent about what a stranger must not learn."""

from __future__ import annotations

import datetime as dt
import uuid

import pytest
from icalendar import Calendar, Event

from appointments import calendar_file, services
from appointments.calendar_file import Method
from appointments.models import Appointment, Series
from appointments.tests.test_booking import book
from conftest import Clinic
from tests import factories

S = Appointment.Status


@pytest.fixture
def visit(clinic: Clinic, ten_oclock: dt.datetime) -> Appointment:
    return book(clinic, ten_oclock)


def entry(content: bytes) -> Event:
    """The only entry of a file."""
    [event] = Calendar.from_ical(content).walk("VEVENT")
    return event


def written(visit: Appointment, **fields: str) -> Event:
    visit = Appointment.objects.select_related("tenant", "patient", "location", "series").get(pk=visit.pk)
    return entry(calendar_file.ics_for(visit, calendar_file.method_of(visit), **fields))


def test_an_entry_says_when_and_where_on_the_clock_of_the_place(clinic: Clinic, visit: Appointment) -> None:
    content = calendar_file.ics_for(visit, Method.REQUEST, attendee="sara@mail.example")
    calendar = Calendar.from_ical(content)
    assert (calendar["VERSION"], calendar["METHOD"]) == ("2.0", "REQUEST")
    assert [str(zone["TZID"]) for zone in calendar.walk("VTIMEZONE")] == ["Asia/Riyadh"]
    event = entry(content)
    assert event.decoded("dtstart") == visit.starts_at
    assert event["DTSTART"].params["TZID"] == "Asia/Riyadh"
    assert event.decoded("dtend") == visit.ends_at
    assert event["UID"] == str(visit.pk)
    assert event["ATTENDEE"] == "mailto:sara@mail.example"
    assert clinic.tenant.name_en in event["SUMMARY"]
    assert clinic.location.name_en in event["LOCATION"]
    assert b"\r\n" in content
    assert all(len(line) <= 75 for line in content.split(b"\r\n"))


def test_words_with_commas_and_line_breaks_stay_one_value(clinic: Clinic, visit: Appointment) -> None:
    clinic.location.name_en, clinic.location.address_en = "Olaya; tower, 3", "King Fahd Rd\nATTENDEE:mailto:x@y.z"
    clinic.location.save()
    event = written(visit)
    assert event["LOCATION"].startswith("Olaya; tower, 3, King Fahd Rd")
    assert event["ATTENDEE"] == "invalid:nomail"


def test_the_number_rises_with_each_change_and_the_id_stays(clinic: Clinic, visit: Appointment) -> None:
    entries = [written(visit)]
    for hours in (1, 2):
        services.appointment_reschedule(
            appointment_id=visit.pk,
            actor=clinic.front_desk,
            starts_at=visit.starts_at + dt.timedelta(hours=hours),
        )
        entries.append(written(visit))
    services.appointment_cancel(appointment_id=visit.pk, actor=clinic.front_desk, reason="x")
    entries.append(written(visit))
    services.appointment_reinstate(appointment_id=visit.pk, actor=clinic.front_desk)
    entries.append(written(visit))
    numbers = [int(one["SEQUENCE"]) for one in entries]
    assert numbers == sorted(set(numbers))
    assert {str(one["UID"]) for one in entries} == {str(visit.pk)}
    assert [str(one["STATUS"]) for one in entries] == ["TENTATIVE"] * 3 + ["CANCELLED", "TENTATIVE"]


def test_a_confirmation_changes_the_state_and_not_the_number(clinic: Clinic, visit: Appointment) -> None:
    before = written(visit)
    services.appointment_confirm(appointment_id=visit.pk, actor=clinic.front_desk)
    after = written(visit)
    assert after["SEQUENCE"] == before["SEQUENCE"]
    assert after["STATUS"] == "CONFIRMED"


def test_a_cancelled_visit_is_a_cancellation(clinic: Clinic, visit: Appointment) -> None:
    cancelled = services.appointment_cancel(appointment_id=visit.pk, actor=clinic.front_desk, reason="x")
    method = calendar_file.method_of(cancelled)
    calendar = Calendar.from_ical(calendar_file.ics_for(cancelled, method))
    assert calendar["METHOD"] == "CANCEL"


@pytest.mark.parametrize("language", ["en", "ar"])
def test_at_a_sensitive_place_an_entry_says_only_that_there_is_something(
    clinic: Clinic, visit: Appointment, language: str
) -> None:
    clinic.location.is_sensitive = True
    clinic.location.address_en, clinic.location.address_ar = "12 Psychiatry Road", "طريق الطب النفسي 12"
    clinic.location.save()
    clinic.location.refresh_from_db()
    visit.refresh_from_db()
    text = written(visit, language=language).to_ical().decode().replace("\r\n ", "")
    for name in (clinic.tenant, clinic.location, clinic.provider, clinic.department, clinic.patient):
        for word in name.name_in(language).split():
            assert word not in text
    assert "LOCATION" not in text
    assert "DESCRIPTION" not in text


def test_no_entry_holds_the_link_the_provider_or_the_department(clinic: Clinic, visit: Appointment) -> None:
    text = written(visit).to_ical().decode().replace("\r\n ", "")
    assert visit.tokens.get().code not in text
    assert clinic.provider.name_en not in text
    assert clinic.department.name_en not in text


# --- a series --------------------------------------------------------------------------------------------------------


@pytest.fixture
def series(clinic: Clinic, ten_oclock: dt.datetime) -> Series:
    made = Series.objects.create(
        tenant=clinic.tenant,
        patient=clinic.patient,
        provider=clinic.provider,
        location=clinic.location,
        department=clinic.department,
        first_starts_at=ten_oclock,
        duration=dt.timedelta(minutes=30),
        count=12,
        code=uuid.uuid4().hex[:20],
    )
    for number in range(12):
        start = ten_oclock + dt.timedelta(weeks=number)
        factories.AppointmentFactory(
            tenant=clinic.tenant,
            patient=clinic.patient,
            provider=clinic.provider,
            location=clinic.location,
            department=clinic.department,
            starts_at=start,
            ends_at=start + dt.timedelta(minutes=30),
            series=made,
            series_start=start,
        )
    return made


def of_series(series: Series, method: Method = Method.REQUEST) -> list[Event]:
    rows = series.visits.select_related("tenant", "patient", "location", "series").order_by("series_start")
    return list(Calendar.from_ical(calendar_file.ics_for_series(series, list(rows), method)).walk("VEVENT"))


def test_a_series_is_one_entry_with_a_rule(series: Series) -> None:
    [event] = of_series(series)
    assert event["RRULE"].to_ical() == b"FREQ=WEEKLY;COUNT=12"
    assert event["UID"] == str(series.pk)
    assert event.decoded("dtstart") == series.first_starts_at


def test_a_moved_visit_of_a_series_touches_only_itself(clinic: Clinic, series: Series) -> None:
    [before] = of_series(series)
    fourth = series.visits.order_by("series_start")[3]
    services.appointment_reschedule(
        appointment_id=fourth.pk, actor=clinic.front_desk, starts_at=fourth.starts_at + dt.timedelta(days=1)
    )
    alone = written(fourth)
    assert alone["UID"] == str(series.pk)
    assert alone.decoded("recurrence-id") == fourth.series_start
    assert alone.decoded("dtstart") == fourth.starts_at + dt.timedelta(days=1)
    assert "RRULE" not in alone
    assert int(alone["SEQUENCE"]) > int(before["SEQUENCE"])

    whole, moved = of_series(series)
    assert "RRULE" in whole
    assert moved.decoded("recurrence-id") == fourth.series_start
    assert moved.decoded("dtstart") == fourth.starts_at + dt.timedelta(days=1)


def test_a_cancelled_visit_of_a_series_is_left_out_of_the_rule(clinic: Clinic, series: Series) -> None:
    second = series.visits.order_by("series_start")[1]
    services.appointment_cancel(appointment_id=second.pk, actor=clinic.front_desk, reason="x")
    [whole] = of_series(series)
    assert [moment.dt for moment in whole["EXDATE"].dts] == [second.series_start]
    alone = written(second)
    assert (str(alone["STATUS"]), alone.decoded("recurrence-id")) == ("CANCELLED", second.series_start)


def test_a_cancelled_series_is_newer_than_all_before_it(clinic: Clinic, series: Series) -> None:
    [before] = of_series(series)
    [after] = of_series(series, Method.CANCEL)
    assert int(after["SEQUENCE"]) > int(before["SEQUENCE"])
    assert after["STATUS"] == "CANCELLED"


def test_a_weekly_visit_keeps_its_wall_clock_where_the_clock_changes(clinic: Clinic, series: Series) -> None:
    clinic.location.timezone = "Europe/London"
    clinic.location.save()
    series.refresh_from_db()
    [event] = [event for event in of_series(series) if "RRULE" in event]
    assert event["DTSTART"].params["TZID"] == "Europe/London"
