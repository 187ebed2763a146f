"""Email to a mail server, over ``EMAIL_URL``, on connections that stay open.

SMTP gives no receipt: SENT means that the mail server took it. Nobody can be asked later, so what is ambiguous stays
unconfirmed until a person decides.
"""

from __future__ import annotations

import datetime as dt
import smtplib
import ssl
from collections.abc import Collection
from dataclasses import replace
from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import get_connection
from django.utils.translation import gettext_noop as _

from integrations.providers import letter
from integrations.providers.smtp_client import Broken, Connections, NotOpened, Refused, Server, Step
from integrations.sms_providers import (
    Accepted,
    Kind,
    LookUp,
    Outgoing,
    OwnAccount,
    Provider,
    ProviderError,
    Rule,
    Scope,
    empty_settings,
)
from notifications.states import Channel

# SMTP reply codes (RFC 5321) that say more than their first digit.
ERRORS: dict[str, Rule] = {
    "530": Rule(Kind.CONFIGURATION, _("The mail server wants us to sign in."), Scope.ACCOUNT),
    "535": Rule(Kind.CONFIGURATION, _("The mail server refused our credentials."), Scope.ACCOUNT),
    "550": Rule(Kind.NUMBER, _("There is no such mailbox.")),
    "551": Rule(Kind.NUMBER, _("The mailbox is elsewhere.")),
    "552": Rule(Kind.TRANSIENT, _("The mailbox is full.")),
    "553": Rule(Kind.NUMBER, _("The address is not valid.")),
    "554": Rule(Kind.CONTENT, _("The mail server refused the mail.")),
}
# What a refusal without a row in the table means, by the step at which it came.
_REFUSED_AT: dict[Step, Rule] = {
    Step.SENDER: Rule(Kind.CONFIGURATION, _("The mail server refused the sender."), Scope.SENDER),
    Step.RECIPIENT: Rule(Kind.NUMBER, _("The mail server refused the mail.")),
    Step.MAIL: Rule(Kind.CONTENT, _("The mail server refused the mail.")),
}
_UNREACHABLE = Rule(Kind.TRANSIENT, _("The mail server could not be reached."))
_NOT_OFFERED = Rule(Kind.CONFIGURATION, _("The mail server does not offer what we ask for."), Scope.ACCOUNT)
_NOT_TRUSTED = Rule(Kind.CONFIGURATION, _("The mail server's certificate is not trusted."), Scope.ACCOUNT)
_LATER = Rule(Kind.TRANSIENT, _("The mail server asked us to try again later."))
_BY_POLICY = Rule(Kind.CONTENT, _("The mail server refused the mail by its policy."))


class SmtpEmailProvider(Provider):
    """Set up by ``EMAIL_URL`` and ``DEFAULT_FROM_EMAIL``. Another Django backend may stand in its place."""

    name = "smtp"
    channels = frozenset({Channel.EMAIL})
    errors = ERRORS

    def __init__(self, own: OwnAccount | None = None) -> None:
        """``own``: a clinic group's own mail server, with its sender where a message names none."""
        self._own = own
        self.name = own.name if own is not None else self.name
        self.max_in_flight = settings.EMAIL_CONNECTIONS
        self._connections = Connections(_server_of(own) if own is not None else None)

    @classmethod
    def of_account(cls, account: OwnAccount) -> SmtpEmailProvider:
        return cls(account)

    def is_usable(self, channel: str) -> bool:
        return self._own is not None or super().is_usable(channel)

    @classmethod
    def missing_settings(cls, channel: str) -> list[str]:  # noqa: ARG003  # it has one channel
        return empty_settings("EMAIL_URL", "DEFAULT_FROM_EMAIL")

    def _send(self, outgoing: Outgoing) -> Accepted:
        if self._own is not None and not outgoing.sender:
            outgoing = replace(outgoing, sender=self._own.senders.get(Channel.EMAIL, ""))
        try:
            if self._own is not None or settings.EMAIL_BACKEND == "django.core.mail.backends.smtp.EmailBackend":
                self._connections.hand_over(letter.write(outgoing))
            else:
                get_connection().send_messages([letter.as_django(outgoing)])
        except NotOpened as error:
            raise self._not_opened(error.__cause__) from None
        except Refused as error:
            raise self._refused(error) from None
        except Broken as error:
            raise self._broken(error.__cause__, is_leaving=error.is_mail_leaving) from None
        except ValueError as error:
            detail = _("The address or the subject cannot stand in an email.")
            raise ProviderError(Kind.CONTENT, code=type(error).__name__, detail=detail) from None
        except OSError as error:
            raise self._broken(error, is_leaving=True) from None
        identity = letter.message_id(outgoing)
        return Accepted(provider_message_id=identity, response={"message_id": identity})

    def _look_up(
        self,
        *,
        message_id: str,
        to: str,
        sent_after: dt.datetime,
        channel: str,
        body: str,
        provider_message_id: str,
        known_ids: Collection[str],
    ) -> LookUp | None:
        raise ProviderError(Kind.AMBIGUOUS, code="no_look_up", detail=_("A mail server cannot be asked about a mail."))

    def _not_opened(self, cause: BaseException | None) -> ProviderError:
        """Nothing has left yet. What waiting cannot mend is for somebody to look at."""
        code, rule = type(cause).__name__, _UNREACHABLE
        response = {"reply": cause.smtp_code} if isinstance(cause, smtplib.SMTPResponseException) else {}
        if isinstance(cause, smtplib.SMTPAuthenticationError) and cause.smtp_code >= 500:
            code, rule = str(cause.smtp_code), self.errors["535"]
        elif isinstance(cause, smtplib.SMTPNotSupportedError):
            rule = _NOT_OFFERED
        elif isinstance(cause, ssl.SSLCertVerificationError):
            rule = _NOT_TRUSTED
        return ProviderError(rule.kind, code=code, detail=rule.why, scope=rule.scope, response=response)

    def _broken(self, cause: BaseException | None, *, is_leaving: bool) -> ProviderError:
        code = type(cause).__name__
        if is_leaving:
            detail = _("The connection broke while the mail was leaving.")
            return ProviderError(Kind.AMBIGUOUS, code=code, detail=detail)
        detail = _("The connection broke before the mail was handed over.")
        return ProviderError(Kind.TRANSIENT, code=code, detail=detail)

    def _refused(self, refused: Refused) -> ProviderError:
        """A reply is definite: 4xx later, 5xx by the table, else what the step it came at suggests."""
        code, by_step = str(refused.code), _REFUSED_AT[refused.step]
        rule = self.errors.get(code, by_step)
        if refused.code < 500:
            rule = _LATER
        elif refused.step is Step.SENDER and rule.kind is not Kind.CONFIGURATION:
            rule = by_step
        elif refused.by_policy and rule.kind is Kind.NUMBER:
            rule = _BY_POLICY
        return ProviderError(rule.kind, code=code, detail=rule.why, scope=rule.scope, response={"reply": refused.code})


def _server_of(own: OwnAccount) -> Server:
    """``smtp+tls://host:587`` (STARTTLS), ``smtp+ssl://host:465``, ``smtp://host:25``."""
    address = urlsplit(own.server)
    return Server(
        host=address.hostname or "",
        port=address.port or 25,
        username=own.login,
        password=own.secret,
        use_tls=address.scheme == "smtp+tls",
        use_ssl=address.scheme == "smtp+ssl",
    )
