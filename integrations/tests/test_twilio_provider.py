"""Twilio's adapter: its set-up, its tables, and answers that no sandbox gives."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

import pytest
from django.utils import timezone

from integrations.providers.twilio import TwilioProvider
from integrations.providers.twilio_codes import ERRORS, STATUSES
from integrations.sms_providers import Kind, ProviderError, adapter_class, to_cost, to_count
from integrations.tests.sandbox_fixtures import outgoing
from notifications.states import Status

ACCEPTED = b'{"sid": "SM1", "status": "queued", "num_segments": "2", "price": "-0.00750", "price_unit": "usd"}'


class Double:
    """Answers with what it is told and keeps what it got."""

    url = ""
    status = 201
    body = ACCEPTED
    headers: dict[str, str] = {}

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.forms: list[dict[str, list[str]]] = []
        self.auth = ""


@pytest.fixture
def double(settings: Any) -> Iterator[Double]:
    told = Double()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.paths.append(self.path)
            told.auth = self.headers.get("Authorization", "")
            told.forms.append(parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode()))
            self._answer()

        def do_GET(self) -> None:
            told.paths.append(self.path)
            self._answer()

        def _answer(self) -> None:
            self.send_response(told.status)
            for name, value in told.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(told.body)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    settings.TWILIO_ACCOUNT_SID, settings.TWILIO_AUTH_TOKEN = "AC" + "1" * 32, "token"
    settings.TWILIO_SMS_FROM, settings.TWILIO_WHATSAPP_FROM = "CLINIC", "+966550000001"
    settings.TWILIO_API_BASE_URL = f"http://127.0.0.1:{server.server_address[1]}/prefix"
    yield told
    server.shutdown()
    server.server_close()
    thread.join()


def failure() -> ProviderError:
    with pytest.raises(ProviderError) as raised:
        TwilioProvider().send(outgoing())
    return raised.value


def test_the_whole_client_goes_to_the_other_address(double: Double) -> None:
    accepted = TwilioProvider().send(outgoing(callback_url="https://x.example/y/"))
    assert double.paths == [f"/prefix/2010-04-01/Accounts/AC{'1' * 32}/Messages.json"]
    assert double.auth.startswith("Basic ")
    assert double.forms[0] == {
        "To": ["+966501234567"],
        "From": ["CLINIC"],
        "Body": [outgoing().body],
        "StatusCallback": ["https://x.example/y/"],
        "ValidityPeriod": ["3600"],
    }
    assert (accepted.segments, accepted.cost, accepted.currency) == (2, Decimal("0.00750"), "USD")


def test_whatsapp_stands_before_both_addresses(double: Double) -> None:
    TwilioProvider().send(outgoing(channel="WHATSAPP"))
    assert double.forms[0]["To"] == ["whatsapp:+966501234567"]
    assert double.forms[0]["From"] == ["whatsapp:+966550000001"]


def test_a_sender_that_is_a_messaging_service_is_sent_as_one(double: Double) -> None:
    TwilioProvider().send(outgoing(sender="MG" + "2" * 32))
    assert double.forms[0]["MessagingServiceSid"] == ["MG" + "2" * 32]
    assert "From" not in double.forms[0]


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (201, b"<html>", Kind.AMBIGUOUS),
        (201, b"[]", Kind.AMBIGUOUS),
        (201, b"{}", Kind.AMBIGUOUS),
        (500, b"oops", Kind.AMBIGUOUS),
        (503, b'{"code": 20503, "message": "x", "status": 503}', Kind.AMBIGUOUS),
        (502, b"", Kind.AMBIGUOUS),
        (307, b"", Kind.TRANSIENT),
        (400, b'{"code": 99999, "message": "new", "status": 400}', Kind.TRANSIENT),
        (400, b'{"type": "x", "title": "y", "status": 400, "code": 21211}', Kind.NUMBER),
        (403, b'{"code": 20403, "message": "x", "status": 403}', Kind.CONFIGURATION),
    ],
)
def test_each_answer_has_its_kind(double: Double, status: int, body: bytes, kind: Kind) -> None:
    double.status, double.body = status, body
    assert failure().kind is kind


@pytest.mark.parametrize(("header", "seconds"), [("17", 17.0), ("Wed, 21 Oct 2026 07:28:00 GMT", None), ("", None)])
def test_too_many_requests_may_say_how_long_to_wait(double: Double, header: str, seconds: float | None) -> None:
    double.status, double.headers = 429, {"Retry-After": header} if header else {}
    error = failure()
    assert (error.kind, error.code, error.retry_after) == (Kind.TRANSIENT, "20429", seconds)


def test_a_list_that_cannot_be_read_proves_nothing(double: Double) -> None:
    double.status = 500
    with pytest.raises(ProviderError) as raised:
        TwilioProvider().look_up(message_id="x", to="+966501234567", sent_after=timezone.now(), body="b")
    assert raised.value.kind is Kind.AMBIGUOUS


def test_an_account_that_twilio_does_not_know_is_no_proof_of_absence(double: Double) -> None:
    double.status, double.body = 404, b'{"code": 20404, "message": "x", "status": 404}'
    with pytest.raises(ProviderError):
        TwilioProvider().look_up(message_id="x", to="+966501234567", sent_after=timezone.now(), body="b")


def test_every_status_word_of_twilio_is_known() -> None:
    words = "queued sending sent failed delivered undelivered read accepted scheduled partially_delivered canceled"
    assert set(words.split()) == set(STATUSES)
    assert _bare().parse_status("READ") is Status.READ
    assert _bare().parse_status("teleported") is None


def test_an_unknown_code_after_acceptance_is_never_sent_again_by_itself() -> None:
    assert _bare().kind_of("99999") is Kind.CONFIGURATION
    assert _bare().kind_of("30003") is Kind.TRANSIENT
    assert _bare().explain("99999") == ""


def test_codes_are_numbers_and_each_says_why() -> None:
    assert all(code.isdigit() and rule.why.endswith(".") for code, rule in ERRORS.items())


@pytest.mark.parametrize(("value", "count"), [("2", 2), ("0", None), (None, None), ("", None), (3, 3)])
def test_a_count_may_be_text(value: object, count: int | None) -> None:
    assert to_count(value) == count


@pytest.mark.parametrize(
    ("value", "cost"),
    [("-0.00750", Decimal("0.00750")), (None, None), ("0", None), ("NaN", None), (0.5, Decimal("0.5"))],
)
def test_a_price_may_be_text_negative_or_missing(value: object, cost: Decimal | None) -> None:
    assert to_cost(value) == cost


def test_settings_that_are_missing_are_named(settings: Any) -> None:
    settings.TWILIO_ACCOUNT_SID, settings.TWILIO_AUTH_TOKEN, settings.TWILIO_WHATSAPP_FROM = "AC1", "", ""
    assert adapter_class("twilio").missing_settings("WHATSAPP") == ["TWILIO_AUTH_TOKEN", "TWILIO_WHATSAPP_FROM"]


def _bare() -> TwilioProvider:
    """The tables only."""
    return TwilioProvider.__new__(TwilioProvider)
