"""A Celery broker in one SQLite file, for a newcomer's machine. Production uses Redis (settings refuse this one there).

Taking a message is one UPDATE that gives it a lease: it becomes invisible for ``visibility_timeout`` seconds and is
deleted when it is acknowledged. The messages of a worker that died come back when the lease runs out. Why not one of
kombu's own file transports: ``docs/adr/0001-sqlite-lease-broker.md``.

URL: ``sqlite:////absolute/path.sqlite3``. Registered as a transport in ``agdar/celery.py``.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import time
from queue import Empty
from typing import Any

from kombu.transport import virtual

_DDL = """
CREATE TABLE IF NOT EXISTS message(
    id INTEGER PRIMARY KEY,
    queue TEXT NOT NULL,
    rank INTEGER NOT NULL,
    visible_at REAL NOT NULL,
    payload TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS message_next ON message(queue, rank, id);
CREATE TABLE IF NOT EXISTS binding(
    exchange TEXT NOT NULL,
    routing_key TEXT NOT NULL,
    pattern TEXT NOT NULL,
    queue TEXT NOT NULL,
    PRIMARY KEY(exchange, routing_key, pattern, queue)
);
"""
# Celery's priorities go from 0 to 9; the highest is taken first.
_HIGHEST = 9
# Seconds; longer than a task of the demo takes.
_DEFAULT_LEASE = 60
# Seconds to wait for another process's write, which takes milliseconds. A booking waits here (invariant 9), so not long.
_PATIENCE = 3
_open = threading.local()


def _close_before_fork() -> None:
    """SQLite's connections must not cross a fork, not even to be closed there. Both sides open their own again."""
    if getattr(_open, "key", None) is not None:
        _open.db.close()
        _open.key = None


os.register_at_fork(before=_close_before_fork)


class QoS(virtual.QoS):
    """Acknowledging deletes the row; refusing or shutting down gives the lease back."""

    channel: Channel
    # The stubs allow None, for a moment that kombu's own code never shows us.
    _delivered: Any

    def ack(self, delivery_tag: Any) -> None:
        message = self._delivered.get(delivery_tag)
        if message is not None:
            self.channel.delete_row(message)
        super().ack(delivery_tag)

    def reject(self, delivery_tag: Any, requeue: bool = False) -> None:  # noqa: FBT001, FBT002  # kombu's signature
        message = self._delivered.get(delivery_tag)
        if message is not None:
            (self.channel.release_row if requeue else self.channel.delete_row)(message)
        super().ack(delivery_tag)

    def restore_unacked_once(self, stderr: Any = None) -> None:  # kombu's signature
        for message in list(self._delivered.values()):
            self.channel.release_row(message)
        self._delivered.clear()


class Channel(virtual.Channel):
    """The queue operations, each one statement."""

    QoS = QoS
    connection: Any  # as above
    supports_fanout = True
    do_restore = True

    def _db(self) -> sqlite3.Connection:
        """One connection a thread."""
        path = self._path()
        if getattr(_open, "key", None) != path:
            db = sqlite3.connect(path, timeout=_PATIENCE, isolation_level=None)
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=NORMAL")
            db.executescript(_DDL)
            _open.db, _open.key = db, path
        connection: sqlite3.Connection = _open.db
        return connection

    def _path(self) -> str:
        """The URL's path: kombu takes the leading slash away, so it is put back."""
        path = str(self.connection.client.virtual_host)
        return path if path.startswith("/") else f"/{path}"

    @property
    def _lease(self) -> float:
        return float(self.connection.client.transport_options.get("visibility_timeout", _DEFAULT_LEASE))

    def _put(self, queue: str, message: dict[str, Any], **_kwargs: Any) -> None:
        rank = _HIGHEST - int(message["properties"].get("priority") or 0)
        self._db().execute(
            "INSERT INTO message(queue, rank, visible_at, payload) VALUES(?, ?, 0, ?)",
            (queue, rank, json.dumps(message)),
        )

    def _get(self, queue: str, timeout: float | None = None) -> dict[str, Any]:  # kombu's signature
        db, now = self._db(), time.time()
        # A look first: an idle worker takes no write lock.
        waiting = db.execute("SELECT 1 FROM message WHERE queue = ? AND visible_at <= ? LIMIT 1", (queue, now))
        if waiting.fetchone() is None:
            raise Empty
        lease_ends = now + self._lease
        taken = db.execute(
            "UPDATE message SET visible_at = ? WHERE id = ("
            " SELECT id FROM message WHERE queue = ? AND visible_at <= ? ORDER BY rank, id LIMIT 1"
            ") RETURNING id, payload",
            (lease_ends, queue, now),
        ).fetchall()
        if not taken:
            raise Empty
        row_id, payload = taken[0]
        message: dict[str, Any] = json.loads(payload)
        message["properties"]["delivery_info"] |= {"row": row_id, "lease_ends": lease_ends}
        return message

    def basic_consume(self, queue: Any, no_ack: Any, callback: Any, consumer_tag: Any, **kwargs: Any) -> Any:
        """Who never acknowledges (remote control) takes for good, or each command would come again every minute."""

        def take_for_good(message: Any) -> Any:
            self.delete_row(message)
            return callback(message)

        return super().basic_consume(queue, no_ack, take_for_good if no_ack else callback, consumer_tag, **kwargs)

    def basic_get(self, queue: str, no_ack: bool = False, **kwargs: Any) -> Any:  # noqa: FBT001, FBT002  # kombu's
        message = super().basic_get(queue, no_ack, **kwargs)
        if no_ack and message is not None:
            self.delete_row(message)
        return message

    def delete_row(self, message: Any) -> None:
        """Done is done, also when the lease ran out in the meantime."""
        self._db().execute("DELETE FROM message WHERE id = ?", (_info(message, "row"),))

    def release_row(self, message: Any) -> None:
        """Only while the lease is ours: another worker may have taken the message since."""
        self._db().execute(
            "UPDATE message SET visible_at = 0 WHERE id = ? AND visible_at = ?",
            (_info(message, "row"), _info(message, "lease_ends")),
        )

    def _size(self, queue: str) -> int:
        return int(self._db().execute("SELECT count(*) FROM message WHERE queue = ?", (queue,)).fetchone()[0])

    def _purge(self, queue: str) -> int:
        return self._db().execute("DELETE FROM message WHERE queue = ?", (queue,)).rowcount

    def _has_queue(self, queue: str, **_kwargs: Any) -> bool:  # every queue exists: rows name it
        return True

    def _delete(self, queue: str, *_args: Any, **_kwargs: Any) -> None:
        self._purge(queue)
        self._db().execute("DELETE FROM binding WHERE queue = ?", (queue,))

    def _queue_bind(self, exchange: str, routing_key: str, pattern: str, queue: str) -> None:
        self._db().execute(
            "INSERT OR IGNORE INTO binding VALUES(?, ?, ?, ?)", (exchange, routing_key or "", pattern or "", queue)
        )

    def get_table(self, exchange: str) -> list[tuple[str, str, str]]:
        rows = self._db().execute("SELECT routing_key, pattern, queue FROM binding WHERE exchange = ?", (exchange,))
        return [(str(key), str(pattern), str(queue)) for key, pattern, queue in rows]

    def _put_fanout(self, exchange: str, message: dict[str, Any], routing_key: str, **_kwargs: Any) -> None:
        for _key, _pattern, queue in self.get_table(exchange):
            self._put(queue, message)


def _info(message: Any, name: str) -> float | None:
    value: float | None = (message.delivery_info or {}).get(name)
    return value


class Transport(virtual.Transport):
    """Polls ten times a second: the bell rings within a moment, an idle worker costs almost nothing."""

    Channel = Channel
    polling_interval = 0.1
    driver_type = "sqlite"
    driver_name = "sqlite-lease"
    implements = virtual.Transport.implements.extend(
        asynchronous=False, exchange_type=frozenset(["direct", "topic", "fanout"])
    )
    can_parse_url = False
    # A file that cannot be opened or written is a broker that is away.
    connection_errors = (*virtual.Transport.connection_errors, sqlite3.Error)

    def driver_version(self) -> str:
        return sqlite3.sqlite_version
