"""Nonsense in an address or a form is answered with a page, never with an error of ours."""

from __future__ import annotations

import pytest
from django.test import Client

from conftest import Clinic
from integrations.tests.bulk_rows import checked, patients
from notifications.views.bulk_words import CLOSED_TEXTS

NUL = "a\x00b"
DAYS = ["0001-01-01", "1447-05-05", "9999-12-31"]


@pytest.fixture
def admin(clinic: Clinic) -> Client:
    return clinic.client(clinic.admin)


@pytest.mark.parametrize("name", ["cause", "channel", "stage", "department"])
def test_a_figure_that_nobody_counts_has_no_messages(admin: Client, name: str) -> None:
    for text in (NUL, f"{NUL}:{NUL}"):
        assert admin.get("/notifications/analytics/messages/", {name: text}).status_code in (200, 404)


def test_a_nul_in_any_search_for_patients_is_as_if_it_were_not_there(clinic: Clinic, admin: Client) -> None:
    for address, name in (
        ("/patients/", "q"),
        (f"/patients/{clinic.patient.pk}/merge/", "q"),
        ("/appointments/create/patients/", "patient_search"),
    ):
        assert admin.get(address, {name: f"{NUL}{clinic.patient.mrn}"}).status_code == 200, address


@pytest.mark.parametrize("day", DAYS)
def test_a_day_in_which_nobody_lives_is_refused_by_every_form_of_a_bulk_send(
    clinic: Clinic, admin: Client, day: str
) -> None:
    assert admin.post("/notifications/bulk/closed/", {"day": day, "channel": "SMS", **CLOSED_TEXTS}).status_code == 422
    audience = {"name": "x", "message_class": "SERVICE", "source": "FILTERS"}
    for days in ({"visits_from": day}, {"visits_until": day}, {"visits_from": day, "visits_until": day}):
        assert admin.post("/notifications/bulk/create/", {**audience, **days}).status_code == 422
    bulk = checked(clinic, patients(clinic, 1))
    answer = admin.post(f"/notifications/bulk/{bulk.pk}/submit/", {"useful_hours": 24, "scheduled_at": f"{day}T00:00"})
    assert answer.status_code == 422


@pytest.mark.parametrize("day", DAYS)
@pytest.mark.parametrize("name", ["since", "until"])
def test_a_report_of_days_beyond_the_calendar_is_a_page(admin: Client, name: str, day: str) -> None:
    for address in ("/notifications/analytics/", "/notifications/analytics/messages/", "/audit/"):
        assert admin.get(address, {name: day}).status_code < 500, address


@pytest.mark.parametrize("day", DAYS)
def test_the_calendar_may_name_any_day_for_an_absence(admin: Client, day: str) -> None:
    assert admin.get("/appointments/absences/", {"date": day}).status_code == 200
