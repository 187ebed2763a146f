"""Email by a mail service's HTTP interface, through django-anymail: one adapter for Postmark, Mailgun, Amazon SES, ….

The service reports what became of each mail: ``integrations/email_webhooks.py`` receives it, in anymail's normalised
words, which are the tables of this file. Nobody can be asked about a mail, so what is ambiguous waits for a report.
"""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Collection
from typing import Any

from anymail.exceptions import (
    AnymailAPIError,
    AnymailConfigurationError,
    AnymailRecipientsRefused,
    AnymailUnsupportedFeature,
)
from django.conf import settings
from django.core.mail import get_connection
from django.utils.translation import gettext_noop as _
from requests import TooManyRedirects

from integrations.providers import http, letter
from integrations.sms_providers import (
    Accepted,
    Kind,
    LookUp,
    Outgoing,
    Provider,
    ProviderError,
    Rule,
    Scope,
    empty_settings,
)
from notifications.states import Channel, Status

# anymail's event types. Whatever is reported about a mail proves that the service has it; that somebody opened it is
# not believed, since mail programs open mails by themselves.
STATUSES: dict[str, Status] = {
    "queued": Status.SENDING,
    "sent": Status.SENT,
    "deferred": Status.SENT,
    "opened": Status.SENT,
    "clicked": Status.SENT,
    "autoresponded": Status.SENT,
    "subscribed": Status.SENT,
    "delivered": Status.DELIVERED,
    # It arrived, and was not wanted.
    "complained": Status.DELIVERED,
    "unsubscribed": Status.FAILED,
    "rejected": Status.FAILED,
    "failed": Status.FAILED,
    "bounced": Status.BOUNCED,
}

# anymail's reject reasons, and HTTP statuses of the services.
ERRORS: dict[str, Rule] = {
    "bounced": Rule(Kind.NUMBER, _("There is no such mailbox.")),
    "invalid": Rule(Kind.NUMBER, _("The address is not valid.")),
    "soft_bounce": Rule(Kind.TRANSIENT, _("The mailbox could not take the mail for now.")),
    "timed_out": Rule(Kind.CONTENT, _("The recipient's mail server could not be reached for days.")),
    "blocked": Rule(Kind.CONTENT, _("The mail was blocked by a mail server's policy.")),
    "spam": Rule(Kind.OPTED_OUT, _("The recipient has marked our mail as spam.")),
    "complained": Rule(Kind.OPTED_OUT, _("The recipient has marked our mail as spam.")),
    "unsubscribed": Rule(Kind.OPTED_OUT, _("The recipient has unsubscribed.")),
    "other": Rule(Kind.CONTENT, _("The mail service could not deliver the mail.")),
    "rejected": Rule(Kind.NUMBER, _("The mail service does not write to this address any more.")),
    "400": Rule(Kind.CONFIGURATION, _("The mail service refused the mail.")),
    "401": Rule(Kind.CONFIGURATION, _("The mail service refused our credentials."), Scope.ACCOUNT),
    "402": Rule(Kind.CONFIGURATION, _("The mail service wants to be paid."), Scope.ACCOUNT),
    "403": Rule(Kind.CONFIGURATION, _("The mail service refused our credentials."), Scope.ACCOUNT),
    "404": Rule(Kind.CONFIGURATION, _("The mail service's address is not valid."), Scope.ACCOUNT),
    "413": Rule(Kind.CONTENT, _("The mail is too large.")),
    "422": Rule(Kind.CONFIGURATION, _("The mail service refused the mail.")),
    "429": Rule(Kind.TRANSIENT, _("Too many requests at once.")),
}
# What the service adds itself; the other headers are ours.
_ITS_HEADERS = {"Message-ID", "Date"}


class AnymailEmailProvider(Provider):
    """Set up by ``ANYMAIL_ESP``, the service's name in anymail, and ``ANYMAIL``, its settings there."""

    name = "anymail"
    channels = frozenset({Channel.EMAIL})
    webhook = "email"
    statuses = STATUSES
    errors = ERRORS

    @classmethod
    def missing_settings(cls, channel: str) -> list[str]:  # noqa: ARG003  # it has one channel
        return empty_settings("ANYMAIL_ESP", "ANYMAIL", "ANYMAIL_WEBHOOK_SECRET", "DEFAULT_FROM_EMAIL")

    def _send(self, outgoing: Outgoing) -> Accepted:
        try:
            mail = _compose(outgoing)
            self._backend.send_messages([mail])
        except (ImportError, AnymailConfigurationError, AnymailUnsupportedFeature) as error:
            detail = _("The mail service is not set up as its adapter wants it.")
            code = type(error).__name__
            raise ProviderError(Kind.CONFIGURATION, code=code, detail=detail, scope=Scope.ACCOUNT) from None
        except AnymailRecipientsRefused:
            # "invalid" or "rejected": there is one recipient.
            raise self.refused(next(iter(mail.anymail_status.status)), response={}) from None
        except AnymailAPIError as error:
            raise self._failed(error) from None
        except ValueError as error:
            detail = _("The address or the subject cannot stand in an email.")
            raise ProviderError(Kind.CONTENT, code=type(error).__name__, detail=detail) from None
        if mail.anymail_status.status == {"failed"}:
            raise self.refused("other", response={"status": "failed"})
        identity = mail.anymail_status.message_id
        if not isinstance(identity, str) or not identity:
            raise ProviderError(Kind.AMBIGUOUS, code="no_id", detail=_("The mail service's answer names no mail."))
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
        detail = _("The mail service cannot be asked about a mail.")
        raise ProviderError(Kind.AMBIGUOUS, code="no_look_up", detail=detail)

    @functools.cached_property
    def _backend(self) -> Any:
        """anymail's backend with one open session, which all threads share: a pool of connections."""
        # What a service does not know (our id with the mail, no tracking) is left out; receipts then find the mail by
        # the service's own id.
        path = f"anymail.backends.{settings.ANYMAIL_ESP}.EmailBackend"
        backend: Any = get_connection(path, timeout=http.TIMEOUT, ignore_unsupported_features=True)
        backend.open()
        # A redirection would carry text and credentials to an address that nobody chose.
        backend.session.max_redirects = 0
        return backend

    def _failed(self, error: AnymailAPIError) -> ProviderError:
        """By the answer's status. anymail's own text quotes the mail, so nothing of it is kept."""
        cause, status = error.__cause__, error.status_code
        if isinstance(cause, TooManyRedirects) and cause.response is not None:
            return http.redirected(cause.response.status_code)
        if status is None:
            return http.unanswered(error)
        numbers = http.json_object(error.response.content) or {}
        response = {"status": status, **{name: value for name, value in numbers.items() if isinstance(value, int)}}
        if 400 <= status < 500 and status != 408:
            return self.refused(str(status), response=response, retry_after=http.retry_after(error.response.headers))
        return ProviderError(
            Kind.AMBIGUOUS,
            code=str(status),
            detail=_("The mail service failed and may have accepted the mail."),
            response=response,
        )


def _compose(outgoing: Outgoing) -> Any:
    """Django's mail with what anymail reads besides."""
    mail: Any = letter.as_django(outgoing)
    mail.extra_headers = {name: text for name, text in mail.extra_headers.items() if name not in _ITS_HEADERS}
    # Comes back with every report.
    mail.metadata = {"message_id": outgoing.message_id, "attempt": str(outgoing.attempt)}
    # Whether a patient opens a mail or follows a link is nobody else's business.
    mail.track_opens = mail.track_clicks = False
    return mail
