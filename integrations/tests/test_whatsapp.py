"""WhatsApp takes approved words only: what goes, as what, and by which way the rest goes."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import replace
from typing import Any

import pytest
from django.db.models import F

from conftest import Clinic
from core.contacts import Contact, contact_for
from core.errors import DomainError
from core.models import AuditEvent
from integrations import whatsapp
from integrations.delivery import deliver
from integrations.messaging_service import MessagingService
from integrations.outbox import Origin
from integrations.providers.sandbox import SandboxProvider
from integrations.providers.twilio import TwilioProvider
from integrations.sandbox import account
from integrations.sandbox.server import SandboxServer
from integrations.sms_providers import Approval, Approved, Kind, ProviderError
from integrations.tests.fakes import FakeProvider, error
from integrations.tests.sandbox_fixtures import listener, outgoing, sandbox
from notifications import whatsapp_approval
from notifications.models import InboundMessage, Message, MessageTemplate, WhatsAppApproval, WhatsAppContent
from notifications.states import Channel, Reason, Status
from notifications.whatsapp_approval import Wish
from tests import factories

__all__ = ["listener", "sandbox"]

SID = "HX" + "a1" * 16
State = WhatsAppApproval.State


@pytest.fixture
def strict(provider: FakeProvider) -> FakeProvider:
    """A provider as Twilio: WhatsApp only with approved words."""
    provider.approves = frozenset({Channel.WHATSAPP})
    return provider


@pytest.fixture
def templates(clinic: Clinic) -> dict[str, MessageTemplate]:
    words = {
        "code": "notice",
        "name": "Notice",
        "notification_type": "GENERAL",
        "subject_en": "A notice",
        "subject_ar": "إشعار",
        "body_en": "Dear {patient_name}, {text} {patient_name}",
        "body_ar": "عزيزنا {patient_name}، {text}",
        "variables": ["patient_name", "text"],
    }
    return {
        channel: MessageTemplate.objects.create(tenant=clinic.tenant, channel=channel, **words)
        for channel in (Channel.WHATSAPP, Channel.SMS)
    }


def approve(template: MessageTemplate, *languages: str, **fields: Any) -> None:
    for language in languages or ("en", "ar"):
        WhatsAppApproval.objects.create(
            tenant_id=template.tenant_id,
            template=template,
            language=language,
            **{"state": State.APPROVED, "content_sid": SID, "version": template.version} | fields,
        )


def route(clinic: Clinic, text: str = "we have moved.", key: str = "k") -> Message:
    return MessagingService().send_to_patient(
        patient=clinic.patient,
        template_code="notice",
        channels=[Channel.WHATSAPP, Channel.SMS],
        notification_type="GENERAL",
        context={"patient_name": clinic.patient, "text": text},
        dedupe_key=key,
        origin=Origin(),
        keep_fallback=True,
    )


def passed_over(message: Message) -> list[dict[str, str]]:
    return message.logs.get(event="CREATED").provider_response.get("passed_over", [])


# --- routing ---------------------------------------------------------------------------------------------------------


def test_words_without_approval_go_by_the_next_channel_and_say_why(
    clinic: Clinic, strict: FakeProvider, templates: dict[str, MessageTemplate]
) -> None:
    message = route(clinic)
    assert (message.channel, message.status) == (Channel.SMS, Status.QUEUED)
    assert passed_over(message) == [{"channel": "WHATSAPP", "reason": "whatsapp_unapproved"}]


def test_a_provider_without_the_rule_takes_them_as_they_are(
    clinic: Clinic, provider: FakeProvider, templates: dict[str, MessageTemplate]
) -> None:
    assert route(clinic).channel == Channel.WHATSAPP
    assert not WhatsAppContent.objects.exists()


@pytest.mark.parametrize("state", [state for state in State if state != State.APPROVED])
def test_only_approved_is_approved(
    clinic: Clinic, strict: FakeProvider, templates: dict[str, MessageTemplate], state: str
) -> None:
    approve(templates[Channel.WHATSAPP], state=state)
    assert route(clinic).channel == Channel.SMS


def test_an_approval_of_older_words_or_of_the_other_language_is_none(
    clinic: Clinic, strict: FakeProvider, templates: dict[str, MessageTemplate]
) -> None:
    template = templates[Channel.WHATSAPP]
    contact = contact_for(clinic.patient)
    assert isinstance(contact, Contact)
    other = "en" if route(clinic, key="first").language == "ar" else "ar"
    approve(template, other)
    assert route(clinic, key="k1").channel == Channel.SMS
    approve(template, "ar" if other == "en" else "en")
    assert route(clinic, key="k2").channel == Channel.WHATSAPP
    MessageTemplate.objects.filter(pk=template.pk).update(version=F("version") + 1)
    assert route(clinic, key="k3").channel == Channel.SMS


def test_within_a_day_of_the_patients_own_message_free_text_is_an_answer(
    clinic: Clinic, strict: FakeProvider, templates: dict[str, MessageTemplate]
) -> None:
    reply = InboundMessage.objects.create(
        tenant=clinic.tenant, channel=Channel.WHATSAPP, sender=clinic.patient.phone, patient=clinic.patient,
        provider="fake", provider_message_id="SM1",
    )  # fmt: skip
    message = route(clinic)
    assert (message.channel, hasattr(message, "whatsapp_content")) == (Channel.WHATSAPP, False)
    InboundMessage.objects.update(created_at=reply.created_at - dt.timedelta(hours=24))
    assert route(clinic, key="k2").channel == Channel.SMS


def test_with_no_other_way_the_refusal_is_a_row_that_staff_can_read(
    clinic: Clinic, strict: FakeProvider, templates: dict[str, MessageTemplate]
) -> None:
    templates[Channel.SMS].delete()
    message = route(clinic)
    assert (message.channel, message.status, message.reason) == (
        Channel.WHATSAPP, Status.SUPPRESSED, Reason.WHATSAPP_UNAPPROVED,
    )  # fmt: skip
    single = MessagingService().send_from_template(
        tenant_id=clinic.tenant.pk,
        template_code="notice",
        patient=clinic.patient,
        channel=Channel.WHATSAPP,
        context={"patient_name": clinic.patient, "text": "x"},
    )
    assert single.reason == Reason.WHATSAPP_UNAPPROVED


def test_words_typed_at_the_desk_go_as_before(clinic: Clinic, strict: FakeProvider) -> None:
    typed = MessagingService().send_message(
        tenant_id=clinic.tenant.pk, patient_id=clinic.patient.pk, channel=Channel.WHATSAPP, body="See you tomorrow."
    )
    assert (typed.channel, typed.status) == (Channel.WHATSAPP, Status.QUEUED)


# --- what it is sent as ----------------------------------------------------------------------------------------------


def test_it_leaves_as_the_approved_content_with_its_values_numbered(
    clinic: Clinic, strict: FakeProvider, templates: dict[str, MessageTemplate]
) -> None:
    approve(templates[Channel.WHATSAPP])
    message = route(clinic, text="line one\n\tline   two")
    WhatsAppApproval.objects.update(state=State.PAUSED, content_sid="HX" + "0" * 32)
    deliver(message.pk)
    [call] = strict.calls
    assert call.approved is not None
    assert call.approved.content_sid == SID
    # Numbered in the order of the text, a name that comes twice once; no line ends, which WhatsApp refuses.
    name = clinic.patient.name_in(message.language)
    values = json.loads(call.approved.variables)
    assert values["1"].strip("\u2068\u2069") == name
    assert values["2"].strip("\u2068\u2069") == "line one line two"
    assert list(values) == ["1", "2"]
    # The frozen words are the patient's.
    assert call.body == message.body
    assert name in message.body


def test_the_same_message_twice_has_one_content(
    clinic: Clinic, strict: FakeProvider, templates: dict[str, MessageTemplate]
) -> None:
    approve(templates[Channel.WHATSAPP])
    assert route(clinic).pk == route(clinic).pk
    assert WhatsAppContent.objects.count() == 1


def test_an_approval_taken_back_in_mid_way_falls_back_as_any_refusal(
    clinic: Clinic, strict: FakeProvider, templates: dict[str, MessageTemplate]
) -> None:
    approve(templates[Channel.WHATSAPP])
    message = route(clinic)
    strict.script = [error(Kind.CONTENT, "63041")]
    deliver(message.pk)
    message.refresh_from_db()
    assert (message.status, message.error_code, message.fallback_channels) == (Status.FAILED, "63041", ["SMS"])


def test_many_are_written_to_under_the_same_rule(
    clinic: Clinic, strict: FakeProvider, templates: dict[str, MessageTemplate]
) -> None:
    approve(templates[Channel.WHATSAPP], "en")
    english, arabic = (factories.PatientFactory(tenant=clinic.tenant, language=one) for one in ("en", "ar"))

    def send(key: str, channel: str | None) -> dict[str, str]:
        MessagingService().send_bulk_messages(
            tenant_id=clinic.tenant.pk,
            patient_ids=[english.pk, arabic.pk],
            template_code="notice",
            channel=channel,
            context={"text": "closed  today"},
            bulk_key=key,
        )
        rows = Message.objects.filter(dedupe_key__startswith=f"bulk:{key}:")
        return {row.language: f"{row.channel} {row.status} {row.reason}".strip() for row in rows}

    assert send("asked", Channel.WHATSAPP) == {
        "en": "WHATSAPP QUEUED", "ar": "WHATSAPP SUPPRESSED whatsapp_unapproved",
    }  # fmt: skip
    content = WhatsAppContent.objects.get()
    assert (content.message.patient_id, content.content_sid) == (english.pk, SID)
    assert content.variables["2"] == "closed today"
    for patient in (english, arabic):
        factories.PreferenceFactory(tenant=clinic.tenant, patient=patient, preferred_channel=Channel.WHATSAPP)
    assert send("free", None) == {"en": "WHATSAPP QUEUED", "ar": "SMS QUEUED"}


# --- noting and asking -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wish", "code"),
    [
        (Wish(state=State.APPROVED), "sid_missing"),
        (Wish(state=State.APPROVED, content_sid="HX123"), "sid_unknown"),
        (Wish(state=State.PENDING, content_sid="SM" + "a" * 32), "sid_unknown"),
    ],
)
def test_an_approval_without_its_content_is_refused(
    clinic: Clinic, templates: dict[str, MessageTemplate], wish: Wish, code: str
) -> None:
    with pytest.raises(DomainError) as refused:
        whatsapp_approval.approval_set(
            actor=clinic.admin, template=templates[Channel.WHATSAPP], language="en", wish=wish
        )
    assert refused.value.code == code


def test_noting_is_for_the_words_of_now_and_audited(clinic: Clinic, templates: dict[str, MessageTemplate]) -> None:
    template = templates[Channel.WHATSAPP]
    wish = Wish(state=State.REJECTED, content_sid=SID, rejection_reason="Too vague.")
    for _again in range(2):
        row = whatsapp_approval.approval_set(actor=clinic.admin, template=template, language="ar", wish=wish)
    assert (row.version, row.rejection_reason, row.updated_by) == (template.version, "Too vague.", clinic.admin)
    [event] = AuditEvent.objects.filter(action="whatsapp_approval.changed")
    assert event.after["state"] == State.REJECTED
    row = whatsapp_approval.approval_set(
        actor=clinic.admin, template=template, language="ar", wish=replace(wish, state=State.PENDING)
    )
    assert row.rejection_reason == ""
    with pytest.raises(DomainError):
        whatsapp_approval.approval_set(actor=clinic.admin, template=templates[Channel.SMS], language="en", wish=wish)


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (None, "sid_not_found"),
        (ProviderError(Kind.AMBIGUOUS), "no_answer"),
        (Approval(status="brand_new_word"), "state_unknown"),
    ],
)
def test_an_answer_that_says_nothing_changes_nothing(
    clinic: Clinic, strict: FakeProvider, templates: dict[str, MessageTemplate], answer: Any, code: str
) -> None:
    approve(templates[Channel.WHATSAPP], "en")
    strict.approval = answer
    row = WhatsAppApproval.objects.get()
    with pytest.raises(DomainError) as refused:
        whatsapp.refresh(actor=clinic.admin, approval=row)
    row.refresh_from_db()
    assert (refused.value.code, row.state) == (code, State.APPROVED)


def test_asking_again_later_keeps_the_version_that_was_submitted(
    clinic: Clinic, strict: FakeProvider, templates: dict[str, MessageTemplate]
) -> None:
    template = templates[Channel.WHATSAPP]
    approve(template, "en", state=State.PENDING)
    MessageTemplate.objects.filter(pk=template.pk).update(version=F("version") + 1)
    strict.approval = Approval(status="approved", category="marketing")
    row = whatsapp.refresh(actor=clinic.admin, approval=WhatsAppApproval.objects.get())
    template.refresh_from_db()
    assert (row.state, row.category, row.covers(template.version)) == (State.APPROVED, "MARKETING", False)


# --- over the wire ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("last", "status", "reason"),
    [("0", "approved", ""), ("d", "pending", ""), ("e", "rejected", "UTILITY"), ("f", "paused", "")],
)
def test_the_content_api_is_asked_and_read(
    sandbox: SandboxServer, settings: Any, last: str, status: str, reason: str
) -> None:
    settings.TWILIO_API_BASE_URL = sandbox.url
    settings.TWILIO_ACCOUNT_SID, settings.TWILIO_AUTH_TOKEN = account.SID, account.TOKEN
    found = TwilioProvider().approval_of(f"HX{'1' * 31}{last}")
    assert found is not None
    assert (found.status, found.category) == (status, "utility")
    assert reason in found.reason
    assert TwilioProvider().approval_of("HX1") is None
    settings.TWILIO_AUTH_TOKEN = "wrong"
    with pytest.raises(ProviderError) as refused:
        TwilioProvider().approval_of(f"HX{'1' * 32}")
    assert refused.value.kind is Kind.CONFIGURATION


def test_an_approved_content_is_sent_without_a_text_and_shown_on_the_phone(sandbox: SandboxServer) -> None:
    approved = Approved(SID, json.dumps({"1": "سارة"}, ensure_ascii=False))
    sent = outgoing(channel="WHATSAPP", body="عزيزتي سارة", approved=approved)
    form = TwilioProvider._form(SandboxProvider(), sent)
    assert (form["ContentSid"], json.loads(form["ContentVariables"])) == (SID, {"1": "سارة"})
    assert "Body" not in form
    accepted = SandboxProvider().send(sent)
    kept = sandbox.store.message(accepted.provider_message_id)
    assert kept is not None
    assert kept.body == "عزيزتي سارة"


@pytest.mark.parametrize(
    ("approved", "code"),
    [
        (Approved("HX1", "{}"), "21655"),
        (Approved(SID, "[]"), "21656"),
        (Approved(SID, '{"name": "Sara"}'), "21656"),
        (Approved(SID, json.dumps({"1": "two\nlines"})), "21656"),
    ],
)
def test_the_sandbox_refuses_what_twilio_refuses(sandbox: SandboxServer, approved: Approved, code: str) -> None:
    with pytest.raises(ProviderError) as refused:
        SandboxProvider().send(outgoing(channel="WHATSAPP", approved=approved))
    assert refused.value.code == code


def test_the_rule_is_twilios_and_the_sandboxs_where_it_is_switched_on(settings: Any) -> None:
    assert TwilioProvider().needs_approval(Channel.WHATSAPP)
    assert not TwilioProvider().needs_approval(Channel.SMS)
    assert not SandboxProvider().needs_approval(Channel.WHATSAPP)
    settings.SANDBOX_WHATSAPP_APPROVAL = True
    assert SandboxProvider().needs_approval(Channel.WHATSAPP)


def test_a_search_that_finds_other_words_under_whatsapp_proves_nothing(sandbox: SandboxServer) -> None:
    """Twilio fills an approved content in by itself: it may list the very message with other blanks than ours."""
    provider = SandboxProvider()
    approved = Approved(SID, json.dumps({"1": "Sara"}))
    provider.send(outgoing(channel="WHATSAPP", body="Dear Sara,  welcome", approved=approved))
    began = dt.datetime.now(dt.UTC) - dt.timedelta(minutes=1)
    ask = {"message_id": "m", "to": outgoing().to, "sent_after": began, "channel": Channel.WHATSAPP}
    with pytest.raises(ProviderError) as refused:
        provider.look_up(body="Dear Sara, welcome", **ask)
    assert (refused.value.kind, refused.value.code) == (Kind.AMBIGUOUS, "other_words")
    found = provider.look_up(body="Dear Sara,  welcome", **ask)
    assert found is not None
    assert provider.look_up(body="Dear Sara, welcome", known_ids={found.provider_message_id}, **ask) is None
