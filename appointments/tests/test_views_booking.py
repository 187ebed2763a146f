"""The booking form: what it books, what it refuses and where it says so, and the fragments that help."""

from __future__ import annotations

import datetime as dt
import uuid
import zoneinfo

import pytest
from django.test import Client
from django.urls import reverse

from appointments.forms import MissingHour, comes_twice, wall_clock
from appointments.models import Appointment
from conftest import Clinic
from notifications.models import NotificationPreference
from tests import factories

pytestmark = pytest.mark.django_db

CREATE = reverse("appointments:create")
PATIENTS = reverse("appointments:create_patients")
HINTS = reverse("appointments:create_hints")


def filled(clinic: Clinic, starts_at: dt.datetime, **changes: object) -> dict[str, object]:
    return {
        "patient": clinic.patient.pk,
        "patient_search": "sara",
        "location": clinic.location.pk,
        "department": clinic.department.pk,
        "provider": clinic.provider.pk,
        "date": starts_at.date().isoformat(),
        "time": starts_at.strftime("%H:%M"),
        "duration": "30",
        "notes": "Bring the old X-ray",
        "booking_key": str(uuid.uuid4()),
        **changes,
    }


@pytest.mark.parametrize("address", [CREATE, PATIENTS, HINTS])
def test_only_the_desk_and_admins_book(clinic: Clinic, address: str) -> None:
    assert Client().get(address).status_code == 302
    for person in (clinic.provider, clinic.patient_user):
        assert clinic.client(person).get(address).status_code == 403
    for person in (clinic.front_desk, clinic.admin):
        assert clinic.client(person).get(address).status_code == 200


def test_booking_leads_to_the_visit_and_says_its_number(clinic: Clinic, ten_oclock: dt.datetime) -> None:
    client = clinic.client(clinic.front_desk)
    response = client.post(CREATE, filled(clinic, ten_oclock))
    visit = Appointment.objects.get()
    assert response.status_code == 302
    assert response["Location"] == reverse("appointments:detail", args=[visit.pk])
    assert visit.starts_at == ten_oclock
    assert visit.ends_at == ten_oclock + dt.timedelta(minutes=30)
    assert visit.notes == "Bring the old X-ray"
    assert visit.booked_by == clinic.front_desk
    assert visit.number in client.get(response["Location"]).content.decode()


def test_the_same_form_twice_is_one_booking(clinic: Clinic, ten_oclock: dt.datetime) -> None:
    client = clinic.client(clinic.front_desk)
    form = filled(clinic, ten_oclock)
    first, second = client.post(CREATE, form), client.post(CREATE, form)
    assert Appointment.objects.count() == 1
    assert first["Location"] == second["Location"]


def test_every_opened_form_has_its_own_key(clinic: Clinic) -> None:
    client = clinic.client(clinic.front_desk)
    keys = {client.get(CREATE).context["form"]["booking_key"].value() for _n in range(2)}
    assert len(keys) == 2


def test_the_time_is_the_wall_clock_of_the_location(clinic: Clinic, ten_oclock: dt.datetime) -> None:
    clinic.location.timezone = "Europe/Berlin"
    clinic.location.save()
    clinic.client(clinic.front_desk).post(CREATE, filled(clinic, ten_oclock))
    visit = Appointment.objects.select_related("location").get()
    assert visit.local_start.strftime("%H:%M") == "10:00"
    assert visit.starts_at != ten_oclock


REFUSALS = {
    "past": ({"date": "2020-01-01"}, "time", "in the past"),
    "far": ({"date": "2090-01-01"}, "date", "two years"),
    "no patient": ({"patient": ""}, "patient", "Choose the patient"),
    "strange patient": ({"patient": str(uuid.uuid4())}, "patient", "not in your files"),
    "no provider": ({"provider": ""}, "provider", "Choose the provider"),
    "no day": ({"date": ""}, "date", "Choose the day"),
    "no time": ({"time": ""}, "time", "Choose the time"),
    "no department": ({"department": ""}, "department", "Choose the department"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_a_refusal_stands_at_its_field_and_nothing_typed_is_lost(
    clinic: Clinic, ten_oclock: dt.datetime, case: str
) -> None:
    changes, field, words = REFUSALS[case]
    form = filled(clinic, ten_oclock, **changes)
    response = clinic.client(clinic.front_desk).post(CREATE, form)
    assert response.status_code == 422
    assert words in str(response.context["form"].errors[field])
    page = response.content.decode()
    assert "Bring the old X-ray" in page
    assert str(form["booking_key"]) in page
    if field != "time":
        assert 'value="10:00"' in page
    if field != "patient":
        assert f'value="{clinic.patient.pk}" checked' in page
    assert not Appointment.objects.exists()


def test_a_taken_slot_is_named_at_the_time(clinic: Clinic, ten_oclock: dt.datetime) -> None:
    client = clinic.client(clinic.front_desk)
    client.post(CREATE, filled(clinic, ten_oclock))
    response = client.post(CREATE, filled(clinic, ten_oclock + dt.timedelta(minutes=15)))
    assert response.status_code == 422
    assert "already has an appointment" in str(response.context["form"].errors["time"])
    assert "Sara Al-Mutairi" in response.content.decode()
    assert Appointment.objects.count() == 1


def test_people_and_places_of_another_clinic_cannot_be_chosen(
    clinic: Clinic, other_clinic: Clinic, ten_oclock: dt.datetime
) -> None:
    client = clinic.client(clinic.front_desk)
    for name, row in (
        ("patient", other_clinic.patient),
        ("provider", other_clinic.provider),
        ("location", other_clinic.location),
        ("department", other_clinic.department),
    ):
        response = client.post(CREATE, filled(clinic, ten_oclock, **{name: row.pk}))
        assert response.status_code == 422
        assert name in response.context["form"].errors
    assert not Appointment.objects.exists()


def test_front_desk_and_patients_are_no_providers(clinic: Clinic, ten_oclock: dt.datetime) -> None:
    response = clinic.client(clinic.front_desk).post(CREATE, filled(clinic, ten_oclock, provider=clinic.front_desk.pk))
    assert "provider" in response.context["form"].errors


def test_a_post_without_the_token_is_refused(clinic: Clinic, ten_oclock: dt.datetime) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(clinic.front_desk, backend="core.auth.AccountBackend")
    assert client.post(CREATE, filled(clinic, ten_oclock)).status_code == 403
    assert not Appointment.objects.exists()


def test_the_address_fills_the_form(clinic: Clinic, ten_oclock: dt.datetime) -> None:
    query = {
        "patient": clinic.patient.pk,
        "provider": clinic.provider.pk,
        "date": ten_oclock.date().isoformat(),
        "time": "14:30",
        "location": clinic.location.pk,
    }
    page = clinic.client(clinic.front_desk).get(CREATE, query).content.decode()
    assert f'value="{clinic.patient.pk}" checked' in page
    assert 'value="14:30"' in page
    assert f'<option value="{clinic.provider.pk}" selected>' in page
    # The provider's own department comes with them.
    assert f'<option value="{clinic.department.pk}" selected>' in page


@pytest.mark.parametrize("query", [{"patient": "x", "provider": "x", "date": "x", "time": "x", "location": "x"}])
def test_a_strange_address_opens_an_empty_form(clinic: Clinic, query: dict[str, str]) -> None:
    assert clinic.client(clinic.front_desk).get(CREATE, query).status_code == 200


def test_without_scripts_the_search_button_finds_and_keeps_what_was_typed(
    clinic: Clinic, ten_oclock: dt.datetime
) -> None:
    form = filled(clinic, ten_oclock, patient="", patient_search="mutairi", find="1")
    response = clinic.client(clinic.front_desk).post(CREATE, form)
    assert response.status_code == 200
    page = response.content.decode()
    assert f'value="{clinic.patient.pk}"' in page
    assert "Bring the old X-ray" in page
    assert str(form["booking_key"]) in page
    assert f'<option value="{clinic.provider.pk}" selected>' in page
    assert not Appointment.objects.exists()


# --- the fragments ---------------------------------------------------------------------------------------------------


def test_the_patient_search_keeps_the_chosen_one_on_top(clinic: Clinic, other_clinic: Clinic) -> None:
    other = factories.PatientFactory(tenant=clinic.tenant, name_en="Omar Haddad", name_ar="عمر حداد")
    client = clinic.client(clinic.front_desk)
    page = client.get(PATIENTS, {"patient_search": "omar", "patient": clinic.patient.pk}).content.decode()
    assert page.index(f'value="{clinic.patient.pk}" checked') < page.index(f'value="{other.pk}"')
    assert "No patient found" in client.get(PATIENTS, {"patient_search": "zzz"}).content.decode()
    outsider = client.get(PATIENTS, {"patient_search": other_clinic.patient.mrn}).content.decode()
    assert str(other_clinic.patient.pk) not in outsider


def test_patients_who_cannot_be_booked_are_not_offered(clinic: Clinic) -> None:
    names = ("deceased_at", "merged_into", "is_active")
    for name, value in zip(names, (dt.date(2026, 1, 1), clinic.patient, False), strict=True):
        factories.PatientFactory(tenant=clinic.tenant, name_en=f"Gone {name}", **{name: value})
    page = clinic.client(clinic.front_desk).get(PATIENTS, {"patient_search": "gone"}).content.decode()
    assert "No patient found" in page


def test_many_matches_ask_for_more_letters(clinic: Clinic) -> None:
    for number in range(8):
        factories.PatientFactory(tenant=clinic.tenant, name_en=f"Twin {number}")
    page = clinic.client(clinic.front_desk).get(PATIENTS, {"patient_search": "twin"}).content.decode()
    assert page.count('type="radio"') == 6
    assert "There are more" in page


def test_providers_stand_under_their_department(clinic: Clinic) -> None:
    eyes = factories.DepartmentFactory(tenant=clinic.tenant, name_en="Eyes", name_ar="العيون")
    factories.UserFactory(
        tenant=clinic.tenant, role="PROVIDER", email="eye@noor.example", name_en="Eye", department=eyes
    )
    factories.UserFactory(tenant=clinic.tenant, role="PROVIDER", email="any@noor.example", name_en="Any")
    gone = factories.UserFactory(
        tenant=clinic.tenant, role="PROVIDER", email="gone@noor.example", name_en="Gone", is_active=False
    )
    page = clinic.client(clinic.front_desk).get(CREATE).content.decode()
    for group in ("Family Medicine", "Eyes", "Other"):
        assert f'<optgroup label="{group}">' in page
    assert str(gone.pk) not in page


def test_the_hints_say_who_is_told_in_which_language_over_which_channel(clinic: Clinic) -> None:
    NotificationPreference.objects.create(
        tenant=clinic.tenant, patient=clinic.patient, preferred_channel="WHATSAPP", sms_enabled=False
    )
    page = clinic.client(clinic.front_desk).get(HINTS, {"patient": clinic.patient.pk}).content.decode()
    assert "Arabic" in page
    assert page.index("WhatsApp") < page.index("Email")
    assert "SMS" not in page


def test_the_hints_warn_when_nobody_can_be_told(clinic: Clinic) -> None:
    client = clinic.client(clinic.front_desk)
    mute = factories.PatientFactory(tenant=clinic.tenant, phone="", email="")
    child = factories.PatientFactory(tenant=clinic.tenant, birth_date=dt.date.today() - dt.timedelta(days=2000))
    off = factories.PatientFactory(tenant=clinic.tenant)
    NotificationPreference.objects.create(
        tenant=clinic.tenant, patient=off, sms_enabled=False, whatsapp_enabled=False, email_enabled=False
    )
    assert "this patient will not be told" in client.get(HINTS, {"patient": mute.pk}).content.decode()
    assert "No verified guardian" in client.get(HINTS, {"patient": child.pk}).content.decode()
    assert "switched off every channel" in client.get(HINTS, {"patient": off.pk}).content.decode()


def test_the_hints_show_the_taken_times_of_that_day(clinic: Clinic, ten_oclock: dt.datetime) -> None:
    client = clinic.client(clinic.front_desk)
    client.post(CREATE, filled(clinic, ten_oclock))
    query = {"provider": clinic.provider.pk, "location": clinic.location.pk, "date": ten_oclock.date().isoformat()}
    assert "10:00–10:30" in client.get(HINTS, query).content.decode()
    assert "whole day is free" in client.get(HINTS, {**query, "provider": clinic.colleague.pk}).content.decode()
    assert "This day is over" in client.get(HINTS, {**query, "date": "2020-01-01"}).content.decode()


def test_the_hints_tell_nothing_of_another_clinic(clinic: Clinic, other_clinic: Clinic) -> None:
    page = clinic.client(clinic.front_desk).get(HINTS, {"patient": other_clinic.patient.pk}).content.decode()
    assert "Choose the patient" in page


# --- clocks that jump ------------------------------------------------------------------------------------------------

BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")


def test_an_hour_that_is_left_out_is_refused_with_the_next_one() -> None:
    with pytest.raises(MissingHour) as refused:
        wall_clock(dt.date(2027, 3, 28), dt.time(2, 30), BERLIN)
    assert refused.value.first_valid.strftime("%H:%M") == "03:30"


def test_an_hour_that_comes_twice_is_the_first_one() -> None:
    start = wall_clock(dt.date(2027, 10, 31), dt.time(2, 30), BERLIN)
    assert start.astimezone(dt.UTC).strftime("%H:%M") == "00:30"
    assert comes_twice(start)
    assert not comes_twice(wall_clock(dt.date(2027, 10, 31), dt.time(4), BERLIN))


def test_the_form_says_so_in_both_cases(clinic: Clinic) -> None:
    clinic.location.timezone = "Europe/Berlin"
    clinic.location.save()
    client = clinic.client(clinic.front_desk)
    gap = filled(clinic, dt.datetime(2027, 3, 28, 2, 30))
    response = client.post(CREATE, gap)
    assert response.status_code == 422
    assert "03:30" in str(response.context["form"].errors["time"])
    twice = client.post(CREATE, filled(clinic, dt.datetime(2027, 10, 31, 2, 30)), follow=True)
    assert "comes twice" in twice.content.decode()
