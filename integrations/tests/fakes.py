"""A provider that answers as told, for tests of what surrounds it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from integrations import sms_providers
from integrations.sms_providers import Accepted, Brake, Call, CannotList, Kind, LookUp, Outgoing, ProviderError
from notifications.states import Status


@dataclass
class FakeProvider:
    """Plays ``script`` (an error, or None for "accepted") one call after the other, then accepts."""

    script: list[ProviderError | None] = field(default_factory=list)
    calls: list[Outgoing] = field(default_factory=list)
    # What a look-up answers: None is proven absence, an error is "cannot tell".
    found: Any = None
    # What the provider lists; None: it has no list.
    listed: list[LookUp] | None = None
    # Called before each answer, as a test's own deed in mid-call.
    on_send: Callable[[Outgoing], Any] | None = None
    # Sent in one go by ``send_many``; the rest is held back, as by a brake.
    stops_after: int | None = None
    limit: float | None = None
    milliseconds: int = 5
    asked: list[dict[str, Any]] = field(default_factory=list)
    name: str = "fake"
    webhook: str = "twilio"
    max_in_flight: int = 10
    reports_prices: bool = True
    batches: list[int] = field(default_factory=list)
    # Channels on which it takes only approved words, and what it says about any of them.
    approves: frozenset[str] = frozenset()
    approval: Any = None

    def needs_approval(self, channel: str) -> bool:
        return channel in self.approves

    def approval_of(self, content_sid: str) -> Any:
        if isinstance(self.approval, ProviderError):
            raise self.approval
        return self.approval

    def send(self, outgoing: Outgoing) -> Accepted:
        self.calls.append(outgoing)
        if self.on_send is not None:
            self.on_send(outgoing)
        step = self.script.pop(0) if self.script else None
        if step is not None:
            raise step
        return Accepted(provider_message_id=f"SM{len(self.calls):032x}", segments=1)

    def send_many(self, outgoings: Sequence[Outgoing], *, until: float | None = None) -> list[Call]:
        """One after the other, with the real brake."""
        self.batches.append(len(outgoings))
        brake, calls = Brake(until), []
        for outgoing in outgoings[: self.stops_after]:
            if brake.is_on:
                break
            result: Accepted | ProviderError
            try:
                result = self.send(outgoing)
            except ProviderError as error:
                result = error
            brake.note(result)
            calls.append(Call(outgoing, result, self.milliseconds))
        return calls

    def rate_limit(self, channel: str, sender: str) -> float | None:
        return self.limit

    def look_up_many(self, sent_after: Any, sent_before: Any) -> Iterator[LookUp]:
        if self.listed is None:
            raise CannotList(self.name)
        return iter(self.listed)

    def look_up(self, **query: Any) -> Any:
        self.asked.append(query)
        if isinstance(self.found, ProviderError):
            raise self.found
        return self.found

    def parse_status(self, word: str) -> Status | None:
        return {
            "queued": Status.SENDING,
            "sent": Status.SENT,
            "delivered": Status.DELIVERED,
            "read": Status.READ,
            "failed": Status.FAILED,
            "undelivered": Status.FAILED,
        }.get(word)

    def kind_of(self, code: str) -> Kind:
        return {"30006": Kind.NUMBER, "30003": Kind.TRANSIENT}.get(code, Kind.CONTENT)

    def explain(self, code: str) -> str:
        return f"explained {code}"


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> FakeProvider:
    """Carries every channel."""
    return play(monkeypatch)


def play(monkeypatch: pytest.MonkeyPatch) -> FakeProvider:
    """Puts a fake in the place of all providers, for tests that choose when it ends."""
    fake = FakeProvider()
    monkeypatch.setattr(sms_providers, "provider_for", lambda channel: fake)
    monkeypatch.setattr(sms_providers, "providers_for", lambda channel: [fake])
    monkeypatch.setattr(sms_providers, "get", lambda name: fake)
    monkeypatch.setattr("notifications.receipts.get", lambda name: fake)
    return fake


def error(kind: Kind, code: str = "x", **fields: Any) -> ProviderError:
    return ProviderError(kind, code=code, **fields)
