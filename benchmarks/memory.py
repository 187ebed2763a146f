"""The memory of processes, watched from outside: resident megabytes, as ``/proc`` tells them."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

_EVERY_SECONDS = 0.1
_PAGE_MB = 4096 / 1024**2


def resident_mb(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_MB


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


class Watch:
    """What each process held at each moment."""

    def __init__(self) -> None:
        self.samples: dict[int, list[tuple[float, float]]] = {}

    def take(self, pids: Iterable[int]) -> None:
        now = time.monotonic()
        for pid in pids:
            with contextlib.suppress(OSError):
                self.samples.setdefault(pid, []).append((now, resident_mb(pid)))

    def peak(self) -> float:
        """The most that one process ever held."""
        return max(mb for samples in self.samples.values() for _moment, mb in samples)

    def growth(self, share: float) -> float:
        """How much more any process held at its end, at the most, than after ``share`` of its time."""
        return max(self._growth(samples, share) for samples in self.samples.values())

    @staticmethod
    def _growth(samples: list[tuple[float, float]], share: float) -> float:
        began, ended = samples[0][0], samples[-1][0]
        since = began + (ended - began) * share
        later = [mb for moment, mb in samples if moment >= since]
        return max(later) - later[0]


@contextlib.contextmanager
def watched(*pids: int) -> Iterator[Watch]:
    """Samples the processes until the block ends."""
    watch, is_over = Watch(), threading.Event()

    def sample() -> None:
        while not is_over.wait(_EVERY_SECONDS):
            watch.take(pids)

    thread = threading.Thread(target=sample, daemon=True)
    watch.take(pids)
    thread.start()
    try:
        yield watch
    finally:
        is_over.set()
        thread.join()
        watch.take(pids)
