"""Consent, wishes and stops, from what a person presses or writes to what the provider is given (scenarios 5, 15, 16)."""

from __future__ import annotations

import datetime as dt
import re
from email import message_from_bytes, policy

import pytest
import time_machine
from django.test import Client

from conftest import Clinic
from core.models import Patient
from integrations import enclosures
from integrations.delivery import drain
from integrations.messaging_service import MessagingService
from integrations.providers import letter
from integrations.tests.fakes import FakeProvider, provider
from notifications import opt_outs, preference_links
from notifications.consent_states import OptSource
from notifications.models import Message, MessageTemplate
from notifications.states import Channel, Lane, NotificationType, Reason, Status
from tests.factories import PatientFactory, agree

__all__ = ["provider"]

RIYADH = dt.timezone(dt.timedelta(hours=3))
NOON = dt.datetime(2027, 3, 10, 12, tzinfo=RIYADH)
NIGHT = dt.datetime(2027, 3, 10, 22, 30, tzinfo=RIYADH)


@pytest.fixture
def words(clinic: Clinic) -> None:
    """A template of each of some kinds, over SMS and email."""
    for kind in ("BILLING", "REMINDER", "CHANGE", "MARKETING", "AWARENESS"):
        for channel in (Channel.SMS, Channel.EMAIL):
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


def write(clinic: Clinic, kind: str, channel: str = Channel.SMS, patient: Patient | None = None) -> Message:
    return MessagingService().send_from_template(
        tenant_id=clinic.tenant.pk, template_code=kind.lower(), patient=patient or clinic.patient, channel=channel
    )


def send_all() -> None:
    for lane in (Lane.URGENT, Lane.TRANSACTIONAL, Lane.BULK):
        drain(lane)


def fates(*messages: Message) -> list[tuple[str, str]]:
    for message in messages:
        message.refresh_from_db()
    return [(message.status, message.reason) for message in messages]


SENT = (Status.SENT, "")


def no(reason: Reason) -> tuple[str, str]:
    return (Status.SUPPRESSED, reason)


def save_page(link: str, **changed: str) -> None:
    """Opens the page behind the link, changes some boxes (empty: off), presses Save."""
    path = link.partition("/p/")[1] + link.partition("/p/")[2]
    client = Client(enforce_csrf_checks=True)
    page = client.get(path).content.decode()
    boxes = dict.fromkeys(re.findall(r'name="([^"]+)"[^>]*\bchecked', page), "on")
    mark = re.search(r'name="mark" value="([^"]+)"', page)
    assert mark is not None
    data = {**boxes, "preferred_channel": "SMS", "preferred_language": "", "mark": mark[1], **changed}
    answer = client.post(path, {name: value for name, value in data.items() if value or name == "preferred_language"})
    assert answer.status_code == 302


@pytest.mark.usefixtures("words")
def test_scenario_05_sms_off_for_payments_leaves_appointments_and_the_bill_by_email(
    clinic: Clinic, provider: FakeProvider
) -> None:
    with time_machine.travel(NOON, tick=False):
        save_page(preference_links.link_for(clinic.patient), **{"SMS:BILLING": ""})
        bill, visit, mail = write(clinic, "BILLING"), write(clinic, "CHANGE"), write(clinic, "BILLING", Channel.EMAIL)
        send_all()
    assert fates(bill, visit, mail) == [no(Reason.OPT_OUT_TYPE), SENT, SENT]
    assert {call.body for call in provider.calls} == {visit.body, mail.body}


@pytest.mark.usefixtures("words")
def test_scenario_15_advertising_ends_with_one_click_and_the_bill_goes_on(
    clinic: Clinic, provider: FakeProvider
) -> None:
    with time_machine.travel(NOON, tick=False):
        assert fates(write(clinic, "MARKETING")) == [no(Reason.NO_CONSENT)], "nobody has said yes"
        agree(clinic.patient, "promotion")
        offer = write(clinic, "MARKETING", Channel.EMAIL)
        send_all()
        assert fates(offer) == [SENT]
        (call,) = provider.calls
        sent = message_from_bytes(letter.write(call).content, policy=policy.default)
        address = sent["List-Unsubscribe"].strip("<>")
        assert sent["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        # Queued before the click, sent after it: too late for the offer.
        queued, by_sms, bill = (
            write(clinic, "MARKETING", Channel.EMAIL),
            write(clinic, "MARKETING"),
            write(clinic, "BILLING", Channel.EMAIL),
        )
        name, _equals, value = sent["List-Unsubscribe-Post"].partition("=")
        path = "/p/" + address.partition("/p/")[2]
        assert Client(enforce_csrf_checks=True).post(path, {name: value}).status_code == 200
        send_all()
    assert fates(queued, by_sms, bill) == [no(Reason.CONSENT_WITHDRAWN), no(Reason.CONSENT_WITHDRAWN), SENT]


@pytest.mark.usefixtures("words")
def test_scenario_16_awareness_needs_a_yes_and_waits_for_its_hours(clinic: Clinic, provider: FakeProvider) -> None:
    with time_machine.travel(NIGHT, tick=False) as clock:
        assert fates(write(clinic, "AWARENESS")) == [no(Reason.NO_CONSENT)]
        agree(clinic.patient, "awareness")
        message = write(clinic, "AWARENESS")
        other = PatientFactory(tenant=clinic.tenant)
        agree(other, "awareness")
        late = write(clinic, "AWARENESS", Channel.EMAIL, other)
        Message.objects.filter(pk=late.pk).update(expires_at=NIGHT + dt.timedelta(hours=3))
        send_all()
        assert fates(message, late) == [(Status.QUEUED, ""), no(Reason.CLASS_WINDOW)]
        assert provider.calls == []
        clock.move_to(NIGHT.replace(day=11, hour=8, minute=59))
        send_all()
        assert fates(message) == [(Status.QUEUED, "")]
        clock.move_to(NIGHT.replace(day=11, hour=9, minute=0))
        send_all()
    assert fates(message) == [SENT]


@pytest.mark.usefixtures("words")
def test_a_stop_is_honoured_before_the_next_send_and_a_start_lets_the_next_one_go(
    clinic: Clinic, provider: FakeProvider
) -> None:
    number = {"channel": "SMS", "sender": "", "address": clinic.patient.phone, "source": OptSource.REPLY}
    with time_machine.travel(NOON, tick=False):
        queued, mail = write(clinic, "CHANGE"), write(clinic, "CHANGE", Channel.EMAIL)
        opt_outs.stop(tenant_id=clinic.tenant.pk, raw="إيقاف", **number)
        send_all()
        assert fates(queued, mail) == [no(Reason.OPT_OUT_SENDER), SENT]
        assert fates(write(clinic, "CHANGE")) == [no(Reason.OPT_OUT_SENDER)]
        opt_outs.resume(tenant_id=clinic.tenant.pk, raw="اشتراك", **number)
        again = write(clinic, "CHANGE")
        send_all()
    assert fates(again) == [SENT]


@pytest.mark.usefixtures("words")
@pytest.mark.parametrize("kind", NotificationType.values)
def test_every_email_to_a_patient_leads_to_the_page_and_unsubscribes_what_it_may(clinic: Clinic, kind: str) -> None:
    message = Message(
        tenant=clinic.tenant, patient=clinic.patient, channel=Channel.EMAIL, notification_type=kind, language="en",
        recipient=clinic.patient.email, created_at=NOON,
    )  # fmt: skip
    found = enclosures.enclosures_of(clinic.tenant.pk, [message])[message.pk]
    assert "/p/" in found["preferences_url"]
    assert bool(found["unsubscribe_url"]) is (kind not in ("CHANGE", "GENERAL", "STAFF"))
