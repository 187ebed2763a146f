"""Guesses at a birth date over many sessions: a code is asked for ten times a day, and each begins with five tries."""

from __future__ import annotations

import datetime as dt

import pytest
import time_machine
from django.utils import timezone

from appointments.tests.test_races import at_once
from conftest import Clinic
from core import merging, portal_sessions
from core.models import AuditEvent, Patient, PortalGuess
from core.portal_people import files_of
from core.tests.test_portal import noor
from integrations.tests.fakes import provider
from tests import factories

__all__ = ["noor", "provider"]
pytestmark = pytest.mark.django_db
BORN = dt.date(1980, 1, 2)
DAY = dt.timedelta(days=1)


@pytest.fixture
def shared(noor: Clinic) -> Patient:
    """Two adults with one phone: each file asks for its birth date."""
    patient: Patient = factories.PatientFactory(tenant=noor.tenant, phone=noor.patient.phone, birth_date=BORN)
    return patient


def guess(patient: Patient, date: dt.date) -> str:
    """One try in a session of its own; what the page would say, and nothing where it opens."""
    session, _key = portal_sessions.begin(tenant_id=patient.tenant_id, address=patient.phone, agent="")
    file = next(one for one in files_of(patient.phone) if one.patient.pk == patient.pk)
    assert file.needs_birth_date
    try:
        portal_sessions.choose(session=session, file=file, birth_date=date)
    except portal_sessions.WrongBirthDate as error:
        return f"{error} {error.is_over}"
    return ""


def use_up(patient: Patient) -> list[str]:
    return [guess(patient, BORN + number * DAY) for number in range(1, portal_sessions.MAX_WRONG_DATES_A_DAY + 1)]


def test_the_tries_of_a_file_end_over_all_sessions_and_nothing_tells_so(noor: Clinic, shared: Patient) -> None:
    told = use_up(shared)
    assert guess(shared, BORN) == told[0], "the right date reads like a wrong one"
    assert set(told) == {told[0]}
    assert guess(noor.patient, noor.patient.birth_date) == "", "of the other file nobody has guessed"
    (note,) = AuditEvent.objects.filter(action="portal.dates_used_up")
    assert note.object_id == shared.pk, "the desk can see why"


def test_the_next_day_of_the_clinic_begins_anew(shared: Patient) -> None:
    use_up(shared)
    with time_machine.travel(timezone.now() + DAY, tick=False):
        assert guess(shared, BORN) == ""
    with time_machine.travel(timezone.now() + 10 * DAY, tick=False):
        portal_sessions.forget(timezone.now())
    assert not PortalGuess.objects.exists()


def test_who_knows_the_date_uses_up_no_try(shared: Patient) -> None:
    for _visit in range(portal_sessions.MAX_WRONG_DATES_A_DAY + 3):
        assert guess(shared, BORN) == ""
    assert PortalGuess.objects.get().wrong == 0


def test_a_merge_gives_no_fresh_tries(noor: Clinic, shared: Patient) -> None:
    third = factories.PatientFactory(tenant=noor.tenant, phone=noor.patient.phone, birth_date=BORN)
    for patient in (shared, third):
        for number in range(1, 6):
            assert guess(patient, BORN + number * DAY)
    merging.patient_merge(actor=noor.admin, survivor=shared, merged=third)
    assert guess(shared, BORN)
    assert not PortalGuess.objects.filter(patient=third).exists()


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_guesses_made_at_once_from_many_sessions_are_as_many_as_they_are(noor: Clinic, shared: Patient) -> None:
    tries = [lambda number=number: guess(shared, BORN + number * DAY) for number in range(1, 15)]
    assert all(at_once(noor, *tries))
    assert PortalGuess.objects.get().wrong == portal_sessions.MAX_WRONG_DATES_A_DAY
    assert guess(shared, BORN)
