"""The misbehaving provider's book: what it accepted, was asked and told, in one SQLite file.

Written before the answer goes out, so it outlives a killed provider and tells the truth about what was accepted.
Read by the provider and, in another process, by the judge.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
import uuid
from pathlib import Path
from typing import Any

# The contents that WhatsApp has approved for the house, by language; a name is their one value.
CONTENTS = {
    "en": (f"HX{'e' * 32}", "Dear {{1}}, we have moved to Olaya Street."),
    "ar": (f"HX{'a' * 32}", "عزيزنا {{1}}، انتقلنا إلى شارع العليا."),
}


def words_of(fields: dict[str, str]) -> str:
    """The text as the phone shows it: what came, or the content that it names, filled in."""
    texts = dict(CONTENTS.values())
    if fields.get("ContentSid") not in texts:
        return fields.get("Body", "")
    return texts[fields["ContentSid"]].replace("{{1}}", json.loads(fields.get("ContentVariables") or "{}")["1"])


_DDL = """
CREATE TABLE IF NOT EXISTS accepted(
    number INTEGER PRIMARY KEY,
    sid TEXT NOT NULL UNIQUE,
    who TEXT NOT NULL,
    message_ref TEXT NOT NULL,
    attempt TEXT NOT NULL,
    fault TEXT NOT NULL,
    fate TEXT NOT NULL,
    recipient TEXT NOT NULL,
    sender TEXT NOT NULL,
    body TEXT NOT NULL,
    callback TEXT NOT NULL,
    accepted_at REAL NOT NULL,
    -- The clean answer was written out: nobody may ask for this message again.
    answered INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS accepted_by_recipient ON accepted(recipient, number);
CREATE TABLE IF NOT EXISTS request(
    number INTEGER PRIMARY KEY,
    recipient TEXT NOT NULL,
    message_ref TEXT NOT NULL,
    attempt TEXT NOT NULL,
    fault TEXT NOT NULL,
    at REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS request_by_recipient ON request(recipient);
CREATE TABLE IF NOT EXISTS callback(
    number INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    message_ref TEXT NOT NULL,
    sid TEXT NOT NULL,
    word TEXT NOT NULL,
    code TEXT NOT NULL,
    answer INTEGER,
    at REAL NOT NULL
);
"""


class Book:
    """Rows go in, counts come out. One connection, guarded: callers may be threads."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, timeout=20, isolation_level=None, check_same_thread=False)
        self._db.row_factory = sqlite3.Row
        self._guard = threading.Lock()
        self._db.execute("PRAGMA journal_mode=WAL")
        # The file must outlive the process, not the machine.
        self._db.execute("PRAGMA synchronous=OFF")
        self._db.executescript(_DDL)

    def rows(self, sql: str, *values: Any) -> list[sqlite3.Row]:
        with self._guard:
            return self._db.execute(sql, values).fetchall()

    def count(self, sql: str, *values: Any) -> int:
        return int(self.rows(sql, *values)[0][0])

    def note_request(self, *, recipient: str, message_ref: str, attempt: str, fault: str) -> None:
        self.rows(
            "INSERT INTO request(recipient, message_ref, attempt, fault, at) VALUES(?, ?, ?, ?, ?)",
            *(recipient, message_ref, attempt, fault, time.time()),
        )

    def call_of(self, recipient: str) -> str:
        """The name of the next call for a recipient; the same in every run, as no id is."""
        return f"{recipient} {self.count('SELECT count(*) FROM request WHERE recipient = ?', recipient)}"

    def accept(
        self, *, who: str, message_ref: str, attempt: str, fault: str, fate: str, fields: dict[str, str]
    ) -> sqlite3.Row:
        """A new message with a new sid, kept before anybody hears of it. ``who`` is the name of its call."""
        sid = f"SM{uuid.uuid4().hex}"
        self.rows(
            "INSERT INTO accepted(sid, who, message_ref, attempt, fault, fate, recipient, sender, body, callback, accepted_at)"
            " VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            *(sid, who, message_ref, attempt, fault, fate, fields.get("To", "")),
            *(fields.get("From", "") or fields.get("MessagingServiceSid", ""), words_of(fields)),
            *(fields.get("StatusCallback", ""), time.time()),
        )
        return self.rows("SELECT * FROM accepted WHERE sid = ?", sid)[0]

    def note_answered(self, sid: str) -> None:
        self.rows("UPDATE accepted SET answered = 1 WHERE sid = ?", sid)

    def find(self, sid: str) -> sqlite3.Row | None:
        found = self.rows("SELECT * FROM accepted WHERE sid = ?", sid)
        return found[0] if found else None

    def page(self, *, recipient: str, skip: int, size: int, after: float, before: float) -> list[sqlite3.Row]:
        """Newest first, as the provider's list; an empty ``recipient`` means everybody's."""
        return self.rows(
            "SELECT * FROM accepted WHERE (? = '' OR recipient = ?) AND accepted_at >= ? AND accepted_at < ?"
            " ORDER BY number DESC LIMIT ? OFFSET ?",
            *(recipient, recipient, after, before, size, skip),
        )

    def note_callback(self, *, kind: str, message_ref: str, sid: str, word: str, code: str) -> int:
        """A call-back that is about to be made; its number."""
        return self.count(
            "INSERT INTO callback(kind, message_ref, sid, word, code, at) VALUES(?, ?, ?, ?, ?, ?) RETURNING number",
            *(kind, message_ref, sid, word, code, time.time()),
        )

    def note_callback_answer(self, number: int, status: int) -> None:
        self.rows("UPDATE callback SET answer = ? WHERE number = ?", status, number)
