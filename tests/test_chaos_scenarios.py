"""The fault runs at a small size, each against real processes on the database and broker of this run."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import redis
from django.conf import settings
from django.db import connection

from tests.chaos.services import find_program

pytestmark = pytest.mark.worker
# Well over what a small run takes; it must end by itself and say why.
_PATIENCE_SECONDS = 240


def attacked(scenario: str, size: int) -> subprocess.CompletedProcess[str]:
    """One run in a process of its own, as ``bin/chaos`` would make it."""
    environment = {name: value for name, value in os.environ.items() if name not in ("REDIS_URL", "DATABASE_URL")}
    environment["DATABASE_URL"] = "sqlite:"
    if connection.vendor == "postgresql":
        environment["DATABASE_URL"] = _server_url()
    broker = settings.CELERY_BROKER_URL
    environment["CELERY_BROKER_URL"] = "sqlite:"
    if broker.startswith("redis"):
        # The suite's own database; an earlier test may have left something in it, and the run wants it empty.
        redis.Redis.from_url(broker).flushdb()
        environment["CELERY_BROKER_URL"] = broker
    return subprocess.run(
        [sys.executable, "-m", "tests.chaos", scenario, "--size", str(size), "--workers", "1"],
        cwd=settings.BASE_DIR,
        env=environment,
        capture_output=True,
        text=True,
        timeout=_PATIENCE_SECONDS,
        check=False,
    )


def _server_url() -> str:
    """The server of this run; the attack makes a database of its own there."""
    at = connection.settings_dict
    login = at["USER"] + (f":{at['PASSWORD']}" if at["PASSWORD"] else "")
    return f"postgres://{login}@{at['HOST'] or '127.0.0.1'}:{at['PORT'] or 5432}/postgres"


@pytest.mark.parametrize("scenario", ["kill", "flush", "provider", "callbacks"])
def test_nothing_is_lost_and_nothing_is_sent_twice(scenario: str) -> None:
    run = attacked(scenario, 120)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "BROKEN" not in run.stdout
    assert run.stdout.count("kept ") >= 10


@pytest.mark.postgres
@pytest.mark.skipif(not find_program("initdb"), reason="no initdb of PostgreSQL to start a private server with")
def test_a_database_that_crashes_and_comes_back_costs_nothing() -> None:
    run = attacked("database", 120)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "crashes of the database" in run.stdout
