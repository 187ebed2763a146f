"""What all adapters share: the brake, the threads of a blocking one, and the order of the settings."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from integrations import sms_providers
from integrations.providers.shapes import Brake
from integrations.sms_providers import (
    Accepted,
    CannotList,
    ChannelDisabled,
    Kind,
    LookUp,
    Outgoing,
    Provider,
    ProviderError,
    Rule,
    Scope,
)
from integrations.tests.sandbox_fixtures import outgoing
from notifications.states import Channel

GOOD = Accepted(provider_message_id="1")


def error(kind: Kind, scope: Scope = Scope.MESSAGE) -> ProviderError:
    return ProviderError(kind, scope=scope)


class Blocking(Provider):
    """Waits until ``together`` calls are running, then answers by message id: ``errors_of`` or accepted."""

    name = "blocking"
    channels = frozenset({Channel.SMS})
    errors = {"E1": Rule(Kind.CONFIGURATION, "why", Scope.SENDER)}
    max_in_flight = 4

    def __init__(self, errors_of: dict[str, Exception] | None = None, together: int = 1) -> None:
        self.errors_of = errors_of or {}
        self.threads: list[str] = []
        self._together = threading.Barrier(together)

    def _send(self, outgoing: Outgoing) -> Accepted:
        self._together.wait(timeout=5)
        self.threads.append(threading.current_thread().name)
        if outgoing.message_id in self.errors_of:
            raise self.errors_of[outgoing.message_id]
        return Accepted(provider_message_id=f"P{outgoing.message_id}")

    def _look_up(self, **query: Any) -> LookUp | None:
        raise NotImplementedError


def batch(n: int) -> list[Outgoing]:
    return [outgoing(message_id=str(number)) for number in range(n)]


# --- The brake -------------------------------------------------------------------------------------------------------


def brake_after(*results: Accepted | ProviderError) -> bool:
    brake = Brake()
    for result in results:
        brake.note(result)
    return brake.is_on


@pytest.mark.parametrize(
    ("results", "is_on"),
    [
        ([], False),
        ([error(Kind.CONFIGURATION, Scope.ACCOUNT)], True),
        ([error(Kind.CONFIGURATION, Scope.SENDER), GOOD], True),
        ([error(Kind.CONFIGURATION)] * 20, False),
        ([error(Kind.NUMBER)] * 20, False),
        ([error(Kind.AMBIGUOUS)] * 9, False),
        ([error(Kind.AMBIGUOUS)] * 10, True),
        ([error(Kind.TRANSIENT)] * 5 + [error(Kind.AMBIGUOUS)] * 5, True),
        ([error(Kind.TRANSIENT)] * 9 + [GOOD] + [error(Kind.TRANSIENT)] * 9, False),
        ([error(Kind.TRANSIENT)] * 9 + [error(Kind.CONTENT)] + [error(Kind.TRANSIENT)] * 9, False),
    ],
)
def test_a_brake_is_on_where_a_batch_gets_nowhere(results: list[Accepted | ProviderError], is_on: bool) -> None:
    assert brake_after(*results) is is_on


def test_a_brake_is_on_when_the_batch_has_taken_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Brake, "SECONDS", -1.0)
    assert Brake().is_on
    assert Blocking().send_many(batch(3)) == []
    with pytest.raises(ProviderError) as raised:
        Blocking().send(outgoing())
    assert raised.value.kind is Kind.TRANSIENT


def test_a_batch_may_have_to_end_sooner() -> None:
    assert Brake(time.monotonic() - 1).is_on
    assert not Brake(time.monotonic() + 10).is_on
    assert Blocking().send_many(batch(3), until=time.monotonic() - 1) == []


# --- The threads of a blocking adapter -------------------------------------------------------------------------------


def test_blocking_calls_run_at_the_same_time_and_are_timed() -> None:
    provider = Blocking(together=4)
    calls = provider.send_many(batch(8))
    assert {call.outgoing.message_id: getattr(call.result, "provider_message_id", "") for call in calls} == {
        str(number): f"P{number}" for number in range(8)
    }
    assert len(set(provider.threads)) == 4
    assert all(call.milliseconds >= 0 for call in calls)


def test_errors_are_results_and_a_fault_of_our_own_is_an_unknown_outcome() -> None:
    wrong = {"1": ProviderError(Kind.NUMBER, code="n"), "2": KeyError("private words")}
    results = {call.outgoing.message_id: call.result for call in Blocking(wrong).send_many(batch(4))}
    number, crashed = results["1"], results["2"]
    assert number is wrong["1"]
    assert isinstance(crashed, ProviderError)
    assert (crashed.kind, crashed.code) == (Kind.AMBIGUOUS, "KeyError")
    assert isinstance(results["0"], Accepted)
    assert isinstance(results["3"], Accepted)


def test_what_the_brake_holds_back_is_not_called() -> None:
    provider = Blocking({str(n): error(Kind.CONFIGURATION, Scope.ACCOUNT) for n in range(99)})
    provider.max_in_flight = 1
    assert [call.outgoing.message_id for call in provider.send_many(batch(50))] == ["0"]
    assert len(provider.threads) == 1


def test_one_message_goes_the_same_way_without_a_thread() -> None:
    provider = Blocking({"bad": ProviderError(Kind.CONTENT, code="c")})
    assert provider.send(outgoing(message_id="x")).provider_message_id == "Px"
    with pytest.raises(ProviderError) as raised:
        provider.send(outgoing(message_id="bad"))
    assert raised.value.kind is Kind.CONTENT
    assert provider.threads == [threading.current_thread().name] * 2


def test_a_batch_is_one_line_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    refused = {number: ProviderError(Kind.NUMBER, code="n") for number in ("1", "2")}
    with caplog.at_level("INFO", logger="integrations.sms_providers"):
        Blocking(refused).send_many(batch(5))
    (line,) = [record.msg for record in caplog.records if record.msg["event"] == "provider_called"]
    assert (line["provider"], line["channel"]) == ("blocking", "SMS")
    assert (line["accepted"], line["number"], line["held_back"]) == (3, 2, 0)
    assert "+966" not in str(line)


def test_an_adapter_has_no_list_and_no_limit_of_its_own_accord() -> None:
    with pytest.raises(CannotList):
        Blocking().look_up_many(None, None)  # type: ignore[arg-type]
    assert Blocking().rate_limit("SMS", "X") is None


def test_a_refusal_has_the_scope_of_its_rule() -> None:
    assert Blocking().refused("E1", response={}).scope is Scope.SENDER
    assert Blocking().refused("E2", response={}).scope is Scope.MESSAGE


# --- The order of the settings ---------------------------------------------------------------------------------------


@pytest.fixture
def both(settings: Any) -> Any:
    """Twilio and Unifonic are set up, in this order of preference for SMS."""
    for name in ("TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN", "TWILIO_SMS_FROM", "TWILIO_WHATSAPP_FROM"):
        setattr(settings, name, "set")
    for name in ("UNIFONIC_APP_SID", "UNIFONIC_SENDER_ID", "UNIFONIC_WEBHOOK_SECRET"):
        setattr(settings, name, "set")
    settings.SMS_PROVIDER, settings.WHATSAPP_PROVIDER = ["twilio", "unifonic"], ["twilio"]
    return settings


def names(channel: Channel) -> list[str]:
    return [provider.name for provider in sms_providers.providers_for(channel)]


def test_the_first_is_preferred_and_the_next_its_failover(both: Any) -> None:
    assert names(Channel.SMS) == ["twilio", "unifonic"]
    assert sms_providers.provider_for(Channel.SMS).name == sms_providers.chosen(Channel.SMS) == "twilio"
    both.SMS_PROVIDER = ["unifonic", "twilio", "unifonic"]
    assert sms_providers.chosen_all(Channel.SMS) == names(Channel.SMS) == ["unifonic", "twilio"]


def test_one_that_cannot_carry_the_channel_is_left_out(both: Any) -> None:
    both.WHATSAPP_PROVIDER = ["unifonic", "pigeon", "twilio"]
    assert names(Channel.WHATSAPP) == ["twilio"]
    both.TWILIO_AUTH_TOKEN = ""
    assert names(Channel.WHATSAPP) == []
    assert names(Channel.SMS) == ["unifonic"]
    assert sms_providers.provider_for(Channel.SMS).name == "unifonic"


def test_a_channel_without_a_provider_is_disabled(both: Any) -> None:
    both.SMS_PROVIDER = []
    assert sms_providers.chosen(Channel.SMS) == ""
    assert sms_providers.providers_for(Channel.SMS) == []
    with pytest.raises(ChannelDisabled):
        sms_providers.provider_for(Channel.SMS)


def test_email_by_a_mail_server_needs_its_address(settings: Any) -> None:
    settings.EMAIL_PROVIDER, settings.EMAIL_URL = ["service", "smtp"], "smtp://127.0.0.1:25"
    assert sms_providers.chosen_all(Channel.EMAIL) == ["service", "smtp"]
    settings.EMAIL_URL = ""
    assert sms_providers.chosen_all(Channel.EMAIL) == ["service"]
