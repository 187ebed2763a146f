"""A mail server on loopback that takes everything and counts. ``python -m`` starts it.

It speaks just enough SMTP by hand (EHLO, MAIL, RCPT, DATA, RSET, NOOP, QUIT; pipelining) to cost less than its
clients. On a second port it tells its counts of mails and connections: one line of JSON for the line ``count``, and
for the line ``forget``, after which it starts anew.
"""

from __future__ import annotations

import argparse
import asyncio
import json

_DATA_END = b"\r\n.\r\n"


class Count:
    def __init__(self) -> None:
        self.accepted = 0
        self.connections = 0


class Mails(asyncio.Protocol):
    """One connection of a mail client."""

    def __init__(self, count: Count) -> None:
        self._count = count
        self._waiting = b""
        self._in_data = self._is_over = False
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._count.connections += 1
        transport.write(b"220 bench ESMTP\r\n")

    def data_received(self, data: bytes) -> None:
        self._waiting += data
        answers = b""
        while True:
            end = self._waiting.find(_DATA_END if self._in_data else b"\r\n")
            if end < 0:
                break
            if self._in_data:
                self._waiting = self._waiting[end + len(_DATA_END) :]
                self._in_data = False
                self._count.accepted += 1
                answers += b"250 2.0.0 Ok\r\n"
                continue
            line, self._waiting = self._waiting[:end], self._waiting[end + 2 :]
            answers += self._answer(line[:4].upper())
        if answers:
            self._transport.write(answers)
        if self._is_over:
            self._transport.close()

    def _answer(self, verb: bytes) -> bytes:
        if verb == b"DATA":
            self._in_data = True
            return b"354 Go on\r\n"
        if verb == b"EHLO":
            return b"250-bench\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n"
        if verb == b"QUIT":
            self._is_over = True
            return b"221 2.0.0 Bye\r\n"
        return b"250 2.0.0 Ok\r\n"


class Told(asyncio.Protocol):
    """The second port."""

    def __init__(self, count: Count) -> None:
        self._count = count
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        told = {"accepted": self._count.accepted, "connections": self._count.connections}
        if data.startswith(b"forget"):
            self._count.accepted = self._count.connections = 0
        self._transport.write(json.dumps(told).encode() + b"\n")


async def serve(port: int, counts_port: int) -> None:
    loop = asyncio.get_running_loop()
    count = Count()
    mails = await loop.create_server(lambda: Mails(count), "127.0.0.1", port)
    told = await loop.create_server(lambda: Told(count), "127.0.0.1", counts_port)
    async with mails, told:
        await asyncio.gather(mails.serve_forever(), told.serve_forever())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("counts_port", type=int)
    chosen = parser.parse_args()
    asyncio.run(serve(chosen.port, chosen.counts_port))


if __name__ == "__main__":
    main()
