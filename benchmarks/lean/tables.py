"""The lean tables: a message, its log, and the receipts that came. Filled by the database itself."""

from __future__ import annotations

import psycopg

_SCHEMA = """
CREATE TABLE lean_message (
    id uuid PRIMARY KEY, recipient text NOT NULL, body text NOT NULL, status text NOT NULL,
    provider_message_id text NOT NULL DEFAULT '', created_at timestamptz NOT NULL DEFAULT now(),
    sent_at timestamptz, delivered_at timestamptz
);
CREATE INDEX lean_message_queued ON lean_message (created_at) WHERE status = 'QUEUED';
CREATE TABLE lean_log (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, message_id uuid NOT NULL, event text NOT NULL,
    response jsonb NOT NULL, created_at timestamptz NOT NULL
);
CREATE INDEX lean_log_message ON lean_log (message_id);
CREATE TABLE lean_receipt (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, message_id uuid NOT NULL, status text NOT NULL,
    applied_at timestamptz
);
CREATE INDEX lean_receipt_waiting ON lean_receipt (id) WHERE applied_at IS NULL;
"""
# As long as a rendered reminder in Arabic.
_BODY = "عزيزتي سارة المطيري، نذكركم بموعدكم في فرع العليا يوم الخميس الساعة 10:30. للاستفسار 0112345678"


def make(connection: psycopg.Connection) -> None:
    connection.execute(_SCHEMA)


def fill(connection: psycopg.Connection, size: int) -> list[str]:
    """Empties the tables and queues ``size`` messages; returns their ids."""
    connection.execute("TRUNCATE lean_message, lean_log, lean_receipt")
    connection.execute(
        "INSERT INTO lean_message (id, recipient, body, status) "
        "SELECT gen_random_uuid(), '+9665' || lpad(n::text, 8, '0'), %s, 'QUEUED' FROM generate_series(1, %s) n",
        [_BODY, size],
    )
    connection.execute("ANALYZE lean_message")
    return [str(row[0]) for row in connection.execute("SELECT id FROM lean_message")]


def fill_receipts(connection: psycopg.Connection) -> None:
    """One “delivered” for each message, as a web process has stored it."""
    connection.execute("INSERT INTO lean_receipt (message_id, status) SELECT id, 'delivered' FROM lean_message")
    connection.execute("ANALYZE lean_receipt")


def count(connection: psycopg.Connection, status: str) -> int:
    row = connection.execute("SELECT count(*) FROM lean_message WHERE status = %s", [status]).fetchone()
    assert row is not None
    return int(row[0])


def check(connection: psycopg.Connection, size: int, logs: int) -> None:
    """Both sides must have done all of the work that is compared. Raises RuntimeError."""
    row = connection.execute("SELECT count(*) FROM lean_log").fetchone()
    assert row is not None
    if count(connection, "DELIVERED") != size or row[0] != logs:
        raise RuntimeError(f"not all of {size} messages ended with their {logs} log rows")
