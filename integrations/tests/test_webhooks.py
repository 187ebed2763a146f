"""Providers report: who may, what is kept, and that repeating or guessing does no harm."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
import responses
from django.db import DatabaseError
from django.test import Client
from django.utils import timezone
from twilio.request_validator import RequestValidator

from conftest import Clinic
from integrations import sms_providers
from integrations.sandbox import account
from notifications import receipts
from notifications.models import InboundMessage, Message, MessageLog, ProviderReceipt
from notifications.states import NotificationType, Status

BASE = "https://clinic.example"
SID = "SM" + "a" * 32


@pytest.fixture(autouse=True)
def set_up(settings: Any) -> None:
    settings.PUBLIC_BASE_URL = BASE
    settings.TWILIO_AUTH_TOKEN = "the-token"
    settings.ALLOWED_HOSTS = ["*"]


@pytest.fixture
def message(clinic: Clinic) -> Message:
    """An SMS that Twilio has accepted."""
    return Message.objects.create(
        tenant=clinic.tenant,
        patient=clinic.patient,
        notification_type=NotificationType.GENERAL,
        channel="SMS",
        recipient=clinic.patient.phone,
        language="ar",
        body="words",
        status=Status.SENT,
        sent_at=timezone.now(),
        provider="twilio",
        provider_message_id=SID,
        dedupe_key=str(uuid.uuid4()),
    )


def report(
    ref: object, status: str = "delivered", *, token: str = "the-token", signature: str | None = None, **more: str
) -> Any:
    path = f"/webhooks/twilio/status/{ref}/"
    form = {"MessageSid": SID, "MessageStatus": status, "To": "+966501112222", "From": "NOOR", **more}
    made = RequestValidator(token).compute_signature(BASE + path, form)
    headers = {"X-Twilio-Signature": made if signature is None else signature}
    return Client(enforce_csrf_checks=True).post(path, form, headers=headers)


def status_of(message: Message) -> str:
    message.refresh_from_db()
    return message.status


def test_a_signed_report_moves_the_message(message: Message) -> None:
    assert report(message.pk).status_code == 204
    assert status_of(message) == Status.DELIVERED
    receipt = ProviderReceipt.objects.get()
    assert (receipt.provider, receipt.message_id, receipt.status) == ("twilio", message.pk, "delivered")
    assert receipt.applied_at is not None


def test_neither_address_nor_text_is_kept(message: Message) -> None:
    report(message.pk, Body="private", ProfileName="Sara", ErrorCode="30003", Unheard="of")
    assert ProviderReceipt.objects.get().payload == {
        "MessageSid": SID,
        "MessageStatus": "delivered",
        "ErrorCode": "30003",
    }


@pytest.mark.parametrize("signature", ["", "wrong", "é" * 28, "A" * 28])
def test_a_wrong_or_missing_signature_is_refused(message: Message, signature: str) -> None:
    assert report(message.pk, signature=signature).status_code == 403
    assert not ProviderReceipt.objects.exists()
    assert status_of(message) == Status.SENT


def test_a_signature_of_another_report_does_not_fit(message: Message) -> None:
    path = f"/webhooks/twilio/status/{message.pk}/"
    made = RequestValidator("the-token").compute_signature(BASE + path, {"MessageStatus": "sent"})
    assert report(message.pk, "delivered", signature=made).status_code == 403


def test_without_a_token_nothing_is_believed(message: Message, settings: Any) -> None:
    settings.TWILIO_AUTH_TOKEN, settings.SANDBOX_ENABLED = "", False
    assert report(message.pk, token="").status_code == 403


def test_the_sandbox_is_believed_only_while_it_is_switched_on(message: Message, settings: Any) -> None:
    settings.SANDBOX_ENABLED = False
    assert report(message.pk, token=account.TOKEN).status_code == 403
    settings.SANDBOX_ENABLED = True
    assert report(message.pk, token=account.TOKEN).status_code == 204
    assert ProviderReceipt.objects.get().provider == "sandbox"


def test_a_query_in_the_address_is_part_of_the_signature(message: Message) -> None:
    path = f"/webhooks/twilio/status/{message.pk}/?a=%2Fb&c=d%20e"
    form = {"MessageSid": SID, "MessageStatus": "delivered"}
    made = RequestValidator("the-token").compute_signature(BASE + path, form)
    assert Client().post(path, form, headers={"X-Twilio-Signature": made}).status_code == 204


def test_an_unknown_message_is_kept_and_the_provider_thanked(clinic: Clinic) -> None:
    for ref in (uuid.uuid4(), "no-id-at-all"):
        assert report(ref).status_code == 204
    assert ProviderReceipt.objects.filter(message=None).count() == 2


def test_the_same_report_twice_is_one_row_and_one_move(message: Message) -> None:
    for _turn in range(3):
        assert report(message.pk).status_code == 204
    assert ProviderReceipt.objects.count() == 1
    assert MessageLog.objects.filter(message=message, status=Status.DELIVERED).count() == 1


def test_a_late_report_does_not_turn_the_status_back(message: Message) -> None:
    report(message.pk, "delivered")
    assert report(message.pk, "sent").status_code == 204
    assert status_of(message) == Status.DELIVERED


def test_a_word_nobody_has_seen_is_kept(message: Message) -> None:
    assert report(message.pk, "teleported").status_code == 204
    assert status_of(message) == Status.SENT


def test_what_cannot_be_applied_now_is_left_to_the_sweeper(message: Message, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_receipt_id: uuid.UUID) -> bool:
        raise DatabaseError

    monkeypatch.setattr(receipts, "apply", broken)
    assert report(message.pk).status_code == 204
    assert ProviderReceipt.objects.get().applied_at is None


def test_reports_come_by_post_only(message: Message) -> None:
    assert Client().get(f"/webhooks/twilio/status/{message.pk}/").status_code == 405


def inbound(form: dict[str, str], *, token: str = "the-token") -> Any:
    made = RequestValidator(token).compute_signature(f"{BASE}/webhooks/twilio/inbound/", form)
    return Client(enforce_csrf_checks=True).post(
        "/webhooks/twilio/inbound/", form, headers={"X-Twilio-Signature": made}
    )


def test_a_reply_is_stored_once_and_answered_with_nothing_to_say(message: Message) -> None:
    form = {"From": message.recipient, "To": "NOOR", "Body": "سأحضر", "MessageSid": "SMreply"}
    for _turn in range(2):
        answer = inbound(form)
        assert (answer.status_code, answer["Content-Type"]) == (200, "text/xml")
        assert answer.content.endswith(b"<Response/>")
    reply = InboundMessage.objects.get()
    assert (reply.body, reply.channel, reply.in_reply_to_id) == ("سأحضر", "SMS", message.pk)


def test_a_reply_by_whatsapp_loses_its_prefix(message: Message) -> None:
    Message.objects.filter(pk=message.pk).update(channel="WHATSAPP")
    inbound({"From": f"whatsapp:{message.recipient}", "To": "whatsapp:+966550000000", "Body": "x", "MessageSid": "SMr"})
    reply = InboundMessage.objects.get()
    assert (reply.channel, reply.sender) == ("WHATSAPP", message.recipient)


def test_an_unsigned_reply_is_refused(message: Message) -> None:
    form = {"From": message.recipient, "To": "NOOR", "Body": "x", "MessageSid": "SMr"}
    assert inbound(form, token="guessed").status_code == 403
    assert not InboundMessage.objects.exists()


@pytest.fixture
def unifonic(settings: Any) -> None:
    settings.UNIFONIC_WEBHOOK_SECRET, settings.UNIFONIC_APP_SID = "path-secret", "app"
    sms_providers.forget()


def details(ref: object, dlr: str) -> None:
    row = {"MessageID": 42, "CorrelationID": str(ref), "Status": "Sent", "DLR": dlr}
    responses.post(
        "https://el.cloud.unifonic.com/rest/SMS/Messages/GetMessagesDetails",
        json={"success": True, "data": {"messages": [row] if dlr else []}},
    )


@responses.activate
def test_unifonic_is_asked_before_its_report_is_believed(message: Message, unifonic: None) -> None:
    details(message.pk, "Delivered")
    url = f"/webhooks/unifonic/status/{message.pk}/?key=path-secret"
    assert Client(enforce_csrf_checks=True).post(url, {"DLR": "Undelivered"}).status_code == 200
    assert status_of(message) == Status.DELIVERED
    receipt = ProviderReceipt.objects.get()
    assert receipt.payload == {"MessageID": "42", "confirmed": "Delivered", "reported": "Undelivered"}


@responses.activate
@pytest.mark.parametrize("key", ["", "wrong", "päth"])
def test_a_report_without_the_key_is_refused_and_asks_nobody(message: Message, unifonic: None, key: str) -> None:
    assert Client().get(f"/webhooks/unifonic/status/{message.pk}/", {"key": key}).status_code == 403
    assert len(responses.calls) == 0


def test_without_a_secret_no_key_fits(message: Message, settings: Any) -> None:
    settings.UNIFONIC_WEBHOOK_SECRET = ""
    assert Client().get(f"/webhooks/unifonic/status/{message.pk}/").status_code == 403


@responses.activate
def test_the_key_may_come_in_a_header_and_the_report_as_json(message: Message, unifonic: None) -> None:
    details(message.pk, "Delivered")
    answer = Client().post(
        f"/webhooks/unifonic/status/{message.pk}/",
        '{"dlr": "Delivered"}',
        content_type="application/json",
        headers={"X-Agdar-Key": "path-secret"},
    )
    assert answer.status_code == 200
    assert ProviderReceipt.objects.get().payload["reported"] == "Delivered"


@responses.activate
def test_when_unifonic_cannot_be_asked_it_shall_report_again(message: Message, unifonic: None) -> None:
    responses.post("https://el.cloud.unifonic.com/rest/SMS/Messages/GetMessagesDetails", status=503)
    answer = Client().get(f"/webhooks/unifonic/status/{message.pk}/", {"key": "path-secret"})
    assert answer.status_code == 503
    assert not ProviderReceipt.objects.exists()


@responses.activate
def test_a_message_that_unifonic_does_not_know_changes_nothing(message: Message, unifonic: None) -> None:
    details(message.pk, "")
    answer = Client().get(f"/webhooks/unifonic/status/{message.pk}/", {"key": "path-secret"})
    assert answer.status_code == 200
    assert status_of(message) == Status.SENT
