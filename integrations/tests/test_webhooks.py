"""Providers report: who may, what is kept, and that repeating or guessing does no harm. Workers apply it."""

from __future__ import annotations

import uuid
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlencode

import pytest
import responses
from django.db import OperationalError, connection
from django.http import QueryDict
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from twilio.request_validator import RequestValidator

from conftest import Clinic
from integrations import sms_providers
from integrations.sandbox import account
from integrations.tasks import apply_receipts_task, sweep_receipts_task
from notifications import receipts
from notifications.models import InboundMessage, Message, MessageAttempt, MessageLog, ProviderReceipt
from notifications.states import NotificationType, Status

BASE = "https://clinic.example"
SID = "SM" + "a" * 32


@pytest.fixture(autouse=True)
def set_up(settings: Any) -> None:
    settings.PUBLIC_BASE_URL = BASE
    settings.TWILIO_AUTH_TOKEN = "the-token"
    settings.ALLOWED_HOSTS = ["*"]


@pytest.fixture(autouse=True)
def rung(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The tasks that were handed to the broker."""
    names: list[str] = []
    monkeypatch.setattr("core.queueing.publish", lambda task, *args, queue=None: names.append(task.name) or True)
    return names


@pytest.fixture
def message(clinic: Clinic) -> Message:
    """An SMS that Twilio has accepted at the first attempt."""
    made = Message.objects.create(
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
        attempt_count=1,
        dedupe_key=str(uuid.uuid4()),
    )
    attempt(made, provider="twilio", provider_message_id=SID)
    return made


def attempt(message: Message, **fields: Any) -> MessageAttempt:
    now = timezone.now()
    return MessageAttempt.objects.create(
        tenant_id=message.tenant_id,
        message=message,
        number=1,
        lease_token=uuid.uuid4(),
        started_at=now,
        finished_at=now,
        outcome="accepted",
        **fields,
    )


def report(
    ref: object,
    status: str = "delivered",
    *,
    token: str = "the-token",
    signature: str | None = None,
    query: str = "?attempt=1",
    **more: str,
) -> Any:
    path = f"/webhooks/twilio/status/{ref}/{query}"
    form = {"MessageSid": SID, "MessageStatus": status, "To": "+966501112222", "From": "NOOR", **more}
    made = RequestValidator(token).compute_signature(BASE + path, form)
    headers = {"X-Twilio-Signature": made if signature is None else signature}
    return post(path, form, headers)


def post(path: str, form: Any, headers: dict[str, str]) -> Any:
    """As Twilio posts: a form, and no cookie."""
    body = urlencode(form, doseq=True)
    return Client(enforce_csrf_checks=True).post(
        path, body, content_type="application/x-www-form-urlencoded; charset=UTF-8", headers=headers
    )


def status_of(message: Message) -> str:
    """After the workers have done what waits."""
    apply_receipts_task()
    message.refresh_from_db()
    return message.status


def test_a_signed_report_is_stored_then_moves_the_message(message: Message, rung: list[str]) -> None:
    assert report(message.pk).status_code == 204
    receipt = ProviderReceipt.objects.get()
    assert (receipt.provider, receipt.message_ref, receipt.attempt) == ("twilio", str(message.pk), 1)
    assert (receipt.provider_message_id, receipt.status, receipt.applied_at) == (SID, "delivered", None)
    assert rung == [apply_receipts_task.name]
    assert status_of(message) == Status.DELIVERED
    receipt.refresh_from_db()
    assert (receipt.message_id, receipt.tenant_id) == (message.pk, message.tenant_id)
    assert receipt.applied_at is not None


def test_a_report_costs_one_statement(message: Message) -> None:
    with CaptureQueriesContext(
        connection,
    ) as queries:
        assert report(message.pk).status_code == 204
    assert len(queries) == 1
    assert "ON CONFLICT" in queries[0]["sql"]


def test_a_report_is_stored_again_over_a_new_connection(message: Message, monkeypatch: pytest.MonkeyPatch) -> None:
    """The database was restarted under a connection that this thread kept open."""
    done: list[str] = []

    def insert(_values: Any) -> bool:
        done.append("insert")
        if len(done) == 1:
            raise OperationalError
        return True

    stale = SimpleNamespace(in_atomic_block=False, close=lambda: done.append("close"))
    monkeypatch.setattr(receipts, "connection", stale)
    monkeypatch.setattr(receipts, "_insert", insert)
    assert report(message.pk).status_code == 204
    assert done == ["insert", "close", "insert"]


def test_neither_address_nor_text_is_kept(message: Message) -> None:
    report(message.pk, Body="private", ProfileName="Sara", ErrorCode="30003", Unheard="of")
    receipt = ProviderReceipt.objects.get()
    assert receipt.payload == {"MessageSid": SID, "MessageStatus": "delivered", "ErrorCode": "30003"}
    assert receipt.error_code == "30003"


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


def test_the_attempt_in_the_address_is_part_of_the_signature(message: Message) -> None:
    path = f"/webhooks/twilio/status/{message.pk}/?attempt="
    form = {"MessageSid": SID, "MessageStatus": "delivered"}
    made = RequestValidator("the-token").compute_signature(f"{BASE}{path}1", form)
    assert Client().post(f"{path}2", form, headers={"X-Twilio-Signature": made}).status_code == 403
    assert not ProviderReceipt.objects.exists()


@pytest.mark.parametrize(
    ("query", "number"),
    [
        ("?attempt=3", 3),
        ("?attempt=", None),
        ("?attempt=-1", None),
        ("?attempt=99999", None),
        ("?attempt=%D9%A3", None),
        ("", None),
    ],
)
def test_an_attempt_that_is_no_number_is_none(message: Message, query: str, number: int | None) -> None:
    assert report(message.pk, query=query).status_code == 204
    assert ProviderReceipt.objects.get().attempt == number


def test_all_values_of_a_parameter_and_empty_ones_are_signed(message: Message) -> None:
    path = f"/webhooks/twilio/status/{message.pk}/"
    form = {"MessageSid": SID, "MessageStatus": "delivered", "New": ["b", "a"], "Empty": ""}
    made = RequestValidator("the-token").compute_signature(f"{BASE}{path}", QueryDict(urlencode(form, doseq=True)))
    assert post(path, form, {"X-Twilio-Signature": made}).status_code == 204
    assert post(path, form | {"New": ["b"]}, {"X-Twilio-Signature": made}).status_code == 403


def test_the_port_may_be_signed_or_not(message: Message, settings: Any) -> None:
    path = f"/webhooks/twilio/status/{message.pk}/"
    form = {"MessageSid": SID, "MessageStatus": "delivered"}
    made = RequestValidator("the-token").compute_signature(f"{BASE}:443{path}", form)
    assert post(path, form, {"X-Twilio-Signature": made}).status_code == 204


def test_a_flood_of_parameters_is_not_read(message: Message) -> None:
    form = {f"p{number}": "" for number in range(1000)}
    assert post(f"/webhooks/twilio/status/{message.pk}/", form, {"X-Twilio-Signature": "x"}).status_code == 400


def test_a_providers_program_gets_no_session_and_needs_no_language(message: Message) -> None:
    answer = report(message.pk)
    assert answer.cookies == {}
    assert not {"Content-Language", "Content-Security-Policy", "Vary"} & set(answer.headers)


def test_a_report_is_not_sent_elsewhere(message: Message, settings: Any) -> None:
    """A redirect to https would lose what was posted."""
    settings.SECURE_SSL_REDIRECT = True
    assert report(message.pk).status_code == 204


def test_an_address_of_nobody_is_not_found_as_everywhere(clinic: Clinic) -> None:
    answer = Client().get("/webhooks/nobody/")
    assert answer.status_code == 404
    assert "Content-Security-Policy" in answer.headers


def test_a_query_in_the_address_is_part_of_the_signature(message: Message) -> None:
    path = f"/webhooks/twilio/status/{message.pk}/?a=%2Fb&c=d%20e"
    form = {"MessageSid": SID, "MessageStatus": "delivered"}
    made = RequestValidator("the-token").compute_signature(BASE + path, form)
    assert Client().post(path, form, headers={"X-Twilio-Signature": made}).status_code == 204


def test_an_unknown_message_is_kept_and_the_provider_thanked(clinic: Clinic) -> None:
    for ref in (uuid.uuid4(), "no-id-at-all"):
        assert report(ref).status_code == 204
    assert apply_receipts_task()["unknown"] == 2
    assert ProviderReceipt.objects.filter(message=None, applied_at__isnull=False).count() == 2


def test_the_same_report_twice_is_one_row_and_one_move(message: Message, rung: list[str]) -> None:
    for _turn in range(3):
        assert report(message.pk).status_code == 204
    assert ProviderReceipt.objects.count() == 1
    assert len(rung) == 1
    assert status_of(message) == Status.DELIVERED
    assert MessageLog.objects.filter(message=message, status=Status.DELIVERED).count() == 1


def test_a_late_report_does_not_turn_the_status_back(message: Message) -> None:
    report(message.pk, "delivered")
    assert report(message.pk, "sent").status_code == 204
    assert status_of(message) == Status.DELIVERED


def test_a_word_nobody_has_seen_is_kept(message: Message) -> None:
    assert report(message.pk, "teleported").status_code == 204
    assert status_of(message) == Status.SENT


def test_a_report_whose_doorbell_was_lost_is_applied_by_the_sweeper(
    message: Message, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.queueing.publish", lambda *_args, **_options: False)
    assert report(message.pk).status_code == 204
    assert sweep_receipts_task()["applied"] == 1
    message.refresh_from_db()
    assert message.status == Status.DELIVERED


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
    settings.UNIFONIC_SENDER_ID = "NOOR"
    sms_providers.forget()


def details(ref: object, dlr: str) -> None:
    row = {"MessageID": 42, "CorrelationID": str(ref), "Status": "Sent", "DLR": dlr}
    responses.post(
        "https://el.cloud.unifonic.com/rest/SMS/Messages/GetMessagesDetails",
        json={"success": True, "data": {"messages": [row] if dlr else []}},
    )


@pytest.fixture
def by_unifonic(message: Message) -> Message:
    message.attempts.update(provider="unifonic", provider_message_id="42")
    Message.objects.filter(pk=message.pk).update(provider="unifonic", provider_message_id="42")
    return message


@responses.activate
def test_unifonic_is_asked_before_its_report_is_believed(by_unifonic: Message, unifonic: None) -> None:
    details(by_unifonic.pk, "Delivered")
    url = f"/webhooks/unifonic/status/{by_unifonic.pk}/?key=path-secret"
    assert Client(enforce_csrf_checks=True).post(url, {"DLR": "Undelivered"}).status_code == 200
    assert len(responses.calls) == 0, "answered first, asked later"
    hint = ProviderReceipt.objects.get()
    assert (hint.status, hint.payload) == ("hint:Undelivered", {"reported": "Undelivered"})
    assert status_of(by_unifonic) == Status.DELIVERED
    assert len(responses.calls) == 1
    hint.refresh_from_db()
    assert hint.message_id == by_unifonic.pk
    assert status_of(by_unifonic) == Status.DELIVERED
    assert len(responses.calls) == 1, "asked once"


@responses.activate
@pytest.mark.parametrize("key", ["", "wrong", "päth"])
def test_a_report_without_the_key_is_refused_and_asks_nobody(message: Message, unifonic: None, key: str) -> None:
    assert Client().get(f"/webhooks/unifonic/status/{message.pk}/", {"key": key}).status_code == 403
    assert not ProviderReceipt.objects.exists()


def test_without_a_secret_no_key_fits(message: Message, settings: Any) -> None:
    settings.UNIFONIC_WEBHOOK_SECRET = ""
    assert Client().get(f"/webhooks/unifonic/status/{message.pk}/").status_code == 403


def test_the_key_may_come_in_a_header_and_the_report_as_json(message: Message, unifonic: None) -> None:
    answer = Client().post(
        f"/webhooks/unifonic/status/{message.pk}/",
        '{"dlr": "Delivered"}',
        content_type="application/json",
        headers={"X-Agdar-Key": "path-secret"},
    )
    assert answer.status_code == 200
    assert ProviderReceipt.objects.get().payload["reported"] == "Delivered"


@responses.activate
def test_when_unifonic_cannot_be_asked_now_provider_sync_goes_on_asking(by_unifonic: Message, unifonic: None) -> None:
    responses.post("https://el.cloud.unifonic.com/rest/SMS/Messages/GetMessagesDetails", status=503)
    answer = Client().get(f"/webhooks/unifonic/status/{by_unifonic.pk}/", {"key": "path-secret"})
    assert answer.status_code == 200
    assert status_of(by_unifonic) == Status.SENT
    assert by_unifonic.next_check_at is not None
    assert ProviderReceipt.objects.get().applied_at is not None


@responses.activate
def test_a_message_that_unifonic_does_not_know_changes_nothing(by_unifonic: Message, unifonic: None) -> None:
    details(by_unifonic.pk, "")
    answer = Client().get(f"/webhooks/unifonic/status/{by_unifonic.pk}/", {"key": "path-secret"})
    assert answer.status_code == 200
    assert Client().get("/webhooks/unifonic/status/nothing/", {"key": "path-secret"}).status_code == 200
    assert status_of(by_unifonic) == Status.SENT
    assert not ProviderReceipt.objects.filter(applied_at=None).exists()
