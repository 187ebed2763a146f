"""The page of preferences: signed link, no login, both languages, no script; and one click in the mail program."""

from __future__ import annotations

import re
from typing import Any

import pytest
import time_machine
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from conftest import Clinic
from core.models import AuditEvent, Location
from notifications import consents, gate, opt_outs, preference_links
from notifications.consent_states import ConsentStatus, Method, OptSource, Purpose
from notifications.models import ConsentRecord, NotificationPreference, OptEvent, SuppressedAddress
from notifications.states import Reason
from notifications.views.preference_page import FORM_SECONDS
from tests.factories import GuardianFactory, GuardianshipFactory, PatientFactory, agree

ALL_ON = {
    "sms_enabled": "on", "whatsapp_enabled": "on", "email_enabled": "on", "combine_family": "on",
    "preferred_channel": "SMS", "preferred_language": "", "quiet_from": "", "quiet_until": "",
    **{f"{channel}:{kind}": "on" for channel in ("SMS", "WHATSAPP", "EMAIL")
       for kind in ("REMINDER", "CONFIRMATION", "RESULTS", "BILLING")},
}  # fmt: skip


@pytest.fixture
def path(clinic: Clinic) -> str:
    return "/p/" + preference_links.link_for(clinic.patient).rpartition("/")[2]


def browser() -> Client:
    """Of a stranger: no account, no cookie; and it would notice a missing CSRF exemption."""
    return Client(enforce_csrf_checks=True)


def mark_of(answer: HttpResponse) -> str:
    found = re.search(r'name="mark" value="([^"]+)"', answer.content.decode())
    assert found is not None
    return found[1]


def save(path: str, *, without: tuple[str, ...] = (), **changed: Any) -> HttpResponse:
    client = browser()
    data = {**ALL_ON, **changed, "mark": mark_of(client.get(path))}
    return client.post(path, {name: value for name, value in data.items() if name not in without})


@pytest.mark.parametrize(("language", "words"), [("en", "What may we send you?"), ("ar", 'dir="rtl"')])
def test_the_link_opens_the_page_in_both_languages_and_keeps_it_private(path: str, language: str, words: str) -> None:
    answer = browser().get(f"{path}?lang={language}")
    assert answer.status_code == 200
    assert words in answer.content.decode()
    assert answer["Cache-Control"] == "no-store"
    assert answer["Referrer-Policy"] == "no-referrer"
    assert answer["Content-Language"] == language
    assert not answer.cookies


def test_looking_changes_nothing(clinic: Clinic, path: str) -> None:
    for method in ("get", "head"):
        for address in (path, f"{path}/stop/billing", f"{path}/stop/marketing"):
            assert getattr(browser(), method)(address).status_code == 200
    assert not NotificationPreference.objects.exists()
    assert not OptEvent.objects.exists()
    assert not ConsentRecord.objects.exists()


def test_a_post_that_did_not_come_from_the_page_changes_nothing(clinic: Clinic, path: str) -> None:
    for data in ({}, ALL_ON, {**ALL_ON, "mark": "x"}, {**ALL_ON, "sms_enabled": "", "mark": "a:b:c"}):
        assert browser().post(path, data).status_code == 422
    with time_machine.travel(timezone.now(), tick=False) as clock:
        mark = mark_of(browser().get(path))
        clock.shift(FORM_SECONDS + 1)
        assert browser().post(path, {**ALL_ON, "mark": mark}).status_code == 422
    assert not NotificationPreference.objects.exists()


def test_sms_off_for_bills_alone(clinic: Clinic, path: str) -> None:
    assert save(path, without=("SMS:BILLING",)).status_code == 302
    wishes = gate.preference_of(clinic.patient)
    assert wishes.switched_off == ["SMS:BILLING"]
    assert wishes.refusal("SMS", "BILLING") == Reason.OPT_OUT_TYPE
    assert wishes.refusal("EMAIL", "BILLING") is None
    assert wishes.refusal("SMS", "REMINDER") is None
    act = AuditEvent.objects.get(action="preference.created")
    assert (act.actor, act.after) == (None, {"switched_off": ["SMS:BILLING"]})
    assert save(path).status_code == 302
    assert gate.preference_of(clinic.patient).switched_off == []


def test_a_kind_that_is_off_everywhere_is_off(clinic: Clinic, path: str) -> None:
    save(path, without=("SMS:RESULTS", "WHATSAPP:RESULTS", "EMAIL:RESULTS"))
    wishes = gate.preference_of(clinic.patient)
    assert (wishes.results_enabled, wishes.switched_off) == (False, [])
    assert "WHATSAPP:RESULTS" not in re.findall(r'name="([A-Z:]+)"[^>]*checked', browser().get(path).content.decode())


def test_a_yes_and_a_no_are_recorded_with_the_words_and_the_language_that_were_read(clinic: Clinic, path: str) -> None:
    save(f"{path}?lang=ar", marketing_enabled="on")
    said = ConsentRecord.objects.get()
    assert (said.purpose, said.status, said.method) == (Purpose.PROMOTION, ConsentStatus.GRANTED, Method.PAGE)
    assert (said.language, said.text_version, said.captured_by) == ("ar", "promotion 1", None)
    assert (
        consents.text_in_force(clinic.tenant.pk, Purpose.PROMOTION).words_ar
        in browser().get(f"{path}?lang=ar").content.decode()
    )
    save(path)
    assert consents.state_of(clinic.patient, Purpose.PROMOTION) == ConsentStatus.WITHDRAWN


def test_quiet_hours_of_ones_own_need_both_ends(clinic: Clinic, path: str) -> None:
    answer = save(f"{path}?lang=en", quiet_from="21:00")
    assert answer.status_code == 422
    assert "Give both times" in answer.content.decode()
    assert not NotificationPreference.objects.exists()
    save(path, quiet_from="٢١:٠٠", quiet_until="09:30")
    wishes = gate.preference_of(clinic.patient)
    assert (f"{wishes.quiet_from:%H:%M}", f"{wishes.quiet_until:%H:%M}") == ("21:00", "09:30")


def test_the_first_channel_cannot_be_one_that_is_off(clinic: Clinic, path: str) -> None:
    answer = save(path, without=("sms_enabled",))
    assert answer.status_code == 422
    assert save(path, without=("sms_enabled",), preferred_channel="EMAIL").status_code == 302


def test_who_has_told_us_to_stop_can_start_again_there(clinic: Clinic, path: str) -> None:
    opt_outs.stop(
        tenant_id=clinic.tenant.pk, channel="SMS", sender="CLINIC", address=clinic.patient.phone, raw="STOP",
        source=OptSource.REPLY,
    )  # fmt: skip
    client = browser()
    page = client.get(f"{path}?lang=en")
    assert "told us to stop writing by SMS" in page.content.decode()
    client.post(path, {"mark": mark_of(page), "again": "SMS"})
    assert not SuppressedAddress.objects.filter(lifted_at=None).exists()
    assert OptEvent.objects.get(position=2).source == OptSource.PAGE
    client.post(path, {"mark": mark_of(page), "again": "SMS"})
    client.post(path, {"mark": mark_of(page), "again": "PIGEON"})
    assert OptEvent.objects.count() == 2


def test_a_mother_reads_which_child_it_is_about_and_answers_for_them(clinic: Clinic) -> None:
    born = timezone.localdate().replace(year=timezone.localdate().year - 7, day=1)
    child = PatientFactory(tenant=clinic.tenant, birth_date=born, name_en="Omar Al-Otaibi")
    bond = GuardianshipFactory(tenant=clinic.tenant, patient=child, guardian=GuardianFactory(tenant=clinic.tenant))
    path = "/p/" + preference_links.link_for(child, guardian=bond.guardian).rpartition("/")[2]
    words = browser().get(f"{path}?lang=en").content.decode()
    assert "Omar" in words
    assert "Otaibi" not in words
    save(path, awareness_enabled="on")
    assert ConsentRecord.objects.get().guardian == bond.guardian
    assert not NotificationPreference.objects.filter(patient=clinic.patient).exists()


def test_no_place_is_named_where_one_must_not_be(clinic: Clinic, path: str) -> None:
    assert "Noor Clinics" in browser().get(f"{path}?lang=en").content.decode()
    Location.objects.update(is_sensitive=True)
    for address in (path, f"{path}/stop/billing"):
        words = browser().get(f"{address}?lang=en").content.decode()
        assert "Noor" not in words
        assert "Olaya" not in words


def test_other_links_are_one_and_the_same_404(clinic: Clinic, path: str) -> None:
    for address in (path[:-3] + "abc", f"{path}/stop/change", f"{path}/stop/general", f"{path}/stop/nonsense"):
        assert browser().get(address).status_code == 404
        assert browser().post(address, {"List-Unsubscribe": "One-Click"}).status_code == 404


# --- one click -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["reminder", "billing", "confirmation", "results"])
def test_one_click_ends_one_kind_by_email(clinic: Clinic, path: str, kind: str) -> None:
    for _turn in range(2):
        assert browser().post(f"{path}/stop/{kind}", {"List-Unsubscribe": "One-Click"}).status_code == 200
    wishes = gate.preference_of(clinic.patient)
    assert wishes.switched_off == [f"EMAIL:{kind.upper()}"]
    assert wishes.refusal("EMAIL", kind.upper()) == Reason.OPT_OUT_TYPE
    assert wishes.refusal("SMS", kind.upper()) is None
    proof = OptEvent.objects.first()
    assert proof is not None
    assert (proof.source, proof.address, proof.raw) == (
        OptSource.ONE_CLICK, clinic.patient.email, f"List-Unsubscribe=One-Click {kind.upper()}",
    )  # fmt: skip
    assert not SuppressedAddress.objects.exists(), "the address itself stays open"


def test_one_click_takes_back_what_was_agreed_to(clinic: Clinic, path: str) -> None:
    agree(clinic.patient, "promotion")
    browser().post(f"{path}/stop/marketing", {"List-Unsubscribe": "One-Click"})
    assert gate.preference_of(clinic.patient).refusal("EMAIL", "MARKETING") == Reason.CONSENT_WITHDRAWN
    last = consents.history_of(clinic.patient)[0]
    assert (last.method, last.evidence) == (Method.ONE_CLICK, "opt-out 1")


def test_a_post_without_the_word_of_the_standard_asks_first(clinic: Clinic, path: str) -> None:
    answer = browser().post(f"{path}/stop/billing", {"other": "One-Click"})
    assert answer.status_code == 422
    assert b"List-Unsubscribe" in answer.content
    assert not NotificationPreference.objects.exists()
