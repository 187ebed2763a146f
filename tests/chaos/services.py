"""The database and the broker of a run: always its own, so that they may be emptied, stopped and killed.

PostgreSQL and Redis are started privately where their programs are found (free ports, a temporary folder). A server
that the environment names (``DATABASE_URL``, ``CELERY_BROKER_URL``) lends one new database, or one empty Redis
database; it is never stopped. Without either there are the embedded ones.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import sqlite3
import subprocess
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.house import free_port

# The user that PostgreSQL's packages make: the server refuses to be root.
_POSTGRES_USER = "postgres"


def find_program(name: str) -> str:
    """A program of PostgreSQL or Redis, on the PATH or where Debian puts it; empty when it is not there."""
    if found := shutil.which(name):
        return found
    versions = Path("/usr/lib/postgresql").glob(f"*/bin/{name}")
    return str(max(versions, key=lambda path: float(path.parts[-3]), default=""))


class Database(ABC):
    """Where the rows are. ``url`` is for the environment of the processes, ``words`` for the reader."""

    url: str
    words: str
    may_be_stopped = False

    def kill(self) -> None:
        raise NotImplementedError

    def start(self) -> None:
        raise NotImplementedError

    @abstractmethod
    def end(self) -> None: ...


class EmbeddedDatabase(Database):
    words = "SQLite"

    def __init__(self, folder: Path) -> None:
        self.url = f"sqlite:///{folder / 'agdar.sqlite3'}"

    def end(self) -> None:
        """The folder goes with the run."""


class LentDatabase(Database):
    """A new database on somebody's PostgreSQL server, dropped in the end."""

    words = "PostgreSQL (a database of its own on the given server)"

    def __init__(self, server_url: str) -> None:
        self._server = server_url
        self._name = f"agdar_chaos_{uuid.uuid4().hex[:8]}"
        self.url = urlsplit(server_url)._replace(path=f"/{self._name}").geturl()
        self._run(f'CREATE DATABASE "{self._name}"')

    def end(self) -> None:
        self._run(f'DROP DATABASE IF EXISTS "{self._name}" WITH (FORCE)')

    def _run(self, sql: str) -> None:
        import psycopg

        with psycopg.connect(self._server, autocommit=True) as connection:
            connection.execute(sql)


class PrivateDatabase(Database):
    """A PostgreSQL cluster of the run's own, which may be stopped like a crash and started again."""

    words = "PostgreSQL (a private cluster)"
    may_be_stopped = True

    def __init__(self, folder: Path) -> None:
        self._port = free_port()
        self._data = folder / "postgres"
        self._data.mkdir()
        if os.geteuid() == 0:
            os.chown(self._data, pwd.getpwnam(_POSTGRES_USER).pw_uid, -1)
        self.url = f"postgres://agdar@127.0.0.1:{self._port}/postgres"
        self._run("initdb", "--username", "agdar", "--auth", "trust", "--encoding", "UTF8", "--no-sync")
        self.start()

    def start(self) -> None:
        # fsync guards against a machine that loses power; here only processes die.
        options = f"-p {self._port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off"
        self._run("pg_ctl", "start", "--silent", "--wait", "--options", options, "--log", str(self._data / "log"))

    def kill(self) -> None:
        """No goodbye to anybody: the next start recovers from the log, as after a crash."""
        self._run("pg_ctl", "stop", "--silent", "--mode", "immediate")

    def end(self) -> None:
        with contextlib.suppress(subprocess.CalledProcessError):
            self.kill()

    def _run(self, program: str, *arguments: str) -> None:
        command = [find_program(program), *arguments, "--pgdata", str(self._data)]
        user = _POSTGRES_USER if os.geteuid() == 0 else None
        subprocess.run(command, check=True, user=user, cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


class Broker(ABC):
    """Where the tasks wait. ``lose`` throws all of it away, as a broker that was flushed."""

    url: str
    words: str

    @abstractmethod
    def lose(self) -> None: ...

    def end(self) -> None:
        """Ends what was started for it."""


class EmbeddedBroker(Broker):
    words = "embedded broker"

    def __init__(self, folder: Path) -> None:
        self._file = folder / "broker.sqlite3"
        self.url = f"sqlite:///{self._file}"

    def lose(self) -> None:
        with contextlib.closing(sqlite3.connect(self._file, timeout=20, isolation_level=None)) as db:
            db.execute("DELETE FROM message")
            db.execute("DELETE FROM binding")


class RedisBroker(Broker):
    """``is_private``: started for this run. A lent database must be empty, for it will be flushed."""

    def __init__(self, url: str, *, is_private: bool) -> None:
        import redis

        self.url = url
        self.words = "Redis (a private server)" if is_private else "Redis (the given database)"
        self._client = redis.Redis.from_url(url)
        if not is_private and self._client.dbsize():
            raise SystemExit(f"{urlsplit(url).path} of the given Redis is not empty, and this run would flush it.")

    def lose(self) -> None:
        self._client.flushdb()

    def end(self) -> None:
        self._client.flushdb()
        self._client.close()


class PrivateRedis(RedisBroker):
    def __init__(self, folder: Path) -> None:
        port = free_port()
        command = [find_program("redis-server"), "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
        self._server = subprocess.Popen(
            [*command, "--dir", str(folder)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )
        super().__init__(f"redis://127.0.0.1:{port}/0", is_private=True)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError, Exception):
                self._client.ping()
                return
            time.sleep(0.05)
        raise RuntimeError("the private Redis does not answer")

    def end(self) -> None:
        self._client.close()
        self._server.terminate()
        self._server.wait()


@contextlib.contextmanager
def database(folder: Path, *, is_embedded: bool, must_stop: bool) -> Iterator[Database]:
    """``must_stop``: the scenario stops the server, so it has to be a private one."""
    told = os.environ.get("DATABASE_URL", "")
    made: Database
    if must_stop:
        made = PrivateDatabase(folder)
    elif is_embedded or told.startswith("sqlite"):
        made = EmbeddedDatabase(folder)
    elif told:
        made = LentDatabase(told)
    else:
        made = PrivateDatabase(folder) if find_program("initdb") else EmbeddedDatabase(folder)
    try:
        yield made
    finally:
        made.end()


@contextlib.contextmanager
def broker(folder: Path, *, is_embedded: bool) -> Iterator[Broker]:
    told = os.environ.get("CELERY_BROKER_URL", "") or os.environ.get("REDIS_URL", "")
    made: Broker
    if is_embedded or told.startswith("sqlite"):
        made = EmbeddedBroker(folder)
    elif told:
        made = RedisBroker(told, is_private=False)
    else:
        made = PrivateRedis(folder) if find_program("redis-server") else EmbeddedBroker(folder)
    try:
        yield made
    finally:
        made.end()
