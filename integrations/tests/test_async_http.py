"""A call over HTTP on real sockets: what each way in which it can break proves."""

from __future__ import annotations

import datetime as dt
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from integrations.providers import http
from integrations.providers.twilio import TwilioProvider
from integrations.sms_providers import Accepted, Kind, Outgoing, ProviderError, Scope
from integrations.tests.http_double import Answer, Double, double, twilio
from integrations.tests.sandbox_fixtures import outgoing

__all__ = ["double", "twilio"]

SHORT = (1.0, 0.5)


def failure(provider: TwilioProvider | None = None) -> ProviderError:
    with pytest.raises(ProviderError) as raised:
        (provider or TwilioProvider()).send(outgoing())
    return raised.value


# --- What a broken call proves ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        Answer(hangs=True),
        Answer(drips=True),
        Answer(resets=True),
        Answer(closes=True),
        Answer(cut=5),
        Answer(cut=len(b"queued") + 90),
        Answer(headers={"Content-Encoding": "gzip"}),
        Answer(headers={"Content-Length": "many"}),
        Answer(body=b"<html>"),
        Answer(body=b""),
        Answer(body=b"\xff\xfe"),
        Answer(body=b"[" * 100_000),
        Answer(body=[]),
        Answer(body={}),
        Answer(body={"sid": None}),
        Answer(body={"sid": 7}),
        Answer(body={"sid": "S" * 81}),
        Answer(status=204, body=b""),
        *(Answer(status=status, body=b"oops") for status in (500, 501, 502, 503, 504, 599)),
        Answer(500, {"code": 20500, "message": "x", "status": 500}),
        Answer(503, {"code": 20503, "message": "x", "status": 503}),
        Answer(503, {"code": 21211, "message": "x", "status": 503}),
    ],
    ids=lambda answer: f"{answer.status} {answer.body!s:.20} {answer.headers or ''} {answer.hangs=} {answer.cut=}"[:90],
)
def test_after_the_request_may_have_left_nothing_is_proven(
    twilio: Double, answer: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "TIMEOUT", SHORT)
    twilio.answer = answer
    assert failure().kind is Kind.AMBIGUOUS
    assert len(twilio.requests) == 1


def test_every_character_of_a_text_arrives(twilio: Double) -> None:
    text = "".join(map(chr, range(1, 0x700))) + " %41 a+b&c=d;e \r\n 😀"
    TwilioProvider().send(outgoing(body=text))
    assert twilio.requests[0].form["Body"] == text


def test_a_connection_that_dies_between_two_calls_is_not_tried_again_by_itself(twilio: Double) -> None:
    provider = TwilioProvider()
    provider.send(outgoing())
    twilio.answer = Answer(resets=True)
    assert failure(provider).kind is Kind.AMBIGUOUS
    assert (len(twilio.requests), twilio.connections) == (2, 1)


def test_a_connection_that_was_closed_while_idle_is_not_used_again(twilio: Double) -> None:
    twilio.answer = Answer(hangs_up=True)
    provider = TwilioProvider()
    for _ in range(5):
        assert provider.send(outgoing()).provider_message_id == "SM1"
        time.sleep(0.02)
    assert twilio.connections == 5


def test_a_refused_connection_was_never_made(twilio: Double, settings: Any) -> None:
    settings.TWILIO_API_BASE_URL = "http://127.0.0.1:9"
    assert failure().kind is Kind.TRANSIENT


def test_a_host_that_does_not_exist_was_never_reached(twilio: Double, settings: Any) -> None:
    settings.TWILIO_API_BASE_URL = "http://no-such-host.invalid"
    assert failure().kind is Kind.TRANSIENT


def test_a_connection_that_does_not_come_about_in_time_was_never_made(
    twilio: Double, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "TIMEOUT", (0.2, 5.0))
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        # Nobody accepts: a second connection is not answered any more.
        first = socket.create_connection(full.getsockname())
        settings.TWILIO_API_BASE_URL = f"http://127.0.0.1:{full.getsockname()[1]}"
        error = failure()
        first.close()
    assert (error.kind, error.code) == (Kind.TRANSIENT, "ConnectionTimeoutError")


def test_a_certificate_that_nobody_vouches_for_is_our_configuration(
    twilio: Double, settings: Any, self_signed: str
) -> None:
    settings.TWILIO_API_BASE_URL = self_signed
    error = failure()
    assert (error.kind, error.scope) == (Kind.CONFIGURATION, Scope.ACCOUNT)


@pytest.mark.parametrize("address", ["nonsense", "ftp://127.0.0.1"])
def test_an_address_that_is_none_is_our_configuration(twilio: Double, settings: Any, address: str) -> None:
    settings.TWILIO_API_BASE_URL = "http://127.0.0.1:9"
    provider = TwilioProvider()
    provider._url = address
    error = failure(provider)
    assert (error.kind, error.scope) == (Kind.CONFIGURATION, Scope.ACCOUNT)


def test_a_redirection_is_never_followed(twilio: Double) -> None:
    twilio.answer = Answer(307, b"", headers={"Location": "/elsewhere"})
    error = failure()
    assert (error.kind, error.scope, error.code) == (Kind.CONFIGURATION, Scope.ACCOUNT, "307")
    assert len(twilio.requests) == 1


def test_a_fault_of_our_own_costs_one_message_not_the_batch(twilio: Double, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = TwilioProvider._form

    def form(self: TwilioProvider, outgoing: Outgoing) -> dict[str, str]:
        if outgoing.message_id == "1":
            raise TypeError("private words")
        return whole(self, outgoing)

    monkeypatch.setattr(TwilioProvider, "_form", form)
    calls = {
        call.outgoing.message_id: call.result
        for call in TwilioProvider().send_many([outgoing(message_id=str(n)) for n in range(3)])
    }
    crashed = calls.pop("1")
    assert isinstance(crashed, ProviderError)
    assert (crashed.kind, crashed.code) == (Kind.AMBIGUOUS, "TypeError")
    assert "private" not in f"{crashed} {crashed.detail}"
    assert all(isinstance(result, Accepted) for result in calls.values())


@pytest.mark.parametrize("body", [b"", b"<html>", b"\xff\xfe", b"[]", b"7", b"[" * 100_000])
def test_what_is_no_json_object_is_none(body: bytes) -> None:
    assert http.json_object(body) is None


# --- Retry-After -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("17", 17.0),
        (" 2.5 ", 2.5),
        ("-3", 0.0),
        ("Wed, 21 Oct 2020 07:28:00 GMT", 0.0),
        ("1e300", 86_400.0),
        ("inf", 86_400.0),
        ("nan", None),
        ("soon", None),
        ("", None),
    ],
)
def test_too_many_requests_may_say_how_long_to_wait(twilio: Double, header: str, seconds: float | None) -> None:
    twilio.answer = Answer(429, b"", headers={"retry-after": header} if header else {})
    error = failure()
    assert (error.kind, error.code, error.retry_after) == (Kind.TRANSIENT, "20429", seconds)


def test_too_many_requests_may_name_the_time_when_to_come_back(twilio: Double) -> None:
    later = timezone.now() + dt.timedelta(seconds=90)
    twilio.answer = Answer(429, b"", headers={"Retry-After": format_datetime(later, usegmt=True)})
    wait = failure().retry_after
    assert wait is not None
    assert 60 < wait <= 90


# --- Proxies ---------------------------------------------------------------------------------------------------------


def test_a_proxy_of_the_environment_is_used_for_others_but_not_for_this_machine(
    twilio: Double, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert TwilioProvider().send(outgoing()).provider_message_id == "SM1"
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, twilio.url.replace("//", "//user:secret@"))
    settings.TWILIO_API_BASE_URL = "http://api.sms.example"
    assert TwilioProvider().send(outgoing()).provider_message_id == "SM1"
    assert twilio.requests[-1].path.startswith("http://api.sms.example/2010-04-01/")
    assert twilio.requests[-1].headers["proxy-authorization"].startswith("Basic ")
    assert "proxy-authorization" not in twilio.requests[0].headers


# A key that vouches for nobody, valid until 2126.
_KEY = Path(__file__).with_name("self_signed.pem")


@pytest.fixture
def self_signed() -> Iterator[str]:
    """The address of a TLS server whose certificate it has signed itself."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(_KEY)
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                plain, _address = listening.accept()
            except OSError:
                return
            with plain:
                try:
                    context.wrap_socket(plain, server_side=True)
                except OSError:
                    continue

    thread = threading.Thread(target=serve)
    thread.start()
    yield f"https://127.0.0.1:{listening.getsockname()[1]}"
    listening.shutdown(socket.SHUT_RDWR)
    listening.close()
    thread.join()
