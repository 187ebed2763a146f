"""Twilio's adapter: its set-up, its tables, and answers that no sandbox gives."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.utils import timezone

from integrations.providers.twilio import TwilioProvider
from integrations.providers.twilio_codes import ERRORS, STATUSES
from integrations.sms_providers import Kind, ProviderError, Scope, adapter_class, to_cost, to_count
from integrations.tests.http_double import Answer, Double, double, twilio
from integrations.tests.sandbox_fixtures import outgoing
from notifications.states import Channel, Status

__all__ = ["double", "twilio"]


def failure() -> ProviderError:
    with pytest.raises(ProviderError) as raised:
        TwilioProvider().send(outgoing())
    return raised.value


def test_the_whole_client_goes_to_the_other_address(twilio: Double) -> None:
    accepted = TwilioProvider().send(outgoing(callback_url="https://x.example/y/?attempt=1", body="Café & غداً"))
    assert twilio.requests[0].path == f"/prefix/2010-04-01/Accounts/AC{'1' * 32}/Messages.json"
    assert twilio.requests[0].form == {
        "To": "+966501234567",
        "From": "CLINIC",
        "Body": "Café & غداً",
        "StatusCallback": "https://x.example/y/?attempt=1",
        "ValidityPeriod": "3600",
    }
    assert (accepted.segments, accepted.cost, accepted.currency) == (2, Decimal("0.00750"), "USD")
    assert accepted.response == {"sid": "SM1", "status": "queued", "num_segments": "2"}


def test_a_send_looks_like_one_of_the_sdk(twilio: Double) -> None:
    """So that what Twilio adds to its SDK's requests shows here when the SDK is raised."""
    provider = TwilioProvider()
    provider.send(outgoing(callback_url="https://x.example/y/"))
    provider._client.messages.create(
        to="+966501234567",
        from_="CLINIC",
        body=outgoing().body,
        status_callback="https://x.example/y/",
        validity_period=3600,
    )
    ours, theirs = twilio.requests
    assert (ours.method, ours.path, ours.form) == (theirs.method, theirs.path, theirs.form)
    same = ("authorization", "user-agent", "x-twilio-client", "accept", "accept-charset", "content-type")
    assert {name: ours.headers[name] for name in same} == {name: theirs.headers[name] for name in same}


def test_whatsapp_stands_before_both_addresses(twilio: Double) -> None:
    TwilioProvider().send(outgoing(channel="WHATSAPP"))
    assert twilio.requests[0].form["To"] == "whatsapp:+966501234567"
    assert twilio.requests[0].form["From"] == "whatsapp:+966550000001"


def test_a_sender_that_is_a_messaging_service_is_sent_as_one(twilio: Double) -> None:
    TwilioProvider().send(outgoing(sender="MG" + "2" * 32))
    assert twilio.requests[0].form["MessagingServiceSid"] == "MG" + "2" * 32
    assert "From" not in twilio.requests[0].form


def test_without_another_address_it_is_twilios_own(settings: Any) -> None:
    settings.TWILIO_ACCOUNT_SID, settings.TWILIO_API_BASE_URL = "AC1", ""
    assert TwilioProvider()._url == "https://api.twilio.com/2010-04-01/Accounts/AC1/Messages.json"


def refusal(status: int, code: int) -> Answer:
    return Answer(status, {"code": code, "message": "x", "status": status})


@pytest.mark.parametrize(
    ("answer", "kind", "scope", "code"),
    [
        (refusal(400, 21211), Kind.NUMBER, Scope.MESSAGE, "21211"),
        (Answer(400, {"type": "x", "title": "y", "status": 400, "code": 21211}), Kind.NUMBER, Scope.MESSAGE, "21211"),
        (refusal(400, 21610), Kind.OPTED_OUT, Scope.MESSAGE, "21610"),
        (refusal(400, 21617), Kind.CONTENT, Scope.MESSAGE, "21617"),
        (refusal(400, 21408), Kind.CONFIGURATION, Scope.MESSAGE, "21408"),
        (refusal(400, 21606), Kind.CONFIGURATION, Scope.SENDER, "21606"),
        (refusal(401, 20003), Kind.CONFIGURATION, Scope.ACCOUNT, "20003"),
        (refusal(403, 20403), Kind.CONFIGURATION, Scope.ACCOUNT, "20403"),
        (refusal(404, 20404), Kind.CONFIGURATION, Scope.ACCOUNT, "20404"),
        (refusal(401, 99999), Kind.CONFIGURATION, Scope.ACCOUNT, "99999"),
        (Answer(401, b"no"), Kind.CONFIGURATION, Scope.ACCOUNT, "401"),
        (Answer(403, b"<html>"), Kind.CONFIGURATION, Scope.ACCOUNT, "403"),
        (Answer(404, []), Kind.CONFIGURATION, Scope.ACCOUNT, "404"),
        (Answer(404, {"code": {"private": "words"}}), Kind.CONFIGURATION, Scope.ACCOUNT, "404"),
        (refusal(400, 99999), Kind.TRANSIENT, Scope.MESSAGE, "99999"),
        (Answer(418, b"tea"), Kind.TRANSIENT, Scope.MESSAGE, "418"),
        (refusal(429, 20429), Kind.TRANSIENT, Scope.MESSAGE, "20429"),
        (refusal(429, 21611), Kind.TRANSIENT, Scope.MESSAGE, "21611"),
        (refusal(429, 21211), Kind.TRANSIENT, Scope.MESSAGE, "20429"),
        (refusal(400, 20500), Kind.AMBIGUOUS, Scope.MESSAGE, "20500"),
    ],
)
def test_each_refusal_has_its_kind_and_scope(
    twilio: Double, answer: Answer, kind: Kind, scope: Scope, code: str
) -> None:
    twilio.answer = answer
    error = failure()
    assert (error.kind, error.scope, error.code) == (kind, scope, code)
    assert error.response == {"status": answer.status, "code": code if answer.status != 429 else error.response["code"]}


@pytest.mark.parametrize("answer", [{"price": "much", "num_segments": []}, {"price_unit": 7, "price": True}, {}])
def test_what_stands_beside_the_id_may_be_anything(twilio: Double, answer: dict[str, Any]) -> None:
    twilio.answer = Answer(201, {"sid": "SM1", **answer})
    accepted = TwilioProvider().send(outgoing())
    assert (accepted.provider_message_id, accepted.segments, accepted.cost) == ("SM1", None, None)


def test_a_list_that_cannot_be_read_proves_nothing(twilio: Double) -> None:
    twilio.answer = Answer(500, b"oops")
    with pytest.raises(ProviderError) as raised:
        TwilioProvider().look_up(message_id="x", to="+966501234567", sent_after=timezone.now(), body="b")
    assert raised.value.kind is Kind.AMBIGUOUS


@pytest.mark.parametrize("answer", [refusal(404, 20404), Answer(404, b"<html>")])
def test_an_account_that_twilio_does_not_know_is_no_proof_of_absence(twilio: Double, answer: Answer) -> None:
    twilio.answer = answer
    with pytest.raises(ProviderError):
        TwilioProvider().look_up(message_id="x", to="+966501234567", sent_after=timezone.now(), body="b")


def test_only_twilios_own_word_proves_that_an_id_is_unknown(twilio: Double) -> None:
    query: dict[str, Any] = {"message_id": "x", "to": "", "sent_after": timezone.now(), "provider_message_id": "SM1"}
    twilio.answer = refusal(404, 20404)
    assert TwilioProvider().look_up(**query) is None
    twilio.answer = Answer(404, b"<html>not found, says a proxy")
    with pytest.raises(ProviderError):
        TwilioProvider().look_up(**query)


# --- Lists -----------------------------------------------------------------------------------------------------------


def row(sid: str, **fields: Any) -> dict[str, Any]:
    values = {
        "sid": sid,
        "status": "delivered",
        "direction": "outbound-api",
        "num_segments": "1",
        "price": "-0.035",
        "price_unit": "usd",
        "error_code": None,
        "date_created": "Mon, 23 Nov 2026 09:00:00 +0000",
    }
    return values | fields


def page(*rows: dict[str, Any], following: str | None = None) -> Answer:
    return Answer(200, {"messages": list(rows), "next_page_uri": following, "page": 0, "page_size": 1000})


def test_what_was_sent_between_two_times_is_listed_over_all_pages(twilio: Double) -> None:
    path = f"/2010-04-01/Accounts/AC{'1' * 32}/Messages.json"
    twilio.script = [
        page(row("SM1"), row("SM2", direction="inbound"), following=f"{path}?PageSize=1000&Page=1&PageToken=x"),
        page(row("SM3", status="undelivered", error_code=30006, price=None)),
    ]
    riyadh = dt.timezone(dt.timedelta(hours=3))
    found = list(
        TwilioProvider().look_up_many(
            dt.datetime(2026, 11, 23, 12, tzinfo=riyadh), dt.datetime(2026, 11, 23, 15, tzinfo=riyadh)
        )
    )
    assert [one.provider_message_id for one in found] == ["SM1", "SM3"]
    assert (found[0].cost, found[0].currency, found[0].segments) == (Decimal("0.035"), "USD", 1)
    assert found[0].created_at == dt.datetime(2026, 11, 23, 9, tzinfo=dt.UTC)
    assert (found[1].status, found[1].error_code, found[1].cost, found[1].currency) == (
        "undelivered",
        "30006",
        None,
        "",
    )
    asked = parse_qs(urlsplit(twilio.requests[0].path).query)
    assert asked["DateSent>"] == ["2026-11-23T09:00:00Z"]
    assert asked["DateSent<"] == ["2026-11-23T12:00:00Z"]
    assert asked["PageSize"] == ["1000"]
    assert "PageToken=x" in twilio.requests[1].path
    assert twilio.requests[1].path.startswith("/prefix/")


def test_a_list_without_an_end_is_left_after_some_pages(twilio: Double, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("integrations.providers.twilio._PAGE", 1)
    monkeypatch.setattr("integrations.providers.twilio._PAGES", 3)
    twilio.answer = page(row("SM1"), following="/2010-04-01/again.json")
    assert len(list(TwilioProvider().look_up_many(timezone.now(), timezone.now()))) == 3
    assert len(twilio.requests) == 3


def test_a_list_that_breaks_off_is_an_error(twilio: Double) -> None:
    twilio.script = [page(row("SM1"), following="/2010-04-01/next.json"), Answer(resets=True)]
    listed = TwilioProvider().look_up_many(timezone.now(), timezone.now())
    assert next(listed).provider_message_id == "SM1"
    with pytest.raises(ProviderError) as raised:
        next(listed)
    assert raised.value.__cause__ is None


def test_whatsapp_has_a_documented_speed_per_sender() -> None:
    assert _bare().rate_limit(Channel.WHATSAPP, "+966550000001") == 80.0
    assert _bare().rate_limit(Channel.SMS, "CLINIC") is None


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


def test_only_configuration_stops_more_than_its_message() -> None:
    scopes = {scope: {code for code, rule in ERRORS.items() if rule.scope is scope} for scope in Scope}
    assert {ERRORS[code].kind for code in scopes[Scope.ACCOUNT] | scopes[Scope.SENDER]} == {Kind.CONFIGURATION}
    assert " ".join(sorted(scopes[Scope.ACCOUNT])) == "20003 20005 20403 20404 30002 30037 63020 63051 63112"
    assert {"21408", "21604", "21608", "21609", "21612"} <= scopes[Scope.MESSAGE]


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
