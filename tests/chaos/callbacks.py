"""The misbehaving provider's call-backs: signed, forged, early, late, twice, in any order, or not at all."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import hmac
import uuid
from collections.abc import Mapping
from urllib.parse import urlencode, urlsplit

from tests.chaos.book import Book
from tests.chaos.plan import WORDS, CallBack, Fate, Plan

# As many at once as a provider opens to one customer's web server.
_AT_ONCE = 16
_PATIENCE_SECONDS = 15.0


def signature(token: str, url: str, fields: Mapping[str, str]) -> str:
    """base64(HMAC-SHA1(token, address + sorted names and values)), as Twilio documents it."""
    text = url + "".join(f"{name}{fields[name]}" for name in sorted(fields))
    return base64.b64encode(hmac.new(token.encode(), text.encode(), hashlib.sha1).digest()).decode()


class CallBacks:
    """Plans and makes the call-backs of accepted messages. ``waiting`` are planned and not yet answered."""

    def __init__(self, book: Book, *, account: str, token: str) -> None:
        self._book, self._account, self._token = book, account, token
        self._tasks: set[asyncio.Task[None]] = set()
        self._lines = asyncio.Semaphore(_AT_ONCE)
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    @property
    def waiting(self) -> int:
        return len(self._tasks)

    async def begin(self, message: Mapping[str, str], plan: Plan) -> None:
        """Plans what follows an acceptance; an early call-back is over when this returns."""
        address = message["callback"]
        if not address:
            return
        behaviour = plan.callbacks_of(message["who"])
        words = list(WORDS[Fate(message["fate"])])
        if CallBack.NEVER in behaviour:
            words = []
        if CallBack.SHUFFLED in behaviour:
            words.sort(key=lambda word: plan.dice(f"order {word[0]}", message["who"]))
        if CallBack.TWICE in behaviour:
            words = [word for word in words for _ in range(2)]
        wait = plan.queued_seconds(message["who"])
        if CallBack.EARLY in behaviour and words and not wait:
            await self._call("signed", message, *words.pop(0))
        wait += plan.late if CallBack.LATE in behaviour else 0.0
        for number, (word, code) in enumerate(words, start=1):
            self._later(wait + number * plan.callback_gap, "signed", message, word, code)
        if CallBack.FORGED in behaviour:
            # A forger would want the patient to look unreachable, or the message to look read.
            for number, (word, code) in enumerate((("undelivered", "30005"), ("read", ""))):
                self._later(number * plan.callback_gap, "forged", message, word, code)
        if CallBack.UNKNOWN in behaviour:
            self._later(plan.callback_gap, "unknown", _somebody_elses(message), "delivered", "")

    def _later(self, seconds: float, kind: str, message: Mapping[str, str], word: str, code: str) -> None:
        async def call() -> None:
            await asyncio.sleep(seconds)
            await self._call(kind, message, word, code)

        task = asyncio.create_task(call())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _call(self, kind: str, message: Mapping[str, str], word: str, code: str) -> None:
        fields = {
            "AccountSid": self._account,
            "ApiVersion": "2010-04-01",
            "From": message["sender"],
            "To": message["recipient"],
            "MessageSid": message["sid"],
            "MessageStatus": word,
            "SmsSid": message["sid"],
            "SmsStatus": word,
            # Twilio adds parameters without notice; all of them are signed.
            "SomethingNew": "x & y = z",
        }
        if code:
            fields["ErrorCode"] = code
        token = self._token if kind != "forged" else f"not-{self._token}"
        signed = signature(token, message["callback"], fields)
        async with self._lines:
            # On file before it is made: a provider that is killed has not called in secret.
            number = self._book.note_callback(
                kind=kind, message_ref=message["message_ref"], sid=message["sid"], word=word, code=code
            )
            for _try in range(2):  # Twilio's default: once more after a connection that failed
                with contextlib.suppress(OSError, asyncio.IncompleteReadError, TimeoutError):
                    answer = await asyncio.wait_for(self._post(message["callback"], fields, signed), _PATIENCE_SECONDS)
                    self._book.note_callback_answer(number, answer)
                    break

    async def _post(self, url: str, fields: Mapping[str, str], signed: str) -> int:
        """The status of the answer. Connections are kept and used again."""
        parts = urlsplit(url)
        body = urlencode(fields).encode()
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        head = (
            f"POST {target} HTTP/1.1\r\nHost: {parts.netloc}\r\nX-Twilio-Signature: {signed}\r\n"
            "Content-Type: application/x-www-form-urlencoded; charset=UTF-8\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        reader, writer = await self._line(parts.hostname or "", parts.port or 80)
        try:
            writer.write(head.encode() + body)
            await writer.drain()
            lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
            await reader.readexactly(int(headers.get("content-length", 0)))
        except BaseException:
            writer.close()
            raise
        if headers.get("connection", "").lower() == "close" or "transfer-encoding" in headers:
            writer.close()
        else:
            self._idle.append((reader, writer))
        return int(lines[0].split(" ")[1])

    async def _line(self, host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        while self._idle:
            reader, writer = self._idle.pop()
            if not reader.at_eof():
                return reader, writer
            writer.close()
        return await asyncio.open_connection(host, port)


def _somebody_elses(message: Mapping[str, str]) -> dict[str, str]:
    """A message that this house has never written: another id in the path, another sid."""
    stranger = str(uuid.uuid4())
    return {
        **{name: message[name] for name in ("sender", "recipient")},
        "sid": f"SM{uuid.uuid4().hex}",
        "message_ref": stranger,
        "callback": message["callback"].replace(message["message_ref"], stranger),
    }
