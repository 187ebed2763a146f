"""A provider on loopback that answers as Twilio's ``POST …/Messages.json`` does, and counts. ``python -m`` starts it.

It must cost less than anything that is measured against it, so it speaks just enough HTTP/1.1 by hand: keep-alive,
Content-Length, several requests in one packet. ``GET /count`` tells what came, ``POST /forget`` starts anew. Every
create is known by the message's id in its call-back address; an id that comes twice is counted as repeated.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re

# Both spellings: clients percent-encode the address inside a form.
_REFERENCE = re.compile(rb"status(?:%2F|/)([0-9a-fA-F-]{36})")
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_BODY = (
    b'{"account_sid":"%(account)s","api_version":"2010-04-01","body":"","date_created":"Mon, 23 Nov 2026 09:00:00 +0000",'
    b'"date_sent":null,"date_updated":"Mon, 23 Nov 2026 09:00:00 +0000","direction":"outbound-api","error_code":null,'
    b'"error_message":null,"from":"+15005550006","messaging_service_sid":null,"num_media":"0","num_segments":"1",'
    b'"price":null,"price_unit":"USD","sid":"SM%(number)032x","status":"queued","subresource_uris":{},"to":"+966500000000",'
    b'"uri":"/2010-04-01/Accounts/%(account)s/Messages/SM%(number)032x.json"}'
)
_HEAD = b"HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"


class Count:
    """What came since the start or the last ``forget``."""

    def __init__(self) -> None:
        self.numbers = 0
        self.forget()

    def forget(self) -> None:
        self.accepted = 0
        self.connections = 0
        self.references: set[bytes] = set()

    def accept(self, reference: bytes) -> int:
        """The running number of a new message; it goes on over ``forget``, so that no sid is given twice."""
        self.accepted += 1
        self.numbers += 1
        self.references.add(reference)
        return self.numbers

    def as_json(self) -> bytes:
        repeated = self.accepted - len(self.references)
        return json.dumps({"accepted": self.accepted, "repeated": repeated, "connections": self.connections}).encode()


class Messages(asyncio.Protocol):
    """One connection. Whatever stands complete in the buffer is answered in one write."""

    def __init__(self, count: Count, delay: float) -> None:
        self._count, self._delay = count, delay
        self._waiting = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._count.connections += 1

    def data_received(self, data: bytes) -> None:
        buffer = self._waiting + data if self._waiting else data
        answers = []
        while (end := buffer.find(b"\r\n\r\n")) >= 0:
            head = buffer[:end]
            length = _LENGTH.search(head)
            finish = end + 4 + (int(length[1]) if length else 0)
            if len(buffer) < finish:
                break
            answers.append(self._answer(head, buffer[end + 4 : finish]))
            buffer = buffer[finish:]
        self._waiting = buffer
        if not answers:
            return
        if self._delay:
            asyncio.get_running_loop().call_later(self._delay, self._transport.write, b"".join(answers))
        else:
            self._transport.write(b"".join(answers))

    def _answer(self, head: bytes, body: bytes) -> bytes:
        if head.startswith(b"GET /count"):
            return _with_head(b"200 OK", self._count.as_json())
        if head.startswith(b"POST /forget"):
            self._count.forget()
            return _with_head(b"200 OK", b"{}")
        if b"/Messages.json" not in head[: head.find(b"\r\n")]:
            return _with_head(b"404 Not Found", b'{"code":20404,"message":"not found","status":404}')
        reference = _REFERENCE.search(body)
        number = self._count.accept(reference[1] if reference else body)
        return _with_head(b"201 Created", _BODY % {b"account": b"AC" + b"0" * 32, b"number": number})


def _with_head(status: bytes, body: bytes) -> bytes:
    return _HEAD % (status, len(body)) + body


async def serve(port: int, delay: float) -> None:
    count = Count()
    server = await asyncio.get_running_loop().create_server(lambda: Messages(count, delay), "127.0.0.1", port)
    async with server:
        await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("--delay", type=float, default=0.0, help="milliseconds before each answer")
    chosen = parser.parse_args()
    asyncio.run(serve(chosen.port, chosen.delay / 1000))


if __name__ == "__main__":
    main()
