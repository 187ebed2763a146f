"""The sandbox page, made ready for its template: the list, and the phone or mailbox that is open."""

from __future__ import annotations

import datetime as dt
import hashlib
import itertools
import json
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from email.utils import parseaddr
from typing import Any
from urllib.parse import urlencode

from django.utils import timezone
from django.utils.safestring import SafeString

from integrations.links import link_text
from integrations.sandbox import client
from notifications import markup
from notifications.states import Channel

# The provider's status → the tick beside a message: (icon, name).
_TICKS = {
    "accepted": "waiting",
    "queued": "waiting",
    "sending": "waiting",
    "sent": "sent",
    "delivered": "delivered",
    "read": "read",
}
_LOST = {"failed", "undelivered"}


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the list. ``query`` opens it."""

    kind: str
    address: str
    preview: str
    channel: str
    at: dt.datetime
    query: str
    is_current: bool


@dataclass(frozen=True, slots=True)
class Bubble:
    """One message on the phone. ``tick`` is empty for a reply; a lost one shows only its error code."""

    html: SafeString
    at: dt.datetime
    direction: str
    is_reply: bool
    tick: str
    lost_code: str


@dataclass(frozen=True, slots=True)
class Day:
    """The messages of one day."""

    day: dt.date
    bubbles: list[Bubble]


@dataclass(frozen=True, slots=True)
class App:
    """SMS or WhatsApp on that phone. ``query`` opens it."""

    channel: str
    query: str
    is_current: bool


@dataclass(frozen=True, slots=True)
class Phone:
    """``peer`` is who wrote: a name or a number. ``direction`` is that of the latest message."""

    number: str
    channel: str
    apps: list[App]
    peer: str
    direction: str
    days: list[Day]
    last_at: dt.datetime | None

    @property
    def is_whatsapp(self) -> bool:
        return self.channel == Channel.WHATSAPP

    @property
    def peer_is_number(self) -> bool:
        return self.peer.startswith("+")


@dataclass(frozen=True, slots=True)
class Mail:
    id: int
    sender_name: str
    sender_address: str
    subject: str
    html: SafeString
    preview: str
    direction: str
    at: dt.datetime
    query: str


@dataclass(frozen=True, slots=True)
class Mailbox:
    """``opened`` is the mail that is asked for, else the latest."""

    address: str
    mails: list[Mail]
    opened: Mail | None


@dataclass(frozen=True, slots=True)
class Screen:
    """What the page shows. ``tag`` changes whenever something on it does."""

    is_down: bool = False
    entries: list[Entry] = field(default_factory=list)
    phone: Phone | None = None
    mailbox: Mailbox | None = None
    tag: str = ""

    @property
    def query(self) -> str:
        """What is open now, for the refresh."""
        if self.phone:
            return urlencode({"phone": self.phone.number, "app": self.phone.channel})
        if self.mailbox:
            opened = {"mail": self.mailbox.opened.id} if self.mailbox.opened else {}
            return urlencode({"mailbox": self.mailbox.address, **opened})
        return ""


def load(*, phone: str = "", app: str = "", mailbox: str = "", mail: str = "", open_latest: bool = False) -> Screen:
    """Asks the sandbox. ``open_latest``: with nothing asked for, the first of the list is open."""
    try:
        listed = client.conversations()
        if open_latest and listed and not (phone or mailbox):
            phone = listed[0]["address"] if listed[0]["kind"] == "phone" else ""
            mailbox = "" if phone else listed[0]["address"]
        messages = client.messages_of(phone, is_open=False) if phone else []
        app = _app(messages, app)
        if phone and app == Channel.WHATSAPP:
            messages = client.messages_of(phone, is_open=True)
        mails = client.mails_of(mailbox) if mailbox else []
    except client.SandboxDown:
        return Screen(is_down=True, tag="down")
    read = json.dumps([listed, messages, mails, phone, app, mailbox, mail], sort_keys=True)
    return Screen(
        entries=[_entry(row, current=phone or mailbox) for row in listed],
        phone=_phone(phone, app, messages) if phone else None,
        mailbox=_mailbox(mailbox, mails, mail) if mailbox else None,
        tag=hashlib.sha256(read.encode()).hexdigest()[:16],
    )


def _app(messages: list[dict[str, Any]], wanted: str) -> str:
    """The app that is open: the one asked for, else the one that got the latest message."""
    if wanted in (Channel.SMS, Channel.WHATSAPP):
        return wanted
    return str(messages[-1]["channel"]) if messages else str(Channel.SMS)


def _entry(row: dict[str, Any], *, current: str) -> Entry:
    return Entry(
        kind=row["kind"],
        address=row["address"],
        preview=markup.plain(" ".join(row["preview"].split())[:120], row["channel"]),
        channel=row["channel"],
        at=_moment(row["at"]),
        query=urlencode({"phone" if row["kind"] == "phone" else "mailbox": row["address"]}),
        is_current=row["address"] == current,
    )


def _phone(number: str, app: str, messages: list[dict[str, Any]]) -> Phone:
    used = [channel for channel in (Channel.SMS, Channel.WHATSAPP) if any(m["channel"] == channel for m in messages)]
    mine = [message for message in messages if message["channel"] == app]
    incoming = [message for message in mine if message["direction"] != "inbound"]
    bubbles = [_bubble(message) for message in mine]
    return Phone(
        number=number,
        channel=app,
        apps=[App(str(one), urlencode({"phone": number, "app": str(one)}), is_current=one == app) for one in used],
        peer=incoming[-1]["peer"] if incoming else "",
        direction=direction_of(incoming[-1]["body"]) if incoming else "ltr",
        days=_by_day(bubbles),
        last_at=bubbles[-1].at if bubbles else None,
    )


def _by_day(bubbles: Iterable[Bubble]) -> list[Day]:
    days = itertools.groupby(bubbles, key=lambda bubble: timezone.localdate(bubble.at))
    return [Day(day, list(of_day)) for day, of_day in days]


def _bubble(message: dict[str, Any]) -> Bubble:
    is_reply = message["direction"] == "inbound"
    return Bubble(
        html=markup.as_shown(link_text(message["body"]), message["channel"]),
        at=_moment(message["created_at"]),
        direction=direction_of(message["body"]),
        is_reply=is_reply,
        tick="" if is_reply else _TICKS.get(message["status"], ""),
        lost_code=message["error_code"] if message["status"] in _LOST else "",
    )


def _mailbox(address: str, mails: list[dict[str, Any]], wanted: str) -> Mailbox:
    found = [_mail(row) for row in mails]
    opened = next((mail for mail in found if str(mail.id) == wanted), found[0] if found else None)
    return Mailbox(address=address, mails=found, opened=opened)


def _mail(row: dict[str, Any]) -> Mail:
    name, sender = parseaddr(row["sender"])
    is_arabic = row["language"].startswith("ar") if row["language"] else direction_of(row["text"]) == "rtl"
    return Mail(
        id=row["id"],
        sender_name=name or sender,
        sender_address=sender,
        subject=row["subject"],
        html=link_text(row["text"].strip()),
        preview=" ".join(row["text"].split())[:100],
        direction="rtl" if is_arabic else "ltr",
        at=_moment(row["created_at"]),
        query=urlencode({"mailbox": row["mailbox"], "mail": row["id"]}),
    )


def direction_of(text: str) -> str:
    """By the first letter that has a direction, as a phone decides."""
    for char in text:
        kind = unicodedata.bidirectional(char)
        if kind in ("R", "AL"):
            return "rtl"
        if kind == "L":
            return "ltr"
    return "ltr"


def _moment(at: float) -> dt.datetime:
    return dt.datetime.fromtimestamp(at, dt.UTC)
