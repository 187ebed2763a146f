"""The floor: the fewest steps that a send in batches can have, without Django, Celery or any guarantee.

``python -m benchmarks.lean.floor send|receive``: prints ``ready``, waits for a line, works until nothing is left.
A claim is one statement; what it claimed is lost when the process dies. Nothing is checked before the call, nothing
is written before it, a failed call ends the run.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import os
import sys

import aiohttp
import psycopg

BATCH = 500
IN_FLIGHT = 50
_CLAIM = """
UPDATE lean_message SET status = 'SENDING' WHERE id IN (
    SELECT id FROM lean_message WHERE status = 'QUEUED' ORDER BY created_at LIMIT %s FOR UPDATE SKIP LOCKED
) RETURNING id, recipient, body
"""
_SENT = """
UPDATE lean_message SET status = 'SENT', provider_message_id = new.sid, sent_at = now()
FROM unnest(%s::uuid[], %s::text[]) AS new (id, sid) WHERE lean_message.id = new.id
"""
_RECEIPTS = """
UPDATE lean_receipt SET applied_at = now() WHERE id IN (
    SELECT id FROM lean_receipt WHERE applied_at IS NULL ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED
) RETURNING message_id
"""
_DELIVERED = "UPDATE lean_message SET status = 'DELIVERED', delivered_at = now() WHERE id = ANY (%s)"


async def send(connection: psycopg.Connection) -> None:
    account = os.environ["TWILIO_ACCOUNT_SID"]
    address = f"{os.environ['TWILIO_API_BASE_URL']}/2010-04-01/Accounts/{account}/Messages.json"
    auth = aiohttp.BasicAuth(account, os.environ["TWILIO_AUTH_TOKEN"])
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=IN_FLIGHT), auth=auth) as session:

        async def post(row: tuple[object, str, str]) -> str:
            form = {
                "To": row[1],
                "From": "AGDAR",
                "Body": row[2],
                "StatusCallback": f"https://bench.agdar.example/status/{row[0]}",
            }
            async with session.post(address, data=form) as answer:
                answer.raise_for_status()
                return str((await answer.json())["sid"])

        while rows := connection.execute(_CLAIM, [BATCH]).fetchall():
            sids = await asyncio.gather(*map(post, rows))
            with connection.transaction():
                connection.execute(_SENT, [[row[0] for row in rows], sids])
                _copy_logs(connection, [(row[0], "SENT", {"sid": sid}) for row, sid in zip(rows, sids, strict=True)])


def receive(connection: psycopg.Connection) -> None:
    is_left = True
    while is_left:
        with connection.transaction():
            ids = [row[0] for row in connection.execute(_RECEIPTS, [BATCH])]
            is_left = bool(ids)
            connection.execute(_DELIVERED, [ids])
            _copy_logs(connection, [(message_id, "DELIVERED", {"status": "delivered"}) for message_id in ids])


def _copy_logs(connection: psycopg.Connection, rows: list[tuple[object, str, dict[str, str]]]) -> None:
    now = dt.datetime.now(dt.UTC)
    with (
        connection.cursor() as cursor,
        cursor.copy("COPY lean_log (message_id, event, response, created_at) FROM STDIN") as copy,
    ):
        for message_id, event, response in rows:
            copy.write_row((message_id, event, json.dumps(response), now))


def main() -> None:
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
        print("ready", flush=True)
        sys.stdin.readline()
        if sys.argv[1] == "send":
            asyncio.run(send(connection))
        else:
            receive(connection)


if __name__ == "__main__":
    main()
