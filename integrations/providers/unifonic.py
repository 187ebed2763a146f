"""Unifonic: SMS in Saudi Arabia, by HTTP.

Sources: Unifonic's OpenAPI of the SMS service and docs.unifonic.com, read in November 2026; where the two differ, the
comment says what was taken. Four traps: an error may come with status 200; ``success`` is the text "true" in one
example and a boolean in another; ids have 64 bits; a price or a count of 0 means "not known".
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

import requests
from django.conf import settings
from django.utils.translation import gettext_noop as _

from integrations.providers import http
from integrations.providers.async_http import AsyncProvider
from integrations.sms_providers import (
    Accepted,
    Kind,
    LookUp,
    Outgoing,
    OwnAccount,
    ProviderError,
    Rule,
    Scope,
    empty_settings,
    to_cost,
    to_count,
)
from notifications.states import Channel, Status

# Words of messages and of delivery reports, old and new spelling.
STATUSES: dict[str, Status] = {
    "queued": Status.SENDING,
    "accepted": Status.SENDING,
    "scheduled": Status.SENDING,
    "sent": Status.SENT,
    "delivered": Status.DELIVERED,
    "undelivered": Status.FAILED,
    "undeliverable": Status.FAILED,
    "rejected": Status.FAILED,
    "failed": Status.FAILED,
}

# The codes of 2026. Lists of 2015-19, still found in old SDKs, give the same codes other meanings.
ERRORS: dict[str, Rule] = {
    "ER-01": Rule(
        Kind.CONFIGURATION, _("The Unifonic account has no funds or no rate for this country."), Scope.ACCOUNT
    ),
    "ER-02": Rule(Kind.NUMBER, _("This is not a phone number.")),
    "ER-03": Rule(Kind.NUMBER, _("The number has too many digits.")),
    "ER-04": Rule(Kind.NUMBER, _("The number has too few digits.")),
    "ER-05": Rule(Kind.NUMBER, _("The number is unknown, not in use or a landline.")),
    "ER-06": Rule(Kind.CONTENT, _("The text is empty.")),
    "ER-07": Rule(Kind.CONTENT, _("Filtered as spam.")),
    "ER-08": Rule(Kind.CONFIGURATION, _("The sender name is not registered."), Scope.SENDER),
    "ER-09": Rule(Kind.CONTENT, _("The same text went to this number a moment ago.")),
    # HTTP statuses, which Unifonic also uses as codes.
    "401": Rule(Kind.CONFIGURATION, _("Unifonic refused our credentials."), Scope.ACCOUNT),
    "402": Rule(Kind.CONFIGURATION, _("The AppSid is missing."), Scope.ACCOUNT),
    "403": Rule(Kind.CONFIGURATION, _("Unifonic does not accept calls from our address."), Scope.ACCOUNT),
    "404": Rule(Kind.CONFIGURATION, _("Unifonic does not know this address."), Scope.ACCOUNT),
    "406": Rule(Kind.CONFIGURATION, _("Unifonic did not understand the request.")),
    "409": Rule(Kind.CONTENT, _("The same text went to this number a moment ago.")),
    "410": Rule(Kind.NUMBER, _("This is not a phone number.")),
    "412": Rule(Kind.CONTENT, _("The text is too long.")),
    "421": Rule(Kind.CONTENT, _("The text is empty.")),
    "429": Rule(Kind.TRANSIENT, _("Too many requests at once.")),
    "440": Rule(Kind.CONFIGURATION, _("The sender name is not allowed."), Scope.SENDER),
    "449": Rule(Kind.CONTENT, _("The text is empty.")),
    "456": Rule(Kind.CONFIGURATION, _("The correlation id is not valid.")),
    "460": Rule(Kind.CONTENT, _("The text has an invalid encoding.")),
    "480": Rule(Kind.CONFIGURATION, _("The sender name is not allowed."), Scope.SENDER),
    "481": Rule(Kind.CONFIGURATION, _("This country is not enabled in the Unifonic account.")),
    "482": Rule(Kind.NUMBER, _("This is not a phone number.")),
    "483": Rule(Kind.CONFIGURATION, _("The operator is not enabled in the Unifonic account.")),
}


class UnifonicProvider(AsyncProvider):
    """Set up by ``UNIFONIC_*``.

    It is not asked for lists: the zone of its times is that of the account and told nowhere. No limit of speed is
    documented, so ``rate_limit`` has none; "too many" comes without a Retry-After.
    """

    name = "unifonic"
    channels = frozenset({Channel.SMS})
    webhook = "unifonic"
    statuses = STATUSES
    errors = ERRORS
    # No figure is documented; modest, as nobody has measured it.
    max_in_flight = 20

    def __init__(self, own: OwnAccount | None = None) -> None:
        """``own``: a clinic group's own account, which has a name and a key for its reports of its own."""
        self._own = own
        self.name = own.name if own is not None else self.name
        self._base = settings.UNIFONIC_API_BASE_URL.rstrip("/")
        self._session = http.new_session(self._base)
        super().__init__(f"{self._base}/rest/SMS/messages", {"Accept": "application/json"})

    @classmethod
    def of_account(cls, account: OwnAccount) -> UnifonicProvider:
        return cls(account)

    def is_usable(self, channel: str) -> bool:
        return bool(self._own.secret) if self._own is not None else super().is_usable(channel)

    @classmethod
    def missing_settings(cls, channel: str) -> list[str]:  # noqa: ARG003  # it has one channel
        return empty_settings(
            "UNIFONIC_APP_SID", "UNIFONIC_SENDER_ID", "UNIFONIC_API_BASE_URL", "UNIFONIC_WEBHOOK_SECRET"
        )

    def _form(self, outgoing: Outgoing) -> dict[str, str]:
        form = {
            **self._credentials(),
            "SenderID": outgoing.sender or self._default_sender(),
            "Recipient": outgoing.to.removeprefix("+"),
            "Body": outgoing.body,
            # Our id: the only way to ask about a message whose answer was lost.
            "CorrelationID": outgoing.message_id,
        }
        # "Must be a valid HTTPS URL"; any other would have the whole message refused.
        if outgoing.callback_url.startswith("https://"):
            form["statusCallback"] = _with_key(outgoing.callback_url, self._webhook_key())
        return form

    def _read(self, status: int, headers: Mapping[str, str], body: bytes) -> Accepted | ProviderError:
        answer = self._judge(status, headers, body)
        if isinstance(answer, ProviderError):
            return answer
        data = answer.get("data")
        message_id = data.get("MessageID") if isinstance(data, Mapping) else None
        if not isinstance(data, Mapping) or not message_id or not isinstance(message_id, int | str):
            return ProviderError(Kind.AMBIGUOUS, code="no_id", detail=_("Unifonic's answer names no message."))
        cost = to_cost(data.get("Cost"))
        return Accepted(
            provider_message_id=str(message_id),
            segments=to_count(data.get("NumberOfUnits")),
            cost=cost,
            currency=str(data.get("CurrencyCode") or "")[:3].upper() if cost else "",
            response={"MessageID": str(message_id), "Status": str(data.get("Status") or "")},
        )

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
        wanted = {"MessageID": provider_message_id} if provider_message_id else {"CorrelationID": message_id}
        data = self._ask("/rest/SMS/Messages/GetMessagesDetails", {**wanted, "Limit": "10"}).get("data")
        messages = data.get("messages") if isinstance(data, Mapping) else None
        if not isinstance(data, Mapping) or not isinstance(messages, list):
            raise ProviderError(Kind.AMBIGUOUS, code="bad_answer", detail=_("Unifonic's answer could not be read."))
        # A filter that the service ignored would hand us somebody else's message.
        key, value = next(iter(wanted.items()))
        mine = [row for row in messages if isinstance(row, Mapping) and str(row.get(key) or "") == value]
        mine = [row for row in mine if str(row.get("MessageID") or "") not in known_ids]
        if not mine:
            return None
        newest = max(mine, key=lambda row: str(row.get("DateCreated") or ""))
        cost = to_cost(newest.get("Cost"))
        return LookUp(
            # DLR is the network's word and comes later than Status, our account's; either may be empty.
            status=str(newest.get("DLR") or newest.get("Status") or ""),
            provider_message_id=str(newest.get("MessageID") or ""),
            segments=to_count(newest.get("NumberOfUnits")),
            cost=cost,
            currency=str(data.get("CurrencyCode") or "")[:3].upper() if cost else "",
            message_id=str(newest.get("CorrelationID") or ""),
        )

    def _credentials(self) -> dict[str, str]:
        """In the body: OpenAPI puts everything into the query, so into every log."""
        app_sid = self._own.secret if self._own is not None else settings.UNIFONIC_APP_SID
        return {"AppSid": app_sid, "responseType": "JSON"}

    def _default_sender(self) -> str:
        return self._own.senders.get(Channel.SMS, "") if self._own is not None else settings.UNIFONIC_SENDER_ID

    def _webhook_key(self) -> str:
        return self._own.webhook_key if self._own is not None else settings.UNIFONIC_WEBHOOK_SECRET

    def _ask(self, path: str, form: Mapping[str, str]) -> Mapping[str, Any]:
        """The answer to a question."""
        try:
            answer = self._session.post(
                self._base + path, data={**self._credentials(), **form}, timeout=http.TIMEOUT, allow_redirects=False
            )
        except requests.RequestException as error:
            raise http.unanswered(error) from None  # theirs may quote the request
        read = self._judge(answer.status_code, answer.headers, answer.content)
        if isinstance(read, ProviderError):
            raise read
        return read

    def _judge(self, status: int, headers: Mapping[str, str], body: bytes) -> Mapping[str, Any] | ProviderError:
        """The one reading of an answer: what it holds when it says success, else what went wrong."""
        answer = http.json_object(body) or {}
        if status >= 500:
            detail = _("Unifonic failed and may have accepted the message.")
            return ProviderError(Kind.AMBIGUOUS, code=str(status), detail=detail, response={"status": status})
        if 300 <= status < 400:
            return http.redirected(status)
        # Not bool(): bool("false") is True.
        success = str(answer.get("success")).lower()
        if status < 300 and success != "false":
            if success == "true":
                return answer
            detail = _("Unifonic's answer could not be read.")
            return ProviderError(Kind.AMBIGUOUS, code="bad_answer", detail=detail, response={"status": status})
        told = str(answer.get("errorCode") or "")[:10]
        code = next((known for known in (told, str(status)) if known in self.errors), told or str(status))
        response = {"status": status, "errorCode": told}
        return self.refused(code, response=response, retry_after=http.retry_after(headers))


def _with_key(callback_url: str, key: str) -> str:
    """The call-back's address with our secret, the only proof that a caller is Unifonic."""
    joint = "&" if urlsplit(callback_url).query else "?"
    return f"{callback_url}{joint}{urlencode({'key': key})}"
