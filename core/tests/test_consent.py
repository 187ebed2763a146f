"""The consent of a sub-file, the arrival register, and sub-file numbers."""

from __future__ import annotations

import datetime as dt

import pytest
import time_machine
from django.utils import timezone

from appointments.tests.test_booking import book
from conftest import Clinic
from core import arrival
from core.consent import check_consent, check_consents, consent_status, consent_verify, latest_consent
from core.errors import DomainError
from core.models import AuditEvent, ConsentVerification, SubFile
from core.subfiles import subfile_ensure, subfile_of

Status = ConsentVerification.Status
DAY = dt.timedelta(days=1)


@pytest.fixture
def subfile(clinic: Clinic) -> SubFile:
    return subfile_ensure(patient=clinic.patient, department=clinic.department)


def verify(clinic: Clinic, subfile: SubFile, status: str = "VERIFIED", until: dt.date | None = None) -> None:
    consent_verify(actor=clinic.front_desk, subfile=subfile, status=status, valid_until=until)


def test_a_subfile_is_opened_once_with_a_telling_number(clinic: Clinic, subfile: SubFile) -> None:
    assert subfile_ensure(patient=clinic.patient, department=clinic.department) == subfile
    assert subfile_of(clinic.patient, clinic.department) == subfile
    assert str(subfile) == f"{clinic.patient.mrn}-{clinic.department.code}"


def test_without_a_check_the_consent_is_missing(clinic: Clinic, subfile: SubFile) -> None:
    today = timezone.localdate()
    assert consent_status(None, today) == consent_status(subfile, today) == Status.MISSING


def test_the_latest_check_counts_and_the_older_ones_stay(clinic: Clinic, subfile: SubFile) -> None:
    verify(clinic, subfile)
    verify(clinic, subfile, "WITHDRAWN")
    assert consent_status(subfile, timezone.localdate()) == Status.WITHDRAWN
    assert ConsentVerification.objects.count() == 2
    latest = latest_consent(subfile)
    assert latest is not None
    assert latest.verified_by == clinic.front_desk
    audit = AuditEvent.objects.filter(action="consent.verified").latest("created_at")
    assert (audit.before, audit.after["status"]) == ({"status": "VERIFIED"}, "WITHDRAWN")


def test_a_consent_holds_to_the_end_of_its_last_day(clinic: Clinic, subfile: SubFile) -> None:
    last = timezone.localdate() + DAY
    verify(clinic, subfile, until=last)
    assert consent_status(subfile, last) == Status.VERIFIED
    assert consent_status(subfile, last + DAY) == Status.EXPIRED


def test_a_consent_does_not_end_in_the_past(clinic: Clinic, subfile: SubFile) -> None:
    with pytest.raises(DomainError) as refusal:
        verify(clinic, subfile, until=timezone.localdate() - DAY)
    assert refusal.value.code == "valid_until_past"


def test_only_the_desk_and_admins_of_the_own_clinic_note_it(
    clinic: Clinic, other_clinic: Clinic, subfile: SubFile
) -> None:
    for actor in (clinic.provider, clinic.patient_user, other_clinic.admin):
        with pytest.raises(DomainError) as refusal:
            consent_verify(actor=actor, subfile=subfile, status="VERIFIED")
        assert refusal.value.code == "not_allowed"


def test_the_arrival_looks_at_the_day_of_the_visit(clinic: Clinic, ten_oclock: dt.datetime) -> None:
    visit = book(clinic, ten_oclock)
    assert not check_consent(visit).is_clear
    subfile = SubFile.objects.get()
    verify(clinic, subfile, until=ten_oclock.date() - DAY)
    assert check_consent(visit).status_en == "expired"
    verify(clinic, subfile, until=ten_oclock.date())
    assert check_consent(visit).is_clear


def test_the_register_answers_for_every_floor_below(clinic: Clinic, ten_oclock: dt.datetime) -> None:
    visit = book(clinic, ten_oclock)
    points = arrival.open_points(visit)
    assert [point.name_en for point in points] == ["Consent", "Financial clearance"]
    assert all(point.name_ar and point.status_ar and point.name and point.status for point in points)


def test_a_check_is_registered_once() -> None:
    with pytest.raises(arrival.DuplicateCheck):
        arrival.register_check("consent", check_consents)


def test_a_consent_that_ran_out_overnight_shows_at_the_door(clinic: Clinic, ten_oclock: dt.datetime) -> None:
    visit = book(clinic, ten_oclock)
    verify(clinic, SubFile.objects.get(), until=timezone.localdate())
    with time_machine.travel(ten_oclock, tick=False):
        assert check_consent(visit).status_en == "expired"
