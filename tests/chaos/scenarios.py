"""What is done to the house. Each leaves with its fault ended; what follows is the same for all (``__main__``)."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tests.chaos.house import House, database_away
from tests.chaos.plan import Plan

# Most are delivered; some numbers are dead, some die late, some never say more than "sent".
FATES = {"read": 0.2, "dead": 0.03, "late_bounce": 0.03, "stuck": 0.02}


@dataclass(frozen=True)
class Scenario:
    """``play`` gets the house, the number of messages, the dice and how often its fault strikes."""

    words: str
    # The figure of the table that shows that the fault struck; a run without it proves nothing.
    proof: str
    play: Callable[[House, int, random.Random, int], None]
    plan: Mapping[str, object] = field(default_factory=dict)
    # How often the fault strikes in a small and in a large run.
    strikes: tuple[int, int] = (3, 25)
    stops_database: bool = False

    def provider_plan(self, seed: int) -> Plan:
        return Plan.from_json({"seed": seed, "fates": FATES, **self.plan})


def kill(house: House, size: int, dice: random.Random, strikes: int) -> None:
    """kill -9 of all workers with their children in a loop, each time in the middle of sending."""
    for portion in _portions(size, strikes):
        house.start_workers()
        house.create(portion)
        house.wait_for_work()
        time.sleep(dice.uniform(0, 0.3))
        at_work = house.provider_state()["open"]
        house.kill_workers()
        house.notes["kills"] += 1
        house.notes["calls open at a kill"] += at_work
    house.start_workers()


def flush(house: House, size: int, dice: random.Random, strikes: int) -> None:
    """The broker forgets everything: first with half of all waiting, then again and again while they are sent."""
    house.create(size // 2)
    house.notes["messages waiting at the first flush"] = house.underway()
    house.broker.lose()
    house.start_workers()
    for portion in _portions(size - size // 2, strikes):
        house.create(portion)
        house.wait_for_work()
        time.sleep(dice.uniform(0, 0.5))
        house.broker.lose()
        house.notes["flushes"] += 1


def database(house: House, size: int, dice: random.Random, strikes: int) -> None:
    """The database server stops as in a crash while messages are sent and receipts come in, and starts again."""
    house.start_workers()
    for portion in _portions(size, strikes):
        house.create(portion)
        house.wait_for_work()
        time.sleep(dice.uniform(0, 0.3))
        at_work = house.provider_state()["open"]
        with database_away(house):
            time.sleep(dice.uniform(1, 3))
        house.notes["crashes of the database"] += 1
        house.notes["calls open at a crash"] += at_work


def provider(house: House, size: int, dice: random.Random, strikes: int) -> None:
    """All misbehaviours at once; and, in a large run, the provider is killed and comes back."""
    house.create(size)
    house.start_workers()
    for portion in range(1, strikes + 1):
        house.is_so_within(lambda portion=portion: house.asked() > size * portion // (strikes + 2), seconds=30)
        house.kill("provider")
        time.sleep(dice.uniform(0.5, 1.5))
        house.start_provider(house.plan)
        house.notes["kills of the provider"] += 1
    house.is_so_within(lambda: house.underway() == 0, seconds=15 + size / 50)
    house.notes["messages asked for under faults"] = house.asked()


def callbacks(house: House, size: int, dice: random.Random, strikes: int) -> None:
    """Receipts early, late, twice, in any order, forged, about strangers, or never."""
    house.create(size)
    house.start_workers()
    # Not all are accepted: a twin is suppressed when the first one's number turns out to be dead.
    house.is_so_within(lambda: house.underway() == 0, seconds=30 + size / 50)


def _portions(size: int, parts: int) -> list[int]:
    return [size // parts + (place < size % parts) for place in range(parts)]


SCENARIOS: Mapping[str, Scenario] = {
    "kill": Scenario(
        "workers killed in a loop",
        "calls open at a kill",
        kill,
        {"latency": 0.15, "callbacks": {"never": 0.3}},
        (3, 25),
    ),
    "flush": Scenario(
        "broker flushed in flight", "messages waiting at the first flush", flush, {"latency": 0.05}, (3, 10)
    ),
    "database": Scenario(
        "database restarted",
        "calls open at a crash",
        database,
        {"latency": 0.15},
        (2, 6),
        stops_database=True,
    ),
    "provider": Scenario(
        "provider misbehaves in every way",
        "accepted without a clean answer",
        provider,
        {
            "latency": 0.02,
            "slow": 2.0,
            "lookup_faults": 0.2,
            "queued": 0.05,
            "queued_for": 8.0,
            "faults": {
                "429": 0.04,
                "429_retry_after": 0.03,
                "slow": 0.02,
                "500": 0.03,
                "500_accepted": 0.03,
                "503": 0.03,
                "503_accepted": 0.03,
                "reset": 0.03,
                "reset_accepted": 0.03,
                "cut_accepted": 0.03,
                "garbage_accepted": 0.03,
                "hang": 0.005,
                "hang_accepted": 0.005,
                "hang_accepted_late": 0.005,
            },
            "callbacks": {
                "never": 0.2,
                "shuffled": 0.2,
                "twice": 0.1,
                "early": 0.1,
                "late": 0.1,
                "forged": 0.05,
                "unknown": 0.05,
            },
        },
        (0, 3),
    ),
    "callbacks": Scenario(
        "call-backs in every wrong way",
        "call-backs: forged, 403",
        callbacks,
        {
            "callbacks": {
                "never": 0.1,
                "shuffled": 0.4,
                "twice": 0.3,
                "early": 0.2,
                "late": 0.2,
                "forged": 0.2,
                "unknown": 0.1,
            },
            "fates": {"read": 0.3, "dead": 0.1, "late_bounce": 0.15, "stuck": 0.05},
        },
    ),
}
