"""What each process of production's bulk worker holds while it drains very many messages."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from benchmarks import memory, ours
from benchmarks.measure import Measure
from benchmarks.services import provider_double, wait_for

SIZE = 100_000
GOAL_MB = 250.0
GOAL_GROWTH_MB = 15.0
# The first fifth of the time fills caches and pools.
_SETTLED = 0.2
_PATIENCE_SECONDS = 900.0


def run(folder: Path, size: int = SIZE) -> Iterator[Measure]:
    with provider_double(folder) as double:
        group = ours.found_group("bench", size)
        ours.queue(group, size, "whole")
        ours.vacuum()
        with ours.worker(folder) as pid, memory.watched(*memory.children_of(pid)) as watch:
            ours.ring(len(watch.samples))
            wait_for(
                lambda: not ours.is_any_left(group, "SENT"), seconds=_PATIENCE_SECONDS, what="all are sent", every=0.1
            )
        if double.count()["accepted"] != size:
            raise RuntimeError(f"the provider saw {double.count()} instead of {size} messages")
    yield Measure("worker_memory", watch.peak(), "MB", None, GOAL_MB)
    yield Measure("worker_memory_growth", watch.growth(_SETTLED), "MB", None, GOAL_GROWTH_MB)
