"""Who sees which visits, on whose clock, in how many queries."""

from __future__ import annotations

import datetime as dt

import pytest
from django.utils import timezone

from appointments import selectors, services
from appointments.tests.test_booking import book
from conftest import Clinic
from core.tenancy import tenant_scope
from tests.factories import AppointmentFactory, LocationFactory, PatientFactory


def test_everybody_sees_the_visits_they_may(clinic: Clinic, other_clinic: Clinic, ten_oclock: dt.datetime) -> None:
    own = book(clinic, ten_oclock)
    other = book(clinic, ten_oclock, provider=clinic.colleague, patient=PatientFactory(tenant=clinic.tenant))
    with tenant_scope(other_clinic.tenant.pk):
        book(other_clinic, ten_oclock)
    for user, expected in [
        (clinic.admin, {own, other}),
        (clinic.front_desk, {own, other}),
        (clinic.provider, {own}),
        (clinic.colleague, {other}),
        (clinic.patient_user, {own}),
    ]:
        assert set(selectors.appointments_for(user)) == expected
        assert set(selectors.day_of(user, ten_oclock.date())) == expected
        assert set(selectors.upcoming(user)) == expected


def test_a_day_is_the_locations_day(clinic: Clinic) -> None:
    london = LocationFactory(tenant=clinic.tenant, name_en="London", timezone="Europe/London")
    # 23:30 on 1 July in London is already 2 July in Riyadh.
    start = dt.datetime(2027, 7, 1, 22, 30, tzinfo=dt.UTC)
    visit = AppointmentFactory(
        tenant=clinic.tenant,
        patient=clinic.patient,
        provider=clinic.provider,
        location=london,
        department=clinic.department,
        starts_at=start,
    )
    first, second = dt.date(2027, 7, 1), dt.date(2027, 7, 2)
    assert list(selectors.day_of(clinic.admin, first, location=london)) == [visit]
    assert not selectors.day_of(clinic.admin, second, location=london)
    # Without a location it is the reader's clock.
    assert list(selectors.day_of(clinic.admin, second)) == [visit]


def test_the_day_of_a_clock_change_has_its_own_length(clinic: Clinic) -> None:
    london = LocationFactory(tenant=clinic.tenant, timezone="Europe/London").zone
    start, end = selectors.day_bounds(dt.date(2026, 3, 29), london)
    assert end.astimezone(dt.UTC) - start.astimezone(dt.UTC) == dt.timedelta(hours=23)


def test_a_list_joins_what_it_shows(
    clinic: Clinic, ten_oclock: dt.datetime, django_assert_num_queries: pytest.FixtureRequest
) -> None:
    for hour in range(5):
        book(clinic, ten_oclock + dt.timedelta(hours=hour))
    with django_assert_num_queries(1):  # type: ignore[operator]
        for visit in selectors.appointments_for(clinic.admin):
            assert visit.local_start
            assert visit.patient.name
            assert visit.patient.is_minor is False
            assert visit.provider.name
            assert visit.department.name


def test_counts_hold_every_status(clinic: Clinic, ten_oclock: dt.datetime) -> None:
    visit = book(clinic, ten_oclock)
    book(clinic, ten_oclock + dt.timedelta(hours=1))
    services.appointment_confirm(appointment_id=visit.pk, actor=clinic.front_desk)
    counts = selectors.count_by_status(selectors.appointments_for(clinic.admin))
    assert (counts["BOOKED"], counts["CONFIRMED"], counts["CANCELLED"]) == (1, 1, 0)


def test_a_visit_is_found_by_number_patient_or_provider(clinic: Clinic, ten_oclock: dt.datetime) -> None:
    visit = book(clinic, ten_oclock)
    rows = selectors.appointments_for(clinic.admin)
    for text in (visit.number, clinic.patient.mrn, "mutairi", "المطيري", "layla", "", "  "):
        assert list(selectors.search(rows, text)) == [visit], text
    assert not selectors.search(rows, "nobody at all")


def test_only_those_who_can_be_booked_are_offered(clinic: Clinic) -> None:
    clinic.colleague.is_active = False
    clinic.colleague.save()
    assert list(selectors.providers()) == [clinic.provider]
    assert selectors.today(clinic.front_desk) == timezone.localdate()
    assert clinic.location in selectors.locations()
    assert clinic.department in selectors.departments()
