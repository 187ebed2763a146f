"""The patient's link: GET shows, POST acts, dead links say what to do, and nothing leaks."""

from __future__ import annotations

import datetime as dt

import pytest
import time_machine
from django.test import Client
from django.urls import reverse

from appointments import services
from appointments.models import Appointment, ConfirmationToken
from appointments.views.link import short_name
from conftest import Clinic
from notifications.models import NotificationPreference
from tests import factories

pytestmark = pytest.mark.django_db

S = Appointment.Status


@pytest.fixture
def visit(clinic: Clinic, ten_oclock: dt.datetime) -> Appointment:
    clinic.location.phone = "+966112345678"
    clinic.location.save()
    return services.appointment_book(
        actor=clinic.front_desk,
        patient=clinic.patient,
        provider=clinic.provider,
        location=clinic.location,
        department=clinic.department,
        starts_at=ten_oclock,
        duration=dt.timedelta(minutes=30),
        notes="Fear of needles",
    )


def address(visit: Appointment) -> str:
    token = ConfirmationToken.objects.get(appointment=visit, version=visit.version)
    return reverse("appointments:link", args=[token.code])


def status(visit: Appointment) -> str:
    visit.refresh_from_db()
    return visit.status


def test_looking_does_not_confirm(visit: Appointment) -> None:
    client = Client()
    for method in (client.get, client.head):
        assert method(address(visit)).status_code == 200
        assert client.get(address(visit), {"answer": "confirm"}).status_code == 200
    assert status(visit) == S.BOOKED
    assert not ConfirmationToken.objects.exclude(used_at=None).exists()


def test_the_patient_confirms_and_the_page_still_says_when(visit: Appointment) -> None:
    client = Client()
    response = client.post(f"{address(visit)}?lang=en", {"answer": "confirm"}, follow=True)
    assert response.status_code == 200
    assert status(visit) == S.CONFIRMED
    page = response.content.decode()
    assert "Your appointment is confirmed" in page
    assert "10:00" in page
    assert 'value="confirm"' not in page


def test_pressing_twice_is_one_confirmation(visit: Appointment) -> None:
    client = Client()
    link = address(visit)
    assert client.post(link, {"answer": "confirm"}).status_code == 302
    assert client.post(f"{link}?lang=en", {"answer": "confirm"}).status_code == 200
    assert visit.events.filter(to_status=S.CONFIRMED).count() == 1


def test_the_patient_calls_off_with_or_without_a_reason(visit: Appointment) -> None:
    client = Client()
    link = f"{address(visit)}?lang=en"
    response = client.post(link, {"answer": "cancel", "reason": "I am travelling"})
    assert response.status_code == 302
    assert status(visit) == S.CANCELLED
    assert visit.cancelled_by == "PATIENT"
    assert visit.reason == "I am travelling"
    gone = client.get(link)
    assert gone.status_code == 410
    assert "Thank you for telling us" in gone.content.decode()
    assert "tel:+966112345678" in gone.content.decode()


def test_an_answer_that_is_none_changes_nothing(visit: Appointment) -> None:
    response = Client().post(address(visit), {"answer": "perhaps"})
    assert response.status_code == 422
    assert status(visit) == S.BOOKED


def test_a_reason_that_is_too_long_is_asked_for_again(visit: Appointment) -> None:
    response = Client().post(f"{address(visit)}?lang=en", {"answer": "cancel", "reason": "x" * 301})
    assert response.status_code == 422
    assert '<details class="c x-cannot" open>' in response.content.decode()
    assert status(visit) == S.BOOKED


def test_dead_links_are_gone_and_say_why(clinic: Clinic, visit: Appointment) -> None:
    client = Client()
    old = f"{address(visit)}?lang=en"
    services.appointment_reschedule(
        appointment_id=visit.pk, actor=clinic.front_desk, starts_at=visit.starts_at + dt.timedelta(days=1)
    )
    moved = client.get(old)
    assert moved.status_code == 410
    assert "was moved" in moved.content.decode()
    assert client.post(old, {"answer": "confirm"}).status_code == 410
    visit.refresh_from_db()
    new = f"{address(visit)}?lang=en"
    assert client.get(new).status_code == 200
    services.appointment_cancel(appointment_id=visit.pk, actor=clinic.front_desk, reason="Provider ill")
    cancelled = client.get(new)
    assert cancelled.status_code == 410
    assert "was cancelled" in cancelled.content.decode()
    # The clinic's own words stay inside.
    assert "Provider ill" not in cancelled.content.decode()
    assert client.post(new, {"answer": "confirm"}).status_code == 410
    assert status(visit) == S.CANCELLED


def test_after_the_start_the_link_has_expired(visit: Appointment) -> None:
    link = f"{address(visit)}?lang=en"
    with time_machine.travel(visit.starts_at + dt.timedelta(minutes=1), tick=True):
        response = Client().get(link)
        assert response.status_code == 410
        assert "has passed" in response.content.decode()
        assert Client().post(link, {"answer": "confirm"}).status_code == 410


def test_an_unknown_code_is_not_found_and_friendly(db: None) -> None:
    response = Client().get("/c/abcdefghjkm/?lang=ar")
    assert response.status_code == 404
    assert 'dir="rtl"' in response.content.decode()
    assert Client().post("/c/abcdefghjkm/", {"answer": "confirm"}).status_code == 404


def test_the_page_is_private(visit: Appointment) -> None:
    for response in (Client().get(address(visit)), Client().get("/c/abcdefghjkm/")):
        assert response["Referrer-Policy"] == "no-referrer"
        assert response["Cache-Control"] == "no-store"
        assert "noindex" in response["X-Robots-Tag"]
        assert "noindex" in response.content.decode()
        assert not response.cookies


def test_the_page_tells_no_more_than_needed(clinic: Clinic, visit: Appointment) -> None:
    page = Client().get(f"{address(visit)}?lang=en").content.decode()
    assert "Sara M." in page
    for secret in ("Al-Mutairi", clinic.patient.mrn, clinic.patient.phone, clinic.patient.email, "needles"):
        assert secret not in page
    # The specialty can be a diagnosis.
    assert clinic.department.name_en not in page


def test_the_page_speaks_the_readers_language_until_another_is_chosen(clinic: Clinic, visit: Appointment) -> None:
    client = Client(headers={"Accept-Language": "en"})
    assert '<html lang="ar" dir="rtl"' in client.get(address(visit)).content.decode()
    assert '<html lang="en" dir="ltr"' in client.get(f"{address(visit)}?lang=en").content.decode()
    assert '<html lang="ar"' in client.get(f"{address(visit)}?lang=xx").content.decode()
    NotificationPreference.objects.create(tenant=clinic.tenant, patient=clinic.patient, preferred_language="en")
    assert '<html lang="en"' in client.get(address(visit)).content.decode()


def test_a_childs_link_speaks_the_guardians_language(clinic: Clinic, visit: Appointment) -> None:
    clinic.patient.birth_date = dt.date.today() - dt.timedelta(days=2000)
    clinic.patient.save()
    guardian = factories.GuardianFactory(tenant=clinic.tenant, language="en")
    factories.GuardianshipFactory(tenant=clinic.tenant, patient=clinic.patient, guardian=guardian)
    assert '<html lang="en"' in Client().get(address(visit)).content.decode()


def test_it_works_for_a_browser_without_cookies_and_with_a_null_origin(visit: Appointment) -> None:
    client = Client(enforce_csrf_checks=True, headers={"Origin": "null"})
    assert client.post(address(visit), {"answer": "confirm"}).status_code == 302
    assert status(visit) == S.CONFIRMED


def test_somebody_of_another_clinic_may_open_it_too(other_clinic: Clinic, visit: Appointment) -> None:
    """A receptionist of clinic B is a patient of clinic A: the link's clinic counts, not the session's."""
    client = other_clinic.client(other_clinic.front_desk)
    assert client.get(address(visit)).status_code == 200
    assert client.post(address(visit), {"answer": "confirm"}).status_code == 302
    assert status(visit) == S.CONFIRMED


def test_a_confirmation_by_the_desk_leaves_the_way_to_call_off(clinic: Clinic, visit: Appointment) -> None:
    services.appointment_confirm(appointment_id=visit.pk, actor=clinic.front_desk)
    page = Client().get(f"{address(visit)}?lang=en").content.decode()
    assert "Your appointment is confirmed" in page
    assert 'value="cancel"' in page
    assert 'value="confirm"' not in page


@pytest.mark.parametrize(
    ("name", "short"), [("Sara Al-Mutairi", "Sara M."), ("Sara", "Sara"), ("Omar bin Ali Haddad", "Omar H.")]
)
def test_names_are_shortened(clinic: Clinic, name: str, short: str) -> None:
    clinic.patient.name_en = name
    assert short_name(clinic.patient, "en") == short
    clinic.patient.name_ar = "سارة المطيري"
    assert short_name(clinic.patient, "ar") == "سارة م."
