"""The pages of a patient's guardians, and the buttons that silence a file or a number."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone

from conftest import Clinic
from core import patients
from core.contacts import recipients_for
from core.models import Guardianship, Patient
from notifications.models import DeskTask, SuppressedAddress
from notifications.states import Reason, TaskKind
from tests.factories import GuardianFactory, GuardianshipFactory, PatientFactory


@pytest.fixture
def child(clinic: Clinic) -> Patient:
    made: Patient = PatientFactory(tenant=clinic.tenant, birth_date=timezone.localdate() - dt.timedelta(days=2000))
    return made


@pytest.fixture
def mother(clinic: Clinic, child: Patient) -> Guardianship:
    row: Guardianship = GuardianshipFactory(
        tenant=clinic.tenant, patient=child, guardian=GuardianFactory(tenant=clinic.tenant)
    )
    return row


def terms(row: Guardianship, **changes: Any) -> dict[str, Any]:
    """What a browser sends when nothing was changed."""
    told = ["REMINDER", "CONFIRMATION", "CHANGE", "RESULTS", "BILLING", "AWARENESS", "MARKETING", "GENERAL"]
    data = {
        "name_en": row.guardian.name_en,
        "name_ar": row.guardian.name_ar,
        "phone": row.guardian.phone,
        "email": row.guardian.email,
        "language": row.guardian.language,
        "gender": "",
        "numerals": "latn",
        "valid_from": "",
        "valid_until": "",
        "evidence": "",
        "receives_messages": "on",
        "told": told,
    }
    return {**data, **changes}


def test_the_terms_of_a_guardian_are_read_and_written(clinic: Clinic, child: Patient, mother: Guardianship) -> None:
    desk = clinic.client(clinic.front_desk)
    address = reverse("core:guardian_update", args=[mother.pk])
    assert desk.get(address).status_code == 200
    answer = desk.post(
        address,
        terms(
            mother,
            gender="F",
            numerals="arab",
            show_hijri="on",
            valid_until="2040-01-31",
            evidence="family register 12",
            told=["REMINDER", "CHANGE"],
        ),
    )
    assert answer["Location"] == reverse("core:patient_detail", args=[child.pk])
    mother.refresh_from_db()
    assert (mother.valid_until, mother.evidence) == (dt.date(2040, 1, 31), "family register 12")
    assert set(mother.not_for) == {"CONFIRMATION", "RESULTS", "BILLING", "AWARENESS", "MARKETING", "GENERAL"}
    (reader,) = recipients_for([child], notification_type="REMINDER")[child.pk]
    assert (reader.gender, reader.numerals, reader.show_hijri) == ("F", "arab", True)  # type: ignore[union-attr]
    assert recipients_for([child], notification_type="BILLING")[child.pk] == Reason.GUARDIAN_BLOCKED
    again = desk.get(address).content.decode()
    assert 'value="2040-01-31"' in again


def test_an_end_before_the_beginning_is_refused_beside_its_field(clinic: Clinic, mother: Guardianship) -> None:
    answer = clinic.client(clinic.front_desk).post(
        reverse("core:guardian_update", args=[mother.pk]),
        terms(mother, valid_from="2030-01-02", valid_until="2030-01-01"),
    )
    assert answer.status_code == 422
    assert "valid_until" in answer.context["form"].errors


def test_a_guardian_is_blocked_with_a_reason_and_allowed_again(
    clinic: Clinic, child: Patient, mother: Guardianship
) -> None:
    desk = clinic.client(clinic.front_desk)
    desk.post(reverse("core:guardian_action", args=[mother.pk, "block"]), {"reason": ""})
    mother.refresh_from_db()
    assert mother.blocked_reason == ""
    desk.post(reverse("core:guardian_action", args=[mother.pk, "block"]), {"reason": "court order"})
    page = desk.get(reverse("core:patient_detail", args=[child.pk])).content.decode()
    assert "Must not be told" in page
    assert "Nobody gets messages: This guardian must not be told." in page
    desk.post(reverse("core:guardian_action", args=[mother.pk, "unblock"]))
    mother.refresh_from_db()
    assert mother.blocked_reason == ""


def test_the_file_names_all_who_read(clinic: Clinic, child: Patient, mother: Guardianship) -> None:
    father = GuardianFactory(tenant=clinic.tenant, name_en="Khalid Al-Rashid")
    GuardianshipFactory(tenant=clinic.tenant, patient=child, guardian=father, kind="FATHER", is_primary=False)
    page = clinic.client(clinic.front_desk).get(reverse("core:patient_detail", args=[child.pk]))
    assert [reader.name for reader in page.context["readers"]] == ["Huda Al-Rashid", "Khalid Al-Rashid"]
    assert [reader.relation for reader in page.context["readers"]] == ["Mother", "Father"]


def test_a_court_guardian_is_verified_with_the_document_in_the_form(clinic: Clinic, child: Patient) -> None:
    desk = clinic.client(clinic.front_desk)
    address = reverse("core:guardian_create", args=[child.pk])
    typed = {
        "guardian-kind": "COURT",
        "guardian-name_en": "Salem",
        "guardian-phone": "0551112233",
        "guardian-language": "ar",
        "guardian-is_verified": "on",
    }
    assert desk.post(address, typed).status_code == 422
    assert not Guardianship.objects.filter(patient=child).exists(), "all or nothing"
    assert desk.post(address, {**typed, "guardian-evidence": "deed 4711"}).status_code == 302
    row = Guardianship.objects.get(patient=child)
    assert (row.verified_by, row.evidence) == (clinic.front_desk, "deed 4711")


def test_a_file_is_restricted_and_the_restriction_lifted(clinic: Clinic) -> None:
    desk = clinic.client(clinic.front_desk)
    address = reverse("core:patient_restriction", args=[clinic.patient.pk])
    file = reverse("core:patient_detail", args=[clinic.patient.pk])
    desk.post(address, {"reason": " "})
    clinic.patient.refresh_from_db()
    assert not clinic.patient.is_restricted
    desk.post(address, {"reason": "asked for it in writing"})
    page = desk.get(file).content.decode()
    assert "This file is restricted: nothing is sent." in page
    assert "asked for it in writing" in page
    desk.post(address, {"lift": "1"})
    assert "This file is restricted" not in desk.get(file).content.decode()


def test_who_left_and_who_died_is_written_in_the_form_of_the_file(clinic: Clinic) -> None:
    from core.tests.test_views_patients import form_data

    desk = clinic.client(clinic.front_desk)
    address = reverse("core:patient_update", args=[clinic.patient.pk])
    data = form_data(phone=clinic.patient.phone)
    desk.post(address, {**data, "has_left": "on"})
    clinic.patient.refresh_from_db()
    assert not clinic.patient.is_active
    assert desk.get(address).context["form"]["has_left"].value() is True
    desk.post(address, {**data, "deceased_at": timezone.localdate().isoformat()})
    clinic.patient.refresh_from_db()
    assert (clinic.patient.is_active, clinic.patient.deceased_at) == (True, timezone.localdate())
    refused = desk.post(address, {**data, "deceased_at": "2999-01-01"})
    assert refused.status_code == 422


def test_a_wrong_number_is_stopped_by_a_button_and_only_if_it_stands_in_the_file(
    clinic: Clinic, child: Patient, mother: Guardianship
) -> None:
    desk = clinic.client(clinic.front_desk)
    address = reverse("core:patient_number_wrong", args=[child.pk])
    desk.post(address, {"number": "+966500000001"})
    assert not SuppressedAddress.objects.exists()
    patients.patient_update(actor=clinic.front_desk, patient_id=clinic.patient.pk, phone=mother.guardian.phone)
    answer = desk.post(address, {"number": mother.guardian.phone}, follow=True)
    assert "It stands in one more file." in answer.content.decode()
    assert SuppressedAddress.objects.filter(address=mother.guardian.phone, reason=Reason.WRONG_NUMBER).count() == 2
    assert DeskTask.objects.filter(kind=TaskKind.WRONG_NUMBER).count() == 1
    file = desk.get(reverse("core:patient_detail", args=[clinic.patient.pk])).content.decode()
    assert "This number belongs to somebody else" in file, "everybody who holds it is flagged"
    row = SuppressedAddress.objects.filter(channel="SMS").get()
    desk.post(reverse("core:patient_address_lift", args=[clinic.patient.pk, row.pk]))
    assert not SuppressedAddress.objects.filter(lifted_at=None).exists()


def test_guardians_and_silence_of_another_clinic_group_are_not_there(
    clinic: Clinic, other_clinic: Clinic, child: Patient, mother: Guardianship
) -> None:
    stranger = other_clinic.client(other_clinic.admin)
    for address in (
        reverse("core:guardian_update", args=[mother.pk]),
        reverse("core:guardian_action", args=[mother.pk, "block"]),
        reverse("core:patient_restriction", args=[child.pk]),
        reverse("core:patient_number_wrong", args=[child.pk]),
        reverse("core:patient_merge", args=[child.pk]),
    ):
        assert stranger.post(address, {"reason": "x", "number": mother.guardian.phone}).status_code == 404, address
    mother.refresh_from_db()
    assert mother.blocked_reason == ""
