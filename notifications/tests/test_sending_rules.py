"""What a clinic group decides about sending: how much is enough, and whether WhatsApp needs a yes."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

import pytest
from django.utils import timezone

from conftest import Clinic
from core.errors import DomainError
from core.models import AuditEvent, Patient
from notifications import gate, opt_outs, sending_rules
from notifications.consent_states import OptSource
from notifications.models import Message, SuppressedAddress
from notifications.states import Reason, Status
from tests.factories import PatientFactory, agree

DAY = dt.timedelta(days=1)


def waiting(clinic: Clinic, kind: str = "MARKETING", patient: Patient | None = None, **fields: Any) -> Message:
    who = patient or clinic.patient
    values = {
        "tenant": clinic.tenant,
        "patient": who,
        "notification_type": kind,
        "channel": "SMS",
        "recipient": who.phone,
        "sender": "CLINIC",
        "language": "en",
        "dedupe_key": str(uuid.uuid4()),
        "next_attempt_at": timezone.now(),
        **fields,
    }
    return Message.objects.create(**values)


def gone(clinic: Clinic, at: dt.datetime | None = None, **fields: Any) -> Message:
    return waiting(clinic, status=Status.SENT, sent_at=at or timezone.now(), next_attempt_at=None, **fields)


@pytest.fixture
def willing(clinic: Clinic) -> Patient:
    agree(clinic.patient, "promotion")
    agree(clinic.patient, "awareness")
    return clinic.patient


def test_one_offer_a_day_is_enough(clinic: Clinic, willing: Patient) -> None:
    first, second = waiting(clinic), waiting(clinic)
    other = waiting(clinic, "AWARENESS")
    assert gate.recheck_many([first, second, other]) == {second.pk: Reason.FREQUENCY_CAP}
    gone(clinic)
    assert gate.recheck(first) == Reason.FREQUENCY_CAP
    assert gate.recheck(other) is None, "another kind"


def test_what_went_out_yesterday_failed_or_is_a_copy_does_not_count(clinic: Clinic, willing: Patient) -> None:
    message = waiting(clinic)
    gone(clinic, timezone.now() - DAY)
    waiting(clinic, status=Status.FAILED, sent_at=None)
    gone(clinic, conversation_id=message.conversation_id, channel="WHATSAPP")
    someone = PatientFactory(tenant=clinic.tenant)
    gone(clinic, patient=someone)
    assert gate.recheck(message) is None


def test_the_day_is_that_of_the_clinic(clinic: Clinic, willing: Patient) -> None:
    now = dt.datetime(2027, 1, 10, 21, 30, tzinfo=dt.UTC)  # half past midnight on the 11th in Riyadh
    message = waiting(clinic)
    rule = sending_rules.of(clinic.tenant.pk)
    earlier = gone(clinic, now - dt.timedelta(hours=1))
    assert sending_rules.over_cap([message], rule, now) == set()
    Message.objects.filter(pk=earlier.pk).update(sent_at=now - dt.timedelta(minutes=20))
    assert sending_rules.over_cap([message], rule, now) == {message.pk}


def test_the_care_has_no_cap_unless_the_clinic_group_sets_one(clinic: Clinic) -> None:
    bills = [waiting(clinic, "BILLING") for _number in range(3)]
    assert gate.recheck_many(bills) == {}
    sending_rules.rule_set(actor=clinic.admin, values={"daily_caps": {"BILLING": 2}})
    assert gate.recheck_many(bills) == {bills[2].pk: Reason.FREQUENCY_CAP}


def test_a_clinic_group_may_lift_a_cap_of_the_house(clinic: Clinic, willing: Patient) -> None:
    sending_rules.rule_set(actor=clinic.admin, values={"daily_caps": {"MARKETING": 0}})
    assert gate.recheck_many([waiting(clinic), waiting(clinic)]) == {}


def test_a_rule_is_audited_checked_and_the_admins_alone(clinic: Clinic) -> None:
    sending_rules.rule_set(actor=clinic.admin, values={"whatsapp_needs_consent": True})
    sending_rules.rule_set(actor=clinic.admin, values={"whatsapp_needs_consent": True})
    assert AuditEvent.objects.filter(action="sending_rule.set").count() == 1
    for values in ({"daily_caps": {"BILLING": 101}}, {"wakes_within_minutes": 1441}):
        with pytest.raises(DomainError):
            sending_rules.rule_set(actor=clinic.admin, values=values)
    with pytest.raises(DomainError):
        sending_rules.rule_set(actor=clinic.front_desk, values={"whatsapp_needs_consent": False})


def test_whatsapp_waits_for_a_yes_where_the_clinic_group_wants_one(clinic: Clinic) -> None:
    message = waiting(clinic, "REMINDER", channel="WHATSAPP")
    assert gate.recheck(message) is None
    sending_rules.rule_set(actor=clinic.admin, values={"whatsapp_needs_consent": True})
    assert gate.recheck(message) == Reason.NO_CONSENT
    assert gate.explain(clinic.patient, "WHATSAPP", "REMINDER").sentence == "Messages on WhatsApp: Never asked."
    agree(clinic.patient, "whatsapp")
    assert gate.recheck(message) is None


# --- the decision, right before the send and in words ----------------------------------------------------------------


def test_a_consent_that_is_withdrawn_stops_what_is_queued(clinic: Clinic, willing: Patient) -> None:
    message = waiting(clinic)
    assert gate.recheck(message) is None
    agree(willing, "promotion", "withdrawn")
    assert gate.recheck(message) == Reason.CONSENT_WITHDRAWN


def test_a_stop_holds_for_the_sender_that_was_told_also_for_what_is_queued(clinic: Clinic) -> None:
    told, other = waiting(clinic, "REMINDER"), waiting(clinic, "REMINDER", sender="OTHER")
    opt_outs.stop(
        tenant_id=clinic.tenant.pk,
        channel="SMS",
        sender="CLINIC",
        address=clinic.patient.phone,
        raw="STOP",
        source=OptSource.REPLY,
    )
    assert gate.recheck_many([told, other]) == {told.pk: Reason.OPT_OUT_SENDER}
    assert gate.explain(clinic.patient, "SMS", "REMINDER", sender="CLINIC").reason == Reason.OPT_OUT_SENDER
    assert gate.explain(clinic.patient, "SMS", "REMINDER", sender="OTHER").reason is None


@pytest.mark.parametrize(
    ("purpose", "status", "kind", "sentence"),
    [
        ("", "", "REMINDER", "It goes to Sara Al-Mutairi."),
        ("", "", "MARKETING", "Offers and marketing: Never asked."),
        ("promotion", "withdrawn", "MARKETING", "Offers and marketing: Withdrawn."),
        ("promotion", "refused", "MARKETING", "Offers and marketing: Refused."),
        ("care_messages", "withdrawn", "REMINDER", "Messages about the care: Withdrawn."),
    ],
)
def test_a_decision_explains_itself(clinic: Clinic, purpose: str, status: str, kind: str, sentence: str) -> None:
    if purpose:
        agree(clinic.patient, purpose, status)
    decision = gate.explain(clinic.patient, "SMS", kind)
    assert decision.sentence == sentence
    assert (decision.reason is None) == sentence.startswith("It goes")


def test_an_explanation_is_the_decision_of_the_send(clinic: Clinic) -> None:
    """Whatever is said, agreed and stopped: what the staff read is what the send does."""
    steps = [
        lambda: agree(clinic.patient, "promotion"),
        lambda: agree(clinic.patient, "whatsapp", "withdrawn"),
        lambda: SuppressedAddress.objects.create(
            tenant=clinic.tenant, channel="SMS", address=clinic.patient.phone, reason=Reason.COMPLAINED
        ),
        lambda: agree(clinic.patient, "care_messages", "refused"),
        lambda: Patient.objects.filter(pk=clinic.patient.pk).update(deceased_at=timezone.localdate()),
    ]
    for step in steps:
        step()
        patient = Patient.objects.select_related("tenant").get(pk=clinic.patient.pk)
        for channel in ("SMS", "WHATSAPP", "EMAIL"):
            for kind in ("REMINDER", "MARKETING", "CHANGE", "BILLING"):
                address = patient.email if channel == "EMAIL" else patient.phone
                message = waiting(clinic, kind, patient, channel=channel, recipient=address)
                assert gate.explain(patient, channel, kind, sender="CLINIC").reason == gate.recheck(message)
