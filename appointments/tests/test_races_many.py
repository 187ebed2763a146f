"""Two people at the same moment at an offered time, an absence, a series: PostgreSQL, with real threads."""

from __future__ import annotations

import datetime as dt
import uuid

import pytest
from django.utils import timezone

from appointments import absences, free_slots, offers, services, waiting
from appointments.models import AbsenceVisit, Appointment, ProviderAbsence, SlotOffer, VisitPolicy
from appointments.tests.test_booking import book
from appointments.tests.test_races import at_once, codes
from conftest import Clinic
from notifications.models import NotificationEvent
from tests.factories import PatientFactory

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]

S = Appointment.Status


def offered(clinic: Clinic, start: dt.datetime, number: int = 3) -> list[SlotOffer]:
    VisitPolicy.objects.create(tenant=clinic.tenant, offers_at_once=number)
    for index in range(number):
        person = PatientFactory(tenant=clinic.tenant)
        # The first has a visit already, which moves.
        kept = book(clinic, start + dt.timedelta(days=9), patient=person) if not index else None
        waiting.entry_add(
            actor=clinic.front_desk,
            patient=person,
            department=clinic.department,
            appointment=kept,
            first_day=timezone.localdate(),
            last_day=timezone.localdate() + dt.timedelta(days=30),
        )
    freed = book(clinic, start)
    services.appointment_cancel(appointment_id=freed.pk, actor=clinic.front_desk, reason="x")
    free_slots.tend()
    return list(SlotOffer.objects.order_by("created_at"))


def test_scenario_12_of_three_who_accept_in_the_same_second_one_gets_it(
    clinic: Clinic, ten_oclock: dt.datetime
) -> None:
    rows = offered(clinic, ten_oclock)
    assert len(rows) == 3
    results = at_once(clinic, *[lambda row=row: offers.accept(row.code) for row in rows])  # type: ignore[misc]
    assert codes(results) == ["ok", "slot_gone", "slot_gone"]
    assert Appointment.objects.filter(starts_at=ten_oclock).exclude(status=S.CANCELLED).count() == 1
    assert sorted(SlotOffer.objects.values_list("state", flat=True)) == ["ACCEPTED", "LOST", "LOST"]


def test_the_desk_and_a_patient_want_the_same_time(clinic: Clinic, ten_oclock: dt.datetime) -> None:
    [row] = offered(clinic, ten_oclock, number=1)
    results = at_once(clinic, lambda: offers.accept(row.code), lambda: book(clinic, ten_oclock))
    assert min(codes(results)) == "ok"
    assert len([result for result in results if isinstance(result, Appointment)]) == 1


def test_the_kept_visit_is_moved_at_the_desk_while_its_patient_accepts(clinic: Clinic, ten_oclock: dt.datetime) -> None:
    row = offered(clinic, ten_oclock)[0]
    kept = row.entry.appointment
    assert kept is not None
    at_once(
        clinic,
        lambda: offers.accept(row.code),
        lambda: services.appointment_reschedule(
            appointment_id=kept.pk, actor=clinic.front_desk, starts_at=ten_oclock + dt.timedelta(days=3)
        ),
    )
    kept.refresh_from_db()
    assert kept.version in (2, 3), "one after the other, and nobody waits for ever"


def test_two_sweeps_at_once_ask_each_person_once(clinic: Clinic, ten_oclock: dt.datetime) -> None:
    people = [PatientFactory(tenant=clinic.tenant) for _number in range(3)]
    for person in people:
        waiting.entry_add(
            actor=clinic.front_desk,
            patient=person,
            department=clinic.department,
            first_day=timezone.localdate(),
            last_day=timezone.localdate() + dt.timedelta(days=30),
        )
    freed = book(clinic, ten_oclock)
    services.appointment_cancel(appointment_id=freed.pk, actor=clinic.front_desk, reason="x")
    at_once(clinic, free_slots.tend, free_slots.tend)
    assert SlotOffer.objects.count() == 1


def test_two_clicks_at_once_are_one_absence_and_one_message(clinic: Clinic, ten_oclock: dt.datetime) -> None:
    book(clinic, ten_oclock)
    key = uuid.uuid4()

    def click() -> ProviderAbsence:
        return absences.call_off(
            actor=clinic.front_desk,
            provider=clinic.provider,
            starts_at=ten_oclock,
            ends_at=ten_oclock + dt.timedelta(hours=8),
            reason="ill",
            key=key,
        )

    first, second = at_once(clinic, click, click)
    assert first == second
    assert AbsenceVisit.objects.count() == 1
    assert NotificationEvent.objects.filter(key=absences.CALLED_OFF).count() == 1


def test_a_booking_and_an_absence_at_once_leave_no_visit_in_the_absence(
    clinic: Clinic, ten_oclock: dt.datetime
) -> None:
    at_once(
        clinic,
        lambda: book(clinic, ten_oclock),
        lambda: absences.call_off(
            actor=clinic.front_desk,
            provider=clinic.provider,
            starts_at=ten_oclock,
            ends_at=ten_oclock + dt.timedelta(hours=8),
            reason="ill",
            key=uuid.uuid4(),
        ),
    )
    assert not Appointment.objects.exclude(status=S.CANCELLED).exists()
