"""A no that is heard too narrowly, a yes that lasts too long, and stops that get lost under other reasons."""

from __future__ import annotations

import datetime as dt
import re

import pytest
import time_machine
from django.utils import timezone

from conftest import Clinic
from core import patients
from core.merging import patient_merge
from core.models import Guardian, Guardianship, Patient
from core.selectors import years_before
from integrations.delivery import drain
from integrations.messaging_service import MessagingService
from integrations.tests.fakes import FakeProvider, provider
from notifications import consents, gate, opt_outs, preference_links, sending_rules, suppression
from notifications.consent_states import ConsentStatus, Method, OptSource, Purpose
from notifications.models import (
    ConsentRecord,
    Message,
    MessageTemplate,
    OptEvent,
    SuppressedAddress,
)
from notifications.preferences import preference_update
from notifications.states import Channel, Lane, NotificationType, Reason, Status
from notifications.suppression import suppress, suppressed
from notifications.tests.test_preference_page import browser, save
from tests.factories import GuardianFactory, GuardianshipFactory, PatientFactory, PreferenceFactory, agree

__all__ = ["provider"]

KINDS = ("REMINDER", "BILLING", "RESULTS", "MARKETING", "AWARENESS", "CHANGE")
# Inside the hours of every class.
NOON = dt.datetime(2027, 3, 10, 12, tzinfo=dt.timezone(dt.timedelta(hours=3)))


@pytest.fixture
def words(clinic: Clinic) -> None:
    for kind in KINDS:
        for channel in Channel:
            MessageTemplate.objects.create(
                tenant=clinic.tenant,
                code=kind.lower(),
                name=kind,
                channel=channel,
                notification_type=kind,
                variables=[],
                subject_en=kind if channel == Channel.EMAIL else "",
                subject_ar=kind if channel == Channel.EMAIL else "",
                body_en=f"{kind} words",
                body_ar=f"{kind} كلمات",
            )


def queue(clinic: Clinic, kind: str, channel: str = Channel.SMS, patient: Patient | None = None) -> Message:
    return MessagingService().send_from_template(
        tenant_id=clinic.tenant.pk, template_code=kind.lower(), patient=patient or clinic.patient, channel=channel
    )


def fate(message: Message) -> tuple[str, str]:
    for lane in Lane:
        drain(lane.value)
    message.refresh_from_db()
    return (message.status, message.reason)


SENT = (Status.SENT, "")


def no(reason: Reason) -> tuple[str, str]:
    return (Status.SUPPRESSED, reason)


def born(years: int, days: int = 0) -> dt.date:
    return years_before(timezone.localdate() - dt.timedelta(days=days), years)


def child_of(clinic: Clinic, guardian: Guardian, years: int = 7, **fields: object) -> Patient:
    made: Patient = PatientFactory(
        tenant=clinic.tenant, **{"birth_date": born(years), "phone": "", "email": "", **fields}
    )
    GuardianshipFactory(tenant=clinic.tenant, patient=made, guardian=guardian)
    return made


@pytest.fixture
def mother(clinic: Clinic) -> Guardian:
    made: Guardian = GuardianFactory(tenant=clinic.tenant)
    return made


# --- whose yes, and for how long -------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", [Method.STAFF, Method.PAPER])
def test_a_yes_for_a_child_ends_when_it_is_of_age_also_where_nobody_wrote_down_whose_it_was(
    clinic: Clinic, mother: Guardian, method: Method
) -> None:
    child = child_of(clinic, mother, years=17)
    row = consents.record(
        patient=child, purpose=Purpose.PROMOTION, status="granted", method=method, actor=clinic.front_desk
    )
    assert row.valid_until == consents.of_age_at(child)
    assert consents.state_of(child, Purpose.PROMOTION) == ConsentStatus.GRANTED
    with time_machine.travel(consents.of_age_at(child) + dt.timedelta(hours=12), tick=False):
        assert consents.state_of(child, Purpose.PROMOTION) == ConsentStatus.EXPIRED
        assert gate.preference_of(child).refusal("SMS", "MARKETING") == Reason.NO_CONSENT


def test_a_yes_that_is_older_than_the_majority_ended_with_it_although_it_is_entered_late(clinic: Clinic) -> None:
    """The paper was signed for a child of seventeen; it is typed in a year later."""
    patient = PatientFactory(tenant=clinic.tenant, birth_date=born(18, days=40))
    consents.record(
        patient=patient,
        purpose=Purpose.AWARENESS,
        status="granted",
        method=Method.PAPER,
        actor=clinic.front_desk,
        at=timezone.now() - dt.timedelta(days=100),
    )
    assert consents.state_of(patient, Purpose.AWARENESS) == ConsentStatus.EXPIRED


def test_an_adults_yes_has_no_end_of_its_own(clinic: Clinic) -> None:
    row = consents.record(patient=clinic.patient, purpose=Purpose.PROMOTION, status="granted", method=Method.STAFF)
    assert row.valid_until is None


@pytest.mark.usefixtures("words", "provider")
def test_an_offer_for_a_child_waits_over_the_birthday_and_does_not_go(clinic: Clinic, mother: Guardian) -> None:
    with time_machine.travel(NOON, tick=False) as clock:
        child = child_of(clinic, mother, years=18, birth_date=years_before(NOON.date() + dt.timedelta(days=1), 18))
        consents.record(patient=child, guardian=mother, purpose=Purpose.PROMOTION, status="granted", method=Method.PAGE)
        message = queue(clinic, "MARKETING", patient=child)
        assert (message.status, message.guardian) == (Status.QUEUED, mother)
        Message.objects.update(expires_at=NOON + dt.timedelta(days=3))
        clock.shift(dt.timedelta(days=1))
        assert fate(message)[0] == Status.SUPPRESSED


# --- how far a no reaches --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", [ConsentStatus.REFUSED, ConsentStatus.WITHDRAWN])
@pytest.mark.usefixtures("words", "provider")
def test_a_no_to_whatsapp_holds_whether_or_not_the_channel_was_written_beside_it(
    clinic: Clinic, answer: ConsentStatus
) -> None:
    before = queue(clinic, "REMINDER", Channel.WHATSAPP)
    consents.record(
        patient=clinic.patient,
        purpose=Purpose.WHATSAPP,
        channel="WHATSAPP",
        status=answer,
        method=Method.STAFF,
        actor=clinic.front_desk,
    )
    assert fate(before) == no(Reason.CONSENT_WITHDRAWN)
    assert fate(queue(clinic, "REMINDER", Channel.WHATSAPP)) == no(Reason.CONSENT_WITHDRAWN)
    assert fate(queue(clinic, "REMINDER", Channel.SMS)) == SENT


def test_a_yes_to_whatsapp_with_its_channel_beside_it_is_a_yes_where_one_is_asked_for(clinic: Clinic) -> None:
    consents.record(
        patient=clinic.patient, purpose=Purpose.WHATSAPP, channel="WHATSAPP", status="granted", method=Method.PAPER
    )
    row = gate.preference_of(clinic.patient)
    assert row.refusal("WHATSAPP", "REMINDER", whatsapp_needs_consent=True) is None


@pytest.mark.parametrize(("field", "purpose"), [("awareness_enabled", "awareness"), ("marketing_enabled", "promotion")])
def test_a_yes_over_one_channel_is_seen_and_taken_back_on_the_page_of_preferences(
    clinic: Clinic, field: str, purpose: str
) -> None:
    """The box was empty while texts went out: nobody could say no."""
    consents.record(patient=clinic.patient, purpose=purpose, channel="SMS", status="granted", method=Method.STAFF)
    path = "/p/" + preference_links.link_for(clinic.patient).rpartition("/")[2]
    assert re.search(rf'name="{field}"[^>]*\bchecked', browser().get(path).content.decode())
    save(path, **{field: "on"})
    assert consents.state_of(clinic.patient, purpose, "SMS") == ConsentStatus.GRANTED
    assert consents.state_of(clinic.patient, purpose, "EMAIL") == ConsentStatus.NONE
    save(path)
    assert consents.state_of(clinic.patient, purpose, "SMS") == ConsentStatus.WITHDRAWN


@pytest.mark.usefixtures("words", "provider")
def test_one_kind_over_one_channel_is_off_and_the_others_stay(clinic: Clinic) -> None:
    PreferenceFactory(tenant=clinic.tenant, patient=clinic.patient, switched_off=["SMS:REMINDER"])
    assert fate(queue(clinic, "REMINDER", "SMS")) == no(Reason.OPT_OUT_TYPE)
    assert fate(queue(clinic, "REMINDER", "EMAIL")) == SENT
    assert fate(queue(clinic, "BILLING", "SMS")) == SENT
    # A visit that is called off is part of the care.
    assert fate(queue(clinic, "CHANGE", "SMS")) == SENT


@pytest.mark.parametrize("deed", ["stop", "withdraw", "switch_off", "restrict", "die", "block"])
@pytest.mark.usefixtures("words", "provider")
def test_what_is_said_between_the_queue_and_the_claim_holds(clinic: Clinic, mother: Guardian, deed: str) -> None:
    child = child_of(clinic, mother)
    message = queue(clinic, "REMINDER", patient=child)
    assert message.status == Status.QUEUED
    match deed:
        case "stop":
            opt_outs.stop(
                tenant_id=clinic.tenant.pk,
                channel="SMS",
                sender="",
                address=mother.phone,
                raw="STOP",
                source=OptSource.REPLY,
            )
        case "withdraw":
            consents.record(patient=child, purpose=Purpose.CARE, status="withdrawn", method=Method.STAFF)
        case "switch_off":
            preference_update(actor=None, patient=child, values={"reminders_enabled": False}, method=Method.PAGE)
        case "restrict":
            Patient.objects.filter(pk=child.pk).update(is_restricted=True)
        case "die":
            Patient.objects.filter(pk=child.pk).update(deceased_at=timezone.localdate())
        case "block":
            Guardianship.objects.filter(patient=child).update(blocked_reason="court order")
    assert fate(message)[0] == Status.SUPPRESSED


@pytest.mark.usefixtures("words")
def test_a_stop_during_the_call_lets_that_message_go_and_no_other(clinic: Clinic, provider: FakeProvider) -> None:
    def stop(_outgoing: object) -> None:
        if not OptEvent.objects.exists():
            opt_outs.stop(
                tenant_id=clinic.tenant.pk,
                channel="SMS",
                sender="",
                address=clinic.patient.phone,
                raw="STOP",
                source=OptSource.REPLY,
            )

    provider.on_send = stop
    first = queue(clinic, "REMINDER")
    assert fate(first) == SENT
    assert fate(queue(clinic, "BILLING")) == no(Reason.OPT_OUT_SENDER)


# --- the lost stop ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("second", [Reason.OPTED_OUT, Reason.COMPLAINED, Reason.OPT_OUT_SENDER])
def test_a_wish_is_not_lost_under_a_bounce_that_turns_out_to_be_none(clinic: Clinic, second: Reason) -> None:
    """The address seemed dead, then its owner told us to stop, then somebody read an older mail after all."""
    message = Message.objects.create(
        tenant=clinic.tenant,
        patient=clinic.patient,
        notification_type=NotificationType.GENERAL,
        channel="EMAIL",
        recipient=clinic.patient.email,
        language="en",
        body="words",
        dedupe_key="bounced",
    )
    stop = {"tenant_id": clinic.tenant.pk, "channel": "EMAIL", "address": clinic.patient.email}
    suppress(**stop, reason=Reason.CONTACT_UNDELIVERABLE, message_id=message.pk)
    suppress(**stop, reason=second)
    suppression.release([message.pk])
    assert suppressed("EMAIL", [clinic.patient.email]) == {clinic.patient.email: second}


def test_a_bounce_after_a_wish_and_a_wrong_number_after_all_keep_the_stronger_reason(clinic: Clinic) -> None:
    stop = {"tenant_id": clinic.tenant.pk, "channel": "SMS", "address": clinic.patient.phone}
    for reason in (Reason.OPTED_OUT, Reason.CONTACT_UNDELIVERABLE, Reason.WRONG_NUMBER, Reason.OPTED_OUT):
        suppress(**stop, reason=reason)
    assert SuppressedAddress.objects.get().reason == Reason.WRONG_NUMBER


# --- enough is enough ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [Status.UNCONFIRMED, Status.SENDING])
def test_an_offer_that_may_have_arrived_is_the_offer_of_the_day(clinic: Clinic, status: Status) -> None:
    agree(clinic.patient, "promotion")
    values = {
        "tenant": clinic.tenant,
        "patient": clinic.patient,
        "notification_type": "MARKETING",
        "channel": "SMS",
        "recipient": clinic.patient.phone,
        "language": "en",
    }
    lease = timezone.now() - dt.timedelta(minutes=2) if status == Status.SENDING else None
    Message.objects.create(**values, dedupe_key="first", status=status, lease_expires_at=lease)
    second = Message.objects.create(**values, dedupe_key="second", next_attempt_at=timezone.now())
    assert sending_rules.over_cap([second], sending_rules.of(clinic.tenant.pk), timezone.now()) == {second.pk}


# --- merging ---------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("words", "provider")
def test_a_no_goes_with_the_file_through_two_merges(clinic: Clinic) -> None:
    oldest, middle = (PatientFactory(tenant=clinic.tenant) for _turn in range(2))
    agree(clinic.patient, "promotion")
    agree(middle, "promotion")
    agree(oldest, "promotion")
    consents.record(patient=oldest, purpose=Purpose.PROMOTION, channel="EMAIL", status="withdrawn", method=Method.PAGE)
    consents.record(patient=oldest, purpose=Purpose.CARE, channel="SMS", status="refused", method=Method.PAPER)
    waiting = queue(clinic, "MARKETING", patient=oldest, channel=Channel.SMS)
    patient_merge(actor=clinic.admin, survivor=middle, merged=oldest)
    patient_merge(actor=clinic.admin, survivor=clinic.patient, merged=middle)
    survivor = clinic.patient
    assert consents.state_of(survivor, Purpose.PROMOTION, "EMAIL") == ConsentStatus.WITHDRAWN
    assert consents.state_of(survivor, Purpose.PROMOTION, "SMS") == ConsentStatus.GRANTED
    assert fate(queue(clinic, "REMINDER", "SMS")) == no(Reason.CONSENT_WITHDRAWN)
    assert fate(queue(clinic, "REMINDER", "EMAIL")) == SENT
    # Nothing of the oldest file's proof was moved or lost.
    assert ConsentRecord.objects.filter(patient=oldest).count() == 3
    assert {row.patient_id for row in consents.history_of(survivor)} >= {oldest.pk, middle.pk, survivor.pk}
    waiting.refresh_from_db()
    assert (waiting.patient, waiting.recipient) == (survivor, survivor.phone)


@pytest.mark.usefixtures("words", "provider")
def test_a_stop_told_at_the_old_files_number_holds_there_and_not_at_the_survivors(clinic: Clinic) -> None:
    twin = PatientFactory(tenant=clinic.tenant)
    opt_outs.stop(
        tenant_id=clinic.tenant.pk,
        channel="SMS",
        sender="",
        address=twin.phone,
        raw="STOP",
        source=OptSource.REPLY,
        patient=twin,
    )
    patient_merge(actor=clinic.admin, survivor=clinic.patient, merged=twin)
    assert fate(queue(clinic, "REMINDER")) == SENT
    patients.patient_update(actor=clinic.front_desk, patient_id=clinic.patient.pk, phone=twin.phone)
    clinic.patient.refresh_from_db()
    assert fate(queue(clinic, "REMINDER")) == no(Reason.OPT_OUT_SENDER)


# --- to many ---------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("words")
def test_an_offer_to_many_goes_to_those_alone_whose_own_word_is_a_yes_when_it_leaves(
    clinic: Clinic, mother: Guardian, provider: FakeProvider
) -> None:
    with time_machine.travel(NOON, tick=False):
        willing, silent, refused, changed, dead, gone, restricted, stopped = (
            PatientFactory(tenant=clinic.tenant) for _turn in range(8)
        )
        child, others_child = child_of(clinic, mother), child_of(clinic, mother)
        for patient in (willing, refused, changed, dead, gone, restricted, stopped):
            agree(patient, "promotion")
        consents.record(patient=child, guardian=mother, purpose=Purpose.PROMOTION, status="granted", method=Method.PAGE)
        consents.record(patient=refused, purpose=Purpose.PROMOTION, channel="SMS", status="refused", method="staff")
        Patient.objects.filter(pk=dead.pk).update(deceased_at=NOON.date())
        Patient.objects.filter(pk=gone.pk).update(merged_into=willing)
        Patient.objects.filter(pk=restricted.pk).update(is_restricted=True)
        people = [willing, silent, refused, changed, dead, gone, restricted, stopped, child, others_child]
        counts = MessagingService().send_bulk_messages(
            tenant_id=clinic.tenant.pk,
            patient_ids=[one.pk for one in people],
            template_code="marketing",
            channel="SMS",
            sent_by=clinic.admin,
            bulk_key="spring",
        )
        assert counts == {"queued": 4, "refused": 6, "failed": 0}
        # Between the queue and the claim.
        consents.record(patient=changed, purpose=Purpose.PROMOTION, status="withdrawn", method=Method.PAGE)
        opt_outs.stop(
            tenant_id=clinic.tenant.pk,
            channel="SMS",
            sender="",
            address=stopped.phone,
            raw="STOP",
            source=OptSource.REPLY,
        )
        for lane in Lane:
            drain(lane.value)
    assert sorted(call.to for call in provider.calls) == sorted([willing.phone, mother.phone])
    assert Message.objects.get(patient=child).status == Status.SENT
