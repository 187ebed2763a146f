"""A mail service by HTTP: anymail's own Postmark backend against its interface, answer by answer."""

from __future__ import annotations

import json
import socket
from typing import Any

import pytest
import requests
import responses
from django.utils import timezone

from integrations import checks, sms_providers
from integrations.providers.anymail_email import ERRORS, STATUSES, AnymailEmailProvider
from integrations.sms_providers import Kind, Outgoing, ProviderError, Scope
from integrations.tests.sandbox_fixtures import outgoing
from notifications.states import Status

URL = "https://api.postmarkapp.com/email"
ID = "b7bc2f4a-e38e-4336-af7d-e6c392c2f817"
OK = {
    "ErrorCode": 0,
    "Message": "OK",
    "MessageID": ID,
    "SubmittedAt": "2026-11-23T10:00:00Z",
    "To": "sara@mail.example",
}


@pytest.fixture(autouse=True)
def postmark(settings: Any) -> None:
    settings.EMAIL_PROVIDER = ["anymail"]
    settings.ANYMAIL_ESP = "postmark"
    settings.ANYMAIL = {"POSTMARK_SERVER_TOKEN": "the-token"}
    settings.ANYMAIL_WEBHOOK_SECRET = ["noor:secret"]


def letter(**fields: Any) -> Outgoing:
    values = {"subject": "موعدك", "body": "مرحبًا", "language": "ar", "sender": "نور <desk@noor.example>", "attempt": 2}
    return outgoing(fields.pop("to", "sara@mail.example"), channel="EMAIL", **values | fields)


def failure(**fields: Any) -> ProviderError:
    with pytest.raises(ProviderError) as raised:
        AnymailEmailProvider().send(letter(**fields))
    assert "sara" not in f"{raised.value} {raised.value.response}"
    return raised.value


@responses.activate
def test_a_mail_is_handed_over_with_our_id_and_without_spies() -> None:
    responses.post(URL, json=OK)
    accepted = AnymailEmailProvider().send(letter())
    assert (accepted.provider_message_id, accepted.status) == (ID, Status.SENT)
    [call] = responses.calls
    sent = json.loads(call.request.body)
    assert call.request.headers["X-Postmark-Server-Token"] == "the-token"
    assert (sent["To"], sent["Subject"], sent["TextBody"]) == ("sara@mail.example", "موعدك", "مرحبًا")
    assert 'dir="rtl"' in sent["HtmlBody"]
    assert sent["Metadata"] == {"message_id": letter().message_id, "attempt": "2"}
    assert (sent["TrackOpens"], sent["TrackLinks"]) == (False, "None")
    names = {header["Name"] for header in sent["Headers"]}
    assert names == {"Content-Language", "Auto-Submitted"}


@responses.activate
@pytest.mark.parametrize(
    ("status", "kind", "scope"),
    [
        (401, Kind.CONFIGURATION, Scope.ACCOUNT),
        (403, Kind.CONFIGURATION, Scope.ACCOUNT),
        (400, Kind.CONFIGURATION, Scope.MESSAGE),
        (408, Kind.AMBIGUOUS, Scope.MESSAGE),
        (418, Kind.TRANSIENT, Scope.MESSAGE),
        (429, Kind.TRANSIENT, Scope.MESSAGE),
        (500, Kind.AMBIGUOUS, Scope.MESSAGE),
        (503, Kind.AMBIGUOUS, Scope.MESSAGE),
    ],
)
def test_a_refusal_means_what_its_status_says(status: int, kind: Kind, scope: Scope) -> None:
    responses.post(URL, status=status, json={"ErrorCode": 10, "Message": "about sara@mail.example"})
    error = failure()
    assert (error.kind, error.scope, error.code) == (kind, scope, str(status))
    assert error.response == {"status": status, "ErrorCode": 10}


@responses.activate
def test_the_time_that_the_service_asks_for_is_kept() -> None:
    responses.post(URL, status=429, headers={"Retry-After": "17"})
    assert failure().retry_after == 17


@responses.activate
@pytest.mark.parametrize(
    ("answer", "kind", "code"),
    [
        ({"ErrorCode": 300, "Message": "Invalid 'To' address: 'sara@mail.example'."}, Kind.NUMBER, "invalid"),
        ({"ErrorCode": 406, "Message": "Found inactive addresses: sara@mail.example. Inactive recipients are ones"},
         Kind.NUMBER, "rejected"),
        ({"ErrorCode": 400, "Message": "The 'From' address you supplied is not a Sender Signature"},
         Kind.CONFIGURATION, "422"),
    ],
)  # fmt: skip
def test_a_service_that_does_not_write_to_an_address_says_so(answer: dict[str, Any], kind: Kind, code: str) -> None:
    responses.post(URL, status=422, json=answer)
    error = failure()
    assert (error.kind, error.code) == (kind, code)


@responses.activate
@pytest.mark.parametrize("body", ["", "no json", '{"ErrorCode": 0, "Message": "OK"}', "[]"])
def test_an_answer_that_cannot_be_read_proves_nothing(body: str) -> None:
    responses.post(URL, body=body)
    assert failure().kind is Kind.AMBIGUOUS


@responses.activate
def test_a_connection_that_breaks_proves_nothing() -> None:
    responses.post(URL, body=requests.ConnectionError(ConnectionResetError()))
    assert failure().kind is Kind.AMBIGUOUS


@responses.activate
def test_a_timeout_proves_nothing() -> None:
    responses.post(URL, body=requests.ReadTimeout())
    assert failure().kind is Kind.AMBIGUOUS


def test_a_service_that_refuses_the_connection_got_nothing(settings: Any) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings.ANYMAIL = {"POSTMARK_SERVER_TOKEN": "x", "POSTMARK_API_URL": f"http://127.0.0.1:{port}"}
    assert failure().kind is Kind.TRANSIENT


@responses.activate
def test_the_mail_is_not_carried_to_another_address() -> None:
    responses.post(URL, status=307, headers={"Location": "https://elsewhere.example/"})
    elsewhere = responses.post("https://elsewhere.example/", json=OK)
    error = failure()
    assert (error.kind, error.scope) == (Kind.CONFIGURATION, Scope.ACCOUNT)
    assert elsewhere.call_count == 0


@pytest.mark.parametrize("fields", [{"subject": "a\nBcc: everybody@x.example"}, {"to": "a@b\nc@d"}, {"to": "nobody"}])
def test_what_cannot_stand_in_a_header_is_refused(fields: dict[str, str]) -> None:
    with pytest.raises(ProviderError) as raised:
        AnymailEmailProvider().send(letter(**fields))
    assert raised.value.kind is Kind.CONTENT


@pytest.mark.parametrize("esp", ["postmark", "pigeon"])
def test_a_service_that_is_not_set_up_stops_the_account(settings: Any, esp: str) -> None:
    settings.ANYMAIL_ESP, settings.ANYMAIL = esp, {"IGNORED": 1}
    error = failure()
    assert (error.kind, error.scope) == (Kind.CONFIGURATION, Scope.ACCOUNT)


def test_nobody_can_be_asked_about_a_mail() -> None:
    with pytest.raises(ProviderError) as raised:
        AnymailEmailProvider().look_up(message_id="x", to="a@b.example", sent_after=timezone.now())
    assert raised.value.kind is Kind.AMBIGUOUS


@pytest.mark.parametrize("missing", ["ANYMAIL_ESP", "ANYMAIL", "ANYMAIL_WEBHOOK_SECRET"])
def test_a_missing_setting_is_named_and_switches_the_channel_off(settings: Any, missing: str) -> None:
    assert checks.check_providers() == []
    assert isinstance(sms_providers.provider_for("EMAIL"), AnymailEmailProvider)
    setattr(settings, missing, type(getattr(settings, missing))())
    assert any(f"but {missing} is empty" in str(error.msg) for error in checks.check_providers())
    assert sms_providers.providers_for("EMAIL") == []


@pytest.mark.parametrize(
    ("setting", "value", "named"),
    [
        ("ANYMAIL_ESP", "pigeon", "pigeon"),
        ("ANYMAIL", {"IGNORED": 1}, "POSTMARK_SERVER_TOKEN"),
        ("ANYMAIL_WEBHOOK_SECRET", ["secret"], "user:password"),
    ],
)
def test_a_setting_that_the_service_cannot_use_is_named(settings: Any, setting: str, value: object, named: str) -> None:
    assert checks.check_mail_service() == []
    setattr(settings, setting, value)
    [error] = checks.check_mail_service()
    assert error.id == "agdar.E005"
    assert named in str(error.msg)


def test_every_row_of_the_tables_is_used_by_the_code_that_reads_them() -> None:
    provider = AnymailEmailProvider()
    for word, status in STATUSES.items():
        assert provider.parse_status(word) is status
    for code, rule in ERRORS.items():
        assert (provider.kind_of(code), provider.explain(code)) == (rule.kind, rule.why)
