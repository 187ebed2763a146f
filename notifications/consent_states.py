"""The closed lists of consents, and the one rule that says what a patient has agreed to. Data and pure functions.

A consent is given for a purpose, over one channel or (an empty channel) over all. The latest word counts; where two were
said at one moment, the stricter. ``Held`` is what a preference row keeps of the records, so that a batch of a thousand
messages needs no further query: purpose → channel → (status, said at, valid until).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import TypeAlias

from django.db import models
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext_lazy as _

from notifications.states import NotificationType

Entry: TypeAlias = tuple[str, str, str | None] | list[str | None]
Held: TypeAlias = Mapping[str, Mapping[str, Entry]]


class Purpose(models.TextChoices):
    CARE = "care_messages", _("Messages about the care")
    AWARENESS = "awareness", _("Health awareness")
    PROMOTION = "promotion", _("Offers and marketing")
    WHATSAPP = "whatsapp", _("Messages on WhatsApp")


class ConsentStatus(models.TextChoices):
    GRANTED = "granted", _("Agreed")
    REFUSED = "refused", _("Refused")
    WITHDRAWN = "withdrawn", _("Withdrawn")
    EXPIRED = "expired", _("Expired")
    NONE = "none", _("Never asked")


class Method(models.TextChoices):
    """How it was said."""

    STAFF = "staff", _("Told the staff")
    PAPER = "paper", _("Signed on paper")
    PAGE = "page", _("On the page of preferences")
    ONE_CLICK = "one_click", _("Unsubscribed in the mail program")
    REPLY = "reply", _("Replied to a message")
    PORTAL = "portal", _("In the patient's own view")
    MERGE = "merge", _("Taken over from a merged file")
    CARRIED = "carried", _("Set before consents were recorded")


class OptAct(models.TextChoices):
    STOP = "STOP", _("Stop")
    START = "START", _("Start again")


class OptSource(models.TextChoices):
    """Where a stop or a start came from."""

    REPLY = "reply", _("Reply to a message")
    PAGE = "page", _("Page of preferences")
    ONE_CLICK = "one_click", _("Unsubscribed in the mail program")
    STAFF = "staff", _("Told the staff")
    PROVIDER = "provider", _("Reported by the provider")


# Never without a yes (PDPL Art. 25). The others rest on the care itself: only a no stops them.
NEED_A_YES = frozenset({Purpose.AWARENESS, Purpose.PROMOTION})
NO = frozenset({ConsentStatus.REFUSED, ConsentStatus.WITHDRAWN})
# What stays when two files become one: the first of these that one of them has.
STRICTEST_FIRST = (
    ConsentStatus.WITHDRAWN,
    ConsentStatus.REFUSED,
    ConsentStatus.EXPIRED,
    ConsentStatus.NONE,
    ConsentStatus.GRANTED,
)
_PURPOSES: Mapping[str, Purpose] = {
    NotificationType.AWARENESS: Purpose.AWARENESS,
    NotificationType.MARKETING: Purpose.PROMOTION,
}


def purpose_of(notification_type: str) -> Purpose:
    """What a message of that type needs the consent for."""
    return _PURPOSES.get(notification_type, Purpose.CARE)


def strictest(*statuses: str) -> ConsentStatus:
    return min(map(ConsentStatus, statuses), key=STRICTEST_FIRST.index)


def state(held: Held, purpose: str, channel: str, now: dt.datetime) -> ConsentStatus:
    """What holds for a purpose over a channel; an empty channel asks for the word about all of them."""
    by_channel = held.get(purpose, {})
    said = [by_channel[place] for place in {"", channel} if place in by_channel]
    if not said:
        return ConsentStatus.NONE
    # ISO 8601 in UTC with microseconds: the order of the texts is that of the moments.
    latest = max(str(entry[1]) for entry in said)
    return strictest(*(_status(entry, now) for entry in said if str(entry[1]) == latest))


def _status(entry: Entry, now: dt.datetime) -> str:
    status, _at, until = entry
    ends = parse_datetime(until) if until else None
    if status == ConsentStatus.GRANTED and ends is not None and ends <= now:
        return ConsentStatus.EXPIRED
    return str(status)


def entry(status: str, at: dt.datetime, until: dt.datetime | None) -> Entry:
    """A record as ``Held`` keeps it."""
    return (status, stamp(at), stamp(until) if until is not None else None)


def stamp(moment: dt.datetime) -> str:
    return moment.astimezone(dt.UTC).isoformat(timespec="microseconds")
