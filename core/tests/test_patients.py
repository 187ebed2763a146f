"""The patient's file and who speaks for the patient."""

from __future__ import annotations

import datetime as dt

import pytest
from django.utils import timezone

from conftest import Clinic
from core import patients
from core.contacts import Contact, contact_for
from core.errors import DomainError
from core.models import AuditEvent, Guardian, Guardianship, Patient
from core.tenancy import tenant_scope
from tests.factories import GuardianFactory, PatientFactory


def create(clinic: Clinic, **fields: object) -> Patient:
    wish = {"actor": clinic.front_desk, "name_en": "Omar Saleh", "birth_date": dt.date(1985, 3, 1), "gender": "M"}
    return patients.patient_create(**{**wish, **fields})  # type: ignore[arg-type]


def test_a_new_file_has_a_number_tidy_names_and_addresses(clinic: Clinic) -> None:
    patient = create(
        clinic, name_en="  Omar   Saleh ", name_ar="عمر صالح", phone="٠٥٠ ١٢٣ ٤٥٦٧", email=" Omar@Mail.Example "
    )
    assert (patient.mrn, patient.name_en, patient.phone, patient.email) == (
        "000001",
        "Omar Saleh",
        "+966501234567",
        "omar@mail.example",
    )
    audit = AuditEvent.objects.get(action="patient.created")
    assert (audit.object_id, audit.after) == (patient.pk, {"mrn": "000001"})


def test_a_number_that_was_brought_along_is_left_out(clinic: Clinic) -> None:
    PatientFactory(tenant=clinic.tenant, mrn="000001")
    assert create(clinic).mrn == "000002"
    assert create(clinic, mrn="A-77").mrn == "A-77"
    with pytest.raises(DomainError) as refusal:
        create(clinic, mrn="A-77")
    assert refusal.value.code == "mrn_taken"


def test_two_tenants_may_use_one_number(clinic: Clinic, other_clinic: Clinic) -> None:
    first = create(clinic)
    with tenant_scope(other_clinic.tenant.pk):
        assert create(other_clinic).mrn == first.mrn


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"phone": "banana"}, "phone_invalid"),
        ({"phone": "0112345678"}, "phone_not_mobile"),
        ({"email": "nobody"}, "email_invalid"),
        ({"birth_date": dt.date(1780, 1, 1)}, "birth_date_invalid"),
        ({"birth_date": dt.date(2999, 1, 1)}, "birth_date_invalid"),
        ({"name_en": "  "}, "name_missing"),
        ({"gender": "X"}, "gender_invalid"),
        ({"language": "fr"}, "language_invalid"),
    ],
)
def test_bad_input_is_told_in_a_sentence(clinic: Clinic, fields: dict[str, object], code: str) -> None:
    before = Patient.objects.count()
    with pytest.raises(DomainError) as refusal:
        create(clinic, **fields)
    assert refusal.value.code == code
    assert str(refusal.value).endswith(".")
    assert Patient.objects.count() == before


def test_a_name_in_one_script_is_enough(clinic: Clinic) -> None:
    assert create(clinic, name_en="", name_ar="عمر صالح").name == "عمر صالح"


def test_a_change_is_audited_by_field_and_keeps_no_address(clinic: Clinic) -> None:
    patient = clinic.patient
    patients.patient_update(actor=clinic.front_desk, patient_id=patient.pk, phone="0551112222", language="en")
    patient.refresh_from_db()
    assert (patient.phone, patient.language) == ("+966551112222", "en")
    audit = AuditEvent.objects.get(action="patient.updated")
    assert audit.after == {"changed": ["language", "phone"]}
    patients.patient_update(actor=clinic.front_desk, patient_id=patient.pk, phone="+966551112222")
    assert AuditEvent.objects.filter(action="patient.updated").count() == 1, "nothing changed, nothing to tell"


def test_what_is_refused_changes_nothing(clinic: Clinic) -> None:
    patient = clinic.patient
    for changes, code in [
        ({"name_en": "", "name_ar": " "}, "name_missing"),
        ({"deceased_at": timezone.localdate() + dt.timedelta(days=1)}, "deceased_invalid"),
        ({"phone": "12"}, "phone_invalid"),
    ]:
        with pytest.raises(DomainError) as refusal:
            patients.patient_update(actor=clinic.front_desk, patient_id=patient.pk, **changes)
        assert refusal.value.code == code
    with pytest.raises(ValueError, match="mrn"):
        patients.patient_update(actor=clinic.front_desk, patient_id=patient.pk, mrn="1")
    assert not AuditEvent.objects.exists()


def test_the_only_name_is_not_taken_away(clinic: Clinic) -> None:
    patient = create(clinic)
    with pytest.raises(DomainError) as refusal:
        patients.patient_update(actor=clinic.front_desk, patient_id=patient.pk, name_en="")
    assert refusal.value.code == "name_missing"


def test_the_wrong_role_and_the_wrong_clinic_stay_outside(clinic: Clinic, other_clinic: Clinic) -> None:
    for actor in (clinic.provider, clinic.patient_user, other_clinic.admin):
        with pytest.raises(DomainError) as refusal:
            patients.patient_update(actor=actor, patient_id=clinic.patient.pk, phone="")
        assert refusal.value.code == "not_allowed"
    with tenant_scope(other_clinic.tenant.pk), pytest.raises(DomainError) as refusal:
        patients.patient_update(actor=other_clinic.admin, patient_id=clinic.patient.pk, phone="")
    assert refusal.value.code == "not_found"


# --- guardians ------------------------------------------------------------------------------------------------------


@pytest.fixture
def child(clinic: Clinic) -> Patient:
    return create(clinic, name_en="Lina", birth_date=timezone.localdate() - dt.timedelta(days=900), gender="F")


def add(clinic: Clinic, child: Patient, **fields: object) -> Guardianship:
    wish = {
        "actor": clinic.front_desk,
        "patient": child,
        "kind": "MOTHER",
        "name_en": "Huda",
        "phone": "0555555555",
    }
    return patients.guardian_add(**{**wish, **fields})  # type: ignore[arg-type]


def test_the_first_guardian_is_the_first_contact_and_is_told_once_verified(clinic: Clinic, child: Patient) -> None:
    guardianship = add(clinic, child)
    assert guardianship.is_primary
    assert isinstance(contact_for(child), str)
    patients.guardian_verify(actor=clinic.front_desk, guardianship_id=guardianship.pk)
    contact = contact_for(child)
    assert isinstance(contact, Contact)
    assert contact.phone == "+966555555555"
    patients.guardian_set_messages(actor=clinic.front_desk, guardianship_id=guardianship.pk, receives_messages=False)
    assert isinstance(contact_for(child), str)


def test_there_is_one_first_contact(clinic: Clinic, child: Patient) -> None:
    mother = add(clinic, child)
    father = add(clinic, child, kind="FATHER", name_en="Sami")
    assert not father.is_primary
    patients.guardian_make_primary(actor=clinic.front_desk, guardianship_id=father.pk)
    aunt = add(clinic, child, kind="OTHER", name_en="Mona", is_primary=True)
    assert list(Guardianship.objects.filter(is_primary=True)) == [aunt]
    patients.guardian_remove(actor=clinic.front_desk, guardianship_id=aunt.pk)
    assert Guardianship.objects.get(is_primary=True) in {mother, father}
    assert Guardian.objects.filter(name_en="Mona").exists(), "messages that went there point at it"


def test_a_guardian_speaks_for_several_children_once_each(clinic: Clinic, child: Patient) -> None:
    first = add(clinic, child)
    brother = create(clinic, name_en="Zaid", birth_date=child.birth_date)
    second = add(clinic, brother, guardian=first.guardian)
    assert second.guardian == first.guardian
    with pytest.raises(DomainError) as refusal:
        add(clinic, brother, guardian=first.guardian)
    assert refusal.value.code == "guardian_there"
    patients.guardian_update(actor=clinic.front_desk, guardian_id=first.guardian_id, phone="0560000000")
    assert Guardian.objects.get(pk=second.guardian_id).phone == "+966560000000"


def test_a_guardian_of_another_clinic_is_not_taken(clinic: Clinic, other_clinic: Clinic, child: Patient) -> None:
    with tenant_scope(other_clinic.tenant.pk):
        foreign = GuardianFactory(tenant=other_clinic.tenant)
    with pytest.raises(DomainError) as refusal:
        add(clinic, child, guardian=foreign)
    assert refusal.value.code == "not_allowed"
    with pytest.raises(DomainError) as refusal:
        patients.guardian_update(actor=clinic.front_desk, guardian_id=foreign.pk, phone="")
    assert refusal.value.code == "not_found"


def test_guardians_are_the_desks_business(clinic: Clinic, other_clinic: Clinic, child: Patient) -> None:
    guardianship = add(clinic, child)
    for actor in (clinic.provider, clinic.patient_user, other_clinic.admin):
        for act in (patients.guardian_verify, patients.guardian_make_primary, patients.guardian_remove):
            with pytest.raises(DomainError) as refusal:
                act(actor=actor, guardianship_id=guardianship.pk)
            assert refusal.value.code == "not_allowed"
