"""Asking real adapters, over the wire, what became of messages."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from conftest import Clinic
from integrations import sms_providers, sync
from integrations.providers import twilio
from integrations.providers.unifonic import UnifonicProvider
from integrations.sandbox import account
from integrations.sandbox.server import SandboxServer
from integrations.sms_providers import Provider
from integrations.tasks import provider_sync_task
from integrations.tests.handed_over import MINUTE, MOBILE, again, clock, handed_over, last_attempt, unknown
from integrations.tests.sandbox_fixtures import listener, outgoing, sandbox, wait_for
from notifications.models import Message, MessageAttempt
from notifications.states import Outcome, Status

__all__ = ["clock", "listener", "sandbox"]


@pytest.fixture
def provider(sandbox: SandboxServer) -> Provider:
    return sms_providers.get("sandbox")


def send(provider: Provider, message: Message) -> str:
    """Hands it over, and waits until the sandbox has brought it; the provider's id."""
    sent = provider.send(outgoing(message.recipient, message_id=str(message.pk), body=message.body))
    wait_for(
        lambda: (
            (
                found := provider.look_up(
                    message_id="", to="", sent_after=timezone.now(), provider_message_id=sent.provider_message_id
                )
            )
            and found.status == "delivered"
        )
    )
    MessageAttempt.objects.filter(message=message).update(provider=provider.name)
    return sent.provider_message_id


def test_status_price_and_segments_of_a_sent_message(clinic: Clinic, provider: Provider) -> None:
    message = handed_over(clinic, its_id="")
    its_id = send(provider, message)
    MessageAttempt.objects.update(provider_message_id=its_id, outcome=Outcome.ACCEPTED)
    assert provider_sync_task() == {"asked": 1, "listed": 0, "moved": 1}
    assert again(message).status == Status.DELIVERED
    assert (message.cost, message.currency, message.segments) == (Decimal("0.03500"), "USD", 1)
    assert message.next_check_at is None


def test_an_unknown_message_is_found_by_its_words(clinic: Clinic, provider: Provider) -> None:
    message = unknown(clinic)
    its_id = send(provider, message)
    provider_sync_task()
    assert (again(message).status, message.provider_message_id) == (Status.DELIVERED, its_id)
    assert last_attempt(message).provider_message_id == its_id


def test_a_message_that_never_arrived_is_tried_again(clinic: Clinic, provider: Provider) -> None:
    message = unknown(clinic)
    MessageAttempt.objects.update(provider=provider.name)
    provider_sync_task()
    assert again(message).status == Status.FAILED
    assert message.next_attempt_at is not None


def test_siblings_with_the_same_words_each_find_their_own(clinic: Clinic, provider: Provider) -> None:
    known, doubtful = unknown(clinic), unknown(clinic)
    theirs, ours = send(provider, doubtful), send(provider, known)
    MessageAttempt.objects.filter(message=known).update(provider_message_id=ours, outcome=Outcome.ACCEPTED)
    MessageAttempt.objects.update(provider=provider.name)
    provider_sync_task()
    assert (again(known).provider_message_id, again(doubtful).provider_message_id) == (ours, theirs)


def test_many_are_read_from_the_list_page_by_page(
    clinic: Clinic, provider: Provider, sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(twilio, "_PAGE", 25)
    listed = [
        sandbox.store.add_message(
            direction="outbound-api", channel="SMS", number=MOBILE, peer="X", body=f"{n}", status="sent", segments=1
        )
        for n in range(sync.MANY + 10)
    ]
    messages = [handed_over(clinic, its_id=there.sid, age=MINUTE, body=there.body) for there in listed]
    MessageAttempt.objects.update(provider=provider.name)
    counts = provider_sync_task()
    assert (counts["listed"], counts["asked"]) == (len(messages), 0)
    assert {again(message).status for message in messages} == {Status.SENT}
    assert {message.segments for message in messages} == {1}


def test_unifonic_is_asked_by_our_id_and_skips_what_is_known(
    clinic: Clinic, sandbox: SandboxServer, settings: Any
) -> None:
    settings.UNIFONIC_APP_SID, settings.UNIFONIC_SENDER_ID = account.SID, "NOOR"
    settings.UNIFONIC_WEBHOOK_SECRET, settings.UNIFONIC_API_BASE_URL = "secret", sandbox.url
    provider = UnifonicProvider()
    message = unknown(clinic)
    copies = [
        provider.send(outgoing(message_id=str(message.pk), body=body)).provider_message_id for body in ("one", "two")
    ]
    asked = {"message_id": str(message.pk), "to": message.recipient, "sent_after": timezone.now()}
    for known, expected in [(copies[:1], copies[1]), (copies[1:], copies[0])]:
        found = provider.look_up(**asked, known_ids=known)
        assert found is not None
        assert (found.provider_message_id, found.message_id) == (expected, str(message.pk))
    assert provider.look_up(**asked, known_ids=copies) is None
