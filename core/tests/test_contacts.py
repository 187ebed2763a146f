"""Who is written to: the patient, or the verified guardian of a minor, or nobody and why."""

from __future__ import annotations

import datetime as dt

import pytest
from django.utils import timezone

from conftest import Clinic
from core.contacts import Contact, contact_for
from core.models import Guardianship
from notifications.states import Reason
from tests.factories import GuardianFactory, GuardianshipFactory


def make_child(clinic: Clinic, years: int = 7) -> None:
    today = timezone.localdate()
    clinic.patient.birth_date = dt.date(today.year - years, today.month, min(today.day, 28))
    clinic.patient.save()


def test_an_adult_is_written_to(clinic: Clinic) -> None:
    contact = contact_for(clinic.patient)
    assert isinstance(contact, Contact)
    assert (contact.phone, contact.email, contact.language, contact.guardian) == (
        clinic.patient.phone,
        clinic.patient.email,
        "ar",
        None,
    )


def test_an_adults_guardian_is_not_written_to(clinic: Clinic) -> None:
    guardian = GuardianFactory(tenant=clinic.tenant)
    GuardianshipFactory(tenant=clinic.tenant, patient=clinic.patient, guardian=guardian)
    contact = contact_for(clinic.patient)
    assert isinstance(contact, Contact)
    assert contact.guardian is None


def test_a_childs_guardian_is_written_to_in_their_own_language(clinic: Clinic) -> None:
    make_child(clinic)
    guardian = GuardianFactory(tenant=clinic.tenant, language="en")
    GuardianshipFactory(tenant=clinic.tenant, patient=clinic.patient, guardian=guardian)
    contact = contact_for(clinic.patient)
    assert isinstance(contact, Contact)
    assert (contact.guardian, contact.phone, contact.language) == (guardian, guardian.phone, "en")
    assert contact.name_in("ar") == guardian.name_ar


@pytest.mark.parametrize("flaw", [{"verified_at": None}, {"is_primary": False}, {"receives_messages": False}])
def test_without_a_verified_first_contact_nobody_is_told(clinic: Clinic, flaw: dict[str, object]) -> None:
    make_child(clinic)
    assert contact_for(clinic.patient) == Reason.GUARDIAN_UNVERIFIED
    row = GuardianshipFactory(
        tenant=clinic.tenant, patient=clinic.patient, guardian=GuardianFactory(tenant=clinic.tenant)
    )
    Guardianship.objects.filter(pk=row.pk).update(**flaw)
    assert contact_for(clinic.patient) == Reason.GUARDIAN_UNVERIFIED


def test_at_majority_the_guardians_part_ends(clinic: Clinic) -> None:
    guardian = GuardianFactory(tenant=clinic.tenant)
    GuardianshipFactory(tenant=clinic.tenant, patient=clinic.patient, guardian=guardian)
    make_child(clinic, 17)
    child = contact_for(clinic.patient)
    make_child(clinic, 18)
    adult = contact_for(clinic.patient)
    assert isinstance(child, Contact)
    assert isinstance(adult, Contact)
    assert (child.guardian, adult.guardian) == (guardian, None)


def test_the_dead_and_the_merged_have_reasons_staff_can_read(clinic: Clinic) -> None:
    clinic.patient.merged_into = clinic.patient
    assert contact_for(clinic.patient) == Reason.MERGED_AWAY
    clinic.patient.deceased_at = timezone.localdate()
    assert contact_for(clinic.patient) == Reason.DECEASED
