"""Connections to the mail server: kept, shared, replaced when they die, and never the reason for a second mail."""

from __future__ import annotations

import email
import math
import ssl
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from email import policy
from email.message import EmailMessage
from typing import Any

import pytest

from integrations.providers import smtp_client
from integrations.providers.smtp_email import SmtpEmailProvider
from integrations.sms_providers import Accepted, Kind, Outgoing, ProviderError, Scope
from integrations.tests.sandbox_fixtures import outgoing, wait_for
from integrations.tests.smtp_server import CUT, HANG, MailServer

Start = Callable[..., MailServer]


@pytest.fixture
def start(settings: Any) -> Iterator[Start]:
    """Starts mail servers; the settings lead to the last one."""
    started: list[MailServer] = []

    def start(*extensions: str, port: int = 0) -> MailServer:
        server = MailServer(port, *extensions)
        started.append(server)
        settings.EMAIL_URL = "smtp://set"
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_TIMEOUT = "127.0.0.1", server.port, 5
        settings.EMAIL_HOST_USER = settings.EMAIL_HOST_PASSWORD = ""
        return server

    yield start
    for server in started:
        server.stop()


@pytest.fixture(params=["in turns", "PIPELINING"])
def server(start: Start, request: pytest.FixtureRequest) -> MailServer:
    """A server with and one without pipelining."""
    return start(*([request.param] if request.param == "PIPELINING" else []))


@pytest.fixture
def provider() -> Iterator[SmtpEmailProvider]:
    made = SmtpEmailProvider()
    yield made
    made._connections._close_idle(since=math.inf)


def letters(count: int) -> list[Outgoing]:
    return [letter(number) for number in range(count)]


def letter(number: int = 0) -> Outgoing:
    return outgoing(f"patient{number}@mail.example", channel="EMAIL", message_id=f"id-{number}", subject="Your visit")


def failure(provider: SmtpEmailProvider, number: int = 0) -> ProviderError:
    with pytest.raises(ProviderError) as raised:
        provider.send(letter(number))
    return raised.value


def ids(server: MailServer) -> Counter[bytes]:
    """How often each mail arrived."""
    return Counter(
        line.strip() for mail in server.mails for line in mail.splitlines() if line.startswith(b"Message-ID")
    )


def test_a_batch_and_the_next_go_over_the_same_few_connections(server: MailServer, provider: SmtpEmailProvider) -> None:
    for _batch in range(3):
        calls = provider.send_many(letters(30))
        assert all(isinstance(call.result, Accepted) for call in calls)
    assert len(server.mails) == 90
    assert server.connections <= 5


def test_as_many_mails_are_on_their_way_at_once_as_the_setting_allows(start: Start, settings: Any) -> None:
    settings.EMAIL_CONNECTIONS = 3
    provider, server = SmtpEmailProvider(), start()
    together = threading.Barrier(3, timeout=5)
    server.on_mail = together.wait  # type: ignore[assignment]
    calls = provider.send_many(letters(6))
    assert len(calls) == len(server.mails) == 6
    assert server.connections == 3
    provider._connections._close_idle(since=math.inf)


def test_with_pipelining_the_commands_of_a_mail_leave_together(start: Start, provider: SmtpEmailProvider) -> None:
    server = start("PIPELINING")
    provider.send(letter())
    assert server.pipelined == [True]
    assert server.heard[1:] == ["MAIL FROM:<no-reply@agdar.example>", "RCPT TO:<patient0@mail.example>", "DATA"]


def test_without_pipelining_each_command_waits_for_its_reply(start: Start, provider: SmtpEmailProvider) -> None:
    server = start()
    provider.send(letter())
    assert server.pipelined == [False]


def test_a_restarted_server_is_found_again_and_gets_each_mail_once(start: Start, provider: SmtpEmailProvider) -> None:
    before = start("PIPELINING")
    provider.send_many(letters(10))
    before.stop()
    after = start("PIPELINING", port=before.port)
    calls = provider.send_many(letters(10))
    assert [type(call.result) for call in calls] == [Accepted] * 10
    assert set(ids(after).values()) == {1}
    assert len(ids(after)) == 10


@pytest.mark.parametrize("goodbye", ["421 closing", CUT])
def test_a_server_that_left_while_nobody_spoke_costs_no_mail(
    server: MailServer, provider: SmtpEmailProvider, goodbye: str
) -> None:
    provider.send(letter(1))
    server.answers["MAIL"].append(goodbye)
    provider.send(letter(2))
    assert len(server.mails) == server.connections == 2
    assert set(ids(server).values()) == {1}


def test_a_server_that_closes_at_once_is_tried_again_later(server: MailServer, provider: SmtpEmailProvider) -> None:
    server.answers["MAIL"].append("421 too busy")
    error = failure(provider)
    assert (error.kind, error.code, error.response) == (Kind.TRANSIENT, "421", {"reply": 421})
    assert server.mails == []
    server.answers["GREETING"].append("421 too many connections")
    assert failure(provider).kind is Kind.TRANSIENT
    assert isinstance(provider.send(letter()), Accepted)


@pytest.mark.parametrize("end", [CUT, HANG, "nonsense"])
@pytest.mark.parametrize(
    ("step", "kind"),
    [("MAIL", Kind.TRANSIENT), ("RCPT", Kind.TRANSIENT), ("DATA", Kind.TRANSIENT), ("BODY", Kind.AMBIGUOUS)],
)
def test_a_connection_without_a_reply_proves_something_only_before_the_mail(
    server: MailServer, provider: SmtpEmailProvider, settings: Any, step: str, kind: Kind, end: str
) -> None:
    settings.EMAIL_TIMEOUT = 0.3
    server.answers[step].append(end)
    assert failure(provider).kind is kind
    assert len(server.mails) == (1 if step == "BODY" else 0)
    assert isinstance(provider.send(letter(1)), Accepted)


@pytest.mark.parametrize("end", [CUT, HANG, "nonsense"])
def test_a_kept_connection_that_breaks_during_the_mail_is_not_tried_again(
    server: MailServer, provider: SmtpEmailProvider, settings: Any, end: str
) -> None:
    provider.send(letter(1))
    settings.EMAIL_TIMEOUT = 0.3
    server.answers["BODY"].append(end)
    assert failure(provider, 2).kind is Kind.AMBIGUOUS
    assert set(ids(server).values()) == {1}


@pytest.mark.parametrize("step", ["MAIL", "RCPT", "DATA", "BODY"])
def test_after_a_refusal_the_connection_goes_on(server: MailServer, provider: SmtpEmailProvider, step: str) -> None:
    # What a server says to the commands behind a refused one.
    behind = {"MAIL": ["RCPT", "DATA"], "RCPT": ["DATA"]}.get(step, [])
    server.answers[step].append("550 no")
    for command in behind if server.extensions else []:
        server.answers[command].append("503 what for?")
    assert failure(provider).code == "550"
    assert isinstance(provider.send(letter(1)), Accepted)
    assert server.connections == 1
    assert ids(server)[b"Message-ID: <id-1@agdar.example>"] == 1


def test_a_server_that_wants_a_mail_for_nobody_gets_none(start: Start, provider: SmtpEmailProvider) -> None:
    server = start("PIPELINING")
    server.answers["RCPT"].append("550 no such mailbox")
    assert failure(provider).kind is Kind.NUMBER
    provider.send(letter(1))
    assert list(ids(server)) == [b"Message-ID: <id-1@agdar.example>"]
    assert server.unfinished == [b""]
    assert server.connections == 2


@pytest.mark.parametrize(
    ("step", "reply", "kind", "scope"),
    [
        ("MAIL", "553 who?", Kind.CONFIGURATION, Scope.SENDER),
        ("MAIL", "530 sign in", Kind.CONFIGURATION, Scope.ACCOUNT),
        ("MAIL", "451 later", Kind.TRANSIENT, Scope.MESSAGE),
        ("RCPT", "550 5.1.1 no such user", Kind.NUMBER, Scope.MESSAGE),
        ("RCPT", "550 5.7.1 your host is on a block list", Kind.CONTENT, Scope.MESSAGE),
        ("RCPT", "552 full", Kind.TRANSIENT, Scope.MESSAGE),
        ("RCPT", "571 no", Kind.NUMBER, Scope.MESSAGE),
        ("DATA", "554 no", Kind.CONTENT, Scope.MESSAGE),
        ("BODY", "571 no", Kind.CONTENT, Scope.MESSAGE),
        ("BODY", "421 closing", Kind.TRANSIENT, Scope.MESSAGE),
    ],
)
def test_a_refusal_means_what_the_table_or_its_step_says(
    server: MailServer, provider: SmtpEmailProvider, step: str, reply: str, kind: Kind, scope: Scope
) -> None:
    server.answers[step].append(reply)
    error = failure(provider)
    assert (error.kind, error.scope, error.code) == (kind, scope, reply[:3])
    assert error.response == {"reply": int(reply[:3])}
    assert "block list" not in str(error)


def test_what_waiting_cannot_mend_is_for_somebody_to_look_at(
    server: MailServer, provider: SmtpEmailProvider, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.EMAIL_USE_TLS = True
    error = failure(provider)
    assert (error.kind, error.scope, error.code) == (Kind.CONFIGURATION, Scope.ACCOUNT, "SMTPNotSupportedError")

    def open_untrusted(_self: object) -> None:
        raise ssl.SSLCertVerificationError

    monkeypatch.setattr(smtp_client._Backend, "open", open_untrusted)
    assert (failure(provider).kind, failure(provider).scope) == (Kind.CONFIGURATION, Scope.ACCOUNT)


def test_all_waiting_of_one_mail_together_has_one_limit(
    server: MailServer, provider: SmtpEmailProvider, settings: Any
) -> None:
    provider.send(letter(1))
    settings.EMAIL_TIMEOUT = 1
    provider.send(letter(2))
    [(_used_at, client)] = provider._connections._kept
    assert client.sock is not None
    left = client.sock.gettimeout()
    assert left is not None
    assert 0 < left < 1
    assert server.connections == 1


def test_idle_connections_are_closed_after_a_while(
    server: MailServer, provider: SmtpEmailProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smtp_client, "_IDLE", 0.05)
    provider.send(letter(1))
    wait_for(lambda: server.heard[-1].upper() == "QUIT")
    provider.send(letter(2))
    assert server.connections == 2


def test_a_forked_process_leaves_its_parents_connections_alone(server: MailServer, provider: SmtpEmailProvider) -> None:
    provider.send(letter(1))
    parents = list(provider._connections._kept)
    provider._connections._owner = 0  # as a child sees it
    provider.send(letter(2))
    assert server.connections == 2
    assert "QUIT" not in server.heard
    assert parents[0][1].sock is not None
    parents[0][1].close()


def test_a_line_that_begins_with_a_dot_arrives_as_it_is(server: MailServer, provider: SmtpEmailProvider) -> None:
    provider.send(outgoing("a@mail.example", channel="EMAIL", body="one\n.\n..two\nthree"))
    read = email.message_from_bytes(server.mails[0], policy=policy.default)
    assert isinstance(read, EmailMessage)
    plain = read.get_body(("plain",))
    assert plain is not None
    assert plain.get_content().split() == ["one", ".", "..two", "three"]
