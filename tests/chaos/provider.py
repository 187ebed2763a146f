"""A provider that speaks Twilio's Messages API and misbehaves by plan (``plan.py``). Its own process, its own book.

Written from the provider's documentation, not from our adapter or our sandbox: what the two have in common is what
Twilio says. It asks for what Twilio asks for (account, password, To, a sender, a body) and refuses the rest.

    python -m tests.chaos.provider --port 9100 --book book.sqlite3 --account AC… --token …

    PUT  /plan        the plan, as JSON                DELETE /plan   the faults end
    GET  /state       requests that are open, call-backs that wait
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import datetime as dt
import json
import re
import socket
import struct
import time
from collections.abc import Mapping
from email.utils import formatdate
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from tests.chaos.book import Book
from tests.chaos.callbacks import CallBacks
from tests.chaos.plan import NOT_ACCEPTED, WORDS, Fate, Fault, Plan

# The message's id in the call-back's address, and the attempt in its query.
_REF = re.compile(r"/status/([0-9a-f-]{36})/")
_ATTEMPT = re.compile(r"[?&]attempt=(\d+)")
# An accepted message has each of its words after so many more seconds.
_WORD_EVERY_SECONDS = 0.2

Answer = tuple[int, dict[str, Any], dict[str, str]]


class Dropped(Exception):
    """The connection ends here, without an answer."""


class Provider:
    """``open`` counts the requests that have come and are not over: who looks a message up must wait for them."""

    def __init__(self, book: Book, *, account: str, token: str) -> None:
        self.book, self.account = book, account
        self.plan = Plan()
        self.open = 0
        self.callbacks = CallBacks(book, account=account, token=token)
        self._base = f"/2010-04-01/Accounts/{account}/Messages"
        self._login = "Basic " + base64.b64encode(f"{account}:{token}".encode()).decode()
        self._looked = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, kept open for the next request until somebody ends it."""
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, Dropped):
            while True:
                method, target, headers, body = await _read(reader)
                self.open += 1
                try:
                    await self._answer(writer, method, target, headers, body)
                finally:
                    self.open -= 1
        writer.close()

    async def _answer(
        self, writer: asyncio.StreamWriter, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> None:
        path, _, query = target.partition("?")
        if path in ("/plan", "/state"):
            self._control(writer, method, path, body)
        elif headers.get("authorization") != self._login:
            _write(writer, _problem(401, 20003, "Authenticate"))
        elif path == f"{self._base}.json" and method == "POST":
            await self._create(writer, dict(parse_qsl(body.decode(), keep_blank_values=True)))
        elif method == "GET" and path.startswith(self._base):
            _write(writer, self._look_up(path, dict(parse_qsl(query, keep_blank_values=True))))
        else:
            _write(writer, _problem(404, 20404, "The requested resource was not found"))
        await writer.drain()

    def _control(self, writer: asyncio.StreamWriter, method: str, path: str, body: bytes) -> None:
        if path == "/plan" and method == "PUT":
            self.plan = Plan.from_json(json.loads(body))
        elif path == "/plan" and method == "DELETE":
            self.plan = self.plan.without_faults()
        # Without the request that asks.
        _write(writer, (200, {"open": self.open - 1, "callbacks_waiting": self.callbacks.waiting}, {}))

    # --- creating ---------------------------------------------------------------------------------------------------

    async def _create(self, writer: asyncio.StreamWriter, fields: dict[str, str]) -> None:
        plan = self.plan
        if refused := _refusal(fields):
            _write(writer, refused)
            return
        ref, attempt = _named(fields.get("StatusCallback", ""))
        call = self.book.call_of(fields["To"])
        fault = plan.fault_of(call)
        self.book.note_request(recipient=fields["To"], message_ref=ref, attempt=attempt, fault=fault)
        await asyncio.sleep({Fault.SLOW: plan.slow, Fault.HANG_LATE: plan.hang}.get(fault, plan.latency))
        if fault in NOT_ACCEPTED:
            await self._refuse(writer, fault, plan)
            return
        fate = plan.fate_of(fields["To"])
        message = self.book.accept(who=call, message_ref=ref, attempt=attempt, fault=fault, fate=fate, fields=fields)
        await self.callbacks.begin(dict(message), plan)
        answer = (201, self._resource(message, is_new=True), {})
        match fault:
            case Fault.NONE | Fault.SLOW:
                _write(writer, answer)
                await writer.drain()
                self.book.note_answered(message["sid"])
            case Fault.ERROR_ACCEPTED:
                _write(writer, _problem(500, 20500, "Internal Server Error"))
            case Fault.UNAVAILABLE_ACCEPTED:
                _write(writer, _problem(503, 20503, "Service Unavailable"))
            case Fault.HANG_ACCEPTED:
                await asyncio.sleep(plan.hang)
                raise Dropped
            case Fault.HANG_LATE:
                raise Dropped
            case Fault.RESET_ACCEPTED:
                _reset(writer)
            case Fault.CUT:
                whole = _bytes(answer)
                writer.write(whole[: len(whole) - 40])
                await writer.drain()
                raise Dropped
            case Fault.GARBAGE:
                _write(writer, (201, {}, {}), raw=b'{"sid": "SM, <html>502</html>')

    async def _refuse(self, writer: asyncio.StreamWriter, fault: Fault, plan: Plan) -> None:
        match fault:
            case Fault.TOO_MANY:
                _write(writer, _problem(429, 20429, "Too Many Requests"))
            case Fault.TOO_MANY_LATER:
                _write(writer, _problem(429, 20429, "Too Many Requests", {"Retry-After": str(plan.retry_after)}))
            case Fault.ERROR:
                _write(writer, _problem(500, 20500, "Internal Server Error"))
            case Fault.UNAVAILABLE:
                _write(writer, _problem(503, 20503, "Service Unavailable"))
            case Fault.HANG:
                await asyncio.sleep(plan.hang)
                raise Dropped
            case _:
                _reset(writer)

    # --- looking up -------------------------------------------------------------------------------------------------

    def _look_up(self, path: str, asked: dict[str, str]) -> Answer:
        self._looked += 1
        if self.plan.dice("look-up", str(self._looked)) < self.plan.lookup_faults:
            if self._looked % 2:
                return _problem(500, 20500, "Internal Server Error")
            return _problem(429, 20429, "Too Many Requests", {"Retry-After": str(self.plan.retry_after)})
        if path == f"{self._base}.json":
            return self._list(asked)
        found = self.book.find(path.removeprefix(f"{self._base}/").removesuffix(".json"))
        return (200, self._resource(found), {}) if found else _problem(404, 20404, "The resource was not found")

    def _list(self, asked: dict[str, str]) -> Answer:
        size = min(1000, int(asked.get("PageSize", 50)))
        skip = int(asked.get("Page", 0)) * size
        after, before = _moments(asked)
        # One more than asked for: is there a next page?
        rows = self.book.page(recipient=asked.get("To", ""), skip=skip, size=size + 1, after=after, before=before)
        shown = [self._resource(row) for row in rows[:size]]
        if any(name.startswith("DateSent") for name in asked):
            # What still waits has no such date, so no filter by it can find it.
            shown = [resource for resource in shown if resource["date_sent"]]
        following = None
        if len(rows) > size:
            page = int(asked.get("Page", 0)) + 1
            token = rows[size - 1]["sid"].replace("SM", "PASM")
            following = f"{self._base}.json?" + urlencode({**asked, "Page": page, "PageToken": token})
        return (
            200,
            {
                "messages": shown,
                "page": int(asked.get("Page", 0)),
                "page_size": size,
                "next_page_uri": following,
                "uri": f"{self._base}.json",
            },
            {},
        )

    def _resource(self, row: Mapping[str, Any], *, is_new: bool = False) -> dict[str, Any]:
        """The message as Twilio shows it now: counts are text, times are RFC 2822, the price comes late and negative."""
        age = 0.0 if is_new else time.time() - row["accepted_at"] - self.plan.queued_seconds(row["who"])
        words = [("queued", ""), *WORDS[Fate(row["fate"])]]
        word, code = words[min(max(0, int(age / _WORD_EVERY_SECONDS)), len(words) - 1)]
        is_out = word != "queued"
        at = formatdate(row["accepted_at"])
        return {
            "sid": row["sid"],
            "account_sid": self.account,
            "api_version": "2010-04-01",
            "status": word,
            "to": row["recipient"],
            "from": row["sender"],
            "messaging_service_sid": None,
            "body": row["body"],
            "num_segments": "1",
            "num_media": "0",
            "direction": "outbound-api",
            "date_created": at,
            "date_updated": at,
            "date_sent": at if is_out else None,
            "price": "-0.05000" if is_out and word != "sent" else None,
            "price_unit": "USD",
            "error_code": int(code) if code else None,
            "error_message": None,
            "uri": f"{self._base}/{row['sid']}.json",
            "subresource_uris": {"media": f"{self._base}/{row['sid']}/Media.json"},
        }


def _refusal(fields: Mapping[str, str]) -> Answer | None:
    """What Twilio documents as an error at create, of what a customer of ours could get wrong."""
    to, sender = fields.get("To", ""), fields.get("From", "")
    callback = fields.get("StatusCallback", "")
    if not to:
        return _problem(400, 21604, "A 'To' phone number is required.")
    if not re.fullmatch(r"(whatsapp:)?\+[1-9]\d{6,14}", to):
        return _problem(400, 21211, "Invalid 'To' Phone Number")
    if not sender and not fields.get("MessagingServiceSid"):
        return _problem(400, 21603, "A 'From' phone number is required.")
    if sender and sender.startswith("whatsapp:") != to.startswith("whatsapp:"):
        return _problem(400, 21212, "The 'From' number is of another channel.")
    if not fields.get("Body") and not fields.get("ContentSid"):
        return _problem(400, 21602, "Message body is required.")
    if len(fields.get("Body", "")) > 1600:
        return _problem(400, 21617, "The concatenated message body exceeds the 1600 character limit")
    if callback and (len(callback) > 4000 or urlsplit(callback).scheme not in ("http", "https")):
        return _problem(400, 21609, "Invalid 'StatusCallback'")
    return None


def _named(callback: str) -> tuple[str, str]:
    """Our customer's own id and attempt in the call-back's address; empty where there is none."""
    ref, attempt = _REF.search(callback), _ATTEMPT.search(callback)
    return (ref.group(1) if ref else ""), (attempt.group(1) if attempt else "")


def _moments(asked: Mapping[str, str]) -> tuple[float, float]:
    """The window of a list: DateSent is a day, DateSent> and DateSent< are days or moments, all in UTC."""
    after, before = 0.0, float("inf")
    if day := asked.get("DateSent"):
        after = _moment(day)
        before = after + 86_400
    if since := asked.get("DateSent>"):
        after = _moment(since)
    if until := asked.get("DateSent<"):
        # A day means the whole of it.
        before = _moment(until) + (86_400 if len(until) == 10 else 1)
    return after, before


def _moment(text: str) -> float:
    moment = dt.datetime.fromisoformat(text)
    return moment.replace(tzinfo=moment.tzinfo or dt.UTC).timestamp()


def _problem(status: int, code: int, message: str, headers: dict[str, str] | None = None) -> Answer:
    more = f"https://www.twilio.com/docs/errors/{code}"
    return status, {"code": code, "message": message, "more_info": more, "status": status}, headers or {}


# --- HTTP -----------------------------------------------------------------------------------------------------------


async def _read(reader: asyncio.StreamReader) -> tuple[str, str, dict[str, str], bytes]:
    lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, target, _version = lines[0].split(" ", 2)
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    return method, target, headers, await reader.readexactly(int(headers.get("content-length", 0)))


def _bytes(answer: Answer, raw: bytes | None = None) -> bytes:
    status, data, headers = answer
    body = json.dumps(data).encode() if raw is None else raw
    lines = [
        f"HTTP/1.1 {status} {'Created' if status == 201 else 'Answer'}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def _write(writer: asyncio.StreamWriter, answer: Answer, raw: bytes | None = None) -> None:
    writer.write(_bytes(answer, raw))


def _reset(writer: asyncio.StreamWriter) -> None:
    """A TCP reset: lingering zero seconds throws away what is unsent and says RST instead of FIN."""
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
    raise Dropped


async def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--book", type=Path, required=True)
    parser.add_argument("--account", required=True)
    parser.add_argument("--token", required=True)
    chosen = parser.parse_args()
    provider = Provider(Book(chosen.book), account=chosen.account, token=chosen.token)
    server = await asyncio.start_server(provider.serve, "127.0.0.1", chosen.port, backlog=1024)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_main())
