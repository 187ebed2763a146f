"""The link to the preferences: signed, its reader's alone, dead with the address it was sent to."""

from __future__ import annotations

import datetime as dt
import uuid

import pytest
import time_machine
from django.utils import timezone

from conftest import Clinic
from core.models import Guardianship
from notifications import preference_links as links
from notifications.models import Message
from tests.factories import GuardianFactory, GuardianshipFactory, PatientFactory

DAY = dt.timedelta(days=1)


def mail(clinic: Clinic, **fields: object) -> Message:
    values = {
        "tenant": clinic.tenant,
        "patient": clinic.patient,
        "notification_type": "REMINDER",
        "channel": "EMAIL",
        "recipient": clinic.patient.email,
        "language": "en",
        "dedupe_key": str(uuid.uuid4()),
        **fields,
    }
    return Message.objects.create(**values)


def child_of(clinic: Clinic) -> Guardianship:
    child = PatientFactory(tenant=clinic.tenant, birth_date=timezone.localdate() - 3650 * DAY)
    return GuardianshipFactory(tenant=clinic.tenant, patient=child, guardian=GuardianFactory(tenant=clinic.tenant))


def test_a_link_opens_the_preferences_of_its_patient(clinic: Clinic) -> None:
    code = links.code_of_message(mail(clinic))
    key = links.find(code)
    assert key is not None
    assert (key.patient, key.guardian) == (clinic.patient, None)
    assert links.link_for_message(mail(clinic)).endswith(f"/p/{code}")


def test_every_other_code_opens_nothing(clinic: Clinic) -> None:
    code = links.code_of_message(mail(clinic))
    for place in range(0, len(code), 5):
        other = "A" if code[place] != "A" else "B"
        assert links.find(code[:place] + other + code[place + 1 :]) is None
    for typed in ("", "x", "é" * 67, code + "AAAA", code[:-4], "=" * 67, " " + code):
        assert links.find(typed) is None


def test_a_link_dies_with_the_address_it_was_sent_to(clinic: Clinic) -> None:
    code = links.code_of_message(mail(clinic))
    clinic.patient.email = "new@mail.example"
    clinic.patient.save()
    assert links.find(code) is None


def test_a_guardians_link_is_theirs_while_they_speak_for_the_child(clinic: Clinic) -> None:
    bond = child_of(clinic)
    message = mail(clinic, patient=bond.patient, guardian=bond.guardian, recipient=bond.guardian.email)
    code = links.code_of_message(message)
    key = links.find(code)
    assert key is not None
    assert key.guardian == bond.guardian
    Guardianship.objects.update(verified_at=None)
    assert links.find(code) is None


def test_a_child_that_is_of_age_is_no_business_of_the_mother_any_more(clinic: Clinic) -> None:
    bond = child_of(clinic)
    code = links.code_for(bond.patient.pk, bond.guardian.pk, bond.guardian.email, timezone.now())
    assert links.find(code) is not None
    bond.patient.birth_date = timezone.localdate() - 20 * 366 * DAY
    bond.patient.save()
    assert links.find(code) is None


def test_a_minor_has_no_link_of_their_own(clinic: Clinic) -> None:
    bond = child_of(clinic)
    assert links.find(links.code_for(bond.patient.pk, None, "", timezone.now())) is None


@pytest.mark.parametrize("fields", [{"deceased_at": dt.date(2026, 1, 1)}], ids=["has died"])
def test_of_some_there_is_nothing_to_set(clinic: Clinic, fields: dict[str, object]) -> None:
    code = links.code_of_message(mail(clinic))
    for name, value in fields.items():
        setattr(clinic.patient, name, value)
    clinic.patient.save()
    assert links.find(code) is None


def test_a_link_follows_a_merged_file(clinic: Clinic) -> None:
    code = links.code_of_message(mail(clinic))
    survivor = PatientFactory(tenant=clinic.tenant, email=clinic.patient.email)
    clinic.patient.merged_into = survivor
    clinic.patient.save()
    key = links.find(code)
    assert key is not None
    assert key.patient == survivor


def test_the_link_of_a_suspended_clinic_group_opens_nothing(clinic: Clinic) -> None:
    code = links.code_of_message(mail(clinic))
    clinic.tenant.is_active = False
    clinic.tenant.save()
    assert links.find(code) is None


def test_a_link_of_a_mail_lives_for_a_year_and_one_of_a_page_for_a_day(clinic: Clinic) -> None:
    of_mail, of_page = links.code_of_message(mail(clinic)), links.link_for(clinic.patient).rpartition("/")[2]
    with time_machine.travel(timezone.now() + 2 * DAY):
        assert links.find(of_mail) is not None
        assert links.find(of_page) is None
    with time_machine.travel(timezone.now() + 399 * DAY):
        assert links.find(of_mail) is not None
    with time_machine.travel(timezone.now() + 402 * DAY):
        assert links.find(of_mail) is None


def test_a_mail_that_is_sent_again_has_the_same_link_and_staff_have_none(clinic: Clinic) -> None:
    message = mail(clinic)
    assert links.link_for_message(message) == links.link_for_message(Message.objects.get(pk=message.pk))
    assert links.link_for_message(mail(clinic, patient=None, user=clinic.admin)) == ""


@pytest.mark.parametrize(
    ("kind", "can"),
    [("MARKETING", True), ("REMINDER", True), ("BILLING", True), ("CHANGE", False), ("GENERAL", False)],
)
def test_what_is_part_of_the_care_cannot_be_unsubscribed(clinic: Clinic, kind: str, can: bool) -> None:
    found = links.unsubscribe_address(mail(clinic, notification_type=kind))
    assert found.endswith(f"/stop/{kind.lower()}") is can
    assert bool(found) is can
