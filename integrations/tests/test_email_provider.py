"""Email over a real SMTP connection to a real mail server."""

from __future__ import annotations

import email
import socket
import threading
from collections.abc import Iterator
from email import policy
from email.message import EmailMessage
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from django.core import mail as outbox
from django.utils import timezone

from integrations.providers.smtp_email import SmtpEmailProvider
from integrations.sandbox.smtp import mail_server
from integrations.sandbox.store import Store
from integrations.sms_providers import Accepted, Kind, Outgoing, ProviderError
from integrations.tests.sandbox_fixtures import outgoing

ARABIC = "مرحبًا سارة، موعدك غدًا.\n\nللتأكيد: \u2066https://clinic.example/c/7KQ2PX/\u2069"


class Recorder:
    """Accepts everything and keeps it; a reply for DATA may be set."""

    def __init__(self) -> None:
        self.contents: list[bytes] = []
        self.data_reply = "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        self.contents.append(envelope.content)
        return self.data_reply


def last(server: Recorder) -> EmailMessage:
    read = email.message_from_bytes(server.contents[-1], policy=policy.default)
    assert isinstance(read, EmailMessage)
    return read


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def use_server(settings: Any, port: int) -> None:
    settings.EMAIL_URL = f"smtp://127.0.0.1:{port}"
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", port
    settings.EMAIL_HOST_USER = settings.EMAIL_HOST_PASSWORD = ""
    settings.EMAIL_TIMEOUT = 2


@pytest.fixture
def server(settings: Any) -> Iterator[Recorder]:
    recorder = Recorder()
    controller = Controller(recorder, hostname="127.0.0.1", port=free_port())
    controller.start()
    use_server(settings, controller.port)
    yield recorder
    controller.stop()


@pytest.fixture
def mailboxes(settings: Any) -> Iterator[Store]:
    store = Store(":memory:")
    controller = mail_server(store, port=free_port())
    controller.start()
    use_server(settings, controller.port)
    yield store
    controller.stop()
    store.close()


def letter(**fields: Any) -> Outgoing:
    values: dict[str, Any] = {"channel": "EMAIL", "to": "sara@mail.example", "subject": "تأكيد موعدك", "body": ARABIC}
    return outgoing(**values | {"language": "ar", "sender": "عيادات نور <desk@noor.example>"} | fields)


def send(**fields: Any) -> Accepted:
    return SmtpEmailProvider().send(letter(**fields))


def failure(**fields: Any) -> ProviderError:
    with pytest.raises(ProviderError) as raised:
        send(**fields)
    return raised.value


def test_a_mail_has_our_id_a_date_and_says_that_a_machine_wrote_it(server: Recorder) -> None:
    accepted = send()
    read = last(server)
    assert read["Message-ID"] == f"<{letter().message_id}@noor.example>"
    assert accepted.provider_message_id == f"{letter().message_id}@noor.example"
    assert read["Subject"] == "تأكيد موعدك"
    assert read["From"].addresses[0].display_name == "عيادات نور"
    assert abs((read["Date"].datetime - timezone.now()).total_seconds()) < 60
    assert read["Content-Language"] == "ar"
    assert read["Auto-Submitted"] == "auto-generated"


def test_the_text_comes_as_written_and_once_more_as_html_in_its_direction(server: Recorder) -> None:
    send()
    plain, html = last(server).get_body(("plain",)), last(server).get_body(("html",))
    assert plain is not None
    assert plain.get_content().strip().replace("\r\n", "\n") == ARABIC
    assert html is not None
    written = html.get_content()
    assert '<html lang="ar" dir="rtl">' in written
    # The invisible isolate after the address is no part of the link.
    assert 'href="https://clinic.example/c/7KQ2PX/"' in written
    assert written.count("<p ") == 2


def test_words_of_a_patient_cannot_become_markup(server: Recorder) -> None:
    send(body='<script>alert("x")</script> https://x.example/?a=1&b="><b>', language="en")
    html = last(server).get_body(("html",))
    assert html is not None
    written = html.get_content()
    assert "<script>" not in written
    assert "<b>" not in written
    assert 'dir="ltr"' in written


def test_every_try_has_the_same_message_id(server: Recorder) -> None:
    assert send().provider_message_id == send().provider_message_id


def test_without_a_sender_the_default_one_writes(server: Recorder, settings: Any) -> None:
    settings.DEFAULT_FROM_EMAIL = "Agdar <no-reply@agdar.example>"
    send(sender="")
    assert last(server)["From"] == "Agdar <no-reply@agdar.example>"


def test_a_mailbox_that_does_not_exist_is_a_dead_address(mailboxes: Store) -> None:
    error = failure(to="bounce@mail.example")
    assert (error.kind, error.code) == (Kind.NUMBER, "550")
    assert "bounce" not in f"{error} {error.response}"


def test_a_busy_mailbox_is_tried_again(mailboxes: Store) -> None:
    error = failure(to="later@mail.example")
    assert (error.kind, error.code) == (Kind.TRANSIENT, "450")


def test_the_sandbox_keeps_a_mail_once_however_often_it_is_sent(mailboxes: Store) -> None:
    send()
    send()
    [kept] = mailboxes.mails_of("sara@mail.example")
    assert (kept.subject, kept.language) == ("تأكيد موعدك", "ar")
    assert "7KQ2PX" in kept.text


@pytest.mark.parametrize(("reply", "kind"), [("451 local error", Kind.TRANSIENT), ("554 no", Kind.CONTENT)])
def test_a_reply_after_the_mail_is_definite(server: Recorder, reply: str, kind: Kind) -> None:
    server.data_reply = reply
    assert failure().kind is kind


def test_a_mail_server_that_is_down_got_nothing(settings: Any) -> None:
    use_server(settings, free_port())
    assert failure().kind is Kind.TRANSIENT


def test_wrong_credentials_are_our_configuration(settings: Any) -> None:
    controller = Controller(
        Recorder(),
        hostname="127.0.0.1",
        port=free_port(),
        auth_require_tls=False,
        authenticator=lambda *_args: AuthResult(success=False, handled=False),
    )
    controller.start()
    use_server(settings, controller.port)
    settings.EMAIL_HOST_USER, settings.EMAIL_HOST_PASSWORD = "agdar", "wrong"
    error = failure()
    controller.stop()
    assert (error.kind, error.code) == (Kind.CONFIGURATION, "535")


@pytest.mark.parametrize(("dies_at", "kind"), [(b"MAIL", Kind.TRANSIENT), (b".\r\n", Kind.AMBIGUOUS)])
def test_a_connection_that_dies_proves_something_only_before_the_mail(
    settings: Any, dies_at: bytes, kind: Kind
) -> None:
    listening = socket.create_server(("127.0.0.1", 0))
    use_server(settings, listening.getsockname()[1])

    def serve() -> None:
        talk, _address = listening.accept()
        with talk, talk.makefile("rwb") as lines:
            lines.write(b"220 hello\r\n")
            lines.flush()
            is_mail = False
            for line in lines:
                if line.upper().startswith(dies_at):
                    return
                if line.upper().startswith(b"DATA"):
                    is_mail = True
                    lines.write(b"354 go on\r\n")
                elif not is_mail:
                    lines.write(b"250 ok\r\n")
                lines.flush()

    thread = threading.Thread(target=serve)
    thread.start()
    error = failure()
    thread.join()
    listening.close()
    assert error.kind is kind


@pytest.mark.parametrize("fields", [{"subject": "a\nBcc: everybody@x.example"}, {"to": "a@b\nc@d"}])
def test_a_line_break_in_a_header_is_refused(server: Recorder, fields: dict[str, str]) -> None:
    assert failure(**fields).kind is Kind.CONTENT
    assert server.contents == []


def test_nobody_can_be_asked_about_a_mail() -> None:
    with pytest.raises(ProviderError) as raised:
        SmtpEmailProvider().look_up(message_id="x", to="a@b.example", sent_after=timezone.now())
    assert raised.value.kind is Kind.AMBIGUOUS


def test_another_backend_of_django_may_stand_in_its_place() -> None:
    send()
    assert outbox.outbox[-1].to == ["sara@mail.example"]
