"""The signed links in the hands of scanners, of who lost the right, and of who has an old mail."""

from __future__ import annotations

import datetime as dt

import pytest
from django.test import Client
from django.utils import timezone

from conftest import Clinic
from core import patients
from core.merging import patient_merge
from core.models import Guardian, Guardianship, Patient
from notifications import consents, preference_links
from notifications.consent_states import ConsentStatus, Purpose
from notifications.models import ConsentRecord, Message, NotificationPreference, OptEvent
from notifications.tests.test_nasty_consents import born, child_of, mother
from notifications.tests.test_preference_page import browser, mark_of
from tests.factories import PatientFactory, agree

__all__ = ["mother"]


def link_of(patient: Patient, guardian: Guardian | None, kind: str = "BILLING") -> str:
    """The path in the header of a mail that went to this reader."""
    made = Message(
        tenant_id=patient.tenant_id,
        patient=patient,
        guardian=guardian,
        notification_type=kind,
        recipient=guardian.email if guardian is not None else patient.email,
        created_at=timezone.now(),
    )
    return "/p/" + preference_links.unsubscribe_address(made).partition("/p/")[2]


ONE_CLICK = {"List-Unsubscribe": "One-Click"}


def test_one_click_twice_is_one_no_and_two_proofs(clinic: Clinic) -> None:
    agree(clinic.patient, "promotion")
    address = link_of(clinic.patient, None, "MARKETING")
    assert [browser().post(address, ONE_CLICK).status_code for _turn in range(2)] == [200, 200]
    assert ConsentRecord.objects.filter(patient=clinic.patient, status="withdrawn").count() == 1
    assert OptEvent.objects.count() == 2


@pytest.mark.parametrize("method", ["get", "head", "options", "put", "delete", "patch"])
def test_a_scanner_that_tries_every_method_unsubscribes_nobody(clinic: Clinic, method: str) -> None:
    agree(clinic.patient, "promotion")
    address = link_of(clinic.patient, None, "MARKETING")
    getattr(browser(), method)(address)
    getattr(browser(), method)(f"{address}?List-Unsubscribe=One-Click")
    assert consents.state_of(clinic.patient, Purpose.PROMOTION) == ConsentStatus.GRANTED
    assert not OptEvent.objects.exists()


def test_a_broken_code_a_strange_kind_and_a_missing_word_do_nothing(clinic: Clinic) -> None:
    agree(clinic.patient, "promotion")
    address = link_of(clinic.patient, None, "MARKETING")
    code = address.split("/")[2]
    for broken in (code[:-1], code + "A", code[:10] + "A" + code[11:], code[::-1], "%00", "x" * 400, "ä"):
        assert browser().post(address.replace(code, broken), ONE_CLICK).status_code == 404
    for kind in ("change", "general", "staff", "nothing", "MARKETING%00"):
        assert browser().post(address.replace("marketing", kind), ONE_CLICK).status_code == 404
    assert browser().post(address, {"List-Unsubscribe": "one-click"}).status_code == 422
    assert consents.state_of(clinic.patient, Purpose.PROMOTION) == ConsentStatus.GRANTED


def gone(clinic: Clinic, child: Patient, how: str) -> None:
    rights = Guardianship.objects.filter(patient=child)
    match how:
        case "blocked":
            rights.update(blocked_reason="court order")
        case "ended":
            rights.update(valid_until=timezone.localdate() - dt.timedelta(days=1))
        case "unverified":
            rights.update(verified_at=None)
        case "removed":
            patients.guardian_remove(actor=clinic.front_desk, guardianship_id=rights.get().pk)
        case "of age":
            Patient.objects.filter(pk=child.pk).update(birth_date=born(18))
        case "dead":
            Patient.objects.filter(pk=child.pk).update(deceased_at=timezone.localdate())
        case "restricted":
            Patient.objects.filter(pk=child.pk).update(is_restricted=True)
        case "new address":
            Guardian.objects.update(email="new@mail.example", phone="+966551230000")


@pytest.mark.parametrize(
    "how", ["blocked", "ended", "unverified", "removed", "of age", "dead", "restricted", "new address"]
)
def test_a_link_of_who_lost_the_right_shows_nothing_and_does_nothing(
    clinic: Clinic, mother: Guardian, how: str
) -> None:
    child = child_of(clinic, mother, name_en="Zaynab Qahtani", name_ar="زينب القحطاني")
    address = link_of(child, mother)
    page = address.partition("/stop/")[0]
    mark = mark_of(browser().get(page))
    assert "Zaynab" in browser().get(f"{page}?lang=en").content.decode()
    gone(clinic, child, how)
    for answer in (
        browser().get(f"{page}?lang=en"),
        browser().get(f"{page}?lang=ar"),
        browser().post(page, {"mark": mark, "sms_enabled": "on"}),
        browser().post(address, ONE_CLICK),
    ):
        assert answer.status_code == 404
        assert not any(word in answer.content.decode() for word in ("Zaynab", "زينب", clinic.tenant.name_en))
    assert not NotificationPreference.objects.filter(patient=child).exists()
    assert not OptEvent.objects.exists()


def test_a_link_leads_to_the_file_that_stays_after_two_merges(clinic: Clinic) -> None:
    same = {"tenant": clinic.tenant, "email": "one@mail.example", "phone": "+966501112233"}
    oldest, middle, survivor = (PatientFactory(**same) for _turn in range(3))
    address = link_of(oldest, None)
    patient_merge(actor=clinic.admin, survivor=middle, merged=oldest)
    patient_merge(actor=clinic.admin, survivor=survivor, merged=middle)
    assert browser().post(address, ONE_CLICK).status_code == 200
    assert NotificationPreference.objects.get(patient=survivor).switched_off == ["EMAIL:BILLING"]


@pytest.mark.parametrize(("days", "status"), [(400, 200), (401, 404)])
def test_a_link_lives_so_long_and_not_a_day_longer(clinic: Clinic, days: int, status: int) -> None:
    made_at = timezone.now() - dt.timedelta(days=days)
    code = preference_links.code_for(clinic.patient.pk, None, clinic.patient.email, made_at)
    assert Client().get(f"/p/{code}").status_code == status
