"""What processes of the house load is frozen, so that no full garbage collection walks it in mid-request."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.parts import ROOT

WEB = "import agdar.wsgi"
WORKER = (
    "from agdar.celery import app; from celery.signals import worker_init; "
    "app.loader.init_worker(); worker_init.send(sender='worker')"
)


@pytest.mark.parametrize("start", [WEB, WORKER], ids=["web", "worker"])
def test_what_a_process_has_loaded_is_frozen(start: str) -> None:
    # Asked in a process of its own: frozen here, the heap of all other tests would be.
    count = "import gc; print(gc.get_freeze_count(), len(gc.get_objects()))"
    done = subprocess.run(
        [sys.executable, "-c", f"{start}; {count}"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=120
    )
    frozen, walked = map(int, done.stdout.split())
    assert frozen > 100_000
    assert walked < 10_000
