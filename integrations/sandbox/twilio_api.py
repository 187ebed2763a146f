"""Twilio's Messages API as the sandbox speaks it: create, list, fetch, with Twilio's own refusals.

Source: Twilio's OpenAPI (2010-04-01) and twilio.com/docs/messaging/api/message-resource, November 2026. The OpenAPI
requires only ``To``; the conditions here are those of the documentation.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import format_datetime
from typing import Any
from urllib.parse import urlencode, urlsplit

from integrations.sandbox import account
from integrations.sandbox.magic import Trick, trick_of
from integrations.sandbox.store import Message, Store
from notifications import segments

PATH = f"/2010-04-01/Accounts/{account.SID}/Messages"
_CONTENT = re.compile(r"HX[0-9a-f]{32}", re.ASCII)
_E164 = re.compile(r"\+[1-9][0-9]{7,14}", re.ASCII)
# Landlines, shared and toll-free numbers of Saudi Arabia: no SMS reaches them.
_NO_MOBILE = re.compile(r"\+966(1[1-7]|9200|800)[0-9]+", re.ASCII)
_NAME = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9 _&+-]{1,11}", re.ASCII)
_STOP = {"STOP", "UNSUBSCRIBE", "END", "QUIT", "STOPALL", "REVOKE", "OPTOUT", "CANCEL"}
_START = {"START", "YES", "UNSTOP"}


class Refusal(Exception):
    """An error in Twilio's JSON shape."""

    def __init__(self, status: int, code: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(code)
        self.status = status
        self.headers = dict(headers or {})
        self.body = {
            "code": code,
            "message": message,
            "more_info": f"https://www.twilio.com/docs/errors/{code}",
            "status": status,
        }


@dataclass(frozen=True, slots=True)
class Delays:
    """Seconds from acceptance to each status."""

    queued: float = 0.2
    sent: float = 0.6
    delivered: float = 1.5
    read: float = 4.0

    def times(self, factor: float) -> Delays:
        return Delays(self.queued * factor, self.sent * factor, self.delivered * factor, self.read * factor)


def create(store: Store, form: Mapping[str, str], delays: Delays) -> Message:
    """Accepts a message and plans what becomes of it. Raises Refusal."""
    to, body, callback = form.get("To", ""), form.get("Body", ""), form.get("StatusCallback", "")
    service, sender = form.get("MessagingServiceSid", ""), form.get("From", "")
    if not to:
        raise Refusal(400, 21604, "A 'To' phone number is required.")
    channel, number = split_address(to)
    _check_number(number, channel)
    _check_sender(sender, service, channel)
    if form.get("ContentSid"):
        body = _content(form, channel)
    if not body:
        raise Refusal(400, 21602, "Message body is required.")
    if len(body) > 1600:
        raise Refusal(400, 21617, "The concatenated message body exceeds the 1600 character limit.")
    if callback and (urlsplit(callback).scheme not in ("http", "https") or "_" in urlsplit(callback).netloc):
        raise Refusal(400, 21609, "The 'StatusCallback' URL is not a valid URL.")
    if not 1 <= int(form.get("ValidityPeriod", "36000")) <= 36000:
        raise Refusal(400, 21621, "The 'ValidityPeriod' is not between 1 and 36000.")
    peer = split_address(sender or service)[1]
    trick = trick_of(number)
    match trick:
        case Trick.TOO_MANY:
            raise Refusal(429, 20429, "Too Many Requests", {"Retry-After": "5"})
        case Trick.OPTED_OUT:
            raise Refusal(400, 21610, "Attempt to send to unsubscribed recipient")
        case Trick.FAILS_ONCE if store.is_first_try(f"{number} {body}"):
            raise Refusal(500, 20500, "Internal Server Error")
    if store.is_opted_out(number, peer):
        raise Refusal(400, 21610, "Attempt to send to unsubscribed recipient")
    message = store.add_message(
        direction="outbound-api",
        channel=channel,
        number=number,
        peer=peer,
        body=body,
        status="accepted" if service else "queued",
        segments=segments.count(body).parts if channel == "SMS" else 1,
        service=service,
        callback_url=callback,
    )
    url = "" if trick is Trick.SILENT else callback
    store.plan(
        message.sid,
        [(delay, status, call_back_fields(message, status, code)) for delay, status, code in _steps(message, delays)],
        url=url,
    )
    return message


def approval(sid: str) -> dict[str, Any]:
    """What WhatsApp says about a content. The last digit of its id decides, so that each answer can be tried."""
    if not _CONTENT.fullmatch(sid):
        raise Refusal(404, 20404, f"The requested resource /Content/{sid}/ApprovalRequests was not found")
    status, reason = {
        "d": ("pending", ""),
        "e": ("rejected", "The text promotes something, but its category is UTILITY."),
        "f": ("paused", ""),
    }.get(sid[-1], ("approved", ""))
    return {
        "sid": sid,
        "account_sid": account.SID,
        "url": f"https://content.twilio.com/v1/Content/{sid}/ApprovalRequests",
        "whatsapp": {
            "type": "whatsapp",
            "name": f"agdar_{sid[2:10]}",
            "category": "UTILITY",
            "content_type": "twilio/text",
            "status": status,
            "rejection_reason": reason,
            "allow_category_change": False,
        },
    }


def _content(form: Mapping[str, str], channel: str) -> str:
    """The words behind a ContentSid, which our own adapter tells; checked as Twilio does."""
    if channel != "WHATSAPP" or not _CONTENT.fullmatch(form["ContentSid"]):
        raise Refusal(400, 21655, "The ContentSid is invalid.")
    if form.get("Body"):
        raise Refusal(400, 63016, "A template is sent without a Body.")
    try:
        values = json.loads(form.get("ContentVariables") or "{}")
    except ValueError:
        values = None
    is_numbered = isinstance(values, dict) and all(
        name.isdecimal() and isinstance(values[name], str) for name in values
    )
    if not is_numbered or any(re.search(r"[\n\t]|    ", value) for value in values.values()):
        raise Refusal(400, 21656, "The ContentVariables are invalid.")
    return form.get("SandboxBody", "")


def _steps(message: Message, delays: Delays) -> list[tuple[float, str, str]]:
    """(delay, status, error code), in the order in which they are called back."""
    is_whatsapp = message.channel == "WHATSAPP"
    steps = [(delays.queued, "queued", "")] if message.service else []
    match trick_of(message.number):
        case Trick.UNDELIVERED:
            code = "63003" if is_whatsapp else "30006"
            return [*steps, (delays.sent, "sent", ""), (delays.delivered, "undelivered", code)]
        case Trick.NO_WHATSAPP if is_whatsapp:
            return [*steps, (delays.sent, "failed", "63024")]
        case Trick.DISORDER:
            end = delays.delivered
            steps = [(end, "delivered", ""), (end, "sent", ""), *steps, (end, "sent", ""), (end, "delivered", "")]
        case _:
            steps += [(delays.sent, "sent", ""), (delays.delivered, "delivered", "")]
    if is_whatsapp:
        steps.append((delays.read, "read", ""))
    return steps


def _check_number(number: str, channel: str) -> None:
    if not _E164.fullmatch(number) or trick_of(number) is Trick.INVALID:
        raise Refusal(400, 21211, "The 'To' number is not a valid phone number.")
    if channel == "SMS" and _NO_MOBILE.fullmatch(number):
        raise Refusal(400, 21614, "'To' number is not a valid mobile number")


def _check_sender(sender: str, service: str, channel: str) -> None:
    if not sender and not service:
        raise Refusal(400, 21603, "A 'From' or 'MessagingServiceSid' parameter is required to send a message.")
    if service and service != account.MESSAGING_SERVICE:
        raise Refusal(404, 21701, "The Messaging Service resource does not exist.")
    if not sender:
        return
    sender_channel, bare = split_address(sender)
    if sender_channel != channel or (channel == "WHATSAPP" and not _E164.fullmatch(bare)):
        raise Refusal(400, 63007, "Twilio could not find a Channel with the specified From address")
    if channel == "SMS" and not _E164.fullmatch(bare) and not _NAME.fullmatch(bare):
        raise Refusal(
            400, 21212, "The 'From' number is not a valid phone number, shortcode, or alphanumeric sender ID."
        )


def fetch(store: Store, sid: str) -> dict[str, Any]:
    message = store.message(sid)
    if message is None:
        raise Refusal(404, 20404, f"The requested resource {PATH}/{sid}.json was not found")
    return as_json(message)


def list_page(store: Store, query: Mapping[str, str]) -> dict[str, Any]:
    """Filters To and DateSent> (a day or a moment in UTC), newest first, in pages."""
    channel, number = split_address(query.get("To", ""))
    size = min(1000, max(1, int(query.get("PageSize", "50"))))
    page = max(0, int(query.get("Page", "0")))
    found = store.page_of_messages(
        to=number, channel=channel, after=_moment(query.get("DateSent>", "")), offset=page * size, limit=size + 1
    )
    here = f"{PATH}.json?{urlencode({**query, 'Page': str(page)})}"
    there = f"{PATH}.json?{urlencode({**query, 'Page': str(page + 1)})}" if len(found) > size else None
    return {
        "messages": [as_json(message) for message in found[:size]],
        "end": page * size + min(size, len(found)) - 1,
        "first_page_uri": f"{PATH}.json?{urlencode({**query, 'Page': '0'})}",
        "next_page_uri": there,
        "page": page,
        "page_size": size,
        "previous_page_uri": None,
        "start": page * size,
        "uri": here,
    }


def as_json(message: Message, *, is_new: bool = False) -> dict[str, Any]:
    """The message resource. In the first answer a Messaging Service does not yet know sender and segments."""
    is_open = is_new and bool(message.service)
    is_sent = message.status not in ("accepted", "queued")
    return {
        "account_sid": account.SID,
        "api_version": "2010-04-01",
        "body": message.body,
        "date_created": _date(message.created_at),
        "date_sent": _date(message.updated_at) if is_sent else None,
        "date_updated": _date(message.updated_at),
        "direction": message.direction,
        "error_code": int(message.error_code) if message.error_code else None,
        "error_message": None,
        "from": None if is_open else join_address(message.channel, message.peer),
        "messaging_service_sid": message.service or None,
        "num_media": "0",
        "num_segments": "0" if is_open else str(message.segments),
        "price": None if message.price is None else f"{-message.price:.5f}",
        "price_unit": "USD",
        "sid": message.sid,
        "status": message.status,
        "subresource_uris": {"media": f"{PATH}/{message.sid}/Media.json"},
        "to": join_address(message.channel, message.number),
        "uri": f"{PATH}/{message.sid}.json",
    }


def call_back_fields(message: Message, status: str, error_code: str) -> dict[str, str]:
    """The parameters of a status call-back."""
    fields = {
        "AccountSid": account.SID,
        "ApiVersion": "2010-04-01",
        "From": join_address(message.channel, message.peer),
        "MessageSid": message.sid,
        "MessageStatus": status,
        "SmsSid": message.sid,
        "SmsStatus": status,
        "To": join_address(message.channel, message.number),
    }
    if message.service:
        fields["MessagingServiceSid"] = message.service
    if error_code:
        fields["ErrorCode"] = error_code
    if message.channel == "WHATSAPP":
        fields["ChannelPrefix"] = "whatsapp"
        if status in ("delivered", "read"):
            fields["EventType"] = status.upper()
    elif status in ("delivered", "undelivered"):
        fields["RawDlrDoneDate"] = dt.datetime.now(dt.UTC).strftime("%y%m%d%H%M")
    return fields


def reply(store: Store, *, number: str, channel: str, body: str, url: str) -> Message | None:
    """The patient writes back to whoever wrote last. None: nobody has.

    Friendlier than the world: here also a sender that is a name gets replies, and Saudi Arabia has none by SMS.
    """
    last = store.last_from(number, channel)
    if last is None:
        return None
    peer = last.peer
    message = store.add_message(
        direction="inbound",
        channel=channel,
        number=number,
        peer=peer,
        body=body,
        status="received",
        segments=segments.count(body).parts,
    )
    word = body.strip().upper()
    if channel == "SMS" and word in _STOP | _START:
        store.opt_out(number, peer, is_out=word in _STOP)
    fields = {
        "AccountSid": account.SID,
        "ApiVersion": "2010-04-01",
        "Body": body,
        "From": join_address(channel, number),
        "MessageSid": message.sid,
        "NumMedia": "0",
        "NumSegments": str(message.segments),
        "SmsMessageSid": message.sid,
        "SmsSid": message.sid,
        "SmsStatus": "received",
        "To": join_address(channel, peer),
    }
    if channel == "WHATSAPP":
        fields |= {"WaId": number.removeprefix("+"), "MessageType": "text"}
    store.plan(message.sid, [(0.0, "", fields)], url=url)
    return message


def split_address(address: str) -> tuple[str, str]:
    """``whatsapp:+966…`` → ("WHATSAPP", "+966…")."""
    bare = address.removeprefix("whatsapp:")
    return ("SMS" if bare == address else "WHATSAPP"), bare


def join_address(channel: str, address: str) -> str:
    return f"whatsapp:{address}" if channel == "WHATSAPP" else address


def _date(at: float) -> str:
    return format_datetime(dt.datetime.fromtimestamp(at, dt.UTC))


def _moment(text: str) -> float:
    if not text:
        return 0.0
    moment = dt.datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)).timestamp()
