"""Twilio: SMS and WhatsApp by the official SDK. Statuses and error codes: ``twilio_codes.py``.

Three traps of the SDK that this file closes: it has no timeout of its own, its exceptions hold no headers (so no
Retry-After), and a broken connection is not one of its exceptions but one of requests' or json's.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import requests
from django.conf import settings
from django.utils.translation import gettext_noop as _
from twilio.base.exceptions import TwilioException, TwilioRestException, TwilioServiceException
from twilio.http.http_client import TwilioHttpClient
from twilio.http.response import Response
from twilio.rest import Client

from integrations.providers import http, twilio_codes
from integrations.sms_providers import (
    Accepted,
    Kind,
    LookUp,
    Outgoing,
    Provider,
    ProviderError,
    empty_settings,
    to_cost,
    to_count,
)
from notifications.states import Channel

# Twilio's limit for ValidityPeriod, and what it recommends at least.
_VALID_AT_MOST, _VALID_AT_LEAST = 36_000, 6
# How far our clock and Twilio's may differ when a message is looked for by its time.
_CLOCKS_DIFFER = dt.timedelta(minutes=2)
# Messages to one number that a look-up reads before it gives up. A patient gets a handful a week.
_LOOK_AT = 200
# Answers after which Twilio may have accepted the message all the same.
_MAYBE_ACCEPTED = {500, 502, 503, 504}


@dataclass(frozen=True, slots=True)
class Account:
    """Whose account is used, and where. An empty ``base_url`` is Twilio's own."""

    sid: str
    token: str
    base_url: str = ""
    sms_from: str = ""
    whatsapp_from: str = ""
    messaging_service: str = ""


class _TooManyRequests(Exception):
    """HTTP 429, with the header that the SDK's own exception would lose."""

    def __init__(self, response: Response) -> None:
        super().__init__()
        self.response = response


class _UnreadableAnswer(Exception):
    """Success, says the status, but the answer is no JSON object."""


# What a call of the SDK may raise.
_FAILURES = (_TooManyRequests, _UnreadableAnswer, TwilioException, requests.RequestException)


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
        if response.status_code == 429:
            raise _TooManyRequests(response)
        if 200 <= response.status_code < 300:
            try:
                answer = json.loads(response.text)
            except ValueError:
                raise _UnreadableAnswer from None
            if not isinstance(answer, dict):
                raise _UnreadableAnswer
        return response


class TwilioProvider(Provider):
    """Set up by ``TWILIO_*``. A sender that starts with MG is a Messaging Service."""

    name = "twilio"
    channels = frozenset({Channel.SMS, Channel.WHATSAPP})
    webhook = "twilio"
    statuses = twilio_codes.STATUSES
    errors = twilio_codes.ERRORS

    def __init__(self) -> None:
        self.account = self.settings_account()
        self._client = Client(
            self.account.sid,
            self.account.token,
            http_client=_HttpClient(self.account.base_url),
            # Not empty, or the SDK would read TWILIO_REGION and TWILIO_EDGE of the machine's environment.
            environment={"agdar": "reads its settings in one place"},
        )

    @classmethod
    def missing_settings(cls, channel: str) -> list[str]:
        sender = "TWILIO_WHATSAPP_FROM" if channel == Channel.WHATSAPP else "TWILIO_SMS_FROM"
        return empty_settings("TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN", sender)

    def settings_account(self) -> Account:
        return Account(
            sid=settings.TWILIO_ACCOUNT_SID,
            token=settings.TWILIO_AUTH_TOKEN,
            base_url=settings.TWILIO_API_BASE_URL,
            sms_from=settings.TWILIO_SMS_FROM,
            whatsapp_from=settings.TWILIO_WHATSAPP_FROM,
        )

    def _send(self, outgoing: Outgoing) -> Accepted:
        fields: dict[str, Any] = {"to": _address(outgoing.to, outgoing.channel), "body": outgoing.body}
        fields |= self._sender(outgoing)
        if outgoing.callback_url:
            fields["status_callback"] = outgoing.callback_url
        if outgoing.valid_seconds is not None:
            fields["validity_period"] = min(_VALID_AT_MOST, max(_VALID_AT_LEAST, outgoing.valid_seconds))
        try:
            message = self._client.messages.create(**fields)
        except _FAILURES as error:
            raise self._error(error) from None  # theirs quotes numbers and texts
        if not message.sid:
            raise ProviderError(Kind.AMBIGUOUS, code="no_sid", detail=_("Twilio's answer names no message."))
        return Accepted(
            provider_message_id=message.sid,
            segments=to_count(message.num_segments),
            cost=to_cost(message.price),
            currency=(message.price_unit or "").upper() if to_cost(message.price) else "",
            response={"sid": message.sid, "status": message.status, "num_segments": message.num_segments},
        )

    def _sender(self, outgoing: Outgoing) -> dict[str, str]:
        is_whatsapp = outgoing.channel == Channel.WHATSAPP
        sender = outgoing.sender or (self.account.whatsapp_from if is_whatsapp else self.account.sms_from)
        if sender.startswith("MG"):
            return {"messaging_service_sid": sender}
        fields = {"from_": _address(sender, outgoing.channel)} if sender else {}
        if self.account.messaging_service:
            fields["messaging_service_sid"] = self.account.messaging_service
        return fields

    def _look_up(
        self, *, message_id: str, to: str, sent_after: dt.datetime, channel: str, body: str, provider_message_id: str
    ) -> LookUp | None:
        try:
            if provider_message_id:
                return _found(self._client.messages(provider_message_id).fetch())
            return self._look_for(_address(to, channel), body, sent_after - _CLOCKS_DIFFER)
        except _FAILURES as error:
            if provider_message_id and isinstance(error, TwilioRestException) and error.status == 404:
                return None
            raise self._error(error) from None  # theirs quotes numbers and texts

    def _look_for(self, address: str, body: str, after: dt.datetime) -> LookUp | None:
        """By number and exact text: Twilio's list holds no id of ours.

        DateSent is not asked for: a message that still waits at Twilio has none, and taking it for absent would
        send it twice. The newest match counts; older ones are earlier attempts.
        """
        if not body:
            raise ProviderError(Kind.AMBIGUOUS, code="no_text", detail=_("Without its text it cannot be found."))
        seen = 0
        for message in self._client.messages.stream(to=address, limit=_LOOK_AT, page_size=50):
            seen += 1
            if message.date_created is not None and message.date_created < after:
                return None
            if message.body == body and (message.direction or "").startswith("outbound"):
                return _found(message)
        if seen >= _LOOK_AT:
            raise ProviderError(Kind.AMBIGUOUS, code="too_many", detail=_("Too many messages went to this number."))
        return None

    def _error(self, error: Exception) -> ProviderError:
        if isinstance(error, _TooManyRequests):
            return self._too_many(error.response)
        if isinstance(error, requests.RequestException):
            return http.unanswered(error)
        if not isinstance(error, TwilioRestException | TwilioServiceException):
            return ProviderError(Kind.AMBIGUOUS, code="bad_answer", detail=_("Twilio's answer could not be read."))
        code = str(error.code or error.status)
        response = {"status": error.status, "code": code}
        if error.status in _MAYBE_ACCEPTED:
            why = self.explain(code) or _("Twilio failed and may have accepted the message.")
            return ProviderError(Kind.AMBIGUOUS, code=code, detail=why, response=response)
        return self.refused(code, response=response)

    def _too_many(self, response: Response) -> ProviderError:
        """429 of either kind (20429, 21611): not processed, so it is safe to try again."""
        headers: Mapping[str, str] = response.headers or {}
        try:
            retry_after: float | None = float(headers.get("Retry-After", ""))
        except ValueError:
            retry_after = None
        return self.refused("20429", response={"status": 429}, retry_after=retry_after)


def _address(number: str, channel: str) -> str:
    return f"whatsapp:{number}" if channel == Channel.WHATSAPP else number


def _found(message: Any) -> LookUp:
    return LookUp(
        status=message.status or "",
        provider_message_id=message.sid or "",
        error_code=str(message.error_code or ""),
        segments=to_count(message.num_segments),
        cost=to_cost(message.price),
        currency=(message.price_unit or "").upper() if to_cost(message.price) else "",
    )
