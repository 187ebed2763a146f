"""A real sandbox on a free port, and a small web that notes the call-backs it gets."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl

import pytest

from integrations.sandbox.server import SandboxServer
from integrations.sandbox.store import Store
from integrations.sandbox.twilio_api import Delays
from integrations.sms_providers import Outgoing

NUMBER = "+966501234567"


@dataclass
class Listener:
    """The web as the sandbox sees it. ``answers`` are played first, then 204."""

    url: str = ""
    calls: list[tuple[str, dict[str, str], str]] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)

    def statuses(self) -> list[str]:
        return [form.get("MessageStatus", "") for _path, form, _signature in self.calls]


def wait_for(condition: Callable[[], Any], *, seconds: float = 5.0) -> Any:
    """The first true answer."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found = condition()
        if found:
            return found
        time.sleep(0.01)
    raise AssertionError("it did not happen in time")


@pytest.fixture
def listener() -> Iterator[Listener]:
    noted = Listener()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            form = dict(parse_qsl(self.rfile.read(length).decode(), keep_blank_values=True))
            noted.calls.append((self.path, form, self.headers["X-Twilio-Signature"]))
            self.send_response(noted.answers.pop(0) if noted.answers else 204)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    noted.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield noted
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def sandbox(listener: Listener, settings: Any) -> Iterator[SandboxServer]:
    """Calls back at once; the settings lead to it."""
    store = Store(":memory:")
    server = SandboxServer(
        store, port=0, inbound_url=f"{listener.url}/webhooks/twilio/inbound/", delays=Delays().times(0)
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    settings.SANDBOX_URL = server.url
    yield server
    server.shutdown()
    thread.join()
    store.close()


def outgoing(to: str = NUMBER, *, channel: str = "SMS", **fields: Any) -> Outgoing:
    values: dict[str, Any] = {
        "message_id": "0c9c2a8e-4c2e-4f4e-9a10-2f1f3f0a0001",
        "channel": channel,
        "to": to,
        "sender": "",
        "subject": "",
        "body": "Your visit is tomorrow at 10:00 AM.",
        "language": "en",
        "callback_url": "",
        "valid_seconds": 3600,
    }
    return Outgoing(**values | fields)
