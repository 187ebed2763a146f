"""The state machine, over the whole table: what is legal, who may, when."""

from __future__ import annotations

import datetime as dt
from itertools import product

import pytest
from django.utils import timezone, translation

from appointments.models import Appointment
from appointments.states import (
    ALLOWED,
    CORRECT_NO_SHOW_WITHIN,
    NO_SHOW_GRACE,
    UNDO_ARRIVAL_WITHIN,
    IllegalMove,
    Verb,
    check_move,
    legal_moves,
    verb_for,
)
from conftest import Clinic
from core.errors import DomainError
from tests.factories import AppointmentFactory

S = Appointment.Status

# Written out by hand from the clinic's rules, so that a change of the table is noticed.
LEGAL = {
    (S.BOOKED, S.CONFIRMED),
    (S.BOOKED, S.RESCHEDULED),
    (S.BOOKED, S.ARRIVED),
    (S.BOOKED, S.CANCELLED),
    (S.BOOKED, S.NO_SHOW),
    (S.CONFIRMED, S.RESCHEDULED),
    (S.CONFIRMED, S.ARRIVED),
    (S.CONFIRMED, S.CANCELLED),
    (S.CONFIRMED, S.NO_SHOW),
    (S.CONFIRMED, S.BOOKED),
    (S.RESCHEDULED, S.CONFIRMED),
    (S.RESCHEDULED, S.RESCHEDULED),
    (S.RESCHEDULED, S.ARRIVED),
    (S.RESCHEDULED, S.CANCELLED),
    (S.RESCHEDULED, S.NO_SHOW),
    (S.ARRIVED, S.IN_PROGRESS),
    (S.ARRIVED, S.CANCELLED),
    (S.ARRIVED, S.BOOKED),
    (S.ARRIVED, S.CONFIRMED),
    (S.ARRIVED, S.RESCHEDULED),
    (S.IN_PROGRESS, S.COMPLETED),
    (S.IN_PROGRESS, S.CANCELLED),
    (S.NO_SHOW, S.ARRIVED),
    (S.NO_SHOW, S.COMPLETED),
    (S.CANCELLED, S.BOOKED),
    (S.COMPLETED, S.IN_PROGRESS),
    *((status, S.ENTERED_IN_ERROR) for status in S if status is not S.ENTERED_IN_ERROR),
}


@pytest.mark.parametrize(("status", "wanted"), list(product(S, S)))
def test_the_table_is_the_clinics_rules(status: S, wanted: S) -> None:
    if (status, wanted) in LEGAL:
        assert verb_for(status, wanted) in Verb
        return
    with pytest.raises(IllegalMove) as refusal:
        verb_for(status, wanted)
    assert refusal.value.code == "illegal_move"
    assert str(status.label) in str(refusal.value)
    assert str(wanted.label) in str(refusal.value)


def test_the_refusal_is_a_whole_sentence() -> None:
    with translation.override("en"):
        assert (
            str(IllegalMove(S.CANCELLED, S.CONFIRMED))
            == "This appointment is “Cancelled”, so it cannot become “Confirmed”."
        )


def test_undoing_an_arrival_is_not_confirming() -> None:
    arrived = Appointment(status=S.ARRIVED, starts_at=timezone.now() + dt.timedelta(hours=1))
    with pytest.raises(IllegalMove):
        check_move(arrived, S.CONFIRMED, Verb.CONFIRM, timezone.now())


NOON = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)
SECOND = dt.timedelta(seconds=1)


@pytest.mark.parametrize(
    ("verb", "status", "wanted", "last_refused", "first_allowed", "code"),
    [
        (Verb.NO_SHOW, S.BOOKED, S.NO_SHOW, NOON + NO_SHOW_GRACE - SECOND, NOON + NO_SHOW_GRACE, "too_early"),
        (Verb.CONFIRM, S.BOOKED, S.CONFIRMED, NOON, NOON - SECOND, "already_begun"),
        (Verb.REINSTATE, S.CANCELLED, S.BOOKED, NOON, NOON - SECOND, "already_begun"),
        (
            Verb.UNDO_ARRIVAL,
            S.ARRIVED,
            S.BOOKED,
            NOON + UNDO_ARRIVAL_WITHIN + SECOND,
            NOON + UNDO_ARRIVAL_WITHIN,
            "too_late",
        ),
        (
            Verb.CORRECT_NO_SHOW,
            S.NO_SHOW,
            S.ARRIVED,
            NOON + CORRECT_NO_SHOW_WITHIN + SECOND,
            NOON + CORRECT_NO_SHOW_WITHIN,
            "too_late",
        ),
    ],
)
def test_the_clock_guards_the_move(
    verb: Verb, status: S, wanted: S, last_refused: dt.datetime, first_allowed: dt.datetime, code: str
) -> None:
    visit = Appointment(status=status, starts_at=NOON, arrived_at=NOON, no_show_at=NOON)
    check_move(visit, wanted, verb, first_allowed)
    with pytest.raises(DomainError) as refusal:
        check_move(visit, wanted, verb, last_refused)
    assert refusal.value.code == code


def test_the_figures_are_those_of_the_clinic() -> None:
    assert (dt.timedelta(minutes=15), dt.timedelta(minutes=15)) == (NO_SHOW_GRACE, UNDO_ARRIVAL_WITHIN)
    assert dt.timedelta(hours=48) == CORRECT_NO_SHOW_WITHIN


DESK_BEFORE_START = {
    S.BOOKED: ["confirm", "reschedule", "arrive", "cancel"],
    S.CONFIRMED: ["unconfirm", "reschedule", "arrive", "cancel"],
    S.RESCHEDULED: ["confirm", "reschedule", "arrive", "cancel"],
    S.ARRIVED: ["undo_arrival", "cancel"],
    S.IN_PROGRESS: [],
    S.COMPLETED: [],
    S.CANCELLED: ["reinstate"],
    S.NO_SHOW: ["correct_no_show"],
    S.ENTERED_IN_ERROR: [],
}


@pytest.mark.parametrize("status", list(S))
def test_the_buttons_follow_state_role_and_clock(clinic: Clinic, other_clinic: Clinic, status: S) -> None:
    now = timezone.now()
    visit = AppointmentFactory(
        tenant=clinic.tenant,
        patient=clinic.patient,
        provider=clinic.provider,
        location=clinic.location,
        department=clinic.department,
        status=status,
        arrived_at=now,
        no_show_at=now,
    )
    assert legal_moves(visit, clinic.front_desk) == DESK_BEFORE_START[status]
    of_provider = {S.ARRIVED: ["start"], S.IN_PROGRESS: ["complete"]}.get(status, [])
    assert legal_moves(visit, clinic.provider) == of_provider
    assert legal_moves(visit, clinic.colleague) == []
    assert legal_moves(visit, clinic.patient_user) == []
    assert legal_moves(visit, other_clinic.admin) == []
    of_admin = set(legal_moves(visit, clinic.admin))
    assert of_admin >= set(DESK_BEFORE_START[status]) | set(of_provider)
    assert ("void" in of_admin) == (status != S.ENTERED_IN_ERROR)
    assert ("reopen" in of_admin) == (status == S.COMPLETED)
    assert ("cancel" in of_admin) == (S.CANCELLED in ALLOWED[status])


def test_after_the_start_there_is_no_confirming_but_a_no_show(clinic: Clinic) -> None:
    visit = Appointment(tenant=clinic.tenant, status=S.BOOKED, starts_at=timezone.now() - NO_SHOW_GRACE)
    assert legal_moves(visit, clinic.front_desk) == ["reschedule", "arrive", "cancel", "no_show"]
