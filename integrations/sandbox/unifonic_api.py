"""The two calls of Unifonic's SMS service that our adapter uses, with its traps. It never calls back: not over HTTP."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from integrations.sandbox import account
from integrations.sandbox.magic import Trick, trick_of
from integrations.sandbox.store import Message, Store
from integrations.sandbox.twilio_api import Delays
from notifications import segments

# Its ids need more than 32 bits.
_FIRST_ID = 42_000_000_000_000
_WORDS = {
    "accepted": "Queued",
    "queued": "Queued",
    "sent": "Sent",
    "delivered": "Delivered",
    "undelivered": "Undelivered",
}


def send(store: Store, form: Mapping[str, str], delays: Delays) -> tuple[int, dict[str, Any]]:
    """(HTTP status, answer)."""
    number = f"+{form.get('Recipient', '')}"
    trick = trick_of(number)
    if form.get("AppSid") != account.SID:
        return 401, _refused("401", "Authentication failed")
    if not form.get("Body"):
        return 449, _refused("ER-06", "Message body is empty")
    if trick is Trick.INVALID or not number[1:].isdigit():
        # The trap: a refusal with status 200, and success as a text.
        return 200, _refused("ER-02", "Invalid number")
    if trick is Trick.TOO_MANY:
        return 429, _refused("429", "Too many requests")
    if trick is Trick.FAILS_ONCE and store.is_first_try(f"{number} {form['Body']}"):
        return 599, _refused("599", "Request failed")
    message = store.add_message(
        direction="outbound-api",
        channel="SMS",
        number=number,
        peer=form.get("SenderID", ""),
        body=form["Body"],
        status="queued",
        segments=segments.count(form["Body"]).parts,
        reference=form.get("CorrelationID", ""),
    )
    end = "undelivered" if trick is Trick.UNDELIVERED else "delivered"
    store.plan(message.sid, [(delays.sent, "sent", {}), (delays.delivered, end, {})], url="")
    return 200, _accepted({**_row(message), "NumberOfUnits": 0, "Balance": 0})


def details(store: Store, form: Mapping[str, str]) -> tuple[int, dict[str, Any]]:
    """Messages by CorrelationID or MessageID."""
    if form.get("AppSid") != account.SID:
        return 401, _refused("401", "Authentication failed")
    if "MessageID" in form:
        if not form["MessageID"].isdigit():
            return 432, _refused("432", "MessageId must be numeric")
        found = store.messages_by_seq(int(form["MessageID"]) - _FIRST_ID)
    else:
        found = store.messages_by_reference(form.get("CorrelationID", ""))
    rows = [{**_row(message), "MessageBody": message.body, "DLR": _WORDS.get(message.status, "")} for message in found]
    return 200, _accepted(
        {"messages": rows, "CurrencyCode": "", "TotalTextMessages": len(rows), "Next": "", "Prev": ""}
    )


def _row(message: Message) -> dict[str, Any]:
    return {
        "MessageID": _FIRST_ID + message.seq,
        "CorrelationID": message.reference,
        "Status": "Queued" if message.status == "queued" else "Sent",
        "NumberOfUnits": message.segments,
        "Cost": 0,
        "SenderID": message.peer,
        "Recipient": message.number.removeprefix("+"),
        "DateCreated": dt.datetime.fromtimestamp(message.created_at, dt.UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3],
        "CurrencyCode": "",
    }


def _accepted(data: dict[str, Any]) -> dict[str, Any]:
    return {"success": "true", "message": "", "errorCode": "ER-00", "data": data}


def _refused(code: str, message: str) -> dict[str, Any]:
    return {"success": "false", "message": message, "errorCode": code, "data": {}}
