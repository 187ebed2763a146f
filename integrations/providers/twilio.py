"""Twilio: SMS and WhatsApp. Statuses and error codes: ``twilio_codes.py``.

Sends go over pooled connections with the SDK's own request shape (``docs/adr/0010-pooled-sends.md``), questions by
the SDK itself. Three traps of the SDK that this file closes: it has no timeout of its own, its exceptions hold no
headers (so no Retry-After), and a broken connection is not one of its exceptions but one of requests'.
"""

from __future__ import annotations

import base64
import datetime as dt
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import requests
from django.conf import settings
from django.utils.translation import gettext_noop as _
from twilio.base.exceptions import TwilioException
from twilio.http.http_client import TwilioHttpClient
from twilio.http.response import Response
from twilio.rest import Client

from integrations.providers import http, twilio_codes
from integrations.providers.async_http import AsyncProvider
from integrations.sms_providers import (
    Accepted,
    Approval,
    Kind,
    LookUp,
    Outgoing,
    OwnAccount,
    ProviderError,
    Scope,
    empty_settings,
    log,
    to_cost,
    to_count,
)
from notifications.states import Channel

_API = "https://api.twilio.com"
# Twilio's limit for ValidityPeriod, and what it recommends at least.
_VALID_AT_MOST, _VALID_AT_LEAST = 36_000, 6
# How far our clock and Twilio's may differ when a message is looked for by its time.
_CLOCKS_DIFFER = dt.timedelta(minutes=2)
# Messages to one number that a look-up reads before it gives up. A patient gets a handful a week.
_LOOK_AT = 200
# Pages of a thousand that one listing reads: more than any clinic sends between two listings.
_PAGE, _PAGES = 1000, 100
# Messages a second. WhatsApp: twilio.com/docs/whatsapp/api, "80 messages per second per sender". SMS senders have
# limits too, but Twilio queues for them up to ten hours and says 21611 when even that is full.
RATE_LIMITS = {Channel.WHATSAPP: 80.0}
# Answers about the account rather than about the message, when no code says more.
_ACCOUNT_REFUSED = {401, 403, 404}
# The columns of ours that keep them are as long.
_SID_AT_MOST = 80
# Of an account whose secret was deleted.
_NO_TOKEN = "-"  # noqa: S105  # it is none


@dataclass(frozen=True, slots=True)
class Account:
    """Whose account is used, and where. An empty ``base_url`` is Twilio's own."""

    sid: str
    token: str
    base_url: str = ""
    sms_from: str = ""
    whatsapp_from: str = ""
    messaging_service: str = ""


class _Refused(Exception):
    """Any answer but success, whole: the SDK's own exceptions would lose its headers."""

    def __init__(self, response: Response) -> None:
        super().__init__()
        self.response = response


class _UnreadableAnswer(Exception):
    """Success, says the status, but the answer is no JSON object."""


# What a call of the SDK may raise.
_FAILURES = (_Refused, _UnreadableAnswer, TwilioException, requests.RequestException)


class _HttpClient(TwilioHttpClient):  # type: ignore[misc]  # the SDK has no types
    """The SDK's client with timeouts, sent to another address where the account says so."""

    def __init__(self, base_url: str) -> None:
        super().__init__()
        self.timeout = http.TIMEOUT  # the constructor cannot compare a pair
        self._base = urlsplit(base_url) if base_url else None
        if base_url:
            self.session = http.new_session(base_url)

    def request(self, method: str, url: str, *args: Any, **kwargs: Any) -> Response:
        if self._base is not None:
            there = urlsplit(url)
            path = self._base.path.rstrip("/") + there.path
            url = urlunsplit((self._base.scheme, self._base.netloc, path, there.query, ""))
        response = super().request(method, url, *args, **kwargs)
        if not 200 <= response.status_code < 300:
            raise _Refused(response)
        if http.json_object(response.text) is None:
            raise _UnreadableAnswer
        return response


class TwilioProvider(AsyncProvider):
    """Set up by ``TWILIO_*``. A sender that starts with MG is a Messaging Service."""

    name = "twilio"
    channels = frozenset({Channel.SMS, Channel.WHATSAPP})
    webhook = "twilio"
    statuses = twilio_codes.STATUSES
    errors = twilio_codes.ERRORS
    # twilio.com/docs/whatsapp/key-concepts: outside the 24-hour window only approved templates.
    requires_approval = frozenset({Channel.WHATSAPP})
    # Some minutes after the sending; no call-back carries it.
    reports_prices = True
    # Twilio answers in 100 to 200 ms, so a hundred carry 500 to 1,000 messages a second; more at once earn a 20429.
    max_in_flight = 100

    def __init__(self, own: Account | None = None, name: str = "") -> None:
        """``own``: a clinic group's own account, which has a name of its own."""
        self.account = own or self.settings_account()
        self._is_own = own is not None
        self.name = name or self.name
        self._client = Client(
            self.account.sid,
            self.account.token,
            http_client=_HttpClient(self.account.base_url),
            # Not empty, or the SDK would read TWILIO_REGION and TWILIO_EDGE of the machine's environment.
            environment={"agdar": "reads its settings in one place"},
        )
        credentials = base64.b64encode(f"{self.account.sid}:{self.account.token}".encode()).decode()
        super().__init__(
            f"{self.account.base_url.rstrip('/') or _API}/2010-04-01/Accounts/{self.account.sid}/Messages.json",
            {
                **self._client.get_headers("POST", {"Accept": "application/json"}),
                "Authorization": f"Basic {credentials}",
            },
        )

    @classmethod
    def missing_settings(cls, channel: str) -> list[str]:
        sender = "TWILIO_WHATSAPP_FROM" if channel == Channel.WHATSAPP else "TWILIO_SMS_FROM"
        return empty_settings("TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN", sender)

    @classmethod
    def of_account(cls, account: OwnAccount) -> TwilioProvider:
        own = Account(
            sid=account.login,
            # The SDK takes no empty one. Nothing is sent or asked without it: see ``is_usable``.
            token=account.secret or _NO_TOKEN,
            base_url=settings.TWILIO_API_BASE_URL,
            sms_from=account.senders.get(Channel.SMS, ""),
            whatsapp_from=account.senders.get(Channel.WHATSAPP, ""),
        )
        return cls(own, account.name)

    def is_usable(self, channel: str) -> bool:
        return self.account.token != _NO_TOKEN if self._is_own else super().is_usable(channel)

    def settings_account(self) -> Account:
        return Account(
            sid=settings.TWILIO_ACCOUNT_SID,
            token=settings.TWILIO_AUTH_TOKEN,
            base_url=settings.TWILIO_API_BASE_URL,
            sms_from=settings.TWILIO_SMS_FROM,
            whatsapp_from=settings.TWILIO_WHATSAPP_FROM,
        )

    def rate_limit(self, channel: str, sender: str) -> float | None:
        return RATE_LIMITS.get(Channel(channel))

    def _form(self, outgoing: Outgoing) -> dict[str, str]:
        """As the SDK's ``messages.create`` sends it."""
        form = {"To": _address(outgoing.to, outgoing.channel), **self._content(outgoing)}
        form |= self._sender(outgoing)
        if outgoing.callback_url:
            form["StatusCallback"] = outgoing.callback_url
        if outgoing.valid_seconds is not None:
            form["ValidityPeriod"] = str(min(_VALID_AT_MOST, max(_VALID_AT_LEAST, outgoing.valid_seconds)))
        return form

    def _content(self, outgoing: Outgoing) -> dict[str, str]:
        """Free text, or the approved content: with one Twilio wants no text (63016)."""
        if outgoing.approved is None:
            return {"Body": outgoing.body}
        return {"ContentSid": outgoing.approved.content_sid, "ContentVariables": outgoing.approved.variables}

    def approval_of(self, content_sid: str) -> Approval | None:
        """By the Content API: twilio.com/docs/content, ``GET /v1/Content/<sid>/ApprovalRequests``."""
        try:
            answer = self._client.content.v1.contents(content_sid).approval_fetch().fetch().whatsapp or {}
        except _FAILURES as error:
            failure = self._error(error)
        else:
            return Approval(
                status=str(answer.get("status") or "").lower(),
                category=str(answer.get("category") or "").lower(),
                reason=str(answer.get("rejection_reason") or ""),
            )
        if failure.response.get("status") == 404:
            return None
        raise failure

    def _read(self, status: int, headers: Mapping[str, str], body: bytes) -> Accepted | ProviderError:
        answer = http.json_object(body)
        if not 200 <= status < 300:
            return self._refusal(status, headers, answer)
        if answer is None:
            return _unreadable()
        sid = answer.get("sid")
        if not isinstance(sid, str) or not 0 < len(sid) <= _SID_AT_MOST:
            return ProviderError(Kind.AMBIGUOUS, code="no_sid", detail=_("Twilio's answer names no message."))
        cost = to_cost(answer.get("price"))
        return Accepted(
            provider_message_id=sid,
            segments=to_count(answer.get("num_segments")),
            cost=cost,
            currency=_currency(answer.get("price_unit")) if cost else "",
            response={"sid": sid, "status": answer.get("status"), "num_segments": answer.get("num_segments")},
        )

    def _sender(self, outgoing: Outgoing) -> dict[str, str]:
        is_whatsapp = outgoing.channel == Channel.WHATSAPP
        sender = outgoing.sender or (self.account.whatsapp_from if is_whatsapp else self.account.sms_from)
        if sender.startswith("MG"):
            return {"MessagingServiceSid": sender}
        fields = {"From": _address(sender, outgoing.channel)} if sender else {}
        if self.account.messaging_service:
            fields["MessagingServiceSid"] = self.account.messaging_service
        return fields

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
        try:
            if provider_message_id:
                return _found(self._client.messages(provider_message_id).fetch())
            return self._look_for(_address(to, channel), body, sent_after - _CLOCKS_DIFFER, known_ids)
        except _FAILURES as error:
            failure = self._error(error)
        # Twilio's own word, not that of something in between which answers 404 to everything.
        if provider_message_id and (failure.response.get("status"), failure.code) == (404, "20404"):
            return None
        raise failure

    def look_up_many(self, sent_after: dt.datetime, sent_before: dt.datetime) -> Iterator[LookUp]:
        """The newest first. A message that still waits at Twilio has no DateSent, so it is not among them."""
        seen = 0
        try:
            for message in self._client.messages.stream(
                # The SDK writes a "Z" behind any time without converting it.
                date_sent_after=sent_after.astimezone(dt.UTC),
                date_sent_before=sent_before.astimezone(dt.UTC),
                limit=_PAGE * _PAGES,
                page_size=_PAGE,
            ):
                seen += 1
                if (message.direction or "").startswith("outbound"):
                    yield _found(message)
        except _FAILURES as error:
            failure = self._error(error)
        else:
            if seen >= _PAGE * _PAGES:
                log.warning("provider_list_too_long", provider=self.name, listed=seen)
            return
        raise failure

    def _look_for(self, address: str, body: str, after: dt.datetime, known_ids: Collection[str]) -> LookUp | None:
        """By number and exact text: Twilio's list holds no id of ours.

        DateSent is not asked for: a message that still waits at Twilio has none, and taking it for absent would
        send it twice. The newest match that is not known counts. An approved content may be listed with other words
        than ours (Twilio fills it in by itself), so with WhatsApp any message that is not known may be the one.
        """
        if not body:
            raise ProviderError(Kind.AMBIGUOUS, code="no_text", detail=_("Without its text it cannot be found."))
        is_doubtful = False
        for message in self._recent(address, after):
            if not (message.direction or "").startswith("outbound") or message.sid in known_ids:
                continue
            if message.body == body:
                return _found(message)
            is_doubtful = address.startswith("whatsapp:")
        if is_doubtful:
            raise ProviderError(
                Kind.AMBIGUOUS, code="other_words", detail=_("It may be one that Twilio words otherwise.")
            )
        return None

    def _recent(self, address: str, after: dt.datetime) -> Iterator[Any]:
        """What went to an address or came from there since then, newest first. Raises ProviderError for too many."""
        seen = 0
        for message in self._client.messages.stream(to=address, limit=_LOOK_AT, page_size=50):
            if message.date_created is not None and message.date_created < after:
                return
            yield message
            seen += 1
        if seen >= _LOOK_AT:
            raise ProviderError(Kind.AMBIGUOUS, code="too_many", detail=_("Too many messages went to this number."))

    def _error(self, error: Exception) -> ProviderError:
        """What a failed question means."""
        if isinstance(error, _Refused):
            response = error.response
            return self._refusal(response.status_code, response.headers or {}, http.json_object(response.text))
        if isinstance(error, requests.RequestException):
            return http.unanswered(error)
        return _unreadable()

    def _refusal(self, status: int, headers: Mapping[str, str], answer: Mapping[str, Any] | None) -> ProviderError:
        """The one reading of an answer that is no success."""
        told = str((answer or {}).get("code") or "")
        code = told if told.isdecimal() else str(status)
        response = {"status": status, "code": code}
        if status >= 500:
            why = self.explain(code) or _("Twilio failed and may have accepted the message.")
            return ProviderError(Kind.AMBIGUOUS, code=code, detail=why, response=response)
        if status < 400:
            return http.redirected(status)
        if status == 429:
            # Of whatever kind: not processed, so it is safe to try again.
            is_known = code in self.errors and self.errors[code].kind is Kind.TRANSIENT
            wait = http.retry_after(headers)
            return self.refused(code if is_known else "20429", response=response, retry_after=wait)
        if status in _ACCOUNT_REFUSED and code not in self.errors and (code == str(status) or status == 401):
            detail = _("Twilio refused our account.")
            return ProviderError(Kind.CONFIGURATION, code=code, detail=detail, response=response, scope=Scope.ACCOUNT)
        return self.refused(code, response=response)


def _unreadable() -> ProviderError:
    return ProviderError(Kind.AMBIGUOUS, code="bad_answer", detail=_("Twilio's answer could not be read."))


def _currency(word: object) -> str:
    return str(word or "")[:3].upper()


def _address(number: str, channel: str) -> str:
    return f"whatsapp:{number}" if channel == Channel.WHATSAPP else number


def _found(message: Any) -> LookUp:
    return LookUp(
        status=message.status or "",
        provider_message_id=message.sid or "",
        error_code=str(message.error_code or ""),
        segments=to_count(message.num_segments),
        cost=to_cost(message.price),
        currency=_currency(message.price_unit) if to_cost(message.price) else "",
        created_at=message.date_created,
    )
