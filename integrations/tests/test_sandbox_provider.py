"""The real adapter against the real sandbox, over the wire."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest
import requests
from django.utils import timezone
from twilio.request_validator import RequestValidator

from integrations import sms_providers
from integrations.providers import http
from integrations.providers.sandbox import SandboxProvider
from integrations.sandbox import account, client
from integrations.sandbox.server import SandboxServer
from integrations.sandbox.store import Store
from integrations.sms_providers import Kind, LookUp, Provider, ProviderError
from integrations.tests.sandbox_fixtures import NUMBER, Listener, listener, outgoing, sandbox, wait_for
from notifications.states import Channel, Status

__all__ = ["listener", "sandbox"]
HOUR_AGO = dt.timedelta(hours=1)


@pytest.fixture
def provider(sandbox: SandboxServer) -> Provider:
    return SandboxProvider()


def look_up(provider: Provider, to: str = NUMBER, **fields: Any) -> LookUp | None:
    values = {"message_id": "x", "to": to, "sent_after": timezone.now() - HOUR_AGO, "body": outgoing().body}
    return provider.look_up(**values | fields)


def test_an_accepted_message_has_the_providers_id_and_no_text_in_its_answer(provider: Provider) -> None:
    accepted = provider.send(outgoing())
    assert accepted.provider_message_id.startswith("SM")
    assert accepted.status is Status.SENT
    assert accepted.response == {"sid": accepted.provider_message_id, "status": "accepted", "num_segments": "0"}


def test_call_backs_come_in_order_signed_and_to_our_address(provider: Provider, listener: Listener) -> None:
    url = f"{listener.url}/webhooks/twilio/status/abc/"
    provider.send(outgoing(channel="WHATSAPP", callback_url=url))
    wait_for(lambda: len(listener.calls) == 4)
    assert listener.statuses() == ["queued", "sent", "delivered", "read"]
    path, form, signature = listener.calls[0]
    assert path == "/webhooks/twilio/status/abc/"
    assert form["To"] == f"whatsapp:{NUMBER}"
    assert RequestValidator(account.TOKEN).validate(url, form, signature)


def test_a_call_back_waits_until_the_web_answers(provider: Provider, listener: Listener) -> None:
    listener.answers = [503, 503]
    provider.send(outgoing(callback_url=f"{listener.url}/x/"))
    wait_for(lambda: len(listener.calls) == 5)
    assert listener.statuses() == ["queued", "queued", "queued", "sent", "delivered"]


@pytest.mark.parametrize(
    ("ending", "kind", "code"),
    [
        ("0001", Kind.NUMBER, "21211"),
        ("0003", Kind.TRANSIENT, "20429"),
        ("0004", Kind.AMBIGUOUS, "20500"),
        ("0006", Kind.AMBIGUOUS, "ClientOSError"),
        ("0009", Kind.OPTED_OUT, "21610"),
    ],
)
def test_a_refusal_has_a_kind(provider: Provider, ending: str, kind: Kind, code: str) -> None:
    with pytest.raises(ProviderError) as raised:
        provider.send(outgoing(f"+96650123{ending}"))
    assert (raised.value.kind, raised.value.code) == (kind, code)
    assert raised.value.retry_after == (5.0 if ending == "0003" else None)


def test_an_error_holds_no_number_and_no_text(provider: Provider) -> None:
    with pytest.raises(ProviderError) as raised:
        provider.send(outgoing("+966501230001", body="private words"))
    told = f"{raised.value} {raised.value.response} {raised.value.detail}"
    assert "96650" not in told
    assert "private" not in told
    # The SDK's own error quotes both, so it must not be printed under ours.
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__


def test_a_hanging_answer_is_ambiguous_and_the_message_can_be_found(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "TIMEOUT", (1.0, 0.6))
    provider = SandboxProvider()
    with pytest.raises(ProviderError) as raised:
        provider.send(outgoing("+966501230005"))
    assert raised.value.kind is Kind.AMBIGUOUS
    found = look_up(provider, "+966501230005")
    assert found is not None
    assert found.provider_message_id.startswith("SM")


def test_a_broken_connection_still_calls_back(provider: Provider, listener: Listener) -> None:
    with pytest.raises(ProviderError):
        provider.send(outgoing("+966501230006", callback_url=f"{listener.url}/x/"))
    wait_for(lambda: "delivered" in listener.statuses())


def test_after_an_internal_error_the_message_is_proven_absent_and_the_next_try_works(provider: Provider) -> None:
    with pytest.raises(ProviderError):
        provider.send(outgoing("+966501230004"))
    assert look_up(provider, "+966501230004") is None
    assert provider.send(outgoing("+966501230004")).provider_message_id


def test_call_backs_out_of_order_come_twice(provider: Provider, listener: Listener) -> None:
    provider.send(outgoing("+966501230007", callback_url=f"{listener.url}/x/"))
    wait_for(lambda: len(listener.calls) == 5)
    assert listener.statuses() == ["delivered", "sent", "queued", "sent", "delivered"]


def test_a_silent_number_never_calls_back_but_can_be_asked_about(provider: Provider, listener: Listener) -> None:
    accepted = provider.send(outgoing("+966501230008", callback_url=f"{listener.url}/x/"))

    def found() -> LookUp | None:
        answer = look_up(provider, provider_message_id=accepted.provider_message_id)
        return answer if answer and answer.status == "delivered" else None

    answer = wait_for(found)
    assert (answer.segments, answer.cost, answer.currency) == (1, Decimal("0.03500"), "USD")
    assert listener.calls == []


@pytest.mark.parametrize(
    ("ending", "channel", "status", "code"),
    [
        ("0002", "SMS", "undelivered", "30006"),
        ("0010", "WHATSAPP", "failed", "63024"),
        ("0010", "SMS", "delivered", ""),
    ],
)
def test_what_happens_later_has_a_code(
    provider: Provider, listener: Listener, ending: str, channel: str, status: str, code: str
) -> None:
    provider.send(outgoing(f"+96650123{ending}", channel=channel, callback_url=f"{listener.url}/x/"))
    wait_for(lambda: status in listener.statuses())
    assert listener.calls[-1][1].get("ErrorCode", "") == code
    if code:
        assert provider.kind_of(code) is Kind.NUMBER


def test_the_newest_match_of_number_and_text_counts(provider: Provider) -> None:
    provider.send(outgoing())
    provider.send(outgoing(body="Something else"))
    second = provider.send(outgoing())
    provider.send(outgoing("+966509999999"))
    found = look_up(provider)
    assert found is not None
    assert found.provider_message_id == second.provider_message_id
    assert look_up(provider, body="Never sent") is None
    assert look_up(provider, channel="WHATSAPP") is None


def test_without_its_text_a_message_cannot_be_declared_absent(provider: Provider) -> None:
    with pytest.raises(ProviderError) as raised:
        look_up(provider, body="")
    assert raised.value.kind is Kind.AMBIGUOUS


def test_a_look_up_walks_over_several_pages(provider: Provider, sandbox: SandboxServer) -> None:
    first = provider.send(outgoing(body="The one we look for"))
    for n in range(120):
        sandbox.store.add_message(
            direction="outbound-api", channel="SMS", number=NUMBER, peer="X", body=f"{n}", status="sent", segments=1
        )
    found = look_up(provider, body="The one we look for")
    assert found is not None
    assert found.provider_message_id == first.provider_message_id
    for n in range(120):
        sandbox.store.add_message(
            direction="outbound-api", channel="SMS", number=NUMBER, peer="X", body=f"{n}", status="sent", segments=1
        )
    with pytest.raises(ProviderError):
        look_up(provider, body="The one we look for")


def test_an_id_that_the_provider_does_not_know_is_absent(provider: Provider) -> None:
    assert look_up(provider, provider_message_id="SM" + "0" * 32) is None


def test_a_provider_that_is_down_was_never_reached(settings: Any) -> None:
    settings.SANDBOX_URL = "http://127.0.0.1:9"
    with pytest.raises(ProviderError) as raised:
        SandboxProvider().send(outgoing())
    assert raised.value.kind is Kind.TRANSIENT
    with pytest.raises(ProviderError):
        look_up(SandboxProvider())


def test_wrong_credentials_are_our_configuration(sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(account, "TOKEN", "wrong")
    provider = SandboxProvider()
    monkeypatch.undo()
    with pytest.raises(ProviderError) as raised:
        provider.send(outgoing())
    assert (raised.value.kind, raised.value.code) == (Kind.CONFIGURATION, "20003")
    assert raised.value.permanent


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"body": ""}, "21602"),
        ({"body": "x" * 1601}, "21617"),
        ({"to": "+966112345678"}, "21614"),
        ({"to": "0501234567"}, "21211"),
        ({"sender": "NAME-IS-TOO-LONG"}, "21212"),
        ({"channel": "WHATSAPP", "sender": "CLINIC"}, "63007"),
        ({"callback_url": "ftp://x.example/"}, "21609"),
    ],
)
def test_the_sandbox_refuses_what_twilio_refuses(provider: Provider, fields: dict[str, Any], code: str) -> None:
    with pytest.raises(ProviderError) as raised:
        provider.send(outgoing(**fields))
    assert raised.value.code == code
    assert raised.value.permanent


def test_the_validity_is_kept_within_twilios_limits(provider: Provider) -> None:
    assert provider.send(outgoing(valid_seconds=1)).provider_message_id
    assert provider.send(outgoing(valid_seconds=900_000)).provider_message_id
    assert provider.send(outgoing(valid_seconds=None)).provider_message_id


def test_stop_by_sms_blocks_the_sender_until_start(provider: Provider, listener: Listener) -> None:
    provider.send(outgoing(sender="CLINIC"))
    client.reply(NUMBER, channel="SMS", body="Stop")
    with pytest.raises(ProviderError) as raised:
        provider.send(outgoing(sender="CLINIC"))
    assert raised.value.kind is Kind.OPTED_OUT
    assert provider.send(outgoing(sender="OTHER")).provider_message_id
    client.reply(NUMBER, channel="SMS", body="START")
    with pytest.raises(ProviderError):  # the reply went to OTHER, who wrote last
        provider.send(outgoing(sender="CLINIC"))


def test_a_reply_reaches_the_inbound_webhook_signed(provider: Provider, listener: Listener) -> None:
    provider.send(outgoing(channel="WHATSAPP"))
    client.reply(NUMBER, channel="WHATSAPP", body="سأحضر")
    path, form, signature = wait_for(lambda: listener.calls)[0]
    assert path == "/webhooks/twilio/inbound/"
    assert (form["From"], form["To"]) == (f"whatsapp:{NUMBER}", f"whatsapp:{account.WHATSAPP_FROM}")
    assert form["Body"] == "سأحضر"
    assert RequestValidator(account.TOKEN).validate(listener.url + path, form, signature)
    assert [item["direction"] for item in client.messages_of(NUMBER, is_open=False)] == ["outbound-api", "inbound"]


def test_there_is_no_reply_to_a_clinic_that_never_wrote(sandbox: SandboxServer) -> None:
    with pytest.raises(client.NobodyWrote):
        client.reply(NUMBER, channel="SMS", body="Hello?")


def test_an_open_phone_reads_at_once(provider: Provider, sandbox: SandboxServer, listener: Listener) -> None:
    sandbox.delays = sandbox.delays.__class__(queued=0, sent=0, delivered=0, read=600)
    provider.send(outgoing(channel="WHATSAPP", callback_url=f"{listener.url}/x/"))
    wait_for(lambda: "delivered" in listener.statuses())
    assert "read" not in listener.statuses()
    client.messages_of(NUMBER, is_open=False)
    client.messages_of(NUMBER, is_open=True)
    wait_for(lambda: "read" in listener.statuses())


def test_phones_are_listed_latest_first(provider: Provider) -> None:
    provider.send(outgoing("+966501111111"))
    provider.send(outgoing("+966502222222", body="The latest"))
    first, second = client.conversations()
    assert (first["kind"], first["address"], first["preview"]) == ("phone", "+966502222222", "The latest")
    assert second["address"] == "+966501111111"


def test_strangers_are_not_answered(sandbox: SandboxServer) -> None:
    for path in ("/page/conversations", "/2010-04-01/Accounts/x/Messages.json", "/page/phones/1/replies"):
        assert requests.get(sandbox.url + path, timeout=5).status_code == 401
    assert requests.post(f"{sandbox.url}/page/phones/1/replies", data={"body": "x"}, timeout=5).status_code == 401


def test_nonsense_gets_an_error_and_the_server_lives_on(sandbox: SandboxServer, provider: Provider) -> None:
    auth = (account.SID, account.TOKEN)
    answer = requests.get(f"{sandbox.url}/2010-04-01/Accounts/{account.SID}/Messages.json?Page=x", auth=auth, timeout=5)
    assert answer.status_code == 400
    assert requests.post(f"{sandbox.url}/nowhere", auth=auth, data={"a": "b" * 200_000}, timeout=5).status_code == 413
    assert provider.send(outgoing()).provider_message_id


def test_what_was_due_survives_a_restart(tmp_path: Any) -> None:
    store = Store(tmp_path / "new" / "sandbox.sqlite3")
    message = store.add_message(
        direction="outbound-api", channel="SMS", number=NUMBER, peer="X", body="b", status="queued", segments=1
    )
    store.plan(message.sid, [(0.0, "sent", {})], url="")
    store.close()
    again = Store(tmp_path / "new" / "sandbox.sqlite3")
    assert [step.status for step in again.due_steps()] == ["sent"]
    again.close()


def test_the_registry_gives_the_adapter_of_the_settings(settings: Any) -> None:
    settings.SMS_PROVIDER, settings.WHATSAPP_PROVIDER = ["sandbox"], []
    assert sms_providers.provider_for(Channel.SMS).name == "sandbox"
    assert sms_providers.provider_for(Channel.SMS) is sms_providers.get("sandbox")
    with pytest.raises(sms_providers.ChannelDisabled):
        sms_providers.provider_for(Channel.WHATSAPP)


def test_a_changed_setting_makes_a_new_adapter(settings: Any) -> None:
    before = sms_providers.get("sandbox")
    settings.SANDBOX_URL = "http://127.0.0.1:1"
    assert sms_providers.get("sandbox") is not before
