"""Real processes for the tests that walk the whole way: worker, beat and sandbox, beside a live web server.

They share the test database (a file on SQLite, the test database on PostgreSQL) and a broker of their own.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
import requests
from django.conf import settings
from django.db import connection

ROOT = Path(settings.BASE_DIR)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(condition: Callable[[], object], *, seconds: float, what: str) -> None:
    """Polls until ``condition()`` is true; fails the test with ``what`` when it stays false."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return
        time.sleep(0.05)
    pytest.fail(f"not within {seconds:g} s: {what}")


class House:
    """Starts and ends the processes; each has its own group, so that nothing is left behind."""

    def __init__(self, folder: Path, web_url: str, env: dict[str, str]) -> None:
        self.folder, self.web_url, self.env = folder, web_url, env
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, *command: str) -> None:
        out = (self.folder / f"{name}.log").open("ab")
        self.running[name] = subprocess.Popen(
            [sys.executable, *command],
            cwd=ROOT,
            env={**os.environ, **self.env},
            stdout=out,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )

    def start_worker(self) -> None:
        self.start(
            "worker", "-m", "celery", "-A", "agdar", "worker", "-c", "2", "-Q", "urgent,default,bulk,beat", "-l", "warning",
            "--without-gossip", "--without-mingle",
        )  # fmt: skip

    def start_beat(self) -> None:
        self.start("beat", "-m", "celery", "-A", "agdar", "beat", "-l", "warning", "-s", str(self.folder / "schedule"))

    def start_sandbox(self, port: int, smtp_port: int) -> None:
        self.start(
            "sandbox", "manage.py", "sandbox", "--port", str(port), "--smtp-port", str(smtp_port),
            "--database", str(self.folder / "sandbox.sqlite3"),
        )  # fmt: skip
        wait_for(lambda: _answers(f"http://127.0.0.1:{port}/"), seconds=20, what="the sandbox answers")

    def kill(self, name: str) -> None:
        """kill -9 of the process and its children."""
        process = self.running.pop(name)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def stop_all(self) -> None:
        for name in list(self.running):
            self.kill(name)

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")


def _answers(url: str) -> bool:
    try:
        requests.get(url, timeout=1)
    except requests.RequestException:
        return False
    return True


@pytest.fixture
def house(tmp_path: Path, transactional_db: None, live_server, settings) -> Iterator[House]:  # type: ignore[no-untyped-def]
    """A sandbox beside the live server; the test starts worker and beat when it wants them."""
    port, smtp_port = free_port(), free_port()
    broker = os.environ.get("AGDAR_TEST_BROKER_URL") or f"sqlite:///{tmp_path / 'broker.sqlite3'}"
    made = House(tmp_path, live_server.url, {})
    settings.PUBLIC_BASE_URL = live_server.url
    settings.SANDBOX_URL = f"http://127.0.0.1:{port}"
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", smtp_port
    made.env = {
        "DATABASE_URL": _database_url(),
        "CELERY_BROKER_URL": broker,
        "PUBLIC_BASE_URL": live_server.url,
        "SANDBOX_URL": settings.SANDBOX_URL,
        "EMAIL_URL": f"smtp://127.0.0.1:{smtp_port}",
        "DEBUG": "True",
    }
    if broker.startswith("redis"):
        # What the workers of an earlier test held when they were killed would come back to this one's.
        redis.Redis.from_url(broker).flushdb()
    with _celery_publishes_to(broker):
        made.start_sandbox(port, smtp_port)
        try:
            yield made
        finally:
            made.stop_all()


def _database_url() -> str:
    current = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{current['NAME']}"
    login = current["USER"] + (f":{current['PASSWORD']}" if current["PASSWORD"] else "")
    return f"postgres://{login}@{current['HOST'] or '127.0.0.1'}:{current['PORT'] or 5432}/{current['NAME']}"


@contextlib.contextmanager
def _celery_publishes_to(broker: str) -> Iterator[None]:
    """Points this process's Celery (the live server's thread) at the test's broker."""
    from agdar.celery import app

    before = app.conf.broker_url
    app.conf.broker_url = broker
    app._pool = None
    app.amqp._producer_pool = None
    try:
        yield
    finally:
        app.conf.broker_url = before
        app._pool = None
        app.amqp._producer_pool = None
