"""Which parts of the suite can run here, and which did: databases, brokers, real workers, a browser.

A pytest plugin (the root ``conftest.py`` names it) that gives the markers their meaning and closes a run with a table.
``python -m tests`` (``bin/test``) uses the same finders for its two passes.

``AGDAR_REQUIRE=postgres,redis,browser`` turns "not there" into a failure.
"""

from __future__ import annotations

import fcntl
import functools
import json
import os
import shutil
import socket
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

ROOT = Path(__file__).resolve().parent.parent
VAR = ROOT / "var"
CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# The suite's own Redis databases: this one and those after it, one per parallel process.
FIRST_REDIS_DATABASE = 8

# Part -> how it is called in AGDAR_REQUIRE (those that can be missing).
PARTS = {
    "SQLite": None,
    "PostgreSQL": "postgres",
    "embedded broker": None,
    "Redis": "redis",
    "real worker": None,
    "browser": "browser",
}


@dataclass(frozen=True)
class Found:
    """A service's address, or why there is none."""

    address: str = ""
    why_not: str = ""

    def __bool__(self) -> bool:
        return bool(self.address)


def required() -> set[str]:
    return {name.strip() for name in os.environ.get("AGDAR_REQUIRE", "").split(",") if name.strip()}


# --- Finders --------------------------------------------------------------------------------------------------------


def find_postgres() -> Found:
    """A server where we may create databases: the one we are told of, else the usual place with the usual roles."""
    import psycopg

    told = os.environ.get("AGDAR_TEST_POSTGRES_URL") or os.environ.get("DATABASE_URL", "")
    if told.startswith(("postgres", "pgsql")):
        candidates = [told]
    else:
        candidates = ["postgres://agdar:agdar@127.0.0.1:5432/agdar", "postgres://postgres@127.0.0.1:5432/postgres"]
    parts = urlsplit(candidates[0])
    place = f"{parts.hostname}:{parts.port or 5432}"
    if not _answers(parts.hostname or "127.0.0.1", parts.port or 5432):
        return Found(why_not=f"nothing answers at {place} (AGDAR_TEST_POSTGRES_URL names another place)")
    for url in candidates:
        parts = urlsplit(url)
        try:
            with psycopg.connect(
                host=parts.hostname,
                port=parts.port or 5432,
                user=parts.username,
                password=parts.password,
                dbname="postgres",
                connect_timeout=3,
            ) as connection:
                row = connection.execute(
                    "SELECT rolcreatedb OR rolsuper FROM pg_roles WHERE rolname = current_user"
                ).fetchone()
        except psycopg.OperationalError:
            continue
        if row and row[0]:
            return Found(url)
    users = " and ".join(str(urlsplit(url).username) for url in candidates)
    return Found(why_not=f"{place} lets neither of {users} in with the right to create databases")


def find_redis() -> Found:
    told = os.environ.get("REDIS_URL") or os.environ.get("CELERY_BROKER_URL", "")
    parts = urlsplit(told if told.startswith("redis") else "redis://127.0.0.1:6379")
    if not _answers(parts.hostname or "127.0.0.1", parts.port or 6379):
        return Found(
            why_not=f"nothing answers at {parts.hostname}:{parts.port or 6379} (REDIS_URL names another place)"
        )
    return Found(parts._replace(path=f"/{FIRST_REDIS_DATABASE}").geturl())


@functools.cache
def find_chromium() -> Found:
    for name in CHROMIUM_NAMES:
        if path := shutil.which(name):
            return Found(path)
    return Found(why_not=f"no Chromium on the PATH ({', '.join(CHROMIUM_NAMES)})")


def _answers(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=2).close()
    except OSError:
        return False
    return True


# --- The plugin -----------------------------------------------------------------------------------------------------


def pytest_configure(config: pytest.Config) -> None:
    """Gives each test process a broker of its own: a running demo and the neighbour process keep theirs."""
    from django.conf import settings

    from agdar.celery import app

    index = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    # The first process has already taken CELERY_BROKER_URL away (below) when its parallel ones start.
    url = os.environ.get("AGDAR_TEST_BROKER_URL") or settings.CELERY_BROKER_URL
    if url.startswith("redis"):
        url = urlsplit(url)._replace(path=f"/{FIRST_REDIS_DATABASE + index}").geturl()
    else:
        VAR.mkdir(exist_ok=True)
        name = Path(os.environ.get("AGDAR_TEST_DB", "test.sqlite3")).stem
        url = f"sqlite:///{VAR / f'{name}-broker-{index}.sqlite3'}"
    # Celery reads the environment before its settings: a test that chooses a broker must be able to.
    os.environ.pop("CELERY_BROKER_URL", None)
    settings.CELERY_BROKER_URL = app.conf.broker_url = url
    if url.startswith("redis"):
        # The broker of the processes that a test starts (tests/processes.py).
        os.environ["AGDAR_TEST_BROKER_URL"] = url
    config.stash[_RUN] = Run()


def pytest_unconfigure(config: pytest.Config) -> None:
    from django.conf import settings

    url = settings.CELERY_BROKER_URL
    if url.startswith("sqlite:///"):
        for path in Path(url.removeprefix("sqlite:///")).parent.glob(f"{Path(url).name}*"):
            path.unlink(missing_ok=True)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Tests of the other pass of ``bin/test`` are left to it."""
    elsewhere = set(filter(None, os.environ.get("AGDAR_LEAVE_OUT", "").split(",")))
    kept, left = [], []
    for item in items:
        marks = {mark.name for mark in item.iter_markers()}
        (left if marks & elsewhere else kept).append(item)
    if left:
        config.hook.pytest_deselected(items=left)
        items[:] = kept


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Tests that start real workers wait for each other, also across parallel processes: they measure time."""
    if item.get_closest_marker("worker") is None:
        return (yield)
    VAR.mkdir(exist_ok=True)
    with (VAR / "test-worker.lock").open("w") as lane:
        fcntl.flock(lane, fcntl.LOCK_EX)
        return (yield)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    for name, reason in missing_parts().items():
        if item.get_closest_marker(name):
            if name in required():
                pytest.fail(f"AGDAR_REQUIRE asks for {name}: {reason}", pytrace=False)
            pytest.skip(reason)


def missing_parts() -> dict[str, str]:
    """Marker -> why its tests cannot run in this process."""
    from django.conf import settings
    from django.db import connection

    missing = {}
    if connection.vendor != "postgresql":
        missing["postgres"] = "this run is on SQLite; DATABASE_URL names a PostgreSQL server"
    if not settings.CELERY_BROKER_URL.startswith("redis"):
        missing["redis"] = "this run is on the embedded broker; REDIS_URL names a Redis server"
    chromium = find_chromium()
    if not chromium:
        missing["browser"] = chromium.why_not
    return missing


@dataclass
class Run:
    """What happened, per part. ``reasons`` are those of its skipped tests."""

    counts: dict[str, Counter[str]] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    total: Counter[str] = field(default_factory=Counter)

    def note(self, parts: Iterable[str], outcome: str, reason: str) -> None:
        self.total[outcome] += 1
        for part in parts:
            self.counts.setdefault(part, Counter())[outcome] += 1
            if reason:
                self.reasons.setdefault(part, reason)

    def merge(self, other: Run) -> None:
        self.total.update(other.total)
        for part, counts in other.counts.items():
            self.counts.setdefault(part, Counter()).update(counts)
        self.reasons = other.reasons | self.reasons

    def dump(self) -> str:
        return json.dumps({"counts": self.counts, "reasons": self.reasons, "total": self.total})

    @classmethod
    def load(cls, text: str) -> Run:
        data = json.loads(text)
        return cls({part: Counter(c) for part, c in data["counts"].items()}, data["reasons"], Counter(data["total"]))


_RUN = pytest.StashKey[Run]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """Writes the test's parts on its report, which travels to the process that counts."""
    from django.conf import settings
    from django.db import connection

    report = yield
    marks = {mark.name for mark in item.iter_markers()}
    parts = ["PostgreSQL" if connection.vendor == "postgresql" else "SQLite"]
    if "browser" in marks:
        parts.append("browser")
    if "worker" in marks:
        parts.append("real worker")
    if marks & {"worker", "redis"}:
        parts.append("Redis" if settings.CELERY_BROKER_URL.startswith("redis") else "embedded broker")
    report.user_properties.append(("parts", parts))
    return report


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    run = config.stash[_RUN]
    for outcome, name in (("passed", "passed"), ("failed", "failed"), ("error", "failed"), ("skipped", "skipped")):
        for report in terminalreporter.stats.get(outcome, []):
            reason = str(report.longrepr[2]) if outcome == "skipped" and isinstance(report.longrepr, tuple) else ""
            run.note(dict(getattr(report, "user_properties", [])).get("parts", []), name, reason)
    if path := os.environ.get("AGDAR_PARTS_FILE"):
        Path(path).write_text(run.dump())
    else:
        terminalreporter.section("parts")
        for line in table(run, why_not={}):
            terminalreporter.write_line(line)


def table(run: Run, why_not: dict[str, str]) -> list[str]:
    """One line a part: did it run, how much, and if not, why not."""
    lines = []
    for part in PARTS:
        counts = run.counts.get(part, Counter())
        if counts["passed"] or counts["failed"]:
            numbers = ", ".join(f"{counts[name]} {name}" for name in ("passed", "failed", "skipped") if counts[name])
            lines.append(f"{part:<16} ran      {numbers}")
        else:
            reason = why_not.get(part) or run.reasons.get(part, "").removeprefix("Skipped: ") or "no test selected"
            lines.append(f"{part:<16} not run  {reason}")
    return lines
