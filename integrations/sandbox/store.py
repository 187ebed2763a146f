"""What the sandbox keeps, in one SQLite file: messages in both directions, the steps that are due, mails.

A step is "at that moment this message gets that status"; most steps are also called back. One connection behind one
lock: the process has a few threads and no hurry.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

_SCHEMA = """
CREATE TABLE IF NOT EXISTS message(
    seq INTEGER PRIMARY KEY, sid TEXT NOT NULL UNIQUE, direction TEXT NOT NULL, channel TEXT NOT NULL,
    number TEXT NOT NULL, peer TEXT NOT NULL, body TEXT NOT NULL, status TEXT NOT NULL, error_code TEXT NOT NULL DEFAULT '',
    segments INTEGER NOT NULL, price REAL, service TEXT NOT NULL DEFAULT '', callback_url TEXT NOT NULL DEFAULT '',
    reference TEXT NOT NULL DEFAULT '', created_at REAL NOT NULL, updated_at REAL NOT NULL);
CREATE INDEX IF NOT EXISTS message_by_number ON message(number, seq);
CREATE INDEX IF NOT EXISTS message_by_reference ON message(reference);
CREATE TABLE IF NOT EXISTS step(
    id INTEGER PRIMARY KEY, sid TEXT NOT NULL, url TEXT NOT NULL, status TEXT NOT NULL, fields TEXT NOT NULL,
    due_at REAL NOT NULL, attempts INTEGER NOT NULL DEFAULT 0);
CREATE INDEX IF NOT EXISTS step_by_message ON step(sid, id);
CREATE TABLE IF NOT EXISTS mail(
    id INTEGER PRIMARY KEY, mailbox TEXT NOT NULL, sender TEXT NOT NULL, subject TEXT NOT NULL, text TEXT NOT NULL,
    language TEXT NOT NULL, message_id TEXT NOT NULL, created_at REAL NOT NULL);
CREATE INDEX IF NOT EXISTS mail_by_mailbox ON mail(mailbox, id);
CREATE TABLE IF NOT EXISTS opted_out(number TEXT NOT NULL, peer TEXT NOT NULL, PRIMARY KEY(number, peer));
CREATE TABLE IF NOT EXISTS tried(what TEXT PRIMARY KEY);
"""

# A status only moves up; of two ends the first stays.
_RANK = {
    **dict.fromkeys(("accepted", "queued"), 0),
    "sending": 1,
    "sent": 2,
    **dict.fromkeys(("delivered", "undelivered", "failed"), 3),
    "read": 4,
}


@dataclass(frozen=True, slots=True)
class Message:
    """``number`` is the phone's, ``peer`` the clinic's; both without ``whatsapp:``."""

    seq: int
    sid: str
    direction: str
    channel: str
    number: str
    peer: str
    body: str
    status: str
    error_code: str
    segments: int
    price: float | None
    service: str
    callback_url: str
    reference: str
    created_at: float
    updated_at: float


@dataclass(frozen=True, slots=True)
class Step:
    """``status`` is empty for a reply: it has only its call-back."""

    id: int
    sid: str
    url: str
    status: str
    fields: dict[str, str]
    attempts: int


@dataclass(frozen=True, slots=True)
class Mail:
    id: int
    mailbox: str
    sender: str
    subject: str
    text: str
    language: str
    message_id: str
    created_at: float


@dataclass(frozen=True, slots=True)
class Conversation:
    """One line of the page's list: a phone or a mailbox, with the latest that came."""

    kind: Literal["phone", "mailbox"]
    address: str
    preview: str
    channel: str
    at: float


class Store:
    """Every method is one transaction and may be called from any thread."""

    def __init__(self, path: Path | str) -> None:
        if path != ":memory:":
            Path(path).parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.RLock()
        self._db = sqlite3.connect(path, timeout=10, isolation_level=None, check_same_thread=False)
        self._db.row_factory = sqlite3.Row
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        with self._lock:
            self._db.close()

    # --- Messages ---------------------------------------------------------------------------------------------------

    def add_message(
        self,
        *,
        direction: str,
        channel: str,
        number: str,
        peer: str,
        body: str,
        status: str,
        segments: int,
        service: str = "",
        callback_url: str = "",
        reference: str = "",
    ) -> Message:
        """A new message. ``reference`` is the sender's own id (Unifonic's CorrelationID)."""
        now = time.time()
        sid = "SM" + secrets.token_hex(16)
        self._run(
            "INSERT INTO message(sid, direction, channel, number, peer, body, status, segments, service,"
            " callback_url, reference, created_at, updated_at) VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?)",
            (sid, direction, channel, number, peer, body, status, segments, service, callback_url, reference, now, now),
        )
        return self._message("sid = ?", sid)

    def message(self, sid: str) -> Message | None:
        return next(iter(self._messages("sid = ? LIMIT 1", sid)), None)

    def messages_of(self, number: str, *, limit: int = 200) -> list[Message]:
        """Both directions, oldest first."""
        return self._messages("number = ? ORDER BY seq DESC LIMIT ?", number, limit)[::-1]

    def page_of_messages(self, *, to: str, channel: str, after: float, offset: int, limit: int) -> list[Message]:
        """Sent messages, newest first, as Twilio lists them. An empty ``to`` is everybody."""
        return self._messages(
            "direction = 'outbound-api' AND (? = '' OR (number = ? AND channel = ?)) AND created_at >= ?"
            " ORDER BY seq DESC LIMIT ? OFFSET ?",
            *(to, to, channel, after, limit, offset),
        )

    def messages_by_reference(self, reference: str) -> list[Message]:
        return self._messages("reference = ? AND reference != '' ORDER BY seq DESC", reference)

    def messages_by_seq(self, seq: int) -> list[Message]:
        return self._messages("seq = ?", seq)

    def last_from(self, number: str, channel: str) -> Message | None:
        """The last message that went to a phone: a reply goes back to its sender."""
        where = "number = ? AND channel = ? AND direction = 'outbound-api' ORDER BY seq DESC LIMIT 1"
        return next(iter(self._messages(where, number, channel)), None)

    # --- Steps ------------------------------------------------------------------------------------------------------

    def plan(self, sid: str, steps: Iterable[tuple[float, str, dict[str, str]]], *, url: str) -> None:
        """``steps`` are (seconds from now, status, further fields of the call-back). They happen in this order."""
        now = time.time()
        with self._lock, self._db:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.executemany(
                "INSERT INTO step(sid, url, status, fields, due_at) VALUES(?,?,?,?,?)",
                [(sid, url, status, json.dumps(fields), now + delay) for delay, status, fields in steps],
            )

    def due_steps(self, *, limit: int = 50) -> list[Step]:
        """The first waiting step of each message, if it is due."""
        rows = self._run(
            "SELECT * FROM step WHERE due_at <= ? AND id IN (SELECT min(id) FROM step GROUP BY sid)"
            " ORDER BY due_at, id LIMIT ?",
            (time.time(), limit),
        )
        return [
            Step(row["id"], row["sid"], row["url"], row["status"], json.loads(row["fields"]), row["attempts"])
            for row in rows
        ]

    def seconds_to_next_step(self) -> float | None:
        due = self._run("SELECT min(due_at) FROM step WHERE id IN (SELECT min(id) FROM step GROUP BY sid)")[0][0]
        return None if due is None else max(0.0, due - time.time())

    def apply(self, step: Step, *, price_a_segment: dict[str, float]) -> None:
        """Gives the message its new status, if that is upwards. A delivered message has its price."""
        message = self.message(step.sid)
        if message is None or not step.status or _RANK[step.status] <= _RANK.get(message.status, 9):
            return
        price = message.price
        if step.status in ("delivered", "read"):
            price = price_a_segment[message.channel] * message.segments
        self._run(
            "UPDATE message SET status = ?, error_code = ?, price = ?, updated_at = ? WHERE sid = ?",
            (step.status, step.fields.get("ErrorCode", ""), price, time.time(), step.sid),
        )

    def finish(self, step: Step) -> None:
        self._run("DELETE FROM step WHERE id = ?", (step.id,))

    def postpone(self, step: Step, seconds: float) -> None:
        self._run("UPDATE step SET attempts = attempts + 1, due_at = ? WHERE id = ?", (time.time() + seconds, step.id))

    def read_now(self, number: str) -> None:
        """The phone is open in somebody's hand: what is delivered by WhatsApp is read at once."""
        self._run(
            "UPDATE step SET due_at = min(due_at, ?) WHERE status = 'read' AND attempts = 0"
            " AND sid IN (SELECT sid FROM message WHERE number = ?)",
            (time.time(), number),
        )

    # --- Mails ------------------------------------------------------------------------------------------------------

    def add_mail(self, *, mailbox: str, sender: str, subject: str, text: str, language: str, message_id: str) -> None:
        """A mail that is already there, by its Message-ID, is dropped, as mailboxes do."""
        if self._run("SELECT 1 FROM mail WHERE mailbox = ? AND message_id = ?", (mailbox, message_id)):
            return
        self._run(
            "INSERT INTO mail(mailbox, sender, subject, text, language, message_id, created_at) VALUES(?,?,?,?,?,?,?)",
            (mailbox, sender, subject, text, language, message_id, time.time()),
        )

    def mails_of(self, mailbox: str, *, limit: int = 100) -> list[Mail]:
        """Newest first."""
        rows = self._run("SELECT * FROM mail WHERE mailbox = ? ORDER BY id DESC LIMIT ?", (mailbox, limit))
        return [Mail(**dict(row)) for row in rows]

    # --- The rest ---------------------------------------------------------------------------------------------------

    def conversations(self, *, limit: int = 60) -> list[Conversation]:
        """Phones and mailboxes, the one with the latest message first."""
        rows = self._run(
            "SELECT 'phone' AS kind, number AS address, body AS preview, channel, created_at AS at FROM message"
            " WHERE seq IN (SELECT max(seq) FROM message GROUP BY number)"
            " UNION ALL SELECT 'mailbox', mailbox, subject, 'EMAIL', created_at FROM mail"
            " WHERE id IN (SELECT max(id) FROM mail GROUP BY mailbox) ORDER BY at DESC LIMIT ?",
            (limit,),
        )
        return [Conversation(**dict(row)) for row in rows]

    def opt_out(self, number: str, peer: str, *, is_out: bool) -> None:
        sql = (
            "INSERT OR IGNORE INTO opted_out VALUES(?,?)"
            if is_out
            else "DELETE FROM opted_out WHERE (number,peer)=(?,?)"
        )
        self._run(sql, (number, peer))

    def is_opted_out(self, number: str, peer: str) -> bool:
        return bool(self._run("SELECT 1 FROM opted_out WHERE number = ? AND peer = ?", (number, peer)))

    def is_first_try(self, what: str) -> bool:
        """True once for each ``what``."""
        return bool(self._run("INSERT OR IGNORE INTO tried VALUES(?) RETURNING 1", (what,)))

    def _message(self, where: str, *values: Any) -> Message:
        return self._messages(where, *values)[0]

    def _messages(self, where: str, *values: Any) -> list[Message]:
        rows = self._run(f"SELECT * FROM message WHERE {where}", values)  # noqa: S608  # constants of this file
        return [Message(**dict(row)) for row in rows]

    def _run(self, sql: str, values: Iterable[Any] = ()) -> list[sqlite3.Row]:
        with self._lock:
            return self._db.execute(sql, tuple(values)).fetchall()
