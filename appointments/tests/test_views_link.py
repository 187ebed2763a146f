"""The patient's link: GET shows, POST acts, dead links say what to do, and nothing leaks."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

import pytest
import time_machine
from django.conf import settings
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from icalendar import Calendar

from appointments import services
from appointments.calendar_file import short_name
from appointments.models import Appointment, ConfirmationToken
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


def mark_of(page: str) -> str:
    """The mark that the page's forms carry; empty where there is no form."""
    found = re.search(r'name="mark" value="([^"]+)"', page)
    return found[1] if found else ""


def press(client: Client, link: str, data: dict[str, str], **options: object) -> Any:
    """What a finger does: the page is opened, and its button pressed."""
    mark = mark_of(client.get(link).content.decode())
    return client.post(link, {**data, "mark": mark}, **options)


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
    response = press(client, f"{address(visit)}?lang=en", {"answer": "confirm"}, follow=True)
    assert response.status_code == 200
    assert status(visit) == S.CONFIRMED
    page = response.content.decode()
    assert "Your appointment is confirmed" in page
    assert "10:00" in page
    assert 'value="confirm"' not in page


def test_pressing_twice_is_one_confirmation(visit: Appointment) -> None:
    client = Client()
    link = address(visit)
    assert press(client, link, {"answer": "confirm"}).status_code == 302
    assert press(client, f"{link}?lang=en", {"answer": "confirm"}).status_code == 200
    assert visit.events.filter(to_status=S.CONFIRMED).count() == 1


def test_the_patient_calls_off_with_or_without_a_reason(visit: Appointment) -> None:
    client = Client()
    link = f"{address(visit)}?lang=en"
    response = press(client, link, {"answer": "cancel", "reason": "I am travelling"})
    assert response.status_code == 302
    assert status(visit) == S.CANCELLED
    assert visit.cancelled_by == "PATIENT"
    assert visit.reason == "I am travelling"
    gone = client.get(link)
    assert gone.status_code == 410
    assert "Thank you for telling us" in gone.content.decode()
    assert "tel:+966112345678" in gone.content.decode()


def test_an_answer_that_is_none_changes_nothing(visit: Appointment) -> None:
    response = press(Client(), address(visit), {"answer": "perhaps"})
    assert response.status_code == 422
    assert status(visit) == S.BOOKED


def test_a_reason_that_is_too_long_is_asked_for_again(visit: Appointment) -> None:
    response = press(Client(), f"{address(visit)}?lang=en", {"answer": "cancel", "reason": "x" * 301})
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
    assert press(client, old, {"answer": "confirm"}).status_code == 410
    visit.refresh_from_db()
    new = f"{address(visit)}?lang=en"
    assert client.get(new).status_code == 200
    services.appointment_cancel(appointment_id=visit.pk, actor=clinic.front_desk, reason="Provider ill")
    cancelled = client.get(new)
    assert cancelled.status_code == 410
    assert "was cancelled" in cancelled.content.decode()
    # The clinic's own words stay inside.
    assert "Provider ill" not in cancelled.content.decode()
    assert press(client, new, {"answer": "confirm"}).status_code == 410
    assert status(visit) == S.CANCELLED


def test_after_the_start_the_link_has_expired(visit: Appointment) -> None:
    link = f"{address(visit)}?lang=en"
    with time_machine.travel(visit.starts_at + dt.timedelta(minutes=1), tick=True):
        response = Client().get(link)
        assert response.status_code == 410
        assert "has passed" in response.content.decode()
        assert press(Client(), link, {"answer": "confirm"}).status_code == 410


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
    assert press(client, address(visit), {"answer": "confirm"}).status_code == 302
    assert status(visit) == S.CONFIRMED


def test_somebody_of_another_clinic_may_open_it_too(other_clinic: Clinic, visit: Appointment) -> None:
    """A receptionist of clinic B is a patient of clinic A: the link's clinic counts, not the session's."""
    client = other_clinic.client(other_clinic.front_desk)
    assert client.get(address(visit)).status_code == 200
    assert press(client, address(visit), {"answer": "confirm"}).status_code == 302
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


# --- who presses ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mark", ["", "made-up", "00000000-0000-0000-0000-000000000000:1:abc:def"])
def test_a_program_that_posts_to_every_address_changes_nothing(visit: Appointment, mark: str) -> None:
    for answer in ("confirm", "cancel"):
        response = Client().post(f"{address(visit)}?lang=en", {"answer": answer, "mark": mark})
        assert response.status_code == 422
        assert "Yes, I will come" in response.content.decode()
    assert status(visit) == S.BOOKED


def test_the_mark_of_one_link_does_not_press_another(clinic: Clinic, visit: Appointment) -> None:
    other = services.appointment_book(
        actor=clinic.front_desk,
        patient=clinic.patient,
        provider=clinic.provider,
        location=clinic.location,
        department=clinic.department,
        starts_at=visit.ends_at,
        duration=dt.timedelta(minutes=30),
    )
    mark = mark_of(Client().get(address(other)).content.decode())
    assert Client().post(address(visit), {"answer": "confirm", "mark": mark}).status_code == 422
    assert status(visit) == S.BOOKED


def test_a_page_of_yesterday_is_shown_anew_before_it_acts(visit: Appointment) -> None:
    mark = mark_of(Client().get(address(visit)).content.decode())
    with time_machine.travel(timezone.now() + dt.timedelta(hours=13), tick=True):
        assert Client().post(address(visit), {"answer": "confirm", "mark": mark}).status_code == 422
    assert status(visit) == S.BOOKED


def test_who_has_confirmed_by_the_link_may_still_call_off(visit: Appointment) -> None:
    press(Client(), address(visit), {"answer": "confirm"})
    assert press(Client(), address(visit), {"answer": "cancel", "reason": ""}).status_code == 302
    assert status(visit) == S.CANCELLED


# --- the calendar entry on the page -----------------------------------------------------------------------------------


def entry(visit: Appointment) -> Any:
    return Client().get(f"{address(visit).rstrip('/')}/appointment.ics")


def test_the_page_gives_the_calendar_entry_and_takes_it_back(clinic: Clinic, visit: Appointment) -> None:
    response = entry(visit)
    assert response.status_code == 200
    assert response["Content-Type"] == "text/calendar; charset=utf-8; method=REQUEST"
    assert response["Content-Disposition"] == 'attachment; filename="appointment.ics"'
    assert response["Cache-Control"] == "no-store"
    first = Calendar.from_ical(response.content)
    services.appointment_cancel(appointment_id=visit.pk, actor=clinic.front_desk, reason="x")
    gone = Calendar.from_ical(entry(visit).content)
    assert (first["METHOD"], gone["METHOD"]) == ("REQUEST", "CANCEL")
    [before], [after] = first.walk("VEVENT"), gone.walk("VEVENT")
    assert before["UID"] == after["UID"]
    assert int(after["SEQUENCE"]) > int(before["SEQUENCE"])
    assert after["STATUS"] == "CANCELLED"
    assert f"{address(visit).rstrip('/')}/appointment.ics" in Client().get(address(visit)).content.decode()


def test_an_old_link_gives_no_entry_of_the_new_time(clinic: Clinic, visit: Appointment) -> None:
    old = f"{address(visit).rstrip('/')}/appointment.ics"
    services.appointment_reschedule(
        appointment_id=visit.pk, actor=clinic.front_desk, starts_at=visit.starts_at + dt.timedelta(days=1)
    )
    assert Client().get(old).status_code == 410
    assert Client().get("/c/abcdefghjkm/appointment.ics").status_code == 404


def test_the_page_leads_to_what_the_reader_wants_to_be_told(visit: Appointment) -> None:
    page = Client().get(f"{address(visit)}?lang=en").content.decode()
    found = re.search(r'href="([^"]+)">Which messages I get', page)
    assert found
    assert Client().get(found[1].replace(settings.PUBLIC_BASE_URL, "")).status_code == 200
