"""PostgreSQL and Redis for the benchmarks that need production's ones, and the processes that work on them.

The database is made for one run and dropped after it. The broker's database must be empty, and is emptied afterwards.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
import redis
import yaml
from psycopg import sql

ROOT = Path(__file__).resolve().parent.parent
_AT_HOME_DATABASE = "postgres://{user}@127.0.0.1:5432/postgres"
_AT_HOME_BROKERS = [f"redis://127.0.0.1:6379/{number}" for number in range(15, 0, -1)]


class Unreachable(Exception):
    """What a benchmark needs is not there; the text is one line for the person who started it."""


# --- Database and broker ---------------------------------------------------------------------------------------------


@contextlib.contextmanager
def database() -> Iterator[str]:
    """The address of a new, empty database, dropped at the end. Raises Unreachable."""
    given = os.environ.get("AGDAR_BENCH_DATABASE_URL") or os.environ.get("DATABASE_URL", "")
    if given and not given.startswith(("postgres:", "postgresql:")):
        given = ""
    server = given or _AT_HOME_DATABASE.format(user=os.environ.get("USER") or "root")
    name = f"agdar_bench_{os.getpid()}"
    try:
        connection = psycopg.connect(server, autocommit=True, connect_timeout=3)
    except psycopg.Error as error:
        reason = str(error).splitlines()[0]
        raise Unreachable(f"needs PostgreSQL (AGDAR_BENCH_DATABASE_URL); {reason}") from error
    with connection:
        try:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        except psycopg.Error as error:
            raise Unreachable(f"needs the right to make a database; {str(error).splitlines()[0]}") from error
        try:
            yield urlunsplit(urlsplit(server)._replace(path=f"/{name}"))
        finally:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@contextlib.contextmanager
def broker() -> Iterator[str]:
    """The address of an empty Redis database, emptied at the end. Raises Unreachable, also when it is not empty."""
    given = os.environ.get("AGDAR_BENCH_BROKER_URL") or os.environ.get("CELERY_BROKER_URL", "")
    candidates = [given] if given.startswith("redis") else _AT_HOME_BROKERS
    for address in candidates:
        client = redis.Redis.from_url(address, socket_connect_timeout=3)
        try:
            is_empty = not client.dbsize()
        except redis.RedisError as error:
            raise Unreachable(f"needs Redis (AGDAR_BENCH_BROKER_URL); {error}") from error
        if is_empty:
            try:
                yield address
            finally:
                client.flushdb()
            return
    raise Unreachable("needs an empty Redis database (AGDAR_BENCH_BROKER_URL); this one is in use")


def production(database_url: str, broker_url: str) -> dict[str, str]:
    """The environment of production, as docker-compose.yml sets it, with every way out closed."""
    unproxied = {"NO_PROXY": "127.0.0.1,localhost", "no_proxy": "127.0.0.1,localhost"}
    return unproxied | {
        "DJANGO_SETTINGS_MODULE": "agdar.settings",
        "DEBUG": "False",
        "SECRET_KEY": secrets.token_hex(32),
        "ALLOWED_HOSTS": "127.0.0.1",
        "PUBLIC_BASE_URL": "https://bench.agdar.example",
        "BEHIND_PROXY": "True",
        "DATABASE_URL": database_url,
        "REDIS_URL": broker_url,
        "CELERY_BROKER_URL": broker_url,
        "SMS_PROVIDER": "twilio",
        "WHATSAPP_PROVIDER": "",
        "TWILIO_ACCOUNT_SID": "AC" + "0" * 32,
        "TWILIO_AUTH_TOKEN": secrets.token_hex(16),
        "TWILIO_SMS_FROM": "AGDAR",
        "TWILIO_API_BASE_URL": "http://127.0.0.1:1",
        "EMAIL_URL": "smtp://127.0.0.1:1",
        "LOG_LEVEL": "ERROR",
    }


# --- Processes -------------------------------------------------------------------------------------------------------


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def process(
    name: str,
    command: Sequence[str],
    folder: Path,
    changed: Mapping[str, str] | None = None,
    cwd: Path = ROOT,
    **pipes: Any,
) -> Iterator[subprocess.Popen[bytes]]:
    """A process of its own group, ended with all its children; its words are in ``folder/name.log``."""
    with (folder / f"{name}.log").open("ab") as log:
        running = subprocess.Popen(
            command,
            env={**os.environ, **(changed or {})},
            cwd=cwd,
            start_new_session=True,
            **{"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log, **pipes},
        )
    try:
        yield running
    finally:
        running.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            running.wait(8)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGKILL)
        running.wait()


def python(module: str, *arguments: object) -> list[str]:
    return [sys.executable, "-m", module, *map(str, arguments)]


def celery_worker(app: str, queues: str, processes: int, name: str) -> list[str]:
    """A worker that answers to ``name@bench``."""
    return python(
        *("celery", "--app", app, "worker", "--pool", "prefork", "--concurrency", processes, "--queues", queues),
        *("--hostname", f"{name}@bench", "--loglevel", "WARNING", "--without-gossip", "--without-mingle"),
    )


def production_worker(service: str, **changed: str) -> list[str]:
    """The command of a worker in docker-compose.yml, which answers to ``service@bench``; options may be changed."""
    composed = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    program, *arguments = composed["services"][service]["command"]
    for name, value in {**changed, "hostname": f"{service}@bench"}.items():
        if f"--{name}" in arguments:
            arguments[arguments.index(f"--{name}") + 1] = value
        else:
            arguments += [f"--{name}", value]
    # On one machine there is nobody to talk to.
    return python(program, *arguments, "--without-gossip", "--without-mingle")


def production_web(port: int) -> list[str]:
    """The Dockerfile's own command, with one process instead of its number, at ``port``."""
    line = next(line for line in (ROOT / "Dockerfile").read_text().splitlines() if line.startswith("CMD "))
    program, *arguments = json.loads(line.removeprefix("CMD "))
    for name, value in (("--bind", f"127.0.0.1:{port}"), ("--workers", "1")):
        arguments[arguments.index(name) + 1] = value
    return python(program, *arguments)


def wait_for(condition: Callable[[], object], *, seconds: float, what: str, every: float = 0.01) -> None:
    """Polls until ``condition()`` is true. RuntimeError with ``what`` when it stays false."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise RuntimeError(f"not within {seconds:g} s: {what}")
        time.sleep(every)


# --- The doubles -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ProviderDouble:
    """benchmarks/doubles/provider.py, running."""

    address: str

    def count(self) -> dict[str, int]:
        with urllib.request.urlopen(f"{self.address}/count", timeout=10) as answer:
            counted: dict[str, int] = json.load(answer)
            return counted

    def forget(self) -> None:
        urllib.request.urlopen(urllib.request.Request(f"{self.address}/forget", method="POST"), timeout=10).close()


@contextlib.contextmanager
def provider_double(folder: Path, delay_ms: float = 0) -> Iterator[ProviderDouble]:
    """A double that every process started from now on takes for Twilio."""
    port = free_port()
    with process("provider", python("benchmarks.doubles.provider", port, "--delay", delay_ms), folder):
        wait_for(lambda: _listens(port), seconds=10, what="the provider's double answers")
        os.environ["TWILIO_API_BASE_URL"] = f"http://127.0.0.1:{port}"
        yield ProviderDouble(os.environ["TWILIO_API_BASE_URL"])


@dataclass(frozen=True)
class MailSink:
    """benchmarks/doubles/mail.py, running."""

    port: int
    counts_port: int

    def count(self) -> dict[str, int]:
        return self._tell(b"count\n")

    def forget(self) -> None:
        self._tell(b"forget\n")

    def _tell(self, word: bytes) -> dict[str, int]:
        with socket.create_connection(("127.0.0.1", self.counts_port), timeout=10) as line:
            line.sendall(word)
            told: dict[str, int] = json.loads(line.makefile().readline())
            return told


@contextlib.contextmanager
def mail_sink(folder: Path) -> Iterator[MailSink]:
    """A sink that every process started from now on takes for its mail server."""
    sink = MailSink(free_port(), free_port())
    with process("mail", python("benchmarks.doubles.mail", sink.port, sink.counts_port), folder):
        wait_for(lambda: _listens(sink.counts_port), seconds=10, what="the mail sink answers")
        os.environ["EMAIL_URL"] = f"smtp://127.0.0.1:{sink.port}"
        yield sink


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False
