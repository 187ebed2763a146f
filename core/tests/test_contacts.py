"""Who is written to: the patient, or the verified guardian of a minor, or nobody and why."""

from __future__ import annotations

import datetime as dt

import pytest
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from conftest import Clinic
from core import selectors
from core.contacts import Contact, contact_for, recipients_for
from core.models import Guardian, Guardianship, Patient
from notifications.states import Reason
from tests.factories import GuardianFactory, GuardianshipFactory, PatientFactory


def make_child(clinic: Clinic, years: int = 7) -> None:
    today = timezone.localdate()
    clinic.patient.birth_date = dt.date(today.year - years, today.month, min(today.day, 28))
    clinic.patient.save()


def guard(
    clinic: Clinic, *, phone: str | None = None, email: str | None = None, is_primary: bool = True, **fields: object
) -> Guardianship:
    """One more guardian of the clinic's patient."""
    given = {name: value for name, value in {"phone": phone, "email": email}.items() if value is not None}
    guardian = GuardianFactory(tenant=clinic.tenant, **given)
    others = Guardianship.objects.filter(patient=clinic.patient)
    if is_primary:
        others.update(is_primary=False)
    row: Guardianship = GuardianshipFactory(
        tenant=clinic.tenant, patient=clinic.patient, guardian=guardian, is_primary=is_primary, **fields
    )
    # Whoever comes first is made the first contact.
    Guardianship.objects.filter(pk=row.pk).update(is_primary=is_primary)
    return row


def readers(clinic: Clinic, notification_type: str = "") -> list[Contact]:
    found = recipients_for([clinic.patient], notification_type=notification_type)[clinic.patient.pk]
    assert isinstance(found, list)
    return found


def told(clinic: Clinic, notification_type: str = "") -> list[Guardian | None]:
    return [reader.guardian for reader in readers(clinic, notification_type)]


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


@pytest.mark.parametrize(
    ("flaw", "reason"),
    [
        ({"verified_at": None}, Reason.GUARDIAN_UNVERIFIED),
        ({"receives_messages": False}, Reason.GUARDIAN_UNVERIFIED),
        ({"valid_until": dt.date(2020, 1, 1)}, Reason.GUARDIAN_UNVERIFIED),
        ({"valid_from": dt.date(2999, 1, 1)}, Reason.GUARDIAN_UNVERIFIED),
        ({"blocked_reason": "court order"}, Reason.GUARDIAN_BLOCKED),
    ],
)
def test_without_a_guardian_who_may_know_nobody_is_told(
    clinic: Clinic, flaw: dict[str, object], reason: Reason
) -> None:
    make_child(clinic)
    assert contact_for(clinic.patient) == Reason.GUARDIAN_UNVERIFIED
    row = guard(clinic)
    assert isinstance(contact_for(clinic.patient), Contact)
    Guardianship.objects.filter(pk=row.pk).update(**flaw)
    assert contact_for(clinic.patient) == reason


def test_both_parents_are_told_the_first_contact_first(clinic: Clinic) -> None:
    make_child(clinic)
    father = guard(clinic, kind="FATHER", is_primary=False)
    mother = guard(clinic)
    assert told(clinic) == [mother.guardian, father.guardian]
    assert contact_for(clinic.patient) == readers(clinic)[0]
    assert [reader.person_key for reader in readers(clinic)] == [
        f"guardian:{mother.guardian_id}",
        f"guardian:{father.guardian_id}",
    ]


def test_two_parents_with_one_phone_are_one_reader(clinic: Clinic) -> None:
    make_child(clinic)
    mother = guard(clinic)
    guard(clinic, kind="FATHER", is_primary=False, phone=mother.guardian.phone)
    assert told(clinic) == [mother.guardian]


def test_two_parents_with_one_email_get_one_letter_and_a_text_each(clinic: Clinic) -> None:
    make_child(clinic)
    mother = guard(clinic)
    father = guard(clinic, kind="FATHER", is_primary=False, email=mother.guardian.email)
    assert [(one.phone, one.email) for one in readers(clinic)] == [
        (mother.guardian.phone, mother.guardian.email),
        (father.guardian.phone, ""),
    ]


def test_a_guardian_may_be_left_out_of_one_kind_of_message(clinic: Clinic) -> None:
    make_child(clinic)
    mother = guard(clinic)
    father = guard(clinic, kind="FATHER", is_primary=False, not_for=["BILLING", "RESULTS"])
    assert told(clinic, "BILLING") == [mother.guardian]
    assert told(clinic, "REMINDER") == [mother.guardian, father.guardian]
    mother.delete()
    assert recipients_for([clinic.patient], notification_type="BILLING")[clinic.patient.pk] == Reason.GUARDIAN_BLOCKED


def test_the_phone_of_a_blocked_parent_is_not_used_for_the_other_one_either(clinic: Clinic) -> None:
    make_child(clinic)
    father = guard(clinic, kind="FATHER", blocked_reason="court order", verified_at=None)
    mother = guard(clinic, is_primary=False, phone=father.guardian.phone)
    assert [(one.guardian, one.phone, one.email) for one in readers(clinic)] == [
        (mother.guardian, "", mother.guardian.email)
    ]
    Guardian.objects.filter(pk=mother.guardian_id).update(email="")
    assert recipients_for([clinic.patient])[clinic.patient.pk] == Reason.GUARDIAN_BLOCKED


def test_who_has_no_address_is_no_reader_beside_somebody_who_has(clinic: Clinic) -> None:
    make_child(clinic)
    silent = guard(clinic, phone="", email="")
    assert told(clinic) == [silent.guardian]
    father = guard(clinic, kind="FATHER", is_primary=False)
    assert told(clinic) == [father.guardian]


def test_a_guardianship_counts_on_its_last_day_and_not_after(clinic: Clinic) -> None:
    make_child(clinic)
    today = timezone.localdate()
    guard(clinic, valid_until=today, valid_from=today)
    tomorrow, yesterday = today + dt.timedelta(days=1), today - dt.timedelta(days=1)
    found = {day: recipients_for([clinic.patient], day=day)[clinic.patient.pk] for day in (yesterday, today, tomorrow)}
    assert [isinstance(found[day], list) for day in (yesterday, today, tomorrow)] == [False, True, False]


def test_a_restricted_file_is_silent_and_who_left_hears_only_of_what_is_open(clinic: Clinic) -> None:
    clinic.patient.is_active = False
    kinds = ("REMINDER", "CONFIRMATION", "GENERAL", "MARKETING", "CHANGE", "RESULTS", "BILLING")
    answers = {kind: contact_for(clinic.patient, notification_type=kind) for kind in kinds}
    assert [kind for kind, answer in answers.items() if isinstance(answer, Contact)] == ["CHANGE", "RESULTS", "BILLING"]
    assert answers["REMINDER"] == Reason.PATIENT_LEFT
    clinic.patient.is_restricted = True
    assert {contact_for(clinic.patient, notification_type=kind) for kind in kinds} == {Reason.RESTRICTED}


def test_the_children_of_a_family_are_asked_for_in_one_query(
    clinic: Clinic, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    make_child(clinic)
    mother = guard(clinic).guardian
    children = [clinic.patient]
    for number in range(5):
        child = PatientFactory(tenant=clinic.tenant, birth_date=clinic.patient.birth_date, mrn=f"S{number}")
        GuardianshipFactory(tenant=clinic.tenant, patient=child, guardian=mother)
        children.append(child)
    with django_assert_num_queries(1):
        found = recipients_for(children)
    assert {one[0].guardian for one in found.values() if isinstance(one, list)} == {mother}


def test_a_list_knows_who_is_unreachable_by_the_same_rule(clinic: Clinic) -> None:
    """The rule in SQL and the rule in Python."""
    make_child(clinic)
    row = guard(clinic)
    today = timezone.localdate()
    for flaw in (
        {},
        {"is_primary": False},
        {"verified_at": None},
        {"valid_until": today - dt.timedelta(days=1)},
        {"valid_from": today + dt.timedelta(days=1)},
        {"blocked_reason": "court order"},
        {"receives_messages": False},
    ):
        sound: dict[str, object] = {"verified_at": timezone.now(), "valid_until": None, "valid_from": None}
        sound |= {"blocked_reason": "", "receives_messages": True}
        Guardianship.objects.filter(pk=row.pk).update(**{**sound, **flaw})
        listed = Patient.objects.filter(selectors.unreachable(clinic.tenant), pk=clinic.patient.pk).exists()
        assert listed == isinstance(contact_for(clinic.patient), str), flaw


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
