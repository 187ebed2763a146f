"""The sandbox's mail server: takes every mail except for the magic mailboxes, and keeps its text part."""

from __future__ import annotations

import email
from email import policy
from email.message import EmailMessage

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from integrations.sandbox.magic import MAILBOXES
from integrations.sandbox.store import Store


class _Handler:
    def __init__(self, store: Store) -> None:
        self._store = store

    async def handle_RCPT(  # noqa: N802  # aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, rcpt_options: list[str]
    ) -> str:
        refusal = MAILBOXES.get(address.partition("@")[0].lower())
        if refusal:
            return refusal
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(rcpt_options)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        content = envelope.content or b""
        mail = email.message_from_bytes(
            content if isinstance(content, bytes) else content.encode(), policy=policy.default
        )
        assert isinstance(mail, EmailMessage)
        text = mail.get_body(preferencelist=("plain", "html"))
        for address in envelope.rcpt_tos:
            self._store.add_mail(
                mailbox=address.lower(),
                sender=str(mail.get("From", envelope.mail_from or "")),
                subject=str(mail.get("Subject", "")),
                text=text.get_content() if text is not None else "",
                language=str(mail.get("Content-Language", "")),
                message_id=str(mail.get("Message-ID", "")),
            )
        return "250 OK: accepted"


def mail_server(store: Store, *, port: int) -> Controller:
    """Not started yet. It runs in a thread of its own."""
    return Controller(_Handler(store), hostname="127.0.0.1", port=port, server_hostname="sandbox")
