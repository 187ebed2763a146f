"""Connections to the mail server: kept open, used again, and exact about whether a mail has begun to leave.

Python's own smtplib by way of Django's backend, so that TLS and signing in are theirs; ours is how one mail is handed
over. Where the server offers PIPELINING (RFC 2920), MAIL, RCPT and DATA leave in one write: two turns a mail, not four.
"""

from __future__ import annotations

import ipaddress
import os
import smtplib
import socket
import threading
import time
from collections import deque
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from django.conf import settings
from django.core.mail.backends.smtp import EmailBackend

from integrations.providers.letter import Letter

# Seconds. Servers close idle connections after minutes; ours are closed before, so that it is rarely they who do it.
_IDLE = 30.0
_GOODBYE = 1.0
_SERVICE_CLOSES = 421


class Step(StrEnum):
    """What the server was asked when it refused."""

    SENDER = "MAIL"
    RECIPIENT = "RCPT"
    MAIL = "DATA"


class Refused(Exception):
    """The server said no: definite, whenever it comes. ``by_policy``: it has nothing against the address."""

    def __init__(self, step: Step, code: int, text: bytes) -> None:
        super().__init__(f"{step.value} {code}")
        self.step = step
        self.code = code
        # RFC 3463: x.7.x is security or policy, such as a block list that our server stands on.
        self.by_policy = text[:2] == b"5." and text[2:4] == b"7."


class NotOpened(Exception):
    """There is no connection, so nothing has left. Its cause says why."""


class Broken(Exception):
    """The connection ended without a reply. Its cause says how."""

    def __init__(self, *, is_mail_leaving: bool) -> None:
        super().__init__()
        self.is_mail_leaving = is_mail_leaving


class Client(smtplib.SMTP):
    """One connection. ``ends_at`` (monotonic) bounds all waiting for the server together, not each reply."""

    ends_at = 0.0
    # From then on a broken connection proves nothing.
    is_mail_leaving = False
    # Between two mails, and nothing is wrong.
    is_reusable = False

    def connect(self, *args: Any, **kwargs: Any) -> tuple[int, bytes]:
        self.ends_at = time.monotonic() + float(self.timeout)
        greeting = super().connect(*args, **kwargs)
        assert self.sock is not None
        # The end of a mail must not wait until the server has confirmed its beginning.
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return greeting

    def getreply(self) -> tuple[int, bytes]:
        if self.sock is not None:
            self.sock.settimeout(max(self.ends_at - time.monotonic(), 0.001))
        return super().getreply()

    def hand_over(self, letter: Letter, *, ends_at: float) -> None:
        """One mail, once. Raises Refused, or OSError when the connection broke: see ``is_mail_leaving``."""
        self.ends_at, self.is_mail_leaving, self.is_reusable = ends_at, False, False
        commands = (
            (Step.SENDER, f"MAIL FROM:<{letter.sender}>\r\n", 2),
            (Step.RECIPIENT, f"RCPT TO:<{letter.recipient}>\r\n", 2),
            (Step.MAIL, "DATA\r\n", 3),
        )
        is_pipelining = self.has_extn("pipelining")
        if is_pipelining:
            self.send("".join(command for _step, command, _good in commands))
        for asked, (step, command, good) in enumerate(commands, start=1):
            if not is_pipelining:
                self.send(command)
            try:
                self._expect(step, good)
            except Refused as refused:
                if refused.code != _SERVICE_CLOSES:
                    self._clear(unread=len(commands) - asked if is_pipelining else 0)
                raise
        self.is_mail_leaving = True
        # A line that begins with a dot gets another one, so that none of them ends the mail (RFC 5321, 4.5.2).
        self.send(letter.content.replace(b"\r\n.", b"\r\n..") + b".\r\n")
        try:
            self._expect(Step.MAIL, 2)
        except Refused as refused:
            self.is_reusable = refused.code != _SERVICE_CLOSES
            raise
        self.is_reusable = True

    def say_goodbye(self) -> None:
        self.ends_at = time.monotonic() + _GOODBYE
        try:
            self.quit()
        except (OSError, smtplib.SMTPException):
            self.close()

    def _expect(self, step: Step, good: int) -> None:
        """One reply with the first digit ``good``."""
        code, text = self.getreply()
        if code // 100 == good:
            return
        if 400 <= code < 600:
            raise Refused(step, code, text)
        raise smtplib.SMTPServerDisconnected("The reply could not be read.")

    def _clear(self, *, unread: int) -> None:
        """After a refusal: hears what is still to be said and ends the transaction, if the server stays that long.

        354 after all would want a mail for nobody: that connection is cut instead.
        """
        try:
            is_going_on = any(self.getreply()[0] == 354 for _reply in range(unread))
            self.is_reusable = not is_going_on and self.rset()[0] == 250
        except OSError:
            self.is_reusable = False


class _SslClient(Client, smtplib.SMTP_SSL):
    pass


class _GuardedClient(Client):
    """Looks at where the name has led before a word is said: a name may be changed after it was checked."""

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        found: socket.socket = super()._get_socket(host, port, timeout)  # type: ignore[misc]  # smtplib's own seam
        if not ipaddress.ip_address(found.getpeername()[0].partition("%")[0]).is_global:
            found.close()
            raise ConnectionRefusedError("The server's name leads into our own network.")
        return found


class _GuardedSslClient(_GuardedClient, smtplib.SMTP_SSL):
    pass


class _Backend(EmailBackend):
    """Django's: reads ``EMAIL_*``, speaks TLS and signs in."""

    @property
    def connection_class(self) -> type[smtplib.SMTP]:
        return _SslClient if self.use_ssl else Client


@dataclass(frozen=True, slots=True)
class Server:
    """A mail server other than the house's, and how to sign in there."""

    host: str
    port: int
    username: str
    password: str = field(repr=False)
    use_tls: bool
    use_ssl: bool


def open_client(server: Server | None = None) -> Client:
    """A new connection, signed in: to ``server``, or to that of ``EMAIL_*``. Raises NotOpened."""
    backend = _Backend() if server is None else _Guarded(**asdict(server))
    try:
        backend.open()
        client = backend.connection
        assert isinstance(client, Client)
        client.ehlo_or_helo_if_needed()
    except OSError as error:
        if backend.connection is not None:
            backend.connection.close()
        raise NotOpened from error
    return client


class _Guarded(_Backend):
    """To a server that a clinic group has named. Outside of a demo it may lead to no machine of our own network."""

    @property
    def connection_class(self) -> type[smtplib.SMTP]:
        if settings.DEBUG:
            return super().connection_class
        return _GuardedSslClient if self.use_ssl else _GuardedClient


class Connections:
    """The open connections of one process, the last used on top. A thread takes one for a mail and puts it back."""

    def __init__(self, server: Server | None = None) -> None:
        self._server = server
        # Taking and putting back are single operations of the deque, which threads may do at the same time.
        self._kept: deque[tuple[float, Client]] = deque()
        self._owner = os.getpid()
        self._is_swept = False

    def hand_over(self, letter: Letter) -> None:
        """One mail, within ``EMAIL_TIMEOUT`` from its connection to its last reply. Raises NotOpened, Refused, Broken."""
        ends_at = time.monotonic() + settings.EMAIL_TIMEOUT
        client = self._take()
        if client is not None:
            try:
                self._use(client, letter, ends_at)
            except (Refused, Broken) as error:
                # The server left while nobody spoke; nothing of the mail has. A timeout took all our time already.
                has_left = error.code == _SERVICE_CLOSES if isinstance(error, Refused) else _is_cut(error)
                if client.is_mail_leaving or not has_left:
                    raise
            else:
                return
        self._use(open_client(self._server), letter, ends_at)

    def _use(self, client: Client, letter: Letter, ends_at: float) -> None:
        try:
            client.hand_over(letter, ends_at=ends_at)
        except OSError as error:
            raise Broken(is_mail_leaving=client.is_mail_leaving) from error
        finally:
            if client.is_reusable:
                self._keep(client)
            else:
                client.close()

    def _take(self) -> Client | None:
        if self._owner != os.getpid():
            # After a fork they are the parent's; here they are only forgotten.
            self._kept, self._owner, self._is_swept = deque(), os.getpid(), False
        try:
            return self._kept.pop()[1]
        except IndexError:
            return None

    def _keep(self, client: Client) -> None:
        self._kept.append((time.monotonic(), client))
        if not self._is_swept:
            self._sweep_later()

    def _sweep_later(self) -> None:
        self._is_swept = True
        timer = threading.Timer(_IDLE, self._sweep)
        timer.daemon = True
        timer.start()

    def _sweep(self) -> None:
        self._is_swept = False
        self._close_idle(since=time.monotonic() - _IDLE)
        if self._kept:
            self._sweep_later()

    def _close_idle(self, *, since: float) -> None:
        """The one that was used longest ago is at the bottom; who takes it away closes it."""
        while True:
            try:
                used_at, client = self._kept.popleft()
            except IndexError:
                return
            if used_at > since:
                self._kept.appendleft((used_at, client))
                return
            client.say_goodbye()


def _is_cut(error: Broken) -> bool:
    cause = error.__cause__
    return not isinstance(cause, TimeoutError) and not isinstance(getattr(cause, "__context__", None), TimeoutError)
