"""``python -m benchmarks [name] [--json] [--size N]``: runs one benchmark or all, each in a process of its own.

Each has its own database and broker: the embedded ones, or for those of production a new PostgreSQL database and an
empty Redis database (``services.py``).
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.measure import Measure

# name → whether it needs PostgreSQL and Redis
NAMES = {
    "event_to_row": False,
    "booking_request": False,
    "delivery": True,
    "email": True,
    "transactional_under_bulk": True,
    "receipts": True,
    "bulk_create": True,
    "worker_memory": True,
    "bell_poll": True,
    "bell_counter": True,
    "bell_dropdown": True,
    "notify_many": True,
    "inbox_page": True,
    "management": True,
    "upload": True,
    "bulk_start": True,
    "message_list": True,
    "export": True,
    "planner": True,
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="bin/bench", description=__doc__)
    parser.add_argument("name", nargs="?", choices=NAMES, help="only this one")
    parser.add_argument("--json", action="store_true", help="one JSON object a measure")
    parser.add_argument("--size", type=int, help="how many messages, where a benchmark has such a number")
    chosen = parser.parse_args()
    # Ended from outside, everything is still cleaned up.
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    if chosen.name is None:
        return max(_in_its_own_process(name) for name in NAMES)
    from benchmarks.services import Unreachable

    is_met = True
    try:
        for measure in _measures(chosen.name, chosen.size):
            print(measure.as_json() if chosen.json else measure.as_text(), flush=True)
            is_met = is_met and measure.met
    except Unreachable as missing:
        print(f"agdar: {chosen.name} {missing}", file=sys.stderr)
        return 2
    return 0 if is_met else 1


def _in_its_own_process(name: str) -> int:
    command = [sys.executable, "-m", "benchmarks", name, *sys.argv[1:]]
    with subprocess.Popen(command, cwd=Path(__file__).parent.parent) as running:
        try:
            return running.wait()
        except BaseException:  # stopped from outside: it must have time to take away what it made
            running.terminate()
            raise


def _measures(name: str, size: int | None) -> Iterator[Measure]:
    with tempfile.TemporaryDirectory(prefix="agdar-bench-") as made:
        folder = Path(made)
        try:
            if NAMES[name]:
                yield from _on_production(name, folder, size)
                return
            from benchmarks import house

            _start_django(house.environment(folder))
            yield from _module(name).run(folder, house.found_clinic())
        except RuntimeError:
            for log in sorted(folder.glob("*.log")):
                print(f"--- {log.name}\n{log.read_text()[-2000:]}", file=sys.stderr)
            raise


def _on_production(name: str, folder: Path, size: int | None) -> Iterator[Measure]:
    from benchmarks import ours, services

    with services.database() as database_url, services.broker() as broker_url:
        _start_django(services.production(database_url, broker_url))
        run = _module(name).run
        ours.migrate()
        options = {} if size is None or "size" not in inspect.signature(run).parameters else {"size": size}
        try:
            yield from run(folder, **options)
        finally:
            from django.db import connections

            connections.close_all()


def _start_django(environment: dict[str, str]) -> None:
    os.environ.update(environment)
    import django

    django.setup()


def _module(name: str):  # type: ignore[no-untyped-def]  # any of the benchmarks
    return importlib.import_module(f"benchmarks.{name}")


if __name__ == "__main__":
    sys.exit(main())
