"""``python -m tests.chaos [scenario]``: attacks a house of its own and judges it. Run by ``bin/chaos``."""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.chaos.house import House
    from tests.chaos.verify import Promise

NAMES = ("kill", "flush", "database", "provider", "callbacks")
# From here on a run may take minutes: it waits for leases to end by themselves.
LARGE = 1000
# The promise: what was held up is on its way again this soon after the fault.
REDRIVEN_SECONDS = 60.0
_SHOWN = 5


def main() -> int:
    parser = argparse.ArgumentParser(prog="bin/chaos", description="Attacks a house of its own and judges it.")
    parser.add_argument("scenario", nargs="?", choices=NAMES, help="only this one")
    parser.add_argument("--size", type=int, default=10_000, help="messages (10000); under 1000 leases are cut short")
    parser.add_argument("--seed", type=int, default=1, help="of all dice (1)")
    parser.add_argument("--workers", type=int, default=2, help="workers of each kind (2)")
    parser.add_argument("--strikes", type=int, help="how often the fault strikes (by size)")
    parser.add_argument("--embedded", action="store_true", help="SQLite and the embedded broker")
    parser.add_argument(
        "--keep", type=Path, help="a folder for logs, book and rows, one of each scenario; kept after the run"
    )
    chosen = parser.parse_args()
    if chosen.scenario is None:
        codes = [_alone(name) for name in NAMES]
        return max(codes)
    with ExitStack() as stack:
        if chosen.keep is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="agdar-chaos-")))
        else:
            folder = chosen.keep / chosen.scenario
            folder.mkdir(parents=True)
        return _run(stack, folder.resolve(), chosen)


def _alone(name: str) -> int:
    """One scenario in a process of its own: each has another database, and Django knows one a process."""
    return subprocess.run([sys.executable, "-m", "tests.chaos", name, *sys.argv[1:]], check=False).returncode


def _run(stack: ExitStack, folder: Path, chosen: argparse.Namespace) -> int:
    from benchmarks.house import free_port
    from core.management.commands.demo import demo_environment
    from tests.chaos import services

    # The server's own user must be able to enter.
    folder.chmod(0o755)
    database = stack.enter_context(
        services.database(folder, is_embedded=chosen.embedded, must_stop=chosen.scenario == "database")
    )
    broker = stack.enter_context(services.broker(folder, is_embedded=chosen.embedded))
    environment = demo_environment(folder, free_port()) | {
        "DJANGO_SETTINGS_MODULE": "agdar.settings",
        "LOG_LEVEL": "WARNING",
        "DATABASE_URL": database.url,
        "CELERY_BROKER_URL": broker.url,
        "SMS_PROVIDER": "twilio",
        "WHATSAPP_PROVIDER": "twilio",
        "TWILIO_ACCOUNT_SID": "AC" + "c" * 32,
        "TWILIO_AUTH_TOKEN": "the-token-of-the-misbehaving-provider",
        "TWILIO_SMS_FROM": "CLINIC",
        "TWILIO_WHATSAPP_FROM": "+966110000000",
        "TWILIO_API_BASE_URL": f"http://127.0.0.1:{free_port()}",
    }
    os.environ.update(environment)
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    from tests.chaos import scenarios
    from tests.chaos.house import House
    from tests.chaos.verify import Promise, World, figures, verify

    scenario = scenarios.SCENARIOS[chosen.scenario]
    is_large = chosen.size >= LARGE
    _say(f"{chosen.scenario}: {scenario.words}. {chosen.size} messages, seed {chosen.seed}.")
    _say(f"  on {database.words} and {broker.words}, {chosen.workers} workers of each kind")
    house = House(folder, database=database, broker=broker, workers=chosen.workers)
    stack.callback(house.stop)
    house.start_provider(scenario.provider_plan(chosen.seed))
    house.start()
    strikes = chosen.strikes or scenario.strikes[is_large]
    began = time.monotonic()
    scenario.play(house, chosen.size, random.Random(chosen.seed), strikes)
    house.end_faults()
    ended = time.monotonic()
    house.notes["seconds under faults"] = round(ended - began)
    promises = [_redriven(house, is_large=is_large)]
    house.notes["seconds until all were on their way"] = round(time.monotonic() - ended)
    house.notes["UNCONFIRMED then"] = house.counts()["UNCONFIRMED"]
    house.notes["FAILED then, with a retry to come or for good"] = house.counts()["FAILED"]
    house.settle(patience=90 if is_large else 15, pace=15 if is_large else 1)
    world = World.read(house.book)
    promises += verify(world, made=house.made)
    found = {**house.notes, **figures(world)}
    if not found.get(scenario.proof):
        promises.append(Promise("the fault struck", [f"no figure for “{scenario.proof}”"]))
    _show(promises, found)
    return 0 if all(promise.is_kept for promise in promises) else 1


def _redriven(house: House, *, is_large: bool) -> Promise:
    """None waits or is under way a minute after the fault's end. A small run does not sit out dead workers' leases."""
    from tests.chaos.verify import Promise

    promise = Promise(f"all re-driven within {REDRIVEN_SECONDS:.0f} s of the fault's end")
    if not is_large:
        house.lose_leases()
    if not house.is_so_within(lambda: house.underway() == 0, seconds=REDRIVEN_SECONDS):
        counts = house.counts()
        promise.broken.append(f"{counts['QUEUED']} QUEUED and {counts['SENDING']} SENDING")
    return promise


def _show(promises: Sequence[Promise], figures: Mapping[str, int]) -> None:
    for name, figure in figures.items():
        _say(f"  {name:<50} {figure:>8}")
    for promise in promises:
        _say(f"  {'kept' if promise.is_kept else 'BROKEN':<7} {promise.words}")
        for line in promise.broken[:_SHOWN]:
            _say(f"            {line}")
        if len(promise.broken) > _SHOWN:
            _say(f"            … {len(promise.broken)} in all")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
