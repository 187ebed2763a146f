"""A copy of a patient's data and an erasure forget no table."""

from __future__ import annotations

import pytest
from django.apps import apps
from django.db.models import Model

from conftest import Clinic
from core import holds, looks, merging, rights, subject_data
from core.models import Guardianship, LegalHold, Look, Patient, PortalSession, RightsRequest
from core.patients.numbers import number_is_wrong
from core.portal_sessions import begin
from core.subject_data import Copy, mask
from integrations import fanout
from notifications import consents, default_words
from notifications.models import Message, NotificationEvent
from tests import factories


def tables_with_a_patient() -> set[str]:
    """Every model of ours that points at a patient."""

    def points(model: type[Model]) -> bool:
        fields = model._meta.concrete_fields
        return any(column.is_relation and column.related_model is Patient for column in fields)

    return {model._meta.label for model in apps.get_models() if points(model) and model is not Patient}


def test_every_table_with_a_patient_is_told_of_or_left_out_for_a_reason() -> None:
    covered = subject_data.told_models() | set(subject_data.left_out_models())
    lacking = tables_with_a_patient() - covered
    assert not lacking, f"register a section or leave_out in the app's subject_sections.py: {sorted(lacking)}"
    assert all(subject_data.left_out_models().values())
    assert subject_data.told_models() <= {model._meta.label for model in apps.get_models()}


def test_a_section_or_an_eraser_of_the_same_name_is_a_mistake_of_ours() -> None:
    with pytest.raises(subject_data.DuplicateSection):
        subject_data.register_section(subject_data.sections()[0])
    with pytest.raises(subject_data.DuplicateSection):
        subject_data.register_eraser("core", lambda _patient: 0)


@pytest.mark.parametrize(
    ("address", "shown"),
    [("+966501234567", "+9665•••••67"), ("huda@mail.example", "h•••@mail.example"), ("12", "•••"), ("", "•••")],
)
def test_an_address_of_somebody_else_is_recognised_by_who_knows_it_only(address: str, shown: str) -> None:
    assert mask(address) == shown


@pytest.mark.django_db
def test_a_text_is_left_out_for_the_name_of_a_relative_and_for_no_other_word(clinic: Clinic) -> None:
    mother = factories.GuardianFactory(tenant=clinic.tenant)
    people = [("Omar Saleh", "عمر صالح"), ("Noor Saleh", "نور صالح"), ("Sara Saleh", "سارة صالح")]
    children = [
        factories.PatientFactory(tenant=clinic.tenant, name_en=english, name_ar=arabic, phone="", email="")
        for english, arabic in people
    ]
    for child in children:
        factories.GuardianshipFactory(tenant=clinic.tenant, patient=child, guardian=mother)
    copy = Copy(children[2], f"guardian:{mother.pk}", "en")
    for told in ("Sara at 10:00", "Noor Clinics writes to you", "Omaria", "عمرة", "", "No. 7"):
        assert copy.text(told) == told, "her own, the clinic's name, or only alike"
    for secret in ("OMAR 10:30", "\u2068Omar\u2069, 10:30", "سارة وعمر", "لعمر: 10:30", f"file {children[0].mrn}"):
        assert copy.text(secret) is None, secret
    assert copy.withheld == 5


@pytest.mark.django_db
def test_a_merge_takes_requests_and_holds_along(clinic: Clinic) -> None:
    stays, goes = clinic.patient, factories.PatientFactory(tenant=clinic.tenant)
    for patient in (stays, goes):
        rights.rights_open(patient=patient, kind="EXPORT", asked_by=f"patient:{patient.pk}")
    rights.rights_open(patient=goes, kind="ERASURE", asked_by=f"patient:{goes.pk}")
    holds.hold_place(actor=clinic.admin, patient=goes, reason="Case")
    merging.patient_merge(actor=clinic.admin, survivor=stays, merged=goes)
    assert holds.is_held(stays)
    assert LegalHold.objects.get().patient_id == stays.pk
    rows = RightsRequest.objects.filter(patient=stays)
    assert sorted(rows.values_list("kind", "state")) == [
        ("ERASURE", "OPEN"),
        ("EXPORT", "OPEN"),
        ("EXPORT", "WITHDRAWN"),
    ]
    assert set(rows.values_list("asked_by", flat=True)) == {f"patient:{stays.pk}"}


@pytest.mark.django_db
def test_a_copy_tells_what_still_stands_under_a_file_that_was_merged_away(clinic: Clinic) -> None:
    stays, goes = clinic.patient, factories.PatientFactory(tenant=clinic.tenant)
    looks.record_look(user=clinic.front_desk, patient=goes, page=Look.Page.PATIENT)
    consents.record(patient=goes, purpose="awareness", status="granted", method="staff", actor=clinic.front_desk)
    merging.patient_merge(actor=clinic.admin, survivor=stays, merged=goes)
    stays.refresh_from_db()
    told = {one.name: list(one.rows(Copy(stays, f"patient:{stays.pk}", "en"))) for one in subject_data.sections()}
    assert len(told["access"]) == 1
    assert "Agreed" in [str(row["status"]) for row in told["consents"]]


@pytest.mark.django_db
def test_a_number_in_other_hands_ends_the_sessions_it_has_opened(clinic: Clinic) -> None:
    begin(tenant_id=clinic.tenant.pk, address=clinic.patient.phone, agent="")
    begin(tenant_id=clinic.tenant.pk, address=clinic.patient.email, agent="")
    number_is_wrong(phone=clinic.patient.phone, actor=clinic.front_desk)
    assert list(PortalSession.objects.filter(ended_at=None).values_list("address", flat=True)) == [clinic.patient.email]


@pytest.mark.django_db
def test_an_answer_is_told_to_who_asked_and_not_to_the_other_parent(clinic: Clinic) -> None:
    default_words.install(clinic.tenant.pk)
    child = factories.PatientFactory(tenant=clinic.tenant, birth_date="2020-01-01", phone="", email="")
    child.refresh_from_db()
    mother, father = (factories.GuardianFactory(tenant=clinic.tenant) for _parent in range(2))
    factories.GuardianshipFactory(tenant=clinic.tenant, patient=child, guardian=mother)
    factories.GuardianshipFactory(
        tenant=clinic.tenant, patient=child, guardian=father, kind=Guardianship.Kind.FATHER, is_primary=False
    )
    request = rights.rights_open(patient=child, kind="CORRECTION", details="The name", asked_by=f"guardian:{father.pk}")
    rights.rights_refuse(actor=clinic.admin, request=request, answer="The passport says so.")
    fanout.process_event(clinic.tenant.pk, NotificationEvent.objects.get(key="rights.answered").pk)
    assert list(Message.objects.values_list("recipient", flat=True)) == [father.phone]
