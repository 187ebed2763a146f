"""Unifonic's adapter against the sandbox, and against answers that the sandbox does not give."""

from __future__ import annotations

from typing import Any

import pytest
import responses
from django.utils import timezone

from integrations.providers.unifonic import UnifonicProvider
from integrations.sandbox import account
from integrations.sandbox.server import SandboxServer
from integrations.sms_providers import CannotList, Kind, LookUp, ProviderError, Scope
from integrations.tests.http_double import Answer, Double, double, unifonic
from integrations.tests.sandbox_fixtures import NUMBER, listener, outgoing, sandbox, wait_for
from notifications.states import Status

__all__ = ["double", "listener", "sandbox", "unifonic"]


@pytest.fixture(autouse=True)
def set_up(settings: Any) -> None:
    settings.UNIFONIC_APP_SID, settings.UNIFONIC_SENDER_ID = account.SID, "NOOR"
    settings.UNIFONIC_WEBHOOK_SECRET = "secret"
    settings.UNIFONIC_API_BASE_URL = "https://el.cloud.unifonic.com"


@pytest.fixture
def provider(sandbox: SandboxServer, settings: Any) -> UnifonicProvider:
    settings.UNIFONIC_API_BASE_URL = sandbox.url
    return UnifonicProvider()


def look_up(provider: UnifonicProvider, **fields: Any) -> LookUp | None:
    values: dict[str, Any] = {"message_id": outgoing().message_id, "to": NUMBER, "sent_after": timezone.now()}
    return provider.look_up(**values | fields)


def failure(provider: UnifonicProvider, **fields: Any) -> ProviderError:
    with pytest.raises(ProviderError) as raised:
        provider.send(outgoing(**fields))
    return raised.value


def test_a_message_is_accepted_and_found_by_our_own_id(provider: UnifonicProvider) -> None:
    accepted = provider.send(outgoing())
    assert int(accepted.provider_message_id) > 2**32
    assert accepted.segments is None  # 0 in the answer means: not known yet
    found = wait_for(lambda: (one := look_up(provider)) and one.status == "Delivered" and one)
    assert found.provider_message_id == accepted.provider_message_id
    assert provider.parse_status(found.status) is Status.DELIVERED
    assert look_up(provider, provider_message_id=accepted.provider_message_id) == found


def test_a_message_that_never_arrived_is_absent(provider: UnifonicProvider) -> None:
    assert look_up(provider) is None


@pytest.mark.parametrize(
    ("fields", "kind", "code"),
    [
        ({"to": "+966501230001"}, Kind.NUMBER, "ER-02"),
        ({"to": "+966501230003"}, Kind.TRANSIENT, "429"),
        ({"to": "+966501230004"}, Kind.AMBIGUOUS, "599"),
        ({"body": ""}, Kind.CONTENT, "ER-06"),
    ],
)
def test_a_refusal_has_a_kind(provider: UnifonicProvider, fields: dict[str, str], kind: Kind, code: str) -> None:
    error = failure(provider, **fields)
    assert (error.kind, error.code) == (kind, code)


def test_wrong_credentials_are_our_configuration(provider: UnifonicProvider, settings: Any) -> None:
    settings.UNIFONIC_APP_SID = "wrong"
    assert failure(provider).kind is Kind.CONFIGURATION


def test_a_provider_that_is_down_was_never_reached(settings: Any) -> None:
    settings.UNIFONIC_API_BASE_URL = "http://127.0.0.1:9"
    assert failure(UnifonicProvider()).kind is Kind.TRANSIENT


def test_text_and_credentials_go_in_the_body_and_the_call_back_carries_our_key(unifonic: Double) -> None:
    unifonic.answer = Answer(200, {"success": True, "data": {"MessageID": 42000000000001, "Cost": 0.1}})
    url = "https://a.example/webhooks/unifonic/status/x/"
    accepted = UnifonicProvider().send(outgoing(callback_url=url))
    request = unifonic.requests[0]
    assert request.path == "/rest/SMS/messages"
    assert request.form == {
        "AppSid": "app",
        "responseType": "JSON",
        "SenderID": "NOOR",
        "Recipient": "966501234567",
        "Body": outgoing().body,
        "CorrelationID": outgoing().message_id,
        "statusCallback": f"{url}?key=secret",
    }
    assert (accepted.provider_message_id, str(accepted.cost)) == ("42000000000001", "0.1")


def test_our_key_joins_what_the_call_back_already_asks_for(unifonic: Double) -> None:
    UnifonicProvider().send(outgoing(callback_url="https://a.example/x/?attempt=2"))
    assert unifonic.requests[0].form["statusCallback"] == "https://a.example/x/?attempt=2&key=secret"


def test_a_call_back_address_that_unifonic_would_refuse_is_left_out(unifonic: Double) -> None:
    UnifonicProvider().send(outgoing(callback_url="http://127.0.0.1:8000/x/"))
    assert "statusCallback" not in unifonic.requests[0].form


@pytest.mark.parametrize(
    ("answer", "kind", "scope"),
    [
        (Answer(200, {"success": "false", "errorCode": "ER-01"}), Kind.CONFIGURATION, Scope.ACCOUNT),
        (Answer(200, {"success": "false", "errorCode": "ER-08"}), Kind.CONFIGURATION, Scope.SENDER),
        (Answer(481, {"success": False}), Kind.CONFIGURATION, Scope.MESSAGE),
        (Answer(200, {"success": False, "errorCode": "ER-77"}), Kind.TRANSIENT, Scope.MESSAGE),
        (Answer(200, {"success": "true", "data": None}), Kind.AMBIGUOUS, Scope.MESSAGE),
        (Answer(200, {"success": "true", "data": {"MessageID": ""}}), Kind.AMBIGUOUS, Scope.MESSAGE),
        (Answer(200, {"success": "true", "data": {"MessageID": {}}}), Kind.AMBIGUOUS, Scope.MESSAGE),
        (Answer(200, {"errorCode": "ER-08"}), Kind.AMBIGUOUS, Scope.MESSAGE),
        (Answer(200, b"<html>"), Kind.AMBIGUOUS, Scope.MESSAGE),
        (Answer(200, []), Kind.AMBIGUOUS, Scope.MESSAGE),
        (Answer(200, {"success": "true"}, cut=3), Kind.AMBIGUOUS, Scope.MESSAGE),
        (Answer(resets=True), Kind.AMBIGUOUS, Scope.MESSAGE),
        (Answer(503, b""), Kind.AMBIGUOUS, Scope.MESSAGE),
        (Answer(503, {"success": "false", "errorCode": "ER-02"}), Kind.AMBIGUOUS, Scope.MESSAGE),
        (Answer(302, b"", headers={"Location": "/login"}), Kind.CONFIGURATION, Scope.ACCOUNT),
        (Answer(401, b"no json"), Kind.CONFIGURATION, Scope.ACCOUNT),
        (Answer(403, {"success": False, "errorCode": "ER-77"}), Kind.CONFIGURATION, Scope.ACCOUNT),
        (Answer(404, b"<html>"), Kind.CONFIGURATION, Scope.ACCOUNT),
        (Answer(482, b"no json"), Kind.NUMBER, Scope.MESSAGE),
        (Answer(429, b"", headers={"Retry-After": "4"}), Kind.TRANSIENT, Scope.MESSAGE),
    ],
)
def test_each_answer_has_its_kind_and_scope(unifonic: Double, answer: Answer, kind: Kind, scope: Scope) -> None:
    unifonic.answer = answer
    error = failure(UnifonicProvider())
    assert (error.kind, error.scope, error.retry_after) == (kind, scope, 4.0 if answer.status == 429 else None)


def test_it_has_no_list_and_no_documented_speed() -> None:
    with pytest.raises(CannotList):
        UnifonicProvider().look_up_many(timezone.now(), timezone.now())
    assert UnifonicProvider().rate_limit("SMS", "NOOR") is None


@responses.activate
def test_somebody_elses_message_is_never_taken_for_ours() -> None:
    other = {"MessageID": 7, "CorrelationID": "another", "Status": "Sent", "DLR": "Delivered"}
    responses.post(
        "https://el.cloud.unifonic.com/rest/SMS/Messages/GetMessagesDetails",
        json={"success": True, "data": {"messages": [other]}},
    )
    assert look_up(UnifonicProvider()) is None


@responses.activate
def test_details_that_cannot_be_read_prove_nothing() -> None:
    responses.post(
        "https://el.cloud.unifonic.com/rest/SMS/Messages/GetMessagesDetails", json={"success": True, "data": {}}
    )
    with pytest.raises(ProviderError):
        look_up(UnifonicProvider())
