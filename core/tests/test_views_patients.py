"""The patient pages: who may enter, search, file, form, guardians and consent."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from conftest import Clinic
from core import subfiles
from core.contacts import Contact, contact_for
from core.errors import DomainError
from core.models import AuditEvent, ConsentVerification, Guardian, Guardianship, Patient
from core.selectors import matching, unreachable
from core.tenancy import tenant_scope
from integrations.messaging_service import MessagingService
from notifications import preferences
from notifications.models import NotificationPreference, SuppressedAddress
from notifications.states import Channel, Reason
from tests.factories import AppointmentFactory, DepartmentFactory, GuardianFactory, GuardianshipFactory, PatientFactory

ADULT = dt.date(1990, 5, 17)
CHILD = dt.date(timezone.localdate().year - 6, 1, 1)


def form_data(**changes: Any) -> dict[str, Any]:
    """What a browser sends for an adult with a phone."""
    data = {
        "name_en": "Reem Al-Harbi",
        "name_ar": "ريم الحربي",
        "birth_date": "1990-05-17",
        "gender": "F",
        "phone": "0501234567",
        "phone_alternative": "",
        "email": "reem@mail.example",
        "language": "ar",
        "guardian-kind": "MOTHER",
        "guardian-language": "ar",
        "preference-preferred_channel": "WHATSAPP",
        "preference-preferred_language": "",
    }
    for name in ("sms", "whatsapp", "email", "reminders", "confirmations", "results", "billing"):
        data[f"preference-{name}_enabled"] = "on"
    return {**data, **changes}


def addresses(patient: Patient) -> list[str]:
    return [
        reverse("core:patient_list"),
        reverse("core:patient_create"),
        reverse("core:patient_detail", args=[patient.pk]),
        reverse("core:patient_update", args=[patient.pk]),
        reverse("core:guardian_create", args=[patient.pk]),
    ]


def test_the_desk_and_the_admin_open_every_page(clinic: Clinic) -> None:
    for user in (clinic.front_desk, clinic.admin):
        for address in addresses(clinic.patient):
            assert clinic.client(user).get(address).status_code == 200, address


def test_providers_and_patients_are_turned_away(clinic: Clinic) -> None:
    for user in (clinic.provider, clinic.patient_user):
        for address in addresses(clinic.patient):
            assert clinic.client(user).get(address).status_code == 403, address


def test_a_stranger_is_sent_to_the_sign_in_page(clinic: Clinic, client: Any) -> None:
    for address in addresses(clinic.patient):
        answer = client.get(address)
        assert answer.status_code == 302, address
        assert answer.url.startswith(reverse("core:sign_in")), address


def test_another_clinic_group_finds_no_patient(clinic: Clinic, other_clinic: Clinic) -> None:
    guardianship = GuardianshipFactory(
        tenant=clinic.tenant, patient=clinic.patient, guardian=GuardianFactory(tenant=clinic.tenant)
    )
    subfile = subfiles.subfile_ensure(patient=clinic.patient, department=clinic.department)
    desk = other_clinic.client(other_clinic.front_desk)

    for address in addresses(clinic.patient)[2:]:
        assert desk.get(address).status_code == 404, address
        assert desk.post(address, form_data()).status_code in (404, 405), address
    for name, pk in (("consent_verify", subfile.pk), ("consent_verify", uuid.uuid4())):
        assert desk.post(reverse(f"core:{name}", args=[pk]), {"status": "VERIFIED"}).status_code == 404
    assert desk.post(reverse("core:guardian_action", args=[guardianship.pk, "remove"])).status_code == 404
    assert Guardianship.objects.filter(pk=guardianship.pk).exists()
    page = desk.get(reverse("core:patient_list") + f"?q={clinic.patient.mrn}")
    assert clinic.patient.name_ar not in page.content.decode()
    assert str(clinic.patient.pk) not in page.content.decode()


def test_changing_things_takes_a_post(clinic: Clinic) -> None:
    guardianship = GuardianshipFactory(
        tenant=clinic.tenant, patient=clinic.patient, guardian=GuardianFactory(tenant=clinic.tenant)
    )
    subfile = subfiles.subfile_ensure(patient=clinic.patient, department=clinic.department)
    desk = clinic.client(clinic.front_desk)

    assert desk.get(reverse("core:guardian_action", args=[guardianship.pk, "verify"])).status_code == 405
    assert desk.get(reverse("core:consent_verify", args=[subfile.pk])).status_code == 405
    assert desk.get(reverse("core:patient_duplicates")).status_code == 405


# --- list ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "typed",
    [
        "mutairi",
        "Sara al",
        "Mutairi Sara",
        "سارة",
        "ساره",
        "المطيرى",
        "77001",
        "٧٧٠٠١",
        "0509998877",
        "٠٥٠ ٩٩٩ ٨٨٧٧",
        "+966 50 999 8877",
        "00966509998877",
        "9998877",
        "sara@find.example",
    ],
)
def test_a_patient_is_found_however_it_is_typed(clinic: Clinic, typed: str) -> None:
    found = PatientFactory(tenant=clinic.tenant, mrn="77001", phone="+966509998877", email="sara@find.example")
    PatientFactory(tenant=clinic.tenant, name_en="Omar Haddad", name_ar="عمر حداد", mrn="88002")
    Patient.objects.filter(pk=clinic.patient.pk).update(name_en="Zed", name_ar="زد")

    assert list(Patient.objects.filter(matching(typed))) == [found]


def test_the_mothers_phone_finds_her_children(clinic: Clinic) -> None:
    child = PatientFactory(tenant=clinic.tenant, name_en="Rayan", phone="", birth_date=CHILD)
    mother = GuardianFactory(tenant=clinic.tenant, phone="+966551112233")
    GuardianshipFactory(tenant=clinic.tenant, patient=child, guardian=mother)

    page = clinic.client(clinic.front_desk).get(reverse("core:patient_list"), {"q": "055 111 2233"})

    assert [patient.pk for patient in page.context["page"].object_list] == [child.pk]
    assert "+966 55 111 2233" in page.content.decode()


def test_nobody_found_says_so(clinic: Clinic) -> None:
    page = clinic.client(clinic.front_desk).get(reverse("core:patient_list"), {"q": "zzzz"})
    assert "Nobody found" in page.content.decode()


def test_the_list_swaps_its_table_alone_for_htmx(clinic: Clinic) -> None:
    page = clinic.client(clinic.front_desk).get(reverse("core:patient_list"), headers={"HX-Request": "true"})
    assert page.content.decode().lstrip().startswith("<section")
    assert "HX-Request" in page.headers["Vary"]


def test_the_list_makes_few_queries_whatever_its_length(clinic: Clinic) -> None:
    desk = clinic.client(clinic.front_desk)

    def count() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert desk.get(reverse("core:patient_list")).status_code == 200
        return len(queries)

    few = count()
    for number in range(30):
        child = PatientFactory(tenant=clinic.tenant, birth_date=CHILD)
        GuardianshipFactory(tenant=clinic.tenant, patient=child, guardian=GuardianFactory(tenant=clinic.tenant))
        AppointmentFactory(
            tenant=clinic.tenant,
            patient=child,
            provider=clinic.provider,
            location=clinic.location,
            department=clinic.department,
            number=f"A-{number}",
        )
    assert count() == few <= 6


# --- file ------------------------------------------------------------------------------------------------------------


def test_the_file_shows_who_is_told_and_why(clinic: Clinic) -> None:
    child = PatientFactory(tenant=clinic.tenant, name_en="Rayan", birth_date=CHILD)
    sibling = PatientFactory(tenant=clinic.tenant, name_en="Ziyad", birth_date=CHILD)
    mother = GuardianFactory(tenant=clinic.tenant, name_en="Huda Al-Rashid")
    for patient in (child, sibling):
        GuardianshipFactory(tenant=clinic.tenant, patient=patient, guardian=mother)

    page = clinic.client(clinic.front_desk).get(reverse("core:patient_detail", args=[child.pk])).content.decode()

    assert "Read by Huda Al-Rashid (Mother), in Arabic, because the patient is a minor." in page
    assert reverse("core:patient_detail", args=[sibling.pk]) in page


def test_a_child_without_a_verified_guardian_is_shown_as_unreachable(clinic: Clinic) -> None:
    child = PatientFactory(tenant=clinic.tenant, birth_date=CHILD)
    GuardianshipFactory(
        tenant=clinic.tenant, patient=child, guardian=GuardianFactory(tenant=clinic.tenant), verified_at=None
    )
    page = clinic.client(clinic.front_desk).get(reverse("core:patient_detail", args=[child.pk])).content.decode()
    assert "Nobody gets messages: No verified guardian to tell." in page


def test_the_file_makes_a_fixed_number_of_queries(clinic: Clinic) -> None:
    desk = clinic.client(clinic.front_desk)
    address = reverse("core:patient_detail", args=[clinic.patient.pk])

    def count() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert desk.get(address).status_code == 200
        return len(queries)

    def fill(number: int) -> None:
        AppointmentFactory(
            tenant=clinic.tenant,
            patient=clinic.patient,
            provider=clinic.provider,
            location=clinic.location,
            department=clinic.department,
            number=f"A-{number}",
        )
        guardian = GuardianFactory(tenant=clinic.tenant)
        for patient in (clinic.patient, PatientFactory(tenant=clinic.tenant)):
            GuardianshipFactory(tenant=clinic.tenant, patient=patient, guardian=guardian, is_primary=False)
        department = DepartmentFactory(tenant=clinic.tenant)
        subfiles.subfile_ensure(patient=clinic.patient, department=department)

    fill(0)
    few = count()
    for number in range(1, 5):
        fill(number)
    assert count() == few <= 16


# --- form ------------------------------------------------------------------------------------------------------------


def test_a_file_is_opened_with_preferences_and_audited(clinic: Clinic) -> None:
    answer = clinic.client(clinic.front_desk).post(
        reverse("core:patient_create"), form_data(phone="٠٥٠١٢٣٤٥٦٧", phone_alternative="+966 55 765 4321")
    )

    patient = Patient.objects.get(name_en="Reem Al-Harbi")
    assert answer.url == reverse("core:patient_detail", args=[patient.pk])
    assert (patient.phone, patient.phone_alternative) == ("+966501234567", "+966557654321")
    preference = NotificationPreference.objects.get(patient=patient)
    assert preference.preferred_channel == "WHATSAPP"
    assert not preference.marketing_enabled
    actions = set(AuditEvent.objects.filter(actor=clinic.front_desk).values_list("action", flat=True))
    assert {"patient.created", "preference.created"} <= actions


def test_a_childs_file_takes_the_guardian_along(clinic: Clinic) -> None:
    guardian = {
        "guardian-name_en": "Huda Al-Rashid",
        "guardian-phone": "0551112233",
        "guardian-is_verified": "on",
    }
    desk = clinic.client(clinic.front_desk)
    for name in ("Rayan", "Ziyad"):
        answer = desk.post(
            reverse("core:patient_create"),
            form_data(name_en=name, name_ar="", birth_date=CHILD.isoformat(), phone="", email="", **guardian),
        )
        assert answer.status_code == 302, answer.context["guardian_form"].errors

    # Same name and phone: one guardian for both.
    mother = Guardian.objects.get(phone="+966551112233")
    assert mother.patients.count() == 2
    contact = contact_for(Patient.objects.select_related("tenant").get(name_en="Rayan"))
    assert isinstance(contact, Contact)
    assert contact.guardian == mother


def test_two_parents_with_one_phone_stay_two_people(clinic: Clinic) -> None:
    desk = clinic.client(clinic.front_desk)
    for name in ("Huda", "Khalid"):
        answer = desk.post(
            reverse("core:guardian_create", args=[clinic.patient.pk]),
            {
                "guardian-name_en": name,
                "guardian-phone": "0551112233",
                "guardian-kind": "OTHER",
                "guardian-language": "ar",
            },
        )
        assert answer.status_code == 302
    assert Guardian.objects.filter(phone="+966551112233").count() == 2
    assert Guardianship.objects.filter(patient=clinic.patient, is_primary=True).count() == 1


@pytest.mark.parametrize(
    ("changes", "form", "field"),
    [
        ({"phone": "12"}, "form", "phone"),
        ({"phone": "0112345678"}, "form", "phone"),
        ({"phone": "not a phone"}, "form", "phone"),
        ({"email": "nowhere"}, "form", "email"),
        ({"birth_date": "2999-01-01"}, "form", "birth_date"),
        ({"birth_date": "yesterday"}, "form", "birth_date"),
        ({"name_en": "", "name_ar": " "}, "form", "name_en"),
        ({"gender": ""}, "form", "gender"),
        ({"language": "fr"}, "form", "language"),
        ({"guardian-phone": "0551112233"}, "guardian_form", "name_en"),
        ({"guardian-name_en": "Huda"}, "guardian_form", "phone"),
        ({"guardian-is_verified": "on"}, "guardian_form", "name_en"),
        ({"preference-preferred_channel": "PIGEON"}, "preference_form", "preferred_channel"),
        ({"preference-whatsapp_enabled": ""}, "preference_form", "preferred_channel"),
    ],
)
def test_a_mistake_comes_back_with_422_and_nothing_is_written(
    clinic: Clinic, changes: dict[str, str], form: str, field: str
) -> None:
    before = Patient.objects.count()
    answer = clinic.client(clinic.front_desk).post(reverse("core:patient_create"), form_data(**changes))
    assert answer.status_code == 422
    assert field in answer.context[form].errors
    assert Patient.objects.count() == before


def test_a_refusal_of_the_service_is_shown_and_nothing_is_half_written(clinic: Clinic) -> None:
    Patient.objects.filter(pk=clinic.patient.pk).update(
        merged_into=PatientFactory(tenant=clinic.tenant, name_en="The other file")
    )
    answer = clinic.client(clinic.front_desk).post(
        reverse("core:patient_update", args=[clinic.patient.pk]), form_data(name_en="Changed")
    )
    assert answer.status_code == 422
    assert "merged into another one" in answer.content.decode()
    assert not NotificationPreference.objects.filter(patient=clinic.patient).exists()


def test_a_late_refusal_leaves_everything_as_it_was(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_fields: Any) -> None:
        raise DomainError("Not like this.", code="refused")

    monkeypatch.setattr(preferences, "preference_update", refuse)
    answer = clinic.client(clinic.front_desk).post(
        reverse("core:patient_update", args=[clinic.patient.pk]),
        form_data(**{"guardian-name_en": "Huda Al-Rashid", "guardian-phone": "0551112233"}),
    )
    assert answer.status_code == 422
    assert "Not like this." in answer.content.decode()
    name = clinic.patient.name_en
    clinic.patient.refresh_from_db()
    assert clinic.patient.name_en == name
    assert not Guardian.objects.exists()


def test_a_guardian_who_is_there_already_is_refused(clinic: Clinic) -> None:
    guardian = GuardianFactory(tenant=clinic.tenant, name_en="Huda Al-Rashid", phone="+966551112233")
    GuardianshipFactory(tenant=clinic.tenant, patient=clinic.patient, guardian=guardian)
    answer = clinic.client(clinic.front_desk).post(
        reverse("core:guardian_create", args=[clinic.patient.pk]),
        {"guardian-name_en": "huda al-rashid", "guardian-phone": "0551112233", "guardian-kind": "MOTHER"},
    )
    assert answer.status_code == 422
    assert "already in the patient&#x27;s file" in answer.content.decode()
    assert Guardianship.objects.filter(patient=clinic.patient).count() == 1


def test_an_edit_changes_patient_guardian_and_preferences(clinic: Clinic) -> None:
    guardianship = GuardianshipFactory(
        tenant=clinic.tenant,
        patient=clinic.patient,
        guardian=GuardianFactory(tenant=clinic.tenant, name_en="Old Name"),
        verified_at=None,
    )
    answer = clinic.client(clinic.front_desk).post(
        reverse("core:patient_update", args=[clinic.patient.pk]),
        form_data(
            **{
                "name_en": "New Name",
                "guardian-name_en": "Newer Name",
                "guardian-phone": "0551112233",
                "guardian-is_verified": "on",
                "preference-billing_enabled": "",
            }
        ),
    )
    assert answer.status_code == 302
    clinic.patient.refresh_from_db()
    guardianship.refresh_from_db()
    assert clinic.patient.name_en == "New Name"
    assert guardianship.verified_at is not None
    assert Guardian.objects.get(pk=guardianship.guardian_id).name_en == "Newer Name"
    assert NotificationPreference.objects.get(patient=clinic.patient).billing_enabled is False


def test_the_edit_form_starts_with_what_is_in_the_file(clinic: Clinic) -> None:
    page = clinic.client(clinic.front_desk).get(reverse("core:patient_update", args=[clinic.patient.pk]))
    assert clinic.patient.name_en in page.content.decode()
    assert clinic.patient.birth_date.isoformat() in page.content.decode()


def test_the_same_phone_and_birth_date_is_a_hint_and_no_error(clinic: Clinic) -> None:
    twin = PatientFactory(tenant=clinic.tenant, name_en="Twin One", phone="+966501234567", birth_date=ADULT)
    desk = clinic.client(clinic.front_desk)

    hint = desk.post(reverse("core:patient_duplicates"), {"phone": "050 123 4567", "birth_date": "1990-05-17"})
    assert "Twin One" in hint.content.decode()
    itself = desk.post(
        reverse("core:patient_duplicates"),
        {"phone": "050 123 4567", "birth_date": "1990-05-17", "patient": str(twin.pk)},
    )
    assert "Twin One" not in itself.content.decode()
    for phone, day in (("", "1990-05-17"), ("050 123 4567", ""), ("x", "y"), ("050 123 4567", "1990-02-31")):
        nothing = desk.post(reverse("core:patient_duplicates"), {"phone": phone, "birth_date": day})
        assert nothing.status_code == 200
        assert "Twin One" not in nothing.content.decode()

    saved = desk.post(reverse("core:patient_create"), form_data(), follow=True)
    assert saved.status_code == 200
    assert "Is it the same person?" in saved.content.decode()
    assert Patient.objects.filter(phone="+966501234567").count() == 2


# --- guardians and consent -------------------------------------------------------------------------------------------


def test_guardians_are_verified_made_first_and_removed(clinic: Clinic) -> None:
    first = GuardianshipFactory(
        tenant=clinic.tenant, patient=clinic.patient, guardian=GuardianFactory(tenant=clinic.tenant)
    )
    second = GuardianshipFactory(
        tenant=clinic.tenant,
        patient=clinic.patient,
        guardian=GuardianFactory(tenant=clinic.tenant),
        is_primary=False,
        verified_at=None,
    )
    desk = clinic.client(clinic.front_desk)

    for verb in ("verify", "first"):
        answer = desk.post(reverse("core:guardian_action", args=[second.pk, verb]))
        assert answer.url == reverse("core:patient_detail", args=[clinic.patient.pk])
    second.refresh_from_db()
    first.refresh_from_db()
    assert second.verified_at is not None
    assert second.is_primary
    assert not first.is_primary
    desk.post(reverse("core:guardian_action", args=[first.pk, "remove"]))
    assert not Guardianship.objects.filter(pk=first.pk).exists()
    assert desk.post(reverse("core:guardian_action", args=[second.pk, "promote"])).status_code == 404


def test_a_guardian_without_a_name_is_refused(clinic: Clinic) -> None:
    answer = clinic.client(clinic.front_desk).post(
        reverse("core:guardian_create", args=[clinic.patient.pk]), {"guardian-kind": "MOTHER"}
    )
    assert answer.status_code == 422
    assert not Guardianship.objects.filter(patient=clinic.patient).exists()


def test_a_consent_is_verified_and_withdrawn_and_a_past_end_is_refused(clinic: Clinic) -> None:
    subfile = subfiles.subfile_ensure(patient=clinic.patient, department=clinic.department)
    desk = clinic.client(clinic.front_desk)
    address = reverse("core:consent_verify", args=[subfile.pk])

    past = desk.post(address, {"status": "VERIFIED", "valid_until": "2001-01-01"}, follow=True)
    assert "cannot end in the past" in past.content.decode()
    wrong = desk.post(address, {"status": "VERIFIED", "valid_until": "soon"}, follow=True)
    assert "Write the date" in wrong.content.decode()
    assert not ConsentVerification.objects.exists()

    page = desk.post(address, {"status": "VERIFIED"}, follow=True)
    assert "Consent: Verified" in page.content.decode()
    page = desk.post(address, {"status": "WITHDRAWN"}, follow=True)
    assert "Consent: Withdrawn" in page.content.decode()
    assert AuditEvent.objects.filter(action="consent.verified", actor=clinic.front_desk).count() == 2


# --- who cannot be reached -------------------------------------------------------------------------------------------


def test_the_rule_in_sql_agrees_with_the_rule_in_python(clinic: Clinic) -> None:
    today = timezone.localdate()
    births = [ADULT, CHILD, today.replace(year=today.year - 18, day=min(today.day, 28))]
    for birth in births:
        for phone, email in (("+966501112233", ""), ("", "a@b.example"), ("", "")):
            for guardian in (None, {}, {"verified_at": None}, {"is_primary": False}, {"receives_messages": False}):
                patient = PatientFactory(tenant=clinic.tenant, birth_date=birth, phone=phone, email=email)
                if guardian is not None:
                    addresses = {} if phone else {"phone": "", "email": email}
                    GuardianshipFactory(
                        tenant=clinic.tenant,
                        patient=patient,
                        guardian=GuardianFactory(tenant=clinic.tenant, **addresses),
                        **guardian,
                    )

    by_sql = set(Patient.objects.filter(unreachable(clinic.tenant)).values_list("pk", flat=True))

    def is_out_of_reach(patient: Patient) -> bool:
        contact = contact_for(patient)
        return not isinstance(contact, Contact) or not (contact.phone or contact.email)

    by_python = {row.pk for row in Patient.objects.select_related("tenant") if is_out_of_reach(row)}
    assert by_sql == by_python
    assert by_sql


def test_a_patients_row_of_another_tenant_is_not_in_the_scope(clinic: Clinic, other_clinic: Clinic) -> None:
    with tenant_scope(other_clinic.tenant.pk):
        assert not Patient.objects.filter(pk=clinic.patient.pk).exists()


# --- addresses that are not written to -------------------------------------------------------------------------------


def stop(clinic: Clinic, address: str, **fields: Any) -> SuppressedAddress:
    return SuppressedAddress.objects.create(
        tenant=clinic.tenant,
        address=address,
        **{"channel": Channel.SMS, "reason": Reason.CONTACT_UNDELIVERABLE, **fields},
    )


def lift(patient: Patient, row: SuppressedAddress) -> str:
    return reverse("core:patient_address_lift", args=[patient.pk, row.pk])


def file_of(clinic: Clinic, patient: Patient) -> str:
    page = clinic.client(clinic.front_desk).get(reverse("core:patient_detail", args=[patient.pk]))
    return " ".join(page.content.decode().split())


@pytest.mark.parametrize(
    ("channel", "reason", "words"),
    [
        (Channel.SMS, Reason.CONTACT_UNDELIVERABLE, "This number cannot be reached by SMS"),
        (Channel.WHATSAPP, Reason.OPTED_OUT, "Has opted out of WhatsApp"),
        (Channel.EMAIL, Reason.CONTACT_UNDELIVERABLE, "This email address cannot be reached"),
        (Channel.EMAIL, Reason.COMPLAINED, "Has marked our mail as spam"),
    ],
)
def test_the_file_says_which_address_is_not_written_to(
    clinic: Clinic, channel: Channel, reason: Reason, words: str
) -> None:
    patient = clinic.patient
    row = stop(clinic, patient.email if channel == Channel.EMAIL else patient.phone, channel=channel, reason=reason)
    text = file_of(clinic, patient)
    assert words in text
    assert lift(patient, row) in text
    has_refused = reason in (Reason.OPTED_OUT, Reason.COMPLAINED)
    assert ("Has this person asked to get messages here again?" in text) is has_refused


def test_the_providers_code_is_explained_and_other_peoples_addresses_are_not_shown(clinic: Clinic) -> None:
    message = MessagingService().send_message(
        tenant_id=clinic.tenant.pk, patient_id=clinic.patient.pk, channel=Channel.SMS, body="x"
    )
    message.provider = "twilio"
    message.save(update_fields=["provider"])
    stop(clinic, clinic.patient.phone, code="30005", message=message)
    stranger = stop(clinic, "+966599999999")
    text = file_of(clinic, clinic.patient)
    assert "The number is unknown or no longer in use." in text
    assert "30005" in text
    assert str(stranger.pk) not in text


def test_a_guardians_address_is_shown_in_the_childs_file_with_the_name(clinic: Clinic) -> None:
    child = PatientFactory(tenant=clinic.tenant, birth_date=CHILD, phone="", email="")
    mother = GuardianFactory(tenant=clinic.tenant)
    GuardianshipFactory(tenant=clinic.tenant, patient=child, guardian=mother)
    row = stop(clinic, mother.phone)
    assert f"· {mother.name}" in file_of(clinic, child)
    answer = clinic.client(clinic.front_desk).post(lift(child, row), follow=True)
    assert "The address is used again from now on." in answer.content.decode()


def test_an_address_is_used_again_by_a_post_that_is_audited(clinic: Clinic) -> None:
    row = stop(clinic, clinic.patient.phone)
    desk = clinic.client(clinic.front_desk)
    assert desk.get(lift(clinic.patient, row)).status_code == 405
    for user in (clinic.provider, clinic.patient_user):
        assert clinic.client(user).post(lift(clinic.patient, row)).status_code == 403

    answer = desk.post(lift(clinic.patient, row))

    assert answer.url == reverse("core:patient_detail", args=[clinic.patient.pk])
    row.refresh_from_db()
    assert row.lifted_by == clinic.front_desk
    assert AuditEvent.objects.get(action="suppressed_address.lifted").object_id == row.pk
    assert "This number cannot be reached" not in file_of(clinic, clinic.patient)
    assert desk.post(lift(clinic.patient, row)).status_code == 404, "it is not stopped any more"


def test_only_the_files_own_addresses_can_be_used_again_from_it(clinic: Clinic, other_clinic: Clinic) -> None:
    stranger = stop(clinic, "+966599999999")
    assert clinic.client(clinic.admin).post(lift(clinic.patient, stranger)).status_code == 404
    own = stop(clinic, clinic.patient.phone)
    assert other_clinic.client(other_clinic.admin).post(lift(clinic.patient, own)).status_code == 404
    own.refresh_from_db()
    assert own.lifted_at is None
