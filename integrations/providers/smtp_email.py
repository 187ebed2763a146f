"""Email by Django's own backend over ``EMAIL_URL``: the text, and the same text as plain HTML.

SMTP gives no receipt: SENT means that the mail server took it. Nobody can be asked later, so what is ambiguous stays
unconfirmed until a person decides.
"""

from __future__ import annotations

import datetime as dt
import smtplib
from email.utils import parseaddr
from typing import Any

from django.conf import settings
from django.core.mail import BadHeaderError, EmailMultiAlternatives, get_connection
from django.core.mail.backends.smtp import EmailBackend
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.http import http_date
from django.utils.translation import gettext_noop as _

from integrations.links import link_text
from integrations.sms_providers import Accepted, Kind, LookUp, Outgoing, Provider, ProviderError, Rule, empty_settings
from notifications.states import Channel

_RIGHT_TO_LEFT = {"ar"}

# SMTP reply codes (RFC 5321) that say more than their first digit.
ERRORS: dict[str, Rule] = {
    "530": Rule(Kind.CONFIGURATION, _("The mail server wants us to sign in.")),
    "535": Rule(Kind.CONFIGURATION, _("The mail server refused our credentials.")),
    "550": Rule(Kind.NUMBER, _("There is no such mailbox.")),
    "551": Rule(Kind.NUMBER, _("The mailbox is elsewhere.")),
    "552": Rule(Kind.TRANSIENT, _("The mailbox is full.")),
    "553": Rule(Kind.NUMBER, _("The address is not valid.")),
    "554": Rule(Kind.CONTENT, _("The mail server refused the mail.")),
}


class _WatchedClient(smtplib.SMTP):
    """Notes when the mail itself begins to leave: from then on a broken connection proves nothing."""

    is_mail_leaving = False

    def data(self, msg: Any) -> tuple[int, bytes]:
        self.is_mail_leaving = True
        return super().data(msg)


class _WatchedSslClient(_WatchedClient, smtplib.SMTP_SSL):
    pass


class WatchedBackend(EmailBackend):
    """Django's SMTP backend with the client above."""

    @property
    def connection_class(self) -> type[smtplib.SMTP]:
        return _WatchedSslClient if self.use_ssl else _WatchedClient


class SmtpEmailProvider(Provider):
    """Set up by ``EMAIL_URL`` and ``DEFAULT_FROM_EMAIL``. Another Django backend may stand in its place."""

    name = "smtp"
    channels = frozenset({Channel.EMAIL})
    errors = ERRORS

    @classmethod
    def missing_settings(cls, channel: str) -> list[str]:  # noqa: ARG003  # it has one channel
        return empty_settings("EMAIL_URL", "DEFAULT_FROM_EMAIL")

    def _send(self, outgoing: Outgoing) -> Accepted:
        mail = compose(outgoing)
        is_smtp = settings.EMAIL_BACKEND == "django.core.mail.backends.smtp.EmailBackend"
        backend = get_connection(f"{__name__}.WatchedBackend" if is_smtp else None)
        try:
            backend.open()
        except (OSError, smtplib.SMTPException) as error:
            raise self._not_opened(error) from None
        try:
            backend.send_messages([mail])
        except (BadHeaderError, ValueError) as error:
            detail = _("The address or the subject cannot stand in an email.")
            raise ProviderError(Kind.CONTENT, code=type(error).__name__, detail=detail) from None
        except (OSError, smtplib.SMTPException) as error:
            client = getattr(backend, "connection", None)
            raise self._not_sent(error, is_leaving=getattr(client, "is_mail_leaving", True)) from None
        finally:
            backend.close()
        message_id = str(mail.extra_headers["Message-ID"]).strip("<>")
        return Accepted(provider_message_id=message_id, response={"message_id": message_id})

    def _look_up(
        self, *, message_id: str, to: str, sent_after: dt.datetime, channel: str, body: str, provider_message_id: str
    ) -> LookUp | None:
        raise ProviderError(Kind.AMBIGUOUS, code="no_look_up", detail=_("A mail server cannot be asked about a mail."))

    def _not_opened(self, error: Exception) -> ProviderError:
        """Nothing has left yet."""
        code = type(error).__name__
        if isinstance(error, smtplib.SMTPAuthenticationError):
            return ProviderError(
                Kind.CONFIGURATION, code=str(error.smtp_code), detail=_("The mail server refused our credentials.")
            )
        if isinstance(error, smtplib.SMTPNotSupportedError):
            return ProviderError(
                Kind.CONFIGURATION, code=code, detail=_("The mail server does not offer what we ask for.")
            )
        return ProviderError(Kind.TRANSIENT, code=code, detail=_("The mail server could not be reached."))

    def _not_sent(self, error: Exception, *, is_leaving: bool) -> ProviderError:
        if isinstance(error, smtplib.SMTPRecipientsRefused):
            return self._replied(max(code for code, _text in error.recipients.values()), unknown=Kind.NUMBER)
        if isinstance(error, smtplib.SMTPSenderRefused):
            return self._replied(error.smtp_code, unknown=Kind.CONFIGURATION)
        if isinstance(error, smtplib.SMTPResponseException):
            return self._replied(error.smtp_code, unknown=Kind.CONTENT)
        if is_leaving:
            return ProviderError(
                Kind.AMBIGUOUS, code=type(error).__name__, detail=_("The connection broke while the mail was leaving.")
            )
        return ProviderError(
            Kind.TRANSIENT, code=type(error).__name__, detail=_("The connection broke before the mail was handed over.")
        )

    def _replied(self, reply: int, *, unknown: Kind) -> ProviderError:
        """A reply is definite: 4xx later, 5xx by the table, else what the step it came at suggests."""
        code = str(reply)
        rule = self.errors.get(code) or Rule(unknown, _("The mail server refused the mail."))
        if 400 <= reply < 500:
            rule = Rule(Kind.TRANSIENT, _("The mail server asked us to try again later."))
        elif unknown is Kind.CONFIGURATION:
            rule = Rule(Kind.CONFIGURATION, _("The mail server refused the sender."))
        return ProviderError(rule.kind, code=code, detail=rule.why, response={"reply": reply})


def compose(outgoing: Outgoing) -> EmailMultiAlternatives:
    """The mail. Its Message-ID holds our id and is the same at every try, so that mailboxes drop a second copy."""
    sender = outgoing.sender or settings.DEFAULT_FROM_EMAIL
    domain = parseaddr(sender)[1].rpartition("@")[2] or "localhost"
    mail = EmailMultiAlternatives(
        subject=outgoing.subject,
        body=outgoing.body,
        from_email=sender,
        to=[outgoing.to],
        headers={
            "Message-ID": f"<{outgoing.message_id}@{domain}>",
            "Date": http_date(timezone.now().timestamp()).replace("GMT", "+0000"),
            "Content-Language": outgoing.language,
            # No holiday replies to a machine (RFC 3834).
            "Auto-Submitted": "auto-generated",
        },
    )
    html = render_to_string(
        "integrations/email.html",
        {
            "subject": outgoing.subject,
            "paragraphs": [link_text(part) for part in outgoing.body.strip().split("\n\n")],
            "language": outgoing.language,
            "direction": "rtl" if outgoing.language in _RIGHT_TO_LEFT else "ltr",
            "start": "right" if outgoing.language in _RIGHT_TO_LEFT else "left",
            "sender": parseaddr(sender)[0] or sender,
        },
    )
    mail.attach_alternative(html, "text/html")
    return mail
