"""A provider that answers as told, for tests of what surrounds it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from integrations import sms_providers
from integrations.sms_providers import Accepted, Kind, Outgoing, ProviderError
from notifications.states import Status


@dataclass
class FakeProvider:
    """Plays ``script`` (an error, or None for "accepted") one call after the other, then accepts."""

    script: list[ProviderError | None] = field(default_factory=list)
    calls: list[Outgoing] = field(default_factory=list)
    # What a look-up answers: None is proven absence, an error is "cannot tell".
    found: Any = None
    on_send: Any = None
    asked: list[dict[str, Any]] = field(default_factory=list)
    name: str = "fake"
    webhook: str = "twilio"

    def send(self, outgoing: Outgoing) -> Accepted:
        self.calls.append(outgoing)
        if self.on_send is not None:
            self.on_send(outgoing)
        step = self.script.pop(0) if self.script else None
        if step is not None:
            raise step
        return Accepted(provider_message_id=f"SM{len(self.calls):032x}", segments=1)

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
    fake = FakeProvider()
    monkeypatch.setattr(sms_providers, "provider_for", lambda channel: fake)
    monkeypatch.setattr(sms_providers, "get", lambda name: fake)
    monkeypatch.setattr("notifications.receipts.get", lambda name: fake)
    return fake


def error(kind: Kind, code: str = "x", **fields: Any) -> ProviderError:
    return ProviderError(kind, code=code, **fields)
