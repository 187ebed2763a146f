"""At a sensitive place the link asks for the date of birth before it shows a word, and locks after five wrong answers."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from appointments import second_question, services
from appointments.models import Appointment, ConfirmationToken
from appointments.tests.test_booking import book
from appointments.tests.test_views_link import mark_of, press
from appointments.views.link.door import COOKIE
from conftest import Clinic
from core.models import AuditEvent
from notifications.models import DeskTask
from notifications.states import TaskKind, TaskState

S = Appointment.Status
BORN = dt.date(1991, 5, 17)


@pytest.fixture
def visit(clinic: Clinic, ten_oclock: dt.datetime) -> Appointment:
    clinic.location.is_sensitive = True
    clinic.location.discreet_name_en = "The Garden"
    clinic.location.opening_hours = [["09:00", "12:00"]] * 7
    clinic.location.save()
    clinic.patient.birth_date = BORN
    clinic.patient.save()
    return book(clinic, ten_oclock)


def token_of(visit: Appointment) -> ConfirmationToken:
    return ConfirmationToken.objects.get(appointment=visit, version=visit.version)


def link(visit: Appointment) -> str:
    return reverse("appointments:link", args=[token_of(visit).code])


def answer(client: Client, address: str, day: object = 17, month: object = 5, year: object = 1991) -> Any:
    page = client.get(address).content.decode()
    data = {"birth_day": day, "birth_month": month, "birth_year": year, "mark": mark_of(page)}
    return client.post(f"{address}?lang=en", data)


def says_nothing(clinic: Clinic, visit: Appointment, page: str) -> None:
    names = [clinic.tenant, clinic.location, clinic.provider, clinic.department, clinic.patient]
    for name in [name.name_in(language) for name in names for language in ("en", "ar")]:
        assert name not in page
    for secret in ("10:00", "Sara", "سارة", visit.number, "ppointment", "موعد"):
        assert secret not in page.replace("/appointment.ics", "")


@pytest.mark.parametrize("tail", ["", "/times", "/appointment.ics"])
@pytest.mark.parametrize("language", ["en", "ar"])
def test_nothing_is_shown_before_the_answer(clinic: Clinic, visit: Appointment, tail: str, language: str) -> None:
    response = Client().get(f"{link(visit).rstrip('/')}{tail}?lang={language}")
    page = response.content.decode()
    says_nothing(clinic, visit, page)
    assert 'name="birth_year"' in page
    assert "The Garden" in page
    assert not response.cookies


def test_no_act_gets_past_the_question(visit: Appointment) -> None:
    client = Client()
    mark = mark_of(client.get(link(visit)).content.decode())
    for what in ("confirm", "cancel"):
        client.post(link(visit), {"answer": what, "mark": mark})
    client.post(f"{link(visit).rstrip('/')}/times", {"answer": "ask", "mark": mark})
    visit.refresh_from_db()
    assert visit.status == S.BOOKED
    assert not DeskTask.objects.exists()


def test_the_right_answer_opens_the_page_which_stays_discreet(clinic: Clinic, visit: Appointment) -> None:
    client = Client()
    assert answer(client, link(visit)).status_code == 302
    page = client.get(f"{link(visit)}?lang=en").content.decode()
    assert "10:00" in page
    for name in (clinic.tenant, clinic.location, clinic.provider, clinic.department):
        assert name.name_en not in page
    assert client.get(f"{link(visit).rstrip('/')}/times?lang=en").status_code == 200
    entry = client.get(f"{link(visit).rstrip('/')}/appointment.ics")
    assert entry["Content-Type"].startswith("text/calendar")
    assert clinic.tenant.name_en not in entry.content.decode()
    press(client, link(visit), {"answer": "confirm"})
    visit.refresh_from_db()
    assert visit.status == S.CONFIRMED


@pytest.mark.parametrize(
    ("day", "month", "year"),
    [("١٧", "٥", "١٩٩١"), ("17", "05", "1991"), ("3", "11", "1411"), ("٣", "١١", "١٤١١")],
)
def test_the_date_is_taken_in_both_digits_and_both_calendars(
    visit: Appointment, day: str, month: str, year: str
) -> None:
    # 17 May 1991 is 3 Dhu al-Qa'da 1411 (Umm al-Qura).
    assert answer(Client(), link(visit), day, month, year).status_code == 302


@pytest.mark.parametrize("wrong", [("31", "2", "1991"), ("", "5", "1991"), ("a", "5", "1991"), ("40", "13", "1411")])
def test_what_is_no_date_is_no_try(visit: Appointment, wrong: tuple[str, str, str]) -> None:
    for _time in range(7):
        assert answer(Client(), link(visit), *wrong).status_code == 422
    assert token_of(visit).wrong_tries == 0
    assert answer(Client(), link(visit)).status_code == 302


def test_five_wrong_answers_lock_the_link_and_the_desk_is_told_once(clinic: Clinic, visit: Appointment) -> None:
    client = Client()
    for number in range(1, 5):
        assert answer(client, link(visit), day=number).status_code == 422
    assert answer(client, link(visit), day=5).status_code == 403
    # The right one comes too late, in any browser.
    assert answer(Client(), link(visit)).status_code == 403
    page = Client().get(f"{link(visit)}?lang=en")
    assert page.status_code == 403
    says_nothing(clinic, visit, page.content.decode())
    task = DeskTask.objects.get()
    assert (task.kind, task.object_id, task.details) == (TaskKind.CALL, visit.pk, {"because": "link_locked"})
    assert AuditEvent.objects.filter(action="appointment.link_locked", object_id=visit.pk).count() == 1


def test_a_lock_shuts_out_who_was_in_already(visit: Appointment) -> None:
    client = Client()
    answer(client, link(visit))
    for number in range(1, 6):
        second_question.answer(token_of(visit), dt.date(1980, 1, number))
    assert client.get(link(visit)).status_code == 403


def test_the_desk_opens_it_again(clinic: Clinic, visit: Appointment, other_clinic: Clinic) -> None:
    for number in range(1, 6):
        answer(Client(), link(visit), day=number)
    unlock = reverse("appointments:unlock_link", args=[visit.pk])
    page = clinic.client(clinic.front_desk).get(reverse("appointments:detail", args=[visit.pk])).content.decode()
    assert unlock in page
    assert clinic.client(clinic.provider).post(unlock).status_code == 403
    assert other_clinic.client(other_clinic.front_desk).post(unlock).status_code == 404
    assert clinic.client(clinic.front_desk).post(unlock).status_code == 302
    assert answer(Client(), link(visit)).status_code == 302
    assert DeskTask.objects.get().state == TaskState.OVER
    assert AuditEvent.objects.filter(action="appointment.link_unlocked", actor=clinic.front_desk).count() == 1
    assert clinic.client(clinic.front_desk).post(unlock).status_code == 422


def test_a_right_answer_forgets_the_slips_before_it(visit: Appointment) -> None:
    for _round in range(3):
        for number in range(1, 4):
            answer(Client(), link(visit), day=number)
        assert answer(Client(), link(visit)).status_code == 302


def test_the_answer_is_good_for_one_link_one_browser_and_half_an_hour(clinic: Clinic, visit: Appointment) -> None:
    client = Client()
    cookie = answer(client, link(visit)).cookies[COOKIE]
    assert (cookie["path"], cookie["httponly"], cookie["samesite"]) == (f"/c/{token_of(visit).code}", True, "Lax")
    assert 'name="birth_year"' in Client().get(link(visit)).content.decode()
    other = book(clinic, visit.ends_at)
    stranger = Client()
    stranger.cookies[COOKIE] = cookie.value
    assert 'name="birth_year"' in stranger.get(link(other)).content.decode()
    with time_machine.travel(timezone.now() + dt.timedelta(minutes=31), tick=True):
        assert 'name="birth_year"' in client.get(link(visit)).content.decode()


def test_what_has_become_of_the_visit_is_behind_the_question_too(clinic: Clinic, visit: Appointment) -> None:
    services.appointment_cancel(appointment_id=visit.pk, actor=clinic.front_desk, reason="x")
    page = Client().get(f"{link(visit)}?lang=en").content.decode()
    says_nothing(clinic, visit, page)
    client = Client()
    answer(client, link(visit))
    assert "was cancelled" in client.get(f"{link(visit)}?lang=en").content.decode()


def test_an_ordinary_place_asks_nothing(clinic: Clinic, visit: Appointment) -> None:
    clinic.location.is_sensitive = False
    clinic.location.save()
    assert "10:00" in Client().get(link(visit)).content.decode()
