"""From when until when a guardian speaks, on what ground, and what ends it."""

from __future__ import annotations

import datetime as dt

import pytest
from django.utils import timezone

from conftest import Clinic
from core import patients
from core.contacts import contact_for, recipients_for
from core.errors import DomainError
from core.models import AuditEvent, Guardianship, Patient
from tests.factories import GuardianFactory, GuardianshipFactory, PatientFactory


@pytest.fixture
def child(clinic: Clinic) -> Patient:
    made: Patient = PatientFactory(tenant=clinic.tenant, birth_date=timezone.localdate() - dt.timedelta(days=2000))
    return made


def add(clinic: Clinic, child: Patient, **fields: object) -> Guardianship:
    wish = {"actor": clinic.front_desk, "patient": child, "kind": "MOTHER", "name_en": "Huda", "phone": "0555555555"}
    return patients.guardian_add(**{**wish, **fields})  # type: ignore[arg-type]


def terms(clinic: Clinic, row: Guardianship, **fields: object) -> Guardianship:
    wish = {"valid_from": None, "valid_until": None, "evidence": "", "receives_messages": True, "not_for": ()}
    return patients.guardian_set_terms(actor=clinic.front_desk, guardianship_id=row.pk, **{**wish, **fields})  # type: ignore[arg-type]


def test_a_check_is_signed_and_a_court_order_is_named(clinic: Clinic, child: Patient) -> None:
    row = add(clinic, child, kind="COURT")
    with pytest.raises(DomainError) as refusal:
        patients.guardian_verify(actor=clinic.front_desk, guardianship_id=row.pk)
    assert refusal.value.code == "evidence_missing"
    row = patients.guardian_verify(actor=clinic.front_desk, guardianship_id=row.pk, evidence=" deed  4711 ")
    assert (row.verified_by, row.evidence) == (clinic.front_desk, "deed 4711")
    with pytest.raises(DomainError) as refusal:
        terms(clinic, row, evidence="")
    assert refusal.value.code == "evidence_missing"


def test_a_mother_needs_no_document_named_and_her_gender_is_known(clinic: Clinic, child: Patient) -> None:
    row = add(clinic, child)
    patients.guardian_verify(actor=clinic.front_desk, guardianship_id=row.pk)
    found = recipients_for([child])[child.pk]
    assert isinstance(found, list)
    assert found[0].gender == "F"
    patients.guardian_update(actor=clinic.front_desk, guardian_id=row.guardian_id, gender="", numerals="arab")
    found = recipients_for([child])[child.pk]
    assert isinstance(found, list)
    assert (found[0].gender, found[0].numerals) == ("", "arab")


def test_terms_hold_and_are_audited_without_the_document(clinic: Clinic, child: Patient) -> None:
    row = add(clinic, child)
    patients.guardian_verify(actor=clinic.front_desk, guardianship_id=row.pk)
    yesterday = timezone.localdate() - dt.timedelta(days=1)
    terms(clinic, row, valid_until=yesterday, evidence="register 12")
    assert contact_for(child) == "guardian_unverified"
    audit = AuditEvent.objects.get(action="guardian.terms_set")
    assert audit.after == {"valid_until": yesterday.isoformat(), "evidence": "(changed)"}
    with pytest.raises(DomainError) as refusal:
        terms(clinic, row, valid_from=timezone.localdate(), valid_until=yesterday)
    assert refusal.value.code == "dates_crossed"


def test_who_is_blocked_is_not_told_until_it_is_lifted(clinic: Clinic, child: Patient) -> None:
    row = add(clinic, child)
    patients.guardian_verify(actor=clinic.front_desk, guardianship_id=row.pk)
    with pytest.raises(DomainError):
        patients.guardian_block(actor=clinic.front_desk, guardianship_id=row.pk, reason="  ")
    patients.guardian_block(actor=clinic.front_desk, guardianship_id=row.pk, reason="court order")
    assert contact_for(child) == "guardian_blocked"
    patients.guardian_unblock(actor=clinic.front_desk, guardianship_id=row.pk)
    assert not isinstance(contact_for(child), str)
    assert set(AuditEvent.objects.values_list("action", flat=True)) >= {"guardian.blocked", "guardian.unblocked"}


def test_a_restriction_needs_a_reason_and_silences_the_file(clinic: Clinic) -> None:
    with pytest.raises(DomainError) as refusal:
        patients.patient_restrict(actor=clinic.front_desk, patient_id=clinic.patient.pk, reason="")
    assert refusal.value.code == "reason_missing"
    patient = patients.patient_restrict(
        actor=clinic.front_desk, patient_id=clinic.patient.pk, reason="asked for it in writing"
    )
    assert contact_for(patient) == "restricted"
    patient = patients.patient_unrestrict(actor=clinic.front_desk, patient_id=clinic.patient.pk)
    assert (patient.restriction_reason, isinstance(contact_for(patient), str)) == ("", False)
    assert AuditEvent.objects.filter(action__in=["patient.restricted", "patient.unrestricted"]).count() == 2


def test_restrictions_and_blocks_are_the_desks_business(clinic: Clinic, other_clinic: Clinic, child: Patient) -> None:
    guardian = GuardianFactory(tenant=clinic.tenant)
    row = GuardianshipFactory(tenant=clinic.tenant, patient=child, guardian=guardian)
    for actor in (clinic.provider, clinic.patient_user, other_clinic.admin):
        for act in (
            lambda actor=actor: patients.guardian_block(actor=actor, guardianship_id=row.pk, reason="x"),
            lambda actor=actor: patients.patient_restrict(actor=actor, patient_id=child.pk, reason="x"),
            lambda actor=actor: patients.patient_unrestrict(actor=actor, patient_id=child.pk),
        ):
            with pytest.raises(DomainError) as refusal:
                act()
            assert refusal.value.code == "not_allowed"
