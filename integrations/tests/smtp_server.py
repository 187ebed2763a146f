"""A mail server that misbehaves on request: each next answer to a command may be set, and what it heard is noted."""

from __future__ import annotations

import socket
import socketserver
import threading
from collections import defaultdict, deque
from typing import Any

CUT, HANG = "cut", "hang"
_USUAL = {"DATA": "354 go on", "QUIT": "221 bye"}


class MailServer(socketserver.ThreadingTCPServer):
    """``answers`` hold the next replies by command, BODY is the mail's end; CUT ends the connection, HANG says nothing."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, port: int = 0, *extensions: str) -> None:
        self.extensions = extensions
        self.answers: dict[str, deque[str]] = defaultdict(deque)
        self.mails: list[bytes] = []
        self.unfinished: list[bytes] = []
        self.heard: list[str] = []
        # Commands that had arrived before the first of them was answered.
        self.pipelined: list[bool] = []
        self.connections = 0
        # Called at each mail's end, before the reply.
        self.on_mail = lambda: None
        self._open: list[Any] = []
        self._stopped = threading.Event()
        super().__init__(("127.0.0.1", port), _Talk)
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def process_request(self, request: Any, client_address: Any) -> None:
        self.connections += 1
        request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._open.append(request)
        super().process_request(request, client_address)

    def stop(self) -> None:
        """Ends all connections, as a restart does."""
        self._stopped.set()
        self.shutdown()
        self._thread.join()
        for talk in self._open:
            self.shutdown_request(talk)
        self.server_close()

    def wait(self) -> None:
        self._stopped.wait()


class _Talk(socketserver.BaseRequestHandler):
    server: MailServer

    def handle(self) -> None:
        self._unread = b""
        try:
            self._talk()
        except OSError:
            return

    def _talk(self) -> None:
        _reply, goes_on = self._answer("GREETING", "220 hello")
        while goes_on and (line := self._line()):
            command = line[:4].strip().decode().upper()
            self.server.heard.append(line.strip().decode())
            if command == "MAIL":
                self.server.pipelined.append(b"DATA" in self._unread)
            offered = "\r\n".join([f"250-{name}" for name in ("me", *self.server.extensions)] + ["250 OK"])
            reply, goes_on = self._answer(command, _USUAL.get(command, offered if command == "EHLO" else "250 OK"))
            if command == "QUIT":
                return
            if command == "DATA" and reply.startswith("354"):
                goes_on = self._take_mail()

    def _take_mail(self) -> bool:
        lines = []
        while (line := self._line()) != b".\r\n":
            if not line:
                self.server.unfinished.append(b"".join(lines))
                return False
            lines.append(line.removeprefix(b"."))
        self.server.mails.append(b"".join(lines))
        self.server.on_mail()
        return self._answer("BODY", "250 OK")[1]

    def _line(self) -> bytes:
        """The next line; empty when the client has gone."""
        while b"\n" not in self._unread:
            chunk = self.request.recv(65536)
            if not chunk:
                return b""
            self._unread += chunk
        line, _end, self._unread = self._unread.partition(b"\n")
        return line + b"\n"

    def _answer(self, command: str, usual: str) -> tuple[str, bool]:
        """What was said, and whether the talk goes on."""
        waiting = self.server.answers[command]
        reply = waiting.popleft() if waiting else usual
        if reply == HANG:
            self.server.wait()
        if reply in (CUT, HANG):
            return reply, False
        self.request.sendall(f"{reply}\r\n".encode())
        return reply, True
