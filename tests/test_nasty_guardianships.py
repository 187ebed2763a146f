"""A guardianship that ends by its date: from the next day on the link on that phone opens nothing."""

from __future__ import annotations

import datetime as dt

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from appointments import tokens
from appointments.models import Appointment
from appointments.tests.test_booking import book
from conftest import Clinic
from core.models import Guardianship, Patient
from core.patients import guardians
from core.selectors import years_before
from notifications.tasks import open_majority_tasks_task
from tests.test_nasty_links import address, child_with_parents

DAY = dt.timedelta(days=1)


@pytest.fixture
def visit(clinic: Clinic, ten_oclock: dt.datetime) -> Appointment:
    """In two weeks, so that days can pass."""
    return book(clinic, ten_oclock + 14 * DAY, patient=child_with_parents(clinic))


def fathers(patient: Patient) -> Guardianship:
    return patient.guardianships.get(is_primary=False)


def end_on(patient: Patient, day: dt.date) -> None:
    Guardianship.objects.filter(pk=fathers(patient).pk).update(valid_until=day)


def opens(link: str) -> bool:
    return Client().get(link).status_code == 200


@pytest.mark.parametrize("days_missed", [0, 5])
def test_the_day_after_the_last_one_the_link_is_dead_also_where_the_clock_has_stood_still(
    visit: Appointment, days_missed: int
) -> None:
    today, link = timezone.localdate(), address(visit)
    end_on(visit.patient, today)
    assert open_majority_tasks_task()["ended"] == 0, "the last day is a day"
    assert opens(link)
    with time_machine.travel(timezone.now() + (1 + days_missed) * DAY, tick=False):
        assert open_majority_tasks_task()["ended"] == 1
        assert not opens(link)
        fresh = address(visit)
        assert opens(fresh), "who still may know gets another"
        assert open_majority_tasks_task()["ended"] == 0
        assert opens(fresh), "and keeps it"


def test_a_link_that_was_given_after_the_end_stays(visit: Appointment) -> None:
    end_on(visit.patient, timezone.localdate() - 3 * DAY)
    link = address(visit)
    assert open_majority_tasks_task()["ended"] == 1
    assert opens(link), "nobody but the mother was told it"


def test_a_last_day_that_is_put_off_and_comes_again_is_followed_again(visit: Appointment) -> None:
    today = timezone.localdate()
    end_on(visit.patient, today)
    with time_machine.travel(timezone.now() + DAY, tick=False):
        assert open_majority_tasks_task()["ended"] == 1
        end_on(visit.patient, today + 3 * DAY)
        link = tokens.address(tokens.issue(visit))
        assert open_majority_tasks_task()["ended"] == 0
    with time_machine.travel(timezone.now() + 4 * DAY, tick=False):
        assert open_majority_tasks_task()["ended"] == 1
        assert not opens(link)


def test_a_last_day_in_the_past_is_followed_when_it_is_written_down(clinic: Clinic, visit: Appointment) -> None:
    """Until this moment the father was told: also the link of a minute ago lies on his phone."""
    link = address(visit)
    guardians.guardian_set_terms(
        actor=clinic.front_desk,
        guardianship_id=fathers(visit.patient).pk,
        valid_from=None,
        valid_until=timezone.localdate() - 3 * DAY,
        evidence="",
        receives_messages=True,
        not_for=[],
    )
    assert not opens(link)
    fresh = address(visit)
    assert open_majority_tasks_task()["ended"] == 0
    assert opens(fresh)


@pytest.mark.parametrize("days_missed", [0, 5])
def test_on_the_birthday_the_parents_link_is_dead_and_the_patients_own_lives(
    clinic: Clinic, visit: Appointment, days_missed: int
) -> None:
    """Booked while the patient was a minor: who of age may not know could still call the visit off."""
    today, link = timezone.localdate(), address(visit)
    years = clinic.tenant.age_of_majority
    Patient.objects.filter(pk=visit.patient_id).update(birth_date=years_before(today + DAY, years))
    open_majority_tasks_task()
    assert opens(link), "not of age yet"
    with time_machine.travel(timezone.now() + (1 + days_missed) * DAY, tick=False):
        open_majority_tasks_task()
        assert not opens(link)
        fresh = address(visit)
        open_majority_tasks_task()
        assert opens(fresh)
