"""The list, the provider's day and the calendar: who sees what, how many queries, what the filters do."""

from __future__ import annotations

import datetime as dt
import re

import pytest
import time_machine
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from appointments import services
from appointments.models import Appointment
from appointments.views.lists import PAGE_SIZE
from conftest import Clinic
from tests import factories

pytestmark = pytest.mark.django_db

LIST = reverse("appointments:list")
CALENDAR = reverse("appointments:calendar")
DAY = reverse("appointments:day")


def book(clinic: Clinic, starts_at: dt.datetime, **fields: object) -> Appointment:
    """A visit through the front door, so that it has its history, reminders and link."""
    values = {
        "patient": clinic.patient,
        "provider": clinic.provider,
        "location": clinic.location,
        "department": clinic.department,
        "duration": dt.timedelta(minutes=30),
        **fields,
    }
    return services.appointment_book(actor=clinic.front_desk, starts_at=starts_at, **values)


def rows(clinic: Clinic, count: int, first: dt.datetime) -> None:
    """Many visits of many patients, half an hour apart."""
    for number in range(count):
        factories.AppointmentFactory(
            tenant=clinic.tenant,
            patient=factories.PatientFactory(tenant=clinic.tenant, name_en=f"Patient {number}"),
            provider=clinic.provider if number % 2 else clinic.colleague,
            location=clinic.location,
            department=clinic.department,
            starts_at=first + dt.timedelta(minutes=30 * number),
            ends_at=first + dt.timedelta(minutes=30 * number + 30),
        )


@pytest.mark.parametrize("address", [LIST, CALENDAR, DAY])
def test_a_stranger_is_sent_to_the_sign_in_page(clinic: Clinic, address: str) -> None:
    response = Client().get(address)
    assert response.status_code == 302
    assert response["Location"].startswith(reverse("core:sign_in"))


@pytest.mark.parametrize("address", [LIST, CALENDAR, DAY])
def test_patients_do_not_enter(clinic: Clinic, address: str) -> None:
    assert clinic.client(clinic.patient_user).get(address).status_code == 403


def test_the_front_desk_has_no_day_of_its_own(clinic: Clinic) -> None:
    assert clinic.client(clinic.front_desk).get(DAY).status_code == 403


def test_the_list_shows_the_next_two_weeks_with_patient_provider_and_status(
    clinic: Clinic, ten_oclock: dt.datetime
) -> None:
    book(clinic, ten_oclock)
    book(clinic, ten_oclock + dt.timedelta(days=20))
    page = clinic.client(clinic.front_desk).get(LIST).content.decode()
    assert page.count("Sara Al-Mutairi</a>") == 1
    assert clinic.patient.mrn in page
    assert "Dr. Layla" in page
    assert "Booked" in page
    assert "10:00" in page


def test_an_outsider_sees_nothing_of_this_clinic(clinic: Clinic, other_clinic: Clinic, ten_oclock: dt.datetime) -> None:
    book(clinic, ten_oclock)
    client = other_clinic.client(other_clinic.front_desk)
    day = ten_oclock.date().isoformat()
    for address in (LIST, f"{CALENDAR}?date={day}", f"{LIST}?q={clinic.patient.mrn}"):
        response = client.get(address)
        assert response.status_code == 200
        assert "Sara Al-Mutairi" not in response.content.decode()


def test_a_provider_sees_only_the_own_visits(clinic: Clinic, ten_oclock: dt.datetime) -> None:
    book(clinic, ten_oclock)
    day = ten_oclock.date().isoformat()
    for address in (LIST, f"{CALENDAR}?date={day}"):
        assert "Sara Al-Mutairi" in clinic.client(clinic.provider).get(address).content.decode()
        assert "Sara Al-Mutairi" not in clinic.client(clinic.colleague).get(address).content.decode()


def test_a_provider_is_not_offered_to_book(clinic: Clinic, ten_oclock: dt.datetime) -> None:
    book(clinic, ten_oclock)
    for address in (LIST, CALENDAR, DAY):
        page = clinic.client(clinic.provider).get(address).content.decode()
        assert reverse("appointments:create") not in page


@pytest.mark.parametrize("typed", ["mutairi", "Mutairi Sara", "المطيري", "MRN", "phone", "٠٥"])
def test_the_search_finds_name_file_number_and_phone(clinic: Clinic, ten_oclock: dt.datetime, typed: str) -> None:
    book(clinic, ten_oclock)
    other = factories.PatientFactory(tenant=clinic.tenant, name_en="Omar Haddad", name_ar="عمر حداد")
    book(clinic, ten_oclock + dt.timedelta(hours=1), patient=other)
    local = "0" + clinic.patient.phone.removeprefix("+966")
    wanted = {
        "MRN": clinic.patient.mrn,
        "phone": local,
        "٠٥": local.translate(str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")),
    }.get(typed, typed)
    page = clinic.client(clinic.front_desk).get(LIST, {"q": wanted}).content.decode()
    assert "Sara Al-Mutairi</a>" in page
    assert "Omar Haddad" not in page


def test_the_filters_of_provider_status_and_days_hold(clinic: Clinic, ten_oclock: dt.datetime) -> None:
    first = book(clinic, ten_oclock)
    second = book(clinic, ten_oclock + dt.timedelta(days=1), provider=clinic.colleague)
    services.appointment_confirm(appointment_id=second.pk, actor=clinic.front_desk)
    client = clinic.client(clinic.front_desk)

    def shown(**query: object) -> set[object]:
        page = client.get(LIST, query).content.decode()
        return {row.pk for row in (first, second) if str(row.pk) in page}

    assert shown() == {first.pk, second.pk}
    assert shown(provider=clinic.colleague.pk) == {second.pk}
    assert shown(status="BOOKED") == {first.pk}
    assert shown(first=second.local_start.date(), last=second.local_start.date()) == {second.pk}
    # The wrong way round is meant the right way round.
    assert shown(first=second.local_start.date(), last=first.local_start.date()) == {first.pk, second.pk}
    assert shown(first="nonsense", status="NONSENSE", provider="x") == {first.pk, second.pk}


def test_the_list_makes_at_most_six_queries_whatever_its_length(
    clinic: Clinic, ten_oclock: dt.datetime, django_assert_max_num_queries: object
) -> None:
    client = clinic.client(clinic.front_desk)
    rows(clinic, 3, ten_oclock)
    with django_assert_max_num_queries(6) as few:
        client.get(LIST)
    rows(clinic, PAGE_SIZE, ten_oclock + dt.timedelta(days=1))
    with django_assert_max_num_queries(6) as many:
        page = client.get(LIST).content.decode()
    assert len(few) == len(many)
    assert f"1 to {PAGE_SIZE} of {PAGE_SIZE + 3}" in " ".join(page.split())


def test_the_second_page_keeps_the_filters(clinic: Clinic, ten_oclock: dt.datetime) -> None:
    rows(clinic, PAGE_SIZE + 2, ten_oclock)
    page = clinic.client(clinic.front_desk).get(LIST, {"q": "Patient"}).content.decode()
    assert "q=Patient&amp;page=2" in page
    second = clinic.client(clinic.front_desk).get(LIST, {"q": "Patient", "page": 2}).content.decode()
    assert f"Patient {PAGE_SIZE + 1}</a>" in second


def test_htmx_gets_the_table_alone(clinic: Clinic, ten_oclock: dt.datetime) -> None:
    book(clinic, ten_oclock)
    response = clinic.client(clinic.front_desk).get(LIST, headers={"HX-Request": "true"})
    text = response.content.decode().strip()
    assert text.startswith('<div id="appointment-table">')
    assert "HX-Request" in response["Vary"]


def test_an_empty_list_says_what_to_do(clinic: Clinic) -> None:
    client = clinic.client(clinic.front_desk)
    assert reverse("appointments:create") in client.get(LIST).content.decode()
    assert "Clear the filters" in client.get(LIST, {"q": "nobody"}).content.decode()


def test_the_row_offers_the_next_step_and_comes_back_to_the_list(clinic: Clinic, ten_oclock: dt.datetime) -> None:
    visit = book(clinic, ten_oclock)
    client = clinic.client(clinic.front_desk)
    address = reverse("appointments:action", args=[visit.pk, "confirm"])
    assert address in client.get(LIST).content.decode()
    response = client.post(address, {"back": "list"})
    assert response["Location"] == LIST


# --- the provider's day ----------------------------------------------------------------------------------------------


def test_the_day_walks_from_arrival_to_completion(clinic: Clinic, ten_oclock: dt.datetime) -> None:
    visit = book(clinic, ten_oclock)
    with time_machine.travel(ten_oclock - dt.timedelta(minutes=10), tick=True):
        client = clinic.client(clinic.provider)
        assert "Start visit" not in client.get(DAY).content.decode()
        services.appointment_arrive(appointment_id=visit.pk, actor=clinic.front_desk)
        page = client.get(DAY).content.decode()
        assert reverse("appointments:action", args=[visit.pk, "start"]) in page
        assert reverse("appointments:checks", args=[visit.pk]) in page
        checks = client.get(reverse("appointments:checks", args=[visit.pk])).content.decode()
        assert "Consent" in checks
        assert "Financial clearance" in checks
        response = client.post(reverse("appointments:action", args=[visit.pk, "start"]), {"back": "day"})
        assert response["Location"] == DAY
        assert "next_steps" in client.get(DAY).content.decode()
        client.post(
            reverse("appointments:action", args=[visit.pk, "complete"]),
            {"back": "day", "next_steps": "Drink water"},
        )
        assert "Completed" in client.get(DAY).content.decode()
    visit.refresh_from_db()
    assert visit.status == Appointment.Status.COMPLETED
    assert visit.events.get(to_status="COMPLETED").details["next_steps"] == "Drink water"


def test_today_and_tomorrow_are_two_lists(clinic: Clinic, ten_oclock: dt.datetime) -> None:
    book(clinic, ten_oclock)
    with time_machine.travel(ten_oclock - dt.timedelta(days=1), tick=True):
        client = clinic.client(clinic.provider)
        assert "Nothing booked for today" in client.get(DAY).content.decode()
        assert "Sara Al-Mutairi" in client.get(DAY, {"day": "tomorrow"}).content.decode()
        assert "Sara Al-Mutairi" not in clinic.client(clinic.colleague).get(DAY, {"day": "tomorrow"}).content.decode()


def test_the_day_makes_the_same_few_queries_for_two_and_for_ten_visits(
    clinic: Clinic, ten_oclock: dt.datetime, django_assert_max_num_queries: object
) -> None:
    with time_machine.travel(ten_oclock - dt.timedelta(hours=1), tick=True):
        client = clinic.client(clinic.provider)
        rows(clinic, 4, ten_oclock)
        Appointment.objects.update(status="ARRIVED", arrived_at=timezone.now())
        with django_assert_max_num_queries(4) as few:
            client.get(DAY)
        rows(clinic, 16, ten_oclock + dt.timedelta(hours=3))
        Appointment.objects.update(status="ARRIVED", arrived_at=timezone.now())
        with django_assert_max_num_queries(4) as many:
            client.get(DAY)
    assert len(few) == len(many)


# --- the calendar ----------------------------------------------------------------------------------------------------


def test_the_week_places_a_visit_and_offers_the_free_slots(clinic: Clinic, ten_oclock: dt.datetime) -> None:
    visit = book(clinic, ten_oclock)
    day = ten_oclock.date().isoformat()
    page = clinic.client(clinic.front_desk).get(CALENDAR, {"date": day}).content.decode()
    # Ten o'clock is eight quarters after eight; half an hour is two.
    assert "x-ev info x-r8 x-s2 x-n1-0" in " ".join(page.split())
    assert reverse("appointments:detail", args=[visit.pk]) in page
    assert f"date={day}&amp;time=14:30&amp;location={clinic.location.pk}" in page
    assert "style=" not in page


def test_the_weekend_is_the_locations_own(clinic: Clinic) -> None:
    client = clinic.client(clinic.front_desk)
    page = client.get(CALENDAR, {"date": "2026-11-25"}).content.decode()
    assert "22 to 28 November 2026" in " ".join(page.split())
    # Today may be one of them, and says so between the two words.
    assert len(re.findall(r'class="x-col(?: today)? off', page)) == 2
    clinic.location.weekend = [5, 6]
    clinic.location.save()
    page = client.get(CALENDAR, {"date": "2026-11-25"}).content.decode()
    assert "23 to 29 November 2026" in " ".join(page.split())


def test_cancelled_visits_leave_the_calendar(clinic: Clinic, ten_oclock: dt.datetime) -> None:
    visit = book(clinic, ten_oclock)
    services.appointment_cancel(appointment_id=visit.pk, actor=clinic.front_desk, reason="Ill")
    page = clinic.client(clinic.front_desk).get(CALENDAR, {"date": ten_oclock.date().isoformat()}).content.decode()
    assert str(visit.pk) not in page


def test_the_day_has_a_column_for_each_provider(clinic: Clinic, ten_oclock: dt.datetime) -> None:
    book(clinic, ten_oclock)
    query = {"view": "day", "date": ten_oclock.date().isoformat()}
    client = clinic.client(clinic.front_desk)
    page = client.get(CALENDAR, query).content.decode()
    assert page.count('class="x-col-h"') == 2
    page = client.get(CALENDAR, {**query, "provider": clinic.colleague.pk}).content.decode()
    assert page.count('class="x-col-h"') == 1
    assert "Sara Al-Mutairi" not in page
    assert clinic.client(clinic.provider).get(CALENDAR, query).content.decode().count('class="x-col-h"') == 1


@pytest.mark.parametrize(
    "query", [{"date": "x"}, {"date": "9999-12-31"}, {"location": "x", "provider": "x", "view": "x"}]
)
def test_a_strange_address_shows_this_week(clinic: Clinic, query: dict[str, str]) -> None:
    response = clinic.client(clinic.front_desk).get(CALENDAR, query)
    assert response.status_code == 200
    assert "x-col today" in response.content.decode()


def test_a_clinic_without_a_location_gets_a_friendly_page(clinic: Clinic) -> None:
    for person in (clinic.admin, clinic.front_desk, clinic.provider, clinic.colleague, clinic.patient_user):
        person.location = None
        person.save()
    clinic.location.delete()
    response = clinic.client(clinic.front_desk).get(CALENDAR)
    assert response.status_code == 200
    assert "No location yet" in response.content.decode()


def test_the_calendar_makes_at_most_six_queries(
    clinic: Clinic, ten_oclock: dt.datetime, django_assert_max_num_queries: object
) -> None:
    rows(clinic, 20, ten_oclock)
    client = clinic.client(clinic.front_desk)
    for query in ({"date": ten_oclock.date().isoformat()}, {"view": "day", "date": ten_oclock.date().isoformat()}):
        with django_assert_max_num_queries(6):
            client.get(CALENDAR, query)
