"""Incidents: one row and one bell at each end, in both languages, to those whom it concerns."""

from __future__ import annotations

import datetime as dt
import re
import uuid
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from conftest import Clinic
from core.models import User
from core.tenancy import tenant_scope
from integrations import breaker, incidents, sms_providers
from integrations.fanout import process_event
from integrations.models import Incident
from integrations.tests.fakes import FakeProvider
from integrations.tests.test_breaker import (
    HUNG,
    OK,
    OUR_ACCOUNT,
    OUR_SENDER,
    Clock,
    alone,
    at_once,
    chosen,
    clock,
    report,
    two,
)
from notifications import alerts, lifecycle, links
from notifications.models import Escalation, Message, Notification, NotificationEvent
from notifications.states import Reason, Status

__all__ = ["alone", "clock", "two"]
pytestmark = pytest.mark.django_db

ARABIC = re.compile(r"[\u0600-\u06ff]")


@pytest.fixture
def twilio(monkeypatch: pytest.MonkeyPatch) -> None:
    """SMS goes over Twilio, or else over Unifonic."""
    fakes = [FakeProvider(name="twilio"), FakeProvider(name="unifonic")]
    monkeypatch.setattr(sms_providers, "providers_for", lambda channel: fakes)


def bells(clinic: Clinic) -> list[Notification]:
    """What the clinic's admin has been told, the first first; everything that was recorded is fanned out."""
    with tenant_scope(clinic.tenant.pk):
        for event in NotificationEvent.objects.filter(processed_at=None):
            process_event(event.tenant_id, event.pk)
        return list(Notification.objects.filter(user=clinic.admin).order_by("event__created_at", "event__key"))


def down_and_up(clock: Clock) -> None:
    """Down at 11:00 in Riyadh, up again ten seconds later, and peace."""
    report(*[HUNG] * 5)
    clock.on(seconds=10)
    chosen()
    report(OK, OK, OK)
    report(OK, OK)
    clock.on(seconds=30)
    breaker.settle()


# --- Outages ---------------------------------------------------------------------------------------------------------


def test_the_admins_of_every_clinic_hear_of_an_outage_once_at_each_end(
    clinic: Clinic, other_clinic: Clinic, alone: None, clock: Clock
) -> None:
    report(*[HUNG] * 5)
    report(*[HUNG] * 5)
    for house in (clinic, other_clinic):
        assert [bell.notification_type for bell in bells(house)] == ["ERROR"]
    clock.on(seconds=10)
    chosen()
    report(OK, OK, OK)
    report(OK, OK)
    clock.on(seconds=29)
    assert breaker.settle() == 0, "it has to hold first"
    clock.on(seconds=1)
    assert breaker.settle() == 1
    assert breaker.settle() == 0
    for house in (clinic, other_clinic):
        assert [bell.notification_type for bell in bells(house)] == ["ERROR", "SUCCESS"]


def test_an_incident_is_from_its_opening_to_its_closing(alone: None, clock: Clock) -> None:
    began = timezone.now()
    down_and_up(clock)
    incident = Incident.objects.get()
    assert (incident.started_at, incident.ended_at) == (began, began + dt.timedelta(seconds=10))
    assert (incident.kind, incident.provider, incident.channel, incident.code) == (
        "outage",
        "first",
        "SMS",
        "ReadTimeout",
    )


def test_a_second_outage_is_a_second_incident(clinic: Clinic, alone: None, clock: Clock) -> None:
    down_and_up(clock)
    clock.on(minutes=10)
    down_and_up(clock)
    assert Incident.objects.filter(ended_at__isnull=False).count() == 2
    assert len(bells(clinic)) == 4


def test_a_suspended_clinic_is_not_told(clinic: Clinic, other_clinic: Clinic, alone: None, clock: Clock) -> None:
    other_clinic.tenant.is_active = False
    other_clinic.tenant.save(update_fields=["is_active"])
    down_and_up(clock)
    assert bells(other_clinic) == []


def test_only_admins_are_told(clinic: Clinic, alone: None, clock: Clock) -> None:
    down_and_up(clock)
    bells(clinic)
    assert set(Notification.objects.values_list("user", flat=True)) == {clinic.admin.pk}


def test_a_provider_that_left_the_settings_ends_without_a_word(
    clinic: Clinic, alone: None, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    report(*[HUNG] * 5)
    monkeypatch.setattr(sms_providers, "providers_for", lambda channel: [FakeProvider(name="second")])
    assert breaker.settle() == 1
    assert len(bells(clinic)) == 1


def test_the_words_of_an_outage_without_another_provider(clinic: Clinic, alone: None, clock: Clock) -> None:
    down_and_up(clock)
    began, over = bells(clinic)
    assert began.title == "SMS messages are waiting: first is down"
    assert began.message.startswith(
        "first has not been answering as it should since 11:00 AM on Monday 23 November 2026. Your messages wait"
    )
    assert "You need not do anything." in began.message
    assert over.title == "SMS messages: first works again"
    assert over.message.startswith("It was down from 11:00 AM to 11:00 AM on Monday 23 November 2026.")


def test_the_words_of_an_outage_with_another_provider(clinic: Clinic, twilio: None, clock: Clock) -> None:
    report(*[HUNG] * 5, name="twilio")
    (bell,) = bells(clinic)
    assert bell.title == "SMS messages go over Unifonic: Twilio is down"
    assert "Your messages go over Unifonic meanwhile." in bell.message
    assert "Unifonic" in bell.title_ar
    report(*[HUNG] * 5, name="unifonic")
    assert bells(clinic)[1].title == "SMS messages are waiting: Unifonic is down", "Twilio is no help now"


# --- Refusals --------------------------------------------------------------------------------------------------------


def test_a_refused_account_tells_all_whom_to_call_and_which_code(
    clinic: Clinic, other_clinic: Clinic, alone: None, clock: Clock
) -> None:
    report(OUR_ACCOUNT, tenant_id=clinic.tenant.pk)
    for house in (clinic, other_clinic):
        (bell,) = bells(house)
        assert bell.title == "SMS messages are waiting: first refuses our account"
        assert "(code 20003)" in bell.message
        assert "call the support of this system" in bell.message
        assert "20003" in bell.message_ar
    clock.on(minutes=5)
    chosen()
    report(OK)
    clock.on(seconds=30)
    breaker.settle()
    assert bells(clinic)[-1].title == "SMS messages: first accepts our account again"


def test_a_refused_sender_tells_its_own_clinic_only(
    clinic: Clinic, other_clinic: Clinic, alone: None, clock: Clock
) -> None:
    report(OUR_SENDER, sender="CLINIC", tenant_id=clinic.tenant.pk)
    (bell,) = bells(clinic)
    assert bell.title == "SMS messages of the sender “CLINIC” are waiting: first refuses the sender"
    assert "Your other senders are not affected." in bell.message
    assert "(code 21606)" in bell.message
    clock.on(minutes=5)
    chosen("CLINIC")
    report(OK, sender="CLINIC", tenant_id=clinic.tenant.pk)
    clock.on(seconds=30)
    breaker.settle()
    assert bells(clinic)[-1].title.endswith("first accepts the sender “CLINIC” again")
    assert bells(other_clinic) == []


def test_the_provider_s_words_are_told_in_both_languages(clinic: Clinic, alone: None, clock: Clock) -> None:
    refused = sms_providers.ProviderError(
        sms_providers.Kind.CONFIGURATION,
        code="20003",
        detail="Twilio refused our credentials.",
        scope=sms_providers.Scope.ACCOUNT,
    )
    report(refused)
    (bell,) = bells(clinic)
    assert "Twilio refused our credentials." in bell.message
    assert "Twilio refused our credentials." not in bell.message_ar


@pytest.mark.parametrize("sender", ["", "CLINIC"])
@pytest.mark.parametrize("is_refusal", [True, False])
@pytest.mark.parametrize("stand_in", ["", "smtp", "new-one"])
def test_every_text_is_there_in_both_languages(clinic: Clinic, sender: str, is_refusal: bool, stand_in: str) -> None:
    incident = Incident.objects.create(kind="outage", provider="smtp", channel="EMAIL", started_at=timezone.now())
    trouble = alerts.Trouble(
        provider="smtp",
        channel="EMAIL",
        sender=sender,
        is_refusal=is_refusal,
        code="535",
        detail="The mail server refused our credentials.",
        stand_in=stand_in,
        began_at=timezone.now(),
        ended_at=timezone.now() + dt.timedelta(days=1),
    )
    alerts.trouble_began(tenant_id=clinic.tenant.pk, incident=incident, trouble=trouble)
    alerts.trouble_over(tenant_id=clinic.tenant.pk, incident=incident, trouble=trouble)
    told = bells(clinic)
    assert len(told) == 2
    for bell in told:
        assert not ARABIC.search(bell.title + bell.message)
        for sentence in (bell.title_ar, bell.message_ar):
            letters = [char for char in sentence if char.isalpha()]
            assert ARABIC.match(letters[0]), "it begins with Arabic, so it runs from right to left"
        assert "  " not in bell.message + bell.message_ar
        assert " The " not in bell.title
        assert bell.message[0].isupper()


# --- Too late --------------------------------------------------------------------------------------------------------


def late_message(clinic: Clinic, **fields: Any) -> Message:
    """A message that the sweeper has just ended."""
    defaults: dict[str, Any] = {
        "tenant_id": clinic.tenant.pk,
        "patient": clinic.patient,
        "channel": "SMS",
        "notification_type": "REMINDER",
        "recipient": "+966501234567",
        "language": "ar",
        "body": "نص",
        "dedupe_key": str(uuid.uuid4()),
    }
    message = lifecycle.create(Message(**(defaults | fields)))
    assert lifecycle.refuse(message.pk, Reason.PAST_DUE)
    return message


def test_what_became_too_late_is_told_in_one_summary_when_it_is_quiet(
    clinic: Clinic, other_clinic: Clinic, clock: Clock
) -> None:
    began = timezone.now()
    for channel, type_ in (("SMS", "REMINDER"), ("SMS", "REMINDER"), ("EMAIL", "BILLING")):
        late_message(clinic, channel=channel, notification_type=type_)
        incidents.note_expired(clinic.tenant.pk, 1)
        clock.on(minutes=1)
    assert incidents.close_quiet() == 0
    assert Incident.objects.get().ended_at is None
    clock.on(minutes=1)
    assert incidents.close_quiet() == 1
    assert incidents.close_quiet() == 0
    incident = Incident.objects.get()
    assert (incident.started_at, incident.ended_at) == (began, began + dt.timedelta(minutes=2))
    assert (incident.tenant_id, incident.detail, incident.code) == (clinic.tenant.pk, "3", "")
    (bell,) = bells(clinic)
    assert bell.title == "3 messages were too late and were not sent"
    assert "from 11:00 AM to 11:02 AM on Monday 23 November 2026" in bell.message
    assert "Appointment reminder (SMS): 2; Billing (Email): 1." in bell.message
    assert "تذكير" in bell.message_ar
    assert bells(other_clinic) == []


def test_one_late_message_is_told_as_one(clinic: Clinic, clock: Clock) -> None:
    late_message(clinic)
    incidents.note_expired(clinic.tenant.pk, 1)
    clock.on(minutes=2)
    incidents.close_quiet()
    assert bells(clinic)[0].title == "1 message was too late and was not sent"


def test_none_is_in_two_summaries_and_none_in_no_one(clinic: Clinic, clock: Clock) -> None:
    for _outage in range(3):
        for _tick in range(4):
            late_message(clinic)
            late_message(clinic)
            clock.on(seconds=3)
            incidents.note_expired(clinic.tenant.pk, 2)
            clock.on(seconds=7)
        clock.on(minutes=2)
        incidents.close_quiet()
    assert [incident.detail for incident in Incident.objects.all()] == ["8", "8", "8"]


def test_messages_refused_for_other_reasons_are_not_in_the_summary(clinic: Clinic, clock: Clock) -> None:
    late_message(clinic)
    other = late_message(clinic)
    Message.objects.filter(pk=other.pk).update(status=Status.SUPPRESSED, reason=Reason.NO_CONTACT)
    incidents.note_expired(clinic.tenant.pk, 1)
    clock.on(minutes=2)
    incidents.close_quiet()
    assert Incident.objects.get().detail == "1"


def test_no_message_no_incident(clinic: Clinic) -> None:
    incidents.note_expired(clinic.tenant.pk, 0)
    assert not Incident.objects.exists()


# --- Critical, and closed when it ends -------------------------------------------------------------------------------


def test_the_beginning_is_critical_and_says_when_it_is_over_in_every_clinic(
    clinic: Clinic, other_clinic: Clinic, alone: None, clock: Clock
) -> None:
    report(*[HUNG] * 5)
    for house in (clinic, other_clinic):
        (began,) = bells(house)
        assert (began.category, began.is_critical, began.resolved_at) == ("SYSTEM", True, None)
        assert began.needs_acknowledgement
    # Suspended since: its people are told no news, but what they were told of is over.
    other_clinic.tenant.is_active = False
    other_clinic.tenant.save(update_fields=["is_active"])
    assert incidents.end(Incident.objects.get(), at=timezone.now())
    assert bells(clinic)[0].resolved_at is not None
    assert [(bell.category, bell.is_critical) for bell in bells(clinic)] == [("SYSTEM", True), ("SYSTEM", False)]
    (left,) = bells(other_clinic)
    assert left.resolved_at is not None
    with tenant_scope(clinic.tenant.pk):
        assert not Escalation.objects.filter(status="OPEN").exists()


def test_an_end_that_is_undone_leaves_the_alert_open(clinic: Clinic, alone: None, clock: Clock) -> None:
    report(*[HUNG] * 5)
    bells(clinic)
    with transaction.atomic():
        assert incidents.end(Incident.objects.get(), at=timezone.now())
        transaction.set_rollback(True)
    assert Incident.objects.get().ended_at is None
    assert bells(clinic)[0].resolved_at is None


def test_a_bell_that_was_rung_after_the_end_is_closed_as_well(clinic: Clinic, alone: None, clock: Clock) -> None:
    down_and_up(clock)
    began, _over = bells(clinic)
    assert began.resolved_at is None, "its fan-out was held up"
    assert incidents.resolve_told_late() == 1
    assert incidents.resolve_told_late() == 0
    began.refresh_from_db()
    assert not began.needs_acknowledgement


def test_the_summary_of_late_messages_stays_until_somebody_answers(clinic: Clinic, clock: Clock) -> None:
    late_message(clinic)
    incidents.note_expired(clinic.tenant.pk, 1)
    clock.on(minutes=2)
    incidents.close_quiet()
    (summary,) = bells(clinic)
    incidents.resolve_told_late()
    summary.refresh_from_db()
    assert summary.needs_acknowledgement, "people have not been told, and somebody has to call them"


# --- Our settings ----------------------------------------------------------------------------------------------------


def refused(clinic: Clinic, *, code: str = "21408", detail: str = "It answers too slowly.") -> None:
    incidents.note_refused_by_settings(clinic.tenant.pk, channel="SMS", code=code, detail=detail)


def test_refusals_because_of_our_settings_are_one_incident_for_each_code_until_none_has_come_for_an_hour(
    clinic: Clinic, other_clinic: Clinic, clock: Clock
) -> None:
    for _ in range(5):
        refused(clinic)
        refused(clinic, code="21610")
        clock.on(minutes=50)
        assert incidents.close_mended() == 0
    assert [bell.title for bell in bells(clinic)] == ["SMS messages: some are refused"] * 2
    clock.on(minutes=10)
    assert incidents.close_mended() == 2
    told = bells(clinic)
    assert [bell.title for bell in told[2:]] == ["SMS messages: no more are refused"] * 2
    assert all(bell.resolved_at for bell in told[:2])
    assert bells(other_clinic) == []


def test_a_channel_that_is_not_set_up_is_told_until_it_is(
    clinic: Clinic, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sms_providers, "providers_for", lambda channel: [])
    refused(clinic, code=Reason.CHANNEL_DISABLED, detail="")
    clock.on(days=1)
    assert incidents.close_mended() == 0
    monkeypatch.setattr(sms_providers, "providers_for", lambda channel: [FakeProvider()])
    assert incidents.close_mended() == 1
    assert [bell.title for bell in bells(clinic)] == [
        "SMS messages are not being sent",
        "SMS messages: no more are refused",
    ]


# --- Where the bell leads --------------------------------------------------------------------------------------------


def test_the_bell_leads_to_the_late_messages_and_to_the_page_about_sending(
    clinic: Clinic, other_clinic: Clinic, alone: None, clock: Clock
) -> None:
    report(*[HUNG] * 5)
    late_message(clinic)
    incidents.note_expired(clinic.tenant.pk, 1)
    clock.on(minutes=2)
    incidents.close_quiet()
    outage, late = bells(clinic)
    assert links.address_of(outage, clinic.admin) == "/notifications/operations/"
    assert links.address_of(late, clinic.admin) == "/notifications/messages/?status=EXPIRED"
    answer = clinic.client(clinic.admin).get(links.address_of(late, clinic.admin))
    assert answer.status_code == 200
    strangers: list[User] = [other_clinic.admin, clinic.provider, clinic.patient_user]
    assert [links.address_of(late, stranger) for stranger in strangers] == [None, None, None]
    assert links.address_of(outage, clinic.front_desk) is None, "the page is the admins'"


# --- At the same moment ----------------------------------------------------------------------------------------------


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_workers_that_begin_an_incident_at_once_begin_one(clinic: Clinic, other_clinic: Clinic) -> None:
    began = at_once(6, lambda _worker: incidents.begin(Incident.Kind.OUTAGE, provider="first", channel="SMS", code="x"))
    assert sorted(map(bool, began)) == [False] * 5 + [True]
    assert [len(bells(house)) for house in (clinic, other_clinic)] == [1, 1]


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_sweepers_that_note_and_close_at_once_tell_one_summary(clinic: Clinic) -> None:
    late_message(clinic)
    at_once(6, lambda _worker: incidents.note_expired(clinic.tenant.pk, 1))
    incident = Incident.objects.get()
    assert incident.detail == "6"
    earlier = timezone.now() - dt.timedelta(minutes=3)
    Message.objects.update(updated_at=earlier)
    Incident.objects.update(started_at=earlier, code=earlier.isoformat())
    assert sorted(map(int, map(str, at_once(6, lambda _worker: incidents.close_quiet())))) == [0] * 5 + [1]
    assert len(bells(clinic)) == 1
