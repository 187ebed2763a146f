"""The table of event types: what is told to whom, over which slots, in which words.

An app registers its events from ``AppConfig.ready()``. A key that comes twice fails at start. The example of each
entry is rendered in both languages by a test.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from core.contacts import Contact
from core.models import Location, Patient, User
from notifications import address
from notifications.models import NotificationEvent
from notifications.states import Category, Channel, Lane, Level, NotificationType, Reason


class Audience(StrEnum):
    PATIENT = "patient"
    PROVIDER = "provider"
    FRONT_DESK = "front_desk"
    ADMIN = "admin"
    # Everybody who works here, or those an announcement is for.
    STAFF = "staff"


class Slot(StrEnum):
    """A place in the lifecycle table. MOBILE and PREFERRED choose their channel by the patient's preference."""

    MOBILE = "mobile"  # SMS or WhatsApp
    PREFERRED = "preferred"  # preferred channel first, then SMS, WhatsApp, email
    EMAIL = "email"
    IN_APP = "in_app"


@dataclass(frozen=True, slots=True)
class Subject:
    """What an event is about, read afresh each time it is asked: at fan-out and again at send.

    ``context`` holds the placeholders' values (see ``rendering``); ``refusal`` says why nothing may be sent now
    (appointment moved, cancelled, past); ``useful_until`` is the deadline of its messages. ``fold_key`` says what the
    bell gathers by, where that is not the event's object: the patient who has replied three times. ``is_answered``: what
    a critical bell asks for has happened by itself, nobody need acknowledge it. ``told_already``: who has done it by
    a reply and was answered there (a guardian's id, or “patient”); no SMS or WhatsApp message tells them again.
    ``by_phone_only``: it speaks of several who share a phone, and a letter would reach only one of them.
    """

    context: Mapping[str, Any]
    patient: Patient | None = None
    users: Mapping[Audience, Sequence[User]] = field(default_factory=dict)
    location: Location | None = None
    useful_until: dt.datetime | None = None
    refusal: Reason | None = None
    fold_key: str = ""
    is_answered: bool = False
    told_already: str = ""
    by_phone_only: bool = False
    # Who reads it instead of the patient's own readers, or why they must not; None: the patient's own.
    reader: Contact | str | None = None


@dataclass(frozen=True, slots=True)
class Words:
    """A default template: the words a new tenant starts with. ``subject`` is for email only."""

    channel: Channel
    body_en: str
    body_ar: str
    subject_en: str = ""
    subject_ar: str = ""


@dataclass(frozen=True, slots=True)
class Bell:
    """The in-app notification: its words, with the same placeholders as the messages, and how it behaves.

    ``is_critical``: goes further until somebody acknowledges it, whatever people have switched off.
    ``fold_within``: more of the same event about the same object (or ``Subject.fold_key``) join one row for so long.
    ``useful_for``: later than that after the event nobody is helped by it over another channel.
    """

    title_en: str
    title_ar: str
    body_en: str = ""
    body_ar: str = ""
    level: Level = Level.INFO
    category: Category = Category.GENERAL
    is_critical: bool = False
    fold_within: dt.timedelta | None = None
    useful_for: dt.timedelta | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """One audience of an event: its slots and its words."""

    audience: Audience
    slots: tuple[Slot, ...]
    words: tuple[Words, ...] = ()
    bell: Bell | None = None


@dataclass(frozen=True, slots=True)
class EventType:
    """One row of the table. ``describe`` reads the event's object; it runs inside the tenant's scope.

    ``refusal`` is the short form of ``describe`` for the check before each send, where only that is asked.
    ``live``: what the bell's text says changes while it lies there; object ids → the values as they are now, of those
    that are not over (``notifications/cards.py``).
    """

    key: str
    name_en: str
    name_ar: str
    notification_type: NotificationType
    deliveries: tuple[Delivery, ...]
    describe: Callable[[NotificationEvent], Subject]
    example: Mapping[str, Any]
    lane: Lane = Lane.TRANSACTIONAL
    refusal: Callable[[NotificationEvent], Reason | None] | None = None
    # Asked when the time of an event that has waited comes: True, if it is told with others, or a little later.
    gather: Callable[[NotificationEvent], bool] | None = None
    # Asked in quiet hours (``rest.py``): True, if its reader must be woken. What they did themselves need not be asked.
    wakes: Callable[[NotificationEvent], bool] | None = None
    # Called when the patient wants no messages at all, and so heard nothing: who must be told all the same is called.
    call: Callable[[NotificationEvent], None] | None = None
    # ``Subject.reader``, asked again before each send.
    reader: Callable[[NotificationEvent], Contact | str | None] | None = None
    live: Callable[[Sequence[uuid.UUID]], Mapping[uuid.UUID, Mapping[str, Any]]] | None = None

    def refusal_now(self, event: NotificationEvent) -> Reason | None:
        """Why nothing about the event may be sent any more; None: it still holds."""
        return self.refusal(event) if self.refusal is not None else self.describe(event).refusal

    def template_code(self, audience: Audience) -> str:
        return f"{self.key}.{audience.value}"


def letter(subject_en: str, subject_ar: str, en: str, ar: str) -> Words:
    """An email to a patient or guardian: greeting, text, how to reach us."""
    return Words(
        Channel.EMAIL,
        subject_en=subject_en,
        subject_ar=subject_ar,
        body_en=f"{{greeting}} {{recipient_name}},\n\n{en}\n\nWarm regards,\n{{clinic_name}}",
        body_ar=f"{{greeting}} {{recipient_name}}،\n\n{ar}\n\nمع أطيب التحيات،\n{{clinic_name}}",
    )


class DuplicateEvent(Exception):
    """Two entries with one key."""


_EVENTS: dict[str, EventType] = {}


def register(*entries: EventType) -> None:
    for entry in entries:
        if entry.key in _EVENTS:
            raise DuplicateEvent(entry.key)
        if any(delivery.audience is Audience.PATIENT for delivery in entry.deliveries):
            entry = replace(entry, example={**address.EXAMPLE, **entry.example})  # noqa: PLW2901  # with what all of them may say
        _EVENTS[entry.key] = entry


def get(key: str) -> EventType:
    """The entry; KeyError for a key nobody registered."""
    return _EVENTS[key]


def all_events() -> Iterator[EventType]:
    yield from _EVENTS.values()


def types_with_reader() -> set[str]:
    """The kinds of messages among which some event names its own reader."""
    return {entry.notification_type for entry in _EVENTS.values() if entry.reader is not None}
