"""Unifonic's adapter against the sandbox, and against answers that the sandbox does not give."""

from __future__ import annotations

from typing import Any

import pytest
import responses
from django.utils import timezone

from integrations.providers.unifonic import UnifonicProvider
from integrations.sandbox import account
from integrations.sandbox.server import SandboxServer
from integrations.sms_providers import Kind, LookUp, ProviderError
from integrations.tests.sandbox_fixtures import NUMBER, listener, outgoing, sandbox, wait_for
from notifications.states import Status

__all__ = ["listener", "sandbox"]
URL = "https://el.cloud.unifonic.com/rest/SMS/messages"


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


@responses.activate
def test_text_and_credentials_go_in_the_body_and_the_call_back_carries_our_key() -> None:
    responses.post(
        URL, json={"success": True, "errorCode": "ER-00", "data": {"MessageID": 42000000000001, "Cost": 0.1}}
    )
    accepted = UnifonicProvider().send(outgoing(callback_url="https://a.example/webhooks/unifonic/status/x/"))
    request = responses.calls[0].request
    assert request.url == URL
    assert "AppSid=" in str(request.body)
    assert "Recipient=966501234567" in str(request.body)
    assert "status%2Fx%2F%3Fkey%3Dsecret" in str(request.body)
    assert (accepted.provider_message_id, str(accepted.cost)) == ("42000000000001", "0.1")


@responses.activate
def test_a_call_back_address_that_unifonic_would_refuse_is_left_out() -> None:
    responses.post(URL, json={"success": "true", "data": {"MessageID": 1}})
    UnifonicProvider().send(outgoing(callback_url="http://127.0.0.1:8000/x/"))
    assert "statusCallback" not in str(responses.calls[0].request.body)


@responses.activate
@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ({"json": {"success": "false", "errorCode": "ER-08"}}, Kind.CONFIGURATION),
        ({"json": {"success": False, "errorCode": "ER-77"}}, Kind.TRANSIENT),
        ({"json": {"success": "true", "data": None}}, Kind.AMBIGUOUS),
        ({"json": {"success": "true", "data": {"MessageID": ""}}}, Kind.AMBIGUOUS),
        ({"body": "<html>"}, Kind.AMBIGUOUS),
        ({"json": []}, Kind.AMBIGUOUS),
        ({"status": 503, "body": ""}, Kind.AMBIGUOUS),
        ({"status": 482, "body": "no json"}, Kind.NUMBER),
    ],
)
def test_each_answer_has_its_kind(answer: dict[str, Any], kind: Kind) -> None:
    responses.post(URL, **answer)
    assert failure(UnifonicProvider()).kind is kind


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
