"""From the row to the provider's 201, receipts and the whole timeline: ours, the common way, and the floor.

All three work with two processes against the same provider's double and the same PostgreSQL and Redis. The clock of
the send runs from the first ring until every row says SENT; that of the receipts from the stored receipts until every
row says DELIVERED. Making the messages and storing the receipts is not counted on any side (``bulk_create`` and
``receipts`` measure them).
"""

from __future__ import annotations

import contextlib
import os
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg

from benchmarks import ours
from benchmarks.lean import sides, tables
from benchmarks.lean.sides import Phases
from benchmarks.measure import Goal, Measure
from benchmarks.services import ProviderDouble, provider_double, wait_for

SIZE = 20_000
ROUNDS = 3
PROCESSES = 2
# The common way is so slow that it gets a tenth: its rate does not depend on the number.
_COMMON_SHARE = 10
# CREATED, QUEUED, SENDING, SENT, DELIVERED.
_LOG_ROWS = 5
_PATIENCE_SECONDS = 60.0


_PARTS: dict[str, Callable[[Phases], float]] = {
    "": lambda phases: phases.size / phases.whole,
    "_send": lambda phases: phases.size / phases.send,
    "_receipts": lambda phases: phases.size / phases.receive,
}


def run(folder: Path, size: int = SIZE) -> Iterator[Measure]:
    address = os.environ["DATABASE_URL"]
    with provider_double(folder) as double, psycopg.connect(address, autocommit=True) as connection:
        tables.make(connection)
        with (
            sides.Common.running(connection, double, folder) as common,
            Ours.running(folder, double, size) as engine,
        ):
            floor = sides.Floor(connection, double, folder)
            rounds = [
                (engine.round(size, number), common.round(size // _COMMON_SHARE, number), floor.round(size, number))
                for number in range(ROUNDS)
            ]
    ours_, common_, floor_ = (list(side) for side in zip(*rounds, strict=True))
    for part, rate in _PARTS.items():
        value = _median(ours_, rate)
        for baseline, rounds_, goal in (("common", common_, 10.0), ("floor", floor_, 0.25)):
            yield Measure(
                f"delivery{part}_to_{baseline}",
                value,
                "/s",
                _median(rounds_, rate),
                None if part else goal,
                Goal.RATIO_AT_LEAST,
            )


def _median(rounds: list[Phases], rate: Callable[[Phases], float]) -> float:
    return statistics.median(map(rate, rounds))


class Ours:
    """Agdar's engine in a worker of two processes, rung once for each of them."""

    def __init__(self, group: ours.Group, double: ProviderDouble) -> None:
        self._group, self._double = group, double

    @classmethod
    @contextlib.contextmanager
    def running(cls, folder: Path, double: ProviderDouble, size: int) -> Iterator[Ours]:
        group = ours.found_group("bench", size)
        engine = cls(group, double)
        with ours.worker(folder, concurrency=str(PROCESSES), queues="bulk,default"):
            engine.round(min(size, 500), -1)  # imports, plans, connections
            yield engine

    def round(self, size: int, number: int) -> Phases:
        ours.queue(self._group, size, f"round-{number}")
        ours.vacuum()
        self._double.forget()
        sending = self._timed(lambda: ours.ring(PROCESSES), "SENT")
        counted = self._double.count()
        if counted["accepted"] != size or counted["repeated"]:
            raise RuntimeError(f"the provider saw {counted} instead of {size}; {ours.states(self._group)}")
        ours.store_receipts(self._group)
        ours.vacuum()
        receiving = self._timed(lambda: ours.ring_for_receipts(PROCESSES), "DELIVERED")
        ours.check(self._group, "DELIVERED", rows_each=_LOG_ROWS)
        return Phases(size, sending, receiving)

    def _timed(self, start: Callable[[], None], status: str) -> float:
        began = time.perf_counter()
        start()
        wait_for(
            lambda: not ours.is_any_left(self._group, status),
            seconds=_PATIENCE_SECONDS,
            what=f"our workers bring all messages to {status}",
            every=0.05,
        )
        return time.perf_counter() - began
