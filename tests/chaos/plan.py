"""What the misbehaving provider does to whom: data, drawn by dice with a seed. Knows nothing of HTTP or Django.

The dice are thrown per (seed, what, who), never from one stream: whoever comes first changes nothing for the others,
so a run with the same seed plays the same faults to the same calls.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Self


class Fault(StrEnum):
    """What happens to one request to create a message."""

    NONE = "none"
    TOO_MANY = "429"
    TOO_MANY_LATER = "429_retry_after"
    ERROR = "500"
    ERROR_ACCEPTED = "500_accepted"
    UNAVAILABLE = "503"
    UNAVAILABLE_ACCEPTED = "503_accepted"
    HANG = "hang"
    HANG_ACCEPTED = "hang_accepted"
    HANG_LATE = "hang_accepted_late"
    RESET = "reset"
    RESET_ACCEPTED = "reset_accepted"
    CUT = "cut_accepted"
    GARBAGE = "garbage_accepted"
    SLOW = "slow"


# The call is answered cleanly with "no": it may, and must, be made again.
CLEAN_REFUSALS = frozenset({Fault.TOO_MANY, Fault.TOO_MANY_LATER})
# Nothing was kept of the message, whatever the caller could see of it.
NOT_ACCEPTED = CLEAN_REFUSALS | {Fault.ERROR, Fault.UNAVAILABLE, Fault.HANG, Fault.RESET}
# Kept, and the caller is not told so.
ACCEPTED_IN_SILENCE = frozenset(
    {
        *(Fault.ERROR_ACCEPTED, Fault.UNAVAILABLE_ACCEPTED, Fault.HANG_ACCEPTED, Fault.HANG_LATE),
        *(Fault.RESET_ACCEPTED, Fault.CUT, Fault.GARBAGE),
    }
)


class Fate(StrEnum):
    """What becomes of an accepted message, in the end."""

    DELIVERED = "delivered"
    READ = "read"
    DEAD = "dead"
    LATE_BOUNCE = "late_bounce"
    STUCK = "stuck"


# Fate → the words in their order, each with the error code that comes with it.
WORDS: Mapping[Fate, tuple[tuple[str, str], ...]] = {
    Fate.DELIVERED: (("sent", ""), ("delivered", "")),
    Fate.READ: (("sent", ""), ("delivered", ""), ("read", "")),
    Fate.DEAD: (("sent", ""), ("undelivered", "30005")),
    Fate.LATE_BOUNCE: (("sent", ""), ("delivered", ""), ("undelivered", "30005")),
    Fate.STUCK: (("sent", ""),),
}


class CallBack(StrEnum):
    """How the call-backs of one accepted message misbehave; each is drawn for itself."""

    NEVER = "never"
    SHUFFLED = "shuffled"
    TWICE = "twice"
    EARLY = "early"
    LATE = "late"
    FORGED = "forged"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Plan:
    """Shares from 0 to 1. ``faults`` and ``fates`` exclude each other, ``callbacks`` do not. Times in seconds."""

    seed: int = 1
    faults: Mapping[str, float] = field(default_factory=dict)
    callbacks: Mapping[str, float] = field(default_factory=dict)
    fates: Mapping[str, float] = field(default_factory=dict)
    # Look-ups (GET) that are answered with 429 or 500.
    lookup_faults: float = 0.0
    # How long a call takes anyway, and a slow one; how long a hanging one is held before it is dropped.
    latency: float = 0.0
    slow: float = 3.0
    hang: float = 20.0
    retry_after: int = 2
    # Between two call-backs of one message; a late one comes after ``late`` more.
    callback_gap: float = 0.05
    late: float = 5.0
    # The share of messages that wait in the provider's own queue first, and how long: no call-back, no DateSent.
    queued: float = 0.0
    queued_for: float = 30.0

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        return cls(**data)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    def without_faults(self) -> Plan:
        """The same provider in good health: what it has accepted keeps its fate."""
        return Plan(
            seed=self.seed,
            fates=self.fates,
            callback_gap=self.callback_gap,
            queued=self.queued,
            queued_for=self.queued_for,
        )

    def dice(self, what: str, who: str) -> float:
        """A number from 0 to 1, always the same for the same throw."""
        digest = hashlib.sha256(f"{self.seed}/{what}/{who}".encode()).digest()
        return int.from_bytes(digest[:8], "big") / 2**64

    def fault_of(self, call: str) -> Fault:
        """``call`` names one request: the recipient and how many calls there were for them before."""
        return Fault(_draw(self.faults, self.dice("fault", call)) or Fault.NONE)

    def fate_of(self, recipient: str) -> Fate:
        """The same for all messages to a recipient. SMS has no read receipts."""
        fate = Fate(_draw(self.fates, self.dice("fate", recipient)) or Fate.DELIVERED)
        return Fate.DELIVERED if fate is Fate.READ and not recipient.startswith("whatsapp:") else fate

    def queued_seconds(self, call: str) -> float:
        """How long the message that this call made waits at the provider before it leaves."""
        return self.queued_for if self.dice("queued", call) < self.queued else 0.0

    def callbacks_of(self, call: str) -> frozenset[CallBack]:
        return frozenset(
            kind for kind in CallBack if self.dice(f"callback {kind}", call) < self.callbacks.get(kind.value, 0)
        )


def _draw(shares: Mapping[str, float], thrown: float) -> str:
    """The name whose share the throw falls into; empty when it falls beside all of them."""
    reached = 0.0
    for name in sorted(shares):
        reached += shares[name]
        if thrown < reached:
            return name
    return ""
