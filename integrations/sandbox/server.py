"""The sandbox's HTTP side: Twilio's and Unifonic's calls, and our own JSON for the page. This machine only.

Every call needs the account's Basic auth, ours too: a web page that the visitor has open elsewhere must not be able
to write to the sandbox behind their back.
"""

from __future__ import annotations

import base64
import hmac
import json
import os
import re
import socket
import struct
import threading
from collections.abc import Mapping
from dataclasses import asdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from integrations.sandbox import account, twilio_api, unifonic_api
from integrations.sandbox.callbacks import Caller
from integrations.sandbox.magic import Trick, trick_of
from integrations.sandbox.store import Store
from integrations.sandbox.twilio_api import Delays, Refusal

_BASIC = "Basic " + base64.b64encode(f"{account.SID}:{account.TOKEN}".encode()).decode()
_ONE_MESSAGE = re.compile(re.escape(twilio_api.PATH) + r"/(SM[0-9a-f]{32})\.json")
_APPROVAL = re.compile(r"/v1/Content/([^/]+)/ApprovalRequests")
_PHONE = re.compile(r"/page/phones/([^/]+)(/replies)?")
_MAILBOX = re.compile(r"/page/mailboxes/([^/]+)")
# A hanging answer is longer than any client waits.
_HANG_SECONDS = 120.0
_LARGEST_BODY = 100_000


class SandboxServer(ThreadingHTTPServer):
    """Knows the store, the caller and the pace. Port 0 takes a free one."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, store: Store, *, port: int, inbound_url: str, delays: Delays | None = None) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.store = store
        self.delays = delays or Delays()
        self.inbound_url = inbound_url
        self.caller = Caller(store)
        self.is_stopping = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def run(self) -> None:
        """Serves until ``shutdown`` is called from another thread."""
        self.caller.start()
        try:
            self.serve_forever(poll_interval=0.2)
        finally:
            self.is_stopping.set()
            self.caller.stop()
            self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: SandboxServer
    protocol_version = "HTTP/1.1"
    # Head and body leave in one packet, or each answer waits 40 ms for the client's acknowledgement.
    wbufsize = -1
    disable_nagle_algorithm = True
    server_version = "AgdarSandbox"

    def do_GET(self) -> None:  # the base class's name
        self._answer_with(self._get)

    def do_POST(self) -> None:
        self._answer_with(self._post)

    def log_message(self, *args: object) -> None:
        """No access log: paths and queries hold numbers."""

    def _answer_with(self, act: Any) -> None:
        address = urlsplit(self.path)
        query = dict(parse_qsl(address.query, keep_blank_values=True))
        form = self._read_form()
        try:
            if form is None:
                raise Refusal(413, 20413, "Request entity too large")
            act(address.path, query, form)
        except Refusal as refusal:
            self._json(refusal.status, refusal.body, refusal.headers)
        except ValueError:
            self._json(400, Refusal(400, 20001, "A parameter is not valid.").body)

    def _read_form(self) -> dict[str, str] | None:
        """Empty for none; None when it is too large (the connection is closed then)."""
        length = int(self.headers.get("Content-Length") or 0)
        if length > _LARGEST_BODY:
            self.close_connection = True
            return None
        body = self.rfile.read(length).decode("utf-8", "replace")
        return dict(parse_qsl(body, keep_blank_values=True))

    def _check_account(self) -> None:
        given = self.headers.get("Authorization", "").encode("latin-1", "replace")
        if not hmac.compare_digest(given, _BASIC.encode()):
            raise Refusal(401, 20003, "Authenticate", {"WWW-Authenticate": 'Basic realm="Twilio API"'})

    def _get(self, path: str, query: Mapping[str, str], form: Mapping[str, str]) -> None:
        self._check_account()
        store = self.server.store
        one = _ONE_MESSAGE.fullmatch(path)
        phone, mailbox = _PHONE.fullmatch(path), _MAILBOX.fullmatch(path)
        if path == f"{twilio_api.PATH}.json":
            self._json(200, twilio_api.list_page(store, query))
        elif one:
            self._json(200, twilio_api.fetch(store, one.group(1)))
        elif approval := _APPROVAL.fullmatch(path):
            self._json(200, twilio_api.approval(approval.group(1)))
        elif path == "/page/conversations":
            self._json(200, {"conversations": [asdict(item) for item in store.conversations()]})
        elif phone and not phone.group(2):
            number = unquote(phone.group(1))
            if query.get("is_open"):
                store.read_now(number)
                self.server.caller.wake()
            self._json(200, {"messages": [asdict(item) for item in store.messages_of(number)]})
        elif mailbox:
            self._json(200, {"mails": [asdict(item) for item in store.mails_of(unquote(mailbox.group(1)))]})
        else:
            raise Refusal(404, 20404, "The requested resource was not found")

    def _post(self, path: str, query: Mapping[str, str], form: Mapping[str, str]) -> None:
        store = self.server.store
        if path == "/rest/SMS/messages":
            self._json(*unifonic_api.send(store, form, self.server.delays))
        elif path == "/rest/SMS/Messages/GetMessagesDetails":
            self._json(*unifonic_api.details(store, form))
        elif path == f"{twilio_api.PATH}.json":
            self._check_account()
            self._create(form)
        elif (phone := _PHONE.fullmatch(path)) and phone.group(2):
            self._check_account()
            self._reply(unquote(phone.group(1)), form)
        else:
            self._check_account()
            raise Refusal(404, 20404, "The requested resource was not found")
        self.server.caller.wake()

    def _create(self, form: Mapping[str, str]) -> None:
        message = twilio_api.create(self.server.store, form, self.server.delays)
        match trick_of(message.number):
            case Trick.HANGS:
                self.server.caller.wake()
                self.server.is_stopping.wait(_HANG_SECONDS)
                self.close_connection = True
            case Trick.RESETS:
                self.server.caller.wake()
                self._reset()
            case _:
                self._json(201, twilio_api.as_json(message, is_new=True))

    def _reply(self, number: str, form: Mapping[str, str]) -> None:
        message = twilio_api.reply(
            self.server.store,
            number=number,
            channel=form.get("channel", "SMS"),
            body=form.get("body", "")[:1600],
            url=self.server.inbound_url,
        )
        if message is None:
            raise Refusal(404, 20404, "Nobody has written to this phone over that channel.")
        self._json(201, {"sid": message.sid})

    def _reset(self) -> None:
        """Breaks the connection as a crashed peer does: no answer, no goodbye."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        os.close(self.connection.detach())

    def _json(self, status: int, answer: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> None:
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
