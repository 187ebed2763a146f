"""The patient's link: it shows to anybody who has it, and acts once, for one version, until the visit starts."""

from __future__ import annotations

import datetime as dt
from urllib.parse import urlsplit

import pytest
import time_machine
from django.urls import resolve

from appointments import services, tokens
from appointments.models import Appointment, AppointmentEvent, ConfirmationToken
from appointments.tests.test_booking import book
from conftest import Clinic
from core.errors import DomainError
from core.tenancy import tenant_scope
from notifications.models import NotificationEvent

S = Appointment.Status


@pytest.fixture
def visit(clinic: Clinic, ten_oclock: dt.datetime) -> Appointment:
    return book(clinic, ten_oclock)


def code_of(visit: Appointment) -> str:
    return ConfirmationToken.objects.filter(appointment=visit).latest("version").code


def refused(code: str, expected: str) -> str:
    for act in (tokens.confirm_by_link, tokens.cancel_by_link):
        with pytest.raises(DomainError) as refusal:
            act(code)
        assert refusal.value.code == expected
    return str(refusal.value)


def test_the_code_is_short_unambiguous_and_random(clinic: Clinic, visit: Appointment) -> None:
    code = code_of(visit)
    assert len(code) == tokens.CODE_LENGTH == 11
    assert set(code) <= set(tokens.ALPHABET)
    assert not set("01oil") & set(tokens.ALPHABET)
    other = book(clinic, visit.ends_at)
    assert code_of(other) != code


def test_the_link_is_the_one_of_the_current_version(
    clinic: Clinic, visit: Appointment, settings: pytest.FixtureRequest
) -> None:
    settings.PUBLIC_BASE_URL = "https://agdar.example"  # type: ignore[attr-defined]
    first = tokens.link_for(visit)
    assert first == f"https://agdar.example/c/{code_of(visit)}"
    assert tokens.link_for(visit) == first
    moved = services.appointment_reschedule(
        appointment_id=visit.pk, actor=clinic.front_desk, starts_at=visit.starts_at + dt.timedelta(hours=1)
    )
    assert tokens.link_for(moved) != first


def test_the_link_leads_to_the_patients_page(clinic: Clinic, visit: Appointment) -> None:
    path = urlsplit(tokens.link_for(visit)).path
    assert resolve(path).view_name == "appointments:link"


def test_looking_changes_nothing_and_needs_no_scope(clinic: Clinic, other_clinic: Clinic, visit: Appointment) -> None:
    with tenant_scope(other_clinic.tenant.pk):
        token = tokens.find(f" {code_of_in(clinic, visit).upper()} ")
    assert token is not None
    assert token.appointment == visit
    assert tokens.refusal(token) is None
    visit.refresh_from_db()
    assert visit.status == S.BOOKED
    assert tokens.find("nosuchcode") is None


def code_of_in(clinic: Clinic, visit: Appointment) -> str:
    with tenant_scope(clinic.tenant.pk):
        return code_of(visit)


def test_the_patient_confirms_once(clinic: Clinic, other_clinic: Clinic, visit: Appointment) -> None:
    code = code_of(visit)
    with tenant_scope(other_clinic.tenant.pk):
        # A member of another clinic's staff who is signed in opens the link of their own visit.
        confirmed = tokens.confirm_by_link(code)
    assert (confirmed.status, confirmed.confirmed_at is not None) == (S.CONFIRMED, True)
    move = AppointmentEvent.objects.get(appointment=visit, to_status=S.CONFIRMED)
    assert (move.actor, move.details["by"]) == (None, "PATIENT")
    assert NotificationEvent.objects.filter(key="appointment.confirmed").count() == 1
    assert NotificationEvent.objects.filter(key="appointment.confirmed_by_patient").count() == 1
    with pytest.raises(DomainError) as refusal:
        tokens.confirm_by_link(code)
    assert refusal.value.code == "already_confirmed"
    assert NotificationEvent.objects.filter(key="appointment.confirmed_by_patient").count() == 1


def test_who_has_confirmed_may_still_call_off_by_the_same_link(visit: Appointment) -> None:
    tokens.confirm_by_link(code_of(visit))
    assert tokens.cancel_by_link(code_of(visit)).status == S.CANCELLED


def test_confirming_what_the_desk_has_confirmed_is_fine(clinic: Clinic, visit: Appointment) -> None:
    services.appointment_confirm(appointment_id=visit.pk, actor=clinic.front_desk)
    assert tokens.confirm_by_link(code_of(visit)).status == S.CONFIRMED
    assert NotificationEvent.objects.filter(key="appointment.confirmed").count() == 1


def test_the_patient_cancels_without_having_to_say_why(visit: Appointment) -> None:
    cancelled = tokens.cancel_by_link(code_of(visit))
    assert (cancelled.status, cancelled.cancelled_by) == (S.CANCELLED, "PATIENT")
    assert "cancelled" in refused(code_of(visit), "appointment_cancelled")


def test_a_confirmed_visit_can_be_cancelled_by_the_desks_link(clinic: Clinic, visit: Appointment) -> None:
    services.appointment_confirm(appointment_id=visit.pk, actor=clinic.front_desk)
    assert tokens.cancel_by_link(code_of(visit), "travelling").reason == "travelling"


def test_an_old_link_says_that_the_visit_has_moved(clinic: Clinic, visit: Appointment) -> None:
    old = code_of(visit)
    services.appointment_reschedule(
        appointment_id=visit.pk, actor=clinic.front_desk, starts_at=visit.starts_at + dt.timedelta(hours=1)
    )
    assert "latest message" in refused(old, "appointment_moved")
    assert tokens.confirm_by_link(code_of(visit)).version == 2


def test_a_link_dies_with_the_start(clinic: Clinic, visit: Appointment) -> None:
    with time_machine.travel(visit.starts_at - dt.timedelta(seconds=1), tick=False):
        assert tokens.refusal(tokens.find(code_of(visit))) is None
    with time_machine.travel(visit.starts_at, tick=False):
        assert "expired" in refused(code_of(visit), "link_expired")


def test_a_cancelled_visit_tells_how_to_book_again(clinic: Clinic, visit: Appointment) -> None:
    services.appointment_cancel(appointment_id=visit.pk, actor=clinic.front_desk, reason="x")
    assert "+966 11 234 5678" in refused(code_of(visit), "appointment_cancelled")


def test_a_link_of_a_visit_under_way_is_dead(clinic: Clinic, visit: Appointment) -> None:
    services.appointment_arrive(appointment_id=visit.pk, actor=clinic.front_desk)
    refused(code_of(visit), "link_revoked")


def test_unknown_codes_and_suspended_clinics_are_told_apart_from_nothing(clinic: Clinic, visit: Appointment) -> None:
    assert "not valid" in refused("nosuchcode", "link_unknown")
    clinic.tenant.is_active = False
    clinic.tenant.save()
    refused(code_of(visit), "link_unknown")


def test_a_refused_act_leaves_the_link_alive(
    clinic: Clinic, visit: Appointment, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(**_fields: object) -> None:
        raise DomainError("no", code="no")

    with monkeypatch.context() as patched:
        patched.setattr(services, "appointment_confirm", broken)
        with pytest.raises(DomainError):
            tokens.confirm_by_link(code_of(visit))
    assert tokens.confirm_by_link(code_of(visit)).status == S.CONFIRMED
