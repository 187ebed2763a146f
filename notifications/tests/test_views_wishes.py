"""The staff's pages of consent: what would go and why not, an answer noted, the words and rules, the proof."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse

from conftest import Clinic
from core.models import AuditEvent
from notifications import consents, gate, opt_outs, sending_rules
from notifications.consent_states import OptSource, Purpose
from notifications.models import ConsentRecord, OptEvent
from notifications.states import Channel, NotificationType
from notifications.views.patient_wishes import KINDS
from tests.append_only import triggers_off
from tests.factories import agree

SETTINGS = "/settings/consents/"


def stop(clinic: Clinic, raw: str = "STOP") -> OptEvent:
    return opt_outs.stop(
        tenant_id=clinic.tenant.pk,
        channel="SMS",
        sender="CLINIC",
        address=clinic.patient.phone,
        raw=raw,
        source=OptSource.REPLY,
        patient=clinic.patient,
    )


def page(clinic: Clinic) -> str:
    return reverse("notifications:patient_wishes", args=[clinic.patient.pk])


def test_the_page_says_for_each_kind_and_channel_whether_it_goes_and_why_not(clinic: Clinic) -> None:
    agree(clinic.patient, "awareness", "withdrawn")
    stop(clinic)
    words = clinic.client(clinic.front_desk).get(page(clinic)).content.decode()
    for sentence in (
        "It goes to Sara Al-Mutairi.",
        "Offers and marketing: Never asked.",
        "Health awareness: Withdrawn.",
        "The recipient has told this sender to stop.",
        "Told the staff",
    ):
        assert sentence in words
    inner = clinic.client(clinic.front_desk).get(page(clinic), headers={"HX-Request": "true"}).content.decode()
    assert "patient-wishes" in inner
    assert "<html" not in inner


def test_the_table_is_the_decision_of_the_gate(clinic: Clinic) -> None:
    steps: list[Any] = [
        lambda: None,
        lambda: agree(clinic.patient, "promotion"),
        lambda: agree(clinic.patient, "whatsapp", "refused"),
        lambda: agree(clinic.patient, "care_messages", "withdrawn"),
    ]
    for step in steps:
        step()
        table = gate.explain_all(clinic.patient, KINDS)
        for kind, cells in table.items():
            assert cells == [gate.explain(clinic.patient, channel, kind) for channel in Channel]


def test_the_page_costs_the_same_however_much_was_said(clinic: Clinic, django_assert_max_num_queries: Any) -> None:
    for _turn in range(4):
        agree(clinic.patient, "promotion")
        stop(clinic)
    client = clinic.client(clinic.front_desk)
    client.get(page(clinic))
    with django_assert_max_num_queries(24):
        client.get(page(clinic))


def test_an_answer_is_noted_with_who_took_it(clinic: Clinic) -> None:
    address = reverse("notifications:patient_consent", args=[clinic.patient.pk])
    data = {"purpose": "promotion", "channel": "", "status": "granted", "method": "paper", "evidence": "Folder 12"}
    assert clinic.client(clinic.front_desk).post(address, data).status_code == 302
    said = ConsentRecord.objects.get()
    assert (said.captured_by, said.method, said.evidence) == (clinic.front_desk, "paper", "Folder 12")
    for wrong in ({"status": "expired"}, {"method": "one_click"}, {"purpose": "x"}, {"evidence": "x" * 301}):
        assert clinic.client(clinic.front_desk).post(address, {**data, **wrong}).status_code == 422
    assert ConsentRecord.objects.count() == 1


def test_an_outsider_finds_nobody(clinic: Clinic, other_clinic: Clinic) -> None:
    client = other_clinic.client(other_clinic.front_desk)
    assert client.get(page(clinic)).status_code == 404
    assert client.post(reverse("notifications:patient_consent", args=[clinic.patient.pk]), {}).status_code == 404


def test_admins_change_the_words_and_the_rules(clinic: Clinic) -> None:
    client = clinic.client(clinic.admin)
    assert client.get(SETTINGS).status_code == 200
    words = {"part": "promotion", "promotion-words_en": "New words.", "promotion-words_ar": "كلمات جديدة."}
    assert client.post(SETTINGS, words).status_code == 302
    assert consents.text_in_force(clinic.tenant.pk, Purpose.PROMOTION).version == 2
    assert client.post(SETTINGS, {**words, "promotion-words_ar": ""}).status_code == 422
    rules = {"part": "rules", "wakes_within_minutes": "60", "cap_BILLING": "2", "cap_MARKETING": "0"}
    assert client.post(SETTINGS, rules).status_code == 302
    rule = sending_rules.of(clinic.tenant.pk)
    assert rule.wakes_within_minutes == 60
    assert sending_rules.caps_of(rule) == {NotificationType.BILLING: 2}
    assert client.post(SETTINGS, {**rules, "wakes_within_minutes": "2000"}).status_code == 422


def test_the_proof_is_downloaded_by_admins_and_noted(clinic: Clinic) -> None:
    stop(clinic, "=cmd|إيقاف")
    answer = clinic.client(clinic.admin).post("/settings/consents/proof/")
    header, line = csv.reader(io.StringIO(answer.content.decode("utf-8-sig")))
    proof = dict(zip(header, line, strict=True))
    assert proof["as_it_came"] == "'=cmd|إيقاف", "no formula for a spreadsheet"
    assert proof["patient"] == clinic.patient.mrn
    assert AuditEvent.objects.get(action="opt_log.exported").after == {"whole": True}


@pytest.mark.django_db(transaction=True)
def test_the_command_finds_a_log_that_was_changed(clinic: Clinic, capsys: pytest.CaptureFixture[str]) -> None:
    stop(clinic)
    call_command("verify_opt_log")
    assert f"{clinic.tenant.slug}: whole" in capsys.readouterr().out
    with triggers_off():
        OptEvent.objects.update(raw="no")
    with pytest.raises(CommandError, match=f"broken: {clinic.tenant.slug}"):
        call_command("verify_opt_log")
