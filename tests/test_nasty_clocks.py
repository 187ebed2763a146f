"""Clocks that differ, steps of the clock, clinics that stand still: what is due goes in time, once, or says why not."""

from __future__ import annotations

import datetime as dt
import uuid
import zoneinfo
from collections.abc import Iterator

import pytest
import time_machine
from django.utils import timezone

from appointments import absences, services
from appointments.models import Appointment, Reminder, ReminderTiming
from appointments.tasks import replan_reminders_task, send_due_reminders_task
from appointments.tests.test_booking import book
from conftest import Clinic
from core import merging, tenant_settings
from core.models import Patient
from integrations.tests.fakes import FakeProvider, provider
from notifications import default_words
from notifications.models import Message, NotificationPreference
from notifications.states import Reason
from tests.factories import LocationFactory, PatientFactory
from tests.journey import send_all, to

__all__ = ["provider"]
pytestmark = pytest.mark.django_db

S = Appointment.Status
MINUTE, HOUR, DAY = dt.timedelta(minutes=1), dt.timedelta(hours=1), dt.timedelta(days=1)
NOW = dt.timedelta(0)


@pytest.fixture(autouse=True)
def morning(clinic: Clinic) -> Iterator[time_machine.Coordinates]:
    """Nine o'clock at the clinic in Riyadh."""
    default_words.install(clinic.tenant.pk)
    ReminderTiming.objects.all().delete()
    clinic.patient.email = ""
    clinic.patient.save()
    start = timezone.localtime(timezone.now(), clinic.location.zone)
    with time_machine.travel(start.replace(hour=9, minute=0, second=0, microsecond=0), tick=False) as clock:
        yield clock


@pytest.fixture
def ten(morning: time_machine.Coordinates) -> dt.datetime:
    """Ten o'clock in five days."""
    return timezone.now() + 5 * DAY + HOUR


def said(clock: time_machine.Coordinates, pause: dt.timedelta, provider: FakeProvider, patient: Patient) -> list[str]:
    """What somebody reads after a pause, with every sweep done."""
    clock.shift(pause)
    send_due_reminders_task()
    return [call.body for call in to(send_all(provider), patient.phone)]


def night(clinic: Clinic) -> None:
    tenant_settings.quiet_hours_set(actor=clinic.admin, quiet_from=dt.time(22), quiet_until=dt.time(8))
    replan_reminders_task()


# --- two clocks in one clinic group ----------------------------------------------------------------------------------


@pytest.mark.parametrize("zone", ["Europe/London", "America/New_York", "Asia/Tokyo"])
def test_a_night_elsewhere_costs_nobody_the_reminder_of_their_own_day(
    clinic: Clinic, provider: FakeProvider, morning: time_machine.Coordinates, ten: dt.datetime, zone: str
) -> None:
    """A branch in another part of the world sleeps while it is day here."""
    LocationFactory(tenant=clinic.tenant, timezone=zone)
    night(clinic)
    half_past_ten = book(clinic, ten + 30 * MINUTE)
    evening = book(clinic, ten + 9 * HOUR, patient=PatientFactory(tenant=clinic.tenant))
    for visit in (half_past_ten, evening):
        said(morning, 4 * MINUTE, provider, visit.patient)
    morning.shift(10 * HOUR)
    for visit in (half_past_ten, evening):
        for pause in (DAY, 2 * HOUR):
            at = visit.starts_at - pause
            if timezone.now() > at:
                continue
            morning.move_to(at)
            assert len(said(morning, NOW, provider, visit.patient)) == 1, f"{pause} before, in time"
            assert said(morning, 10 * MINUTE, provider, visit.patient) == []


def test_a_night_elsewhere_costs_no_family_its_reminder(
    clinic: Clinic, provider: FakeProvider, morning: time_machine.Coordinates, ten: dt.datetime
) -> None:
    LocationFactory(tenant=clinic.tenant, timezone="Europe/London")
    night(clinic)
    sister = PatientFactory(tenant=clinic.tenant, phone=clinic.patient.phone, email="")
    book(clinic, ten)
    book(clinic, ten + 30 * MINUTE, patient=sister)
    said(morning, HOUR, provider, sister)
    morning.move_to(ten - 2 * HOUR)
    said(morning, NOW, provider, sister)
    together = Message.objects.filter(event__key="appointment.reminder_together")
    assert set(together.values_list("status", flat=True)) == {"SENT"}


def test_a_night_elsewhere_keeps_no_word_of_a_day_that_is_called_off(
    clinic: Clinic, provider: FakeProvider, morning: time_machine.Coordinates, ten: dt.datetime
) -> None:
    """It waited for the morning in New York. Where the day was at both places, it still does."""
    away = LocationFactory(tenant=clinic.tenant, timezone="America/New_York")
    night(clinic)
    for count, places in enumerate(([clinic.location], [clinic.location, away])):
        for number, place in enumerate(places):
            book(clinic, ten + count * DAY + number * 2 * HOUR, location=place)
        morning.shift(10 * MINUTE)
        send_all(provider)
        absences.call_off(
            actor=clinic.front_desk,
            provider=clinic.provider,
            starts_at=ten + count * DAY - HOUR,
            ends_at=ten + count * DAY + 8 * HOUR,
            reason="ill",
            key=uuid.uuid4(),
        )
        off = [text for text in said(morning, MINUTE, provider, clinic.patient) if "/again/" in text]
        assert len(off) == (1 if len(places) == 1 else 0)


def test_who_is_asleep_elsewhere_is_not_woken_because_it_is_day_here(
    clinic: Clinic, provider: FakeProvider, morning: time_machine.Coordinates, ten: dt.datetime
) -> None:
    """A visit in New York is booked by the house in Riyadh at nine in the morning; there it is one at night."""
    away = LocationFactory(tenant=clinic.tenant, timezone="America/New_York")
    night(clinic)
    book(clinic, ten, location=away)
    assert said(morning, 4 * MINUTE, provider, clinic.patient) == []
    eight = timezone.localtime(timezone.now(), away.zone).replace(hour=8, minute=0)
    assert eight > timezone.now()
    morning.move_to(eight)
    assert len(said(morning, NOW, provider, clinic.patient)) == 1


def test_a_patients_own_night_is_that_of_the_place_they_come_to(
    clinic: Clinic, provider: FakeProvider, morning: time_machine.Coordinates, ten: dt.datetime
) -> None:
    """Three in the afternoon in New York is eleven at night in Riyadh, where the clinic group has its house."""
    # After the house in the order of places.
    away = LocationFactory(pk=uuid.UUID(int=2**128 - 1), tenant=clinic.tenant, timezone="America/New_York")
    NotificationPreference.objects.create(
        tenant=clinic.tenant, patient=clinic.patient, quiet_from=dt.time(22), quiet_until=dt.time(7)
    )
    five = timezone.localtime(ten, away.zone).replace(hour=17)
    visit = book(clinic, five, location=away)
    said(morning, 12 * HOUR, provider, clinic.patient)
    for pause in (DAY, 2 * HOUR):
        morning.move_to(visit.starts_at - pause)
        assert len(said(morning, NOW, provider, clinic.patient)) == 1, f"{pause} before, in time"


# --- a step of the clock ---------------------------------------------------------------------------------------------


def test_a_clock_that_steps_back_sends_nothing_twice(
    clinic: Clinic, provider: FakeProvider, morning: time_machine.Coordinates, ten: dt.datetime
) -> None:
    book(clinic, ten)
    said(morning, 4 * MINUTE, provider, clinic.patient)
    morning.move_to(ten - DAY)
    assert len(said(morning, NOW, provider, clinic.patient)) == 1
    morning.move_to(ten - DAY - HOUR)
    assert said(morning, 30 * MINUTE, provider, clinic.patient) == []
    assert said(morning, 40 * MINUTE, provider, clinic.patient) == []


def test_a_clock_that_jumps_a_day_ahead_and_back_drops_what_it_dropped_with_a_reason(
    clinic: Clinic, provider: FakeProvider, morning: time_machine.Coordinates, ten: dt.datetime
) -> None:
    book(clinic, ten)
    said(morning, 4 * MINUTE, provider, clinic.patient)
    morning.move_to(ten - HOUR)
    assert len(said(morning, NOW, provider, clinic.patient)) == 1, "the one that is still of use"
    assert set(Reminder.objects.values_list("kind", "status", "reason")) == {
        ("24H", "EXPIRED", Reason.PAST_DUE),
        ("2H", "SENT", ""),
    }


# --- a clinic group that stands still --------------------------------------------------------------------------------


def test_a_suspended_clinic_group_says_nothing_and_afterwards_only_what_is_of_use(
    clinic: Clinic, provider: FakeProvider, morning: time_machine.Coordinates, ten: dt.datetime
) -> None:
    book(clinic, ten)
    later = book(clinic, ten + 30 * HOUR, patient=PatientFactory(tenant=clinic.tenant))
    said(morning, 4 * MINUTE, provider, clinic.patient)
    before = len(provider.calls)
    clinic.tenant.is_active = False
    clinic.tenant.save()
    morning.move_to(ten - DAY)
    assert said(morning, NOW, provider, clinic.patient) == []
    morning.move_to(ten + HOUR)
    assert said(morning, NOW, provider, clinic.patient) == []
    assert len(provider.calls) == before
    clinic.tenant.is_active = True
    clinic.tenant.save()
    send_due_reminders_task()
    send_all(provider)
    assert [call.to for call in provider.calls[before:] if call.channel != "EMAIL"] == []
    morning.move_to(ten + 6 * HOUR)
    assert len(said(morning, NOW, provider, later.patient)) == 1


def test_what_a_suspended_clinic_group_had_written_down_is_not_sent(
    clinic: Clinic, provider: FakeProvider, morning: time_machine.Coordinates, ten: dt.datetime
) -> None:
    night(clinic)
    morning.shift(14 * HOUR)
    book(clinic, ten)
    assert said(morning, 4 * MINUTE, provider, clinic.patient) == []
    clinic.tenant.is_active = False
    clinic.tenant.save()
    assert said(morning, 10 * HOUR, provider, clinic.patient) == []
    assert Message.objects.filter(patient=clinic.patient, status__in=["SENT", "DELIVERED"]).count() == 0


# --- two files that become one ---------------------------------------------------------------------------------------


def test_a_visit_of_a_file_that_is_merged_is_reminded_once_by_the_wishes_of_the_one_that_stays(
    clinic: Clinic, provider: FakeProvider, morning: time_machine.Coordinates, ten: dt.datetime
) -> None:
    twin = PatientFactory(
        tenant=clinic.tenant,
        name_en=clinic.patient.name_en,
        name_ar=clinic.patient.name_ar,
        birth_date=clinic.patient.birth_date,
        gender=clinic.patient.gender,
        email="",
    )
    NotificationPreference.objects.create(
        tenant=clinic.tenant, patient=clinic.patient, quiet_from=dt.time(6), quiet_until=dt.time(12)
    )
    visit = book(clinic, ten, patient=twin)
    said(morning, 4 * MINUTE, provider, twin)
    merging.patient_merge(actor=clinic.admin, survivor=clinic.patient, merged=twin)
    visit.refresh_from_db()
    assert visit.patient_id == clinic.patient.pk
    row = Reminder.objects.get(appointment=visit, kind="2H")
    assert (row.status, timezone.localtime(row.due_at, clinic.location.zone).hour) == ("PLANNED", 5), "before six"
    morning.move_to(ten - DAY)
    assert said(morning, NOW, provider, clinic.patient) == [], "it is quiet"
    assert len(said(morning, 2 * HOUR, provider, clinic.patient)) == 1
    assert to(provider.calls, twin.phone)[1:] == []


# --- a deed of the patient's own -------------------------------------------------------------------------------------


def test_a_visit_called_off_by_night_by_its_patient_is_acknowledged_once_and_at_once(
    clinic: Clinic, provider: FakeProvider, morning: time_machine.Coordinates, ten: dt.datetime
) -> None:
    night(clinic)
    visit = book(clinic, ten)
    said(morning, 4 * MINUTE, provider, clinic.patient)
    morning.shift(14 * HOUR)
    services.appointment_cancel(appointment_id=visit.pk, actor=None, by="PATIENT")
    assert len(said(morning, NOW, provider, clinic.patient)) == 1
    assert said(morning, 10 * HOUR, provider, clinic.patient) == []


def test_a_visit_in_the_hour_that_comes_twice_is_reminded_once_of_each_kind(
    clinic: Clinic, provider: FakeProvider, morning: time_machine.Coordinates
) -> None:
    """Half past two in Berlin, the second time; and in spring a day after the hour that is left out."""
    zone = zoneinfo.ZoneInfo("Europe/Berlin")
    clinic.location.timezone = zone.key
    clinic.location.save()
    second = dt.datetime(2027, 10, 31, 2, 30, fold=1, tzinfo=zone)
    spring = dt.datetime(2027, 3, 29, 2, 30, tzinfo=zone)
    for start in (spring, second):
        morning.move_to(start.astimezone(dt.UTC) - 3 * DAY)
        visit = book(clinic, start)
        said(morning, 10 * MINUTE, provider, clinic.patient)
        got = 0
        while timezone.now() < visit.ends_at:
            got += len(said(morning, 20 * MINUTE, provider, clinic.patient))
        assert got == 2
        due = dict(Reminder.objects.filter(appointment=visit).values_list("kind", "due_at"))
        assert due["2H"] == visit.starts_at - 2 * HOUR
