"""A provider on a real socket that answers as told, and breaks off where it is told."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

import pytest

ACCEPTED = {"sid": "SM1", "status": "queued", "num_segments": "2", "price": "-0.00750", "price_unit": "usd"}


@dataclass(frozen=True)
class Answer:
    """``cut`` bytes of the body are kept back before the connection is closed; ``resets`` and ``closes`` come instead
    of any answer; ``hangs`` is never answered; ``drips`` comes byte by byte, in seconds; ``hangs_up`` is whole, but the
    connection is closed after it without a word."""

    status: int = 201
    body: Any = field(default_factory=lambda: ACCEPTED)
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: int = 0
    resets: bool = False
    closes: bool = False
    hangs: bool = False
    drips: bool = False
    hangs_up: bool = False
    # Answered only once so many requests are waiting at the same time, and so many seconds after that.
    together: int = 1
    pause: float = 0.0

    def raw(self) -> bytes:
        body = self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()
        headers = {"Content-Length": str(len(body)), "Content-Type": "application/json", **self.headers}
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        whole = f"HTTP/1.1 {self.status} X\r\n{head}\r\n".encode() + body
        return whole[: len(whole) - self.cut]


@dataclass
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: str

    @property
    def data(self) -> bytes:
        """The body as it came, also where it is no text."""
        return self.body.encode(errors="surrogateescape")

    @property
    def form(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(self.body, keep_blank_values=True).items()}


class Double:
    """Plays ``script`` first, then always ``answer``."""

    def __init__(self) -> None:
        self.answer = Answer()
        self.script: list[Answer] = []
        self.requests: list[Request] = []
        self.connections = 0
        # How many requests were waiting when each came, itself included.
        self.arrivals: list[int] = []
        self._in_flight = 0
        self._barriers: dict[int, asyncio.Barrier] = {}
        self._loop = asyncio.new_event_loop()
        self._server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._server.close()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                self.requests.append(await _read(reader))
                step = self.script.pop(0) if self.script else self.answer
                self._in_flight += 1
                self.arrivals.append(self._in_flight)
                if step.together > 1:
                    await self._barriers.setdefault(step.together, asyncio.Barrier(step.together)).wait()
                if step.pause:
                    await asyncio.sleep(step.pause)
                self._in_flight -= 1
                if not await _reply(step, writer):
                    return
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # the client has hung up, or the test is over
        finally:
            writer.transport.abort()


async def _read(reader: asyncio.StreamReader) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    first, *lines = head.strip().split("\r\n")
    method, path, _version = first.split(" ")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Request(method, path, headers, body.decode(errors="surrogateescape"))


async def _reply(step: Answer, writer: asyncio.StreamWriter) -> bool:
    """True while the connection is to be kept."""
    if step.hangs:
        await asyncio.Event().wait()
    if step.drips:
        for byte in step.raw():
            writer.write(bytes([byte]))
            await asyncio.sleep(0.01)
    if step.resets:
        # Closed without lingering, a socket says RST.
        sock: socket.socket = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    if step.resets or step.closes:
        return False
    writer.write(step.raw())
    await writer.drain()
    if step.cut or step.hangs_up:
        writer.close()
        await writer.wait_closed()
        return False
    return True


@pytest.fixture
def double() -> Iterator[Double]:
    told = Double()
    yield told
    told.stop()


@pytest.fixture
def twilio(double: Double, settings: Any) -> Double:
    """The double in Twilio's place."""
    settings.TWILIO_ACCOUNT_SID, settings.TWILIO_AUTH_TOKEN = "AC" + "1" * 32, "token"
    settings.TWILIO_SMS_FROM, settings.TWILIO_WHATSAPP_FROM = "CLINIC", "+966550000001"
    settings.TWILIO_API_BASE_URL = f"{double.url}/prefix"
    return double


@pytest.fixture
def unifonic(double: Double, settings: Any) -> Double:
    """The double in Unifonic's place."""
    settings.UNIFONIC_APP_SID, settings.UNIFONIC_SENDER_ID = "app", "NOOR"
    settings.UNIFONIC_WEBHOOK_SECRET, settings.UNIFONIC_API_BASE_URL = "secret", double.url
    double.answer = Answer(200, {"success": "true", "data": {"MessageID": 42_000_000_000_001}})
    return double
