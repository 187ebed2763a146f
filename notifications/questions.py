"""Which question does a reply answer? What was asked of a number, as it stands now; who carries an answer out is registered.

Messaging knows no visits: the app that does registers itself for its kind of object (``appointments/answers.py``). A
question is a message of one of the handler's events; it is open while the thing it asks about is as the message said.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from django.db.models import Q, QuerySet
from django.db.models.lookups import GreaterThan, GreaterThanOrEqual, LessThanOrEqual
from django.utils import timezone

from core.models import Location, Patient
from notifications.models import InboundMessage, Message, NotificationEvent
from notifications.rendering import Bilingual, Link
from notifications.reply_words import Meaning
from notifications.selectors import LEFT_AT, left_at
from notifications.states import Status

# An older message is no question any more; the visit it asked about is seldom still to come.
STAYS_OPEN = dt.timedelta(days=30)
# Questions of one day stand together on the phone: nobody can know which of them “1” answers.
TOGETHER = dt.timedelta(hours=24)
# Messages that are looked at: more than one family gets in a day.
_LOOKED_AT = 30
# Of these nobody knows yet whether they arrived; only what is known to have left has a ``sent_at``.
_MAY_HAVE_LEFT = (Status.UNCONFIRMED, Status.SENDING)
# It has left, or may have.
_LEFT = (Status.SENT, Status.DELIVERED, Status.READ, *_MAY_HAVE_LEFT)
# A reader may be faster than we note that it has left: no longer than a worker's lease.
NOTED_WITHIN = dt.timedelta(minutes=1)
# The beginning of the dedupe keys of our acknowledgements.
ANSWER_KEY = "reply:"


@dataclass(frozen=True, slots=True)
class Thing:
    """What was asked about, by the version that the message spoke of."""

    object_type: str
    object_id: uuid.UUID
    version: int


@dataclass(frozen=True, slots=True)
class Look:
    """A thing as it is now. ``can``: the answers it still takes in the version that was asked about.

    ``names``: the spellings of the person's name. ``line`` names it in a list, ``state`` says how it stands; both are
    whole phrases in both languages. ``link`` opens the patient's page of it.
    """

    thing: Thing
    patient: Patient
    location: Location | None
    can: frozenset[Meaning]
    is_dead: bool
    names: tuple[str, ...]
    line: Bilingual
    state: Bilingual
    link: Link | None
    starts_at: dt.datetime


class Handler(Protocol):
    """What an app does with answers about its objects. The tenant's scope is open."""

    # The events whose messages ask.
    asking: frozenset[str]

    def things_of(self, event: NotificationEvent) -> list[Thing]: ...

    def look(self, things: Collection[Thing]) -> dict[Thing, Look]: ...

    def act(self, thing: Thing, meaning: Meaning, reply: InboundMessage) -> bool:
        """Carries the answer out for that version. False when it came too late; ``look`` then says how it stands."""
        ...


_HANDLERS: dict[str, Handler] = {}


class DuplicateHandler(Exception):
    """Two handlers for one kind of object."""


def register(object_type: str, handler: Handler) -> None:
    """``object_type`` is the model's ``label_lower``."""
    if object_type in _HANDLERS:
        raise DuplicateHandler(object_type)
    _HANDLERS[object_type] = handler


def handler_of(thing: Thing) -> Handler:
    return _HANDLERS[thing.object_type]


def look(things: Sequence[Thing]) -> list[Look]:
    """The things as they are now, in the given order; those that are gone are missing."""
    found: dict[Thing, Look] = {}
    for object_type in {thing.object_type for thing in things}:
        found |= _HANDLERS[object_type].look([thing for thing in things if thing.object_type == object_type])
    return [found[thing] for thing in things if thing in found]


def messages_to(*, channel: str, address: str, ours: str) -> QuerySet[Message]:
    """What has gone to that number over that sender, or may have, the latest first. In the open scope, or over all of a
    system's.
    """
    return Message.objects.filter(
        sender_is(ours),
        Q(sent_at__isnull=False) | Q(status__in=_MAY_HAVE_LEFT),
        recipient=address,
        channel=channel,
        patient__isnull=False,
    ).order_by(LEFT_AT.desc())


def messages_asking(*, channel: str, address: str, ours: str, now: dt.datetime | None = None) -> QuerySet[Message]:
    """What was asked of that number over that sender until ``now``, the latest first. Scope as in ``messages_to``."""
    keys = {key for handler in _HANDLERS.values() for key in handler.asking}
    until = now or timezone.now()
    return (
        messages_to(channel=channel, address=address, ours=ours)
        .filter(GreaterThanOrEqual(LEFT_AT, until - STAYS_OPEN), LessThanOrEqual(LEFT_AT, until + NOTED_WITHIN))
        .filter(event__key__in=keys, status__in=_LEFT)
        .select_related("event", "patient__tenant")
    )


def sender_is(ours: str) -> Q:
    """Messages that left by this sender. Empty on the row: by the provider's default one."""
    return Q(sender__in=["", ours]) if ours else Q()


@dataclass(frozen=True, slots=True)
class Asked:
    """The questions that a reply can be about. ``latest``: of the last message alone, all of it, dead things too.

    ``looks``: everything that was asked about on that day, in the order in which it takes place; ``is_one_message``: the
    last message asked about all of it; ``is_chosen``: WhatsApp names it; ``is_followed``: the house has said something else
    since. ``is_elsewhere``: the reply is to something else, so no question is answered by it.
    """

    message: Message | None
    latest: tuple[Look, ...] = ()
    looks: tuple[Look, ...] = ()
    is_one_message: bool = False
    is_chosen: bool = False
    is_followed: bool = False
    is_elsewhere: bool = False

    @property
    def is_last_dead(self) -> bool:
        return bool(self.latest) and all(one.is_dead for one in self.latest)

    def taking(self, meaning: Meaning) -> list[Look]:
        return [one for one in self.looks if meaning in one.can]


def asked_of(reply: InboundMessage) -> Asked:
    """What the reply's number was asked last by this tenant. The message that WhatsApp names goes before all."""
    asking = messages_asking(channel=reply.channel, address=reply.sender, ours=reply.to, now=reply.created_at)
    if reply.replied_to_id:
        named = asking.filter(provider_message_id=reply.replied_to_id).first()
        if named is not None:
            looks = look(things_of(named))
            return Asked(named, tuple(looks), tuple(_in_order(looks)), is_one_message=True, is_chosen=True)
        if not _is_acknowledgement(reply):
            return Asked(None, is_elsewhere=True)
    rows = list(asking[:_LOOKED_AT])
    if not rows:
        return Asked(None)
    writers = _wrote_since(reply, rows[0])
    if any(writers):
        # Somebody has typed to that number after the question: “no” may well answer them.
        return Asked(rows[0], is_elsewhere=True)
    of_that_day = [row for row in rows if left_at(row) >= left_at(rows[0]) - TOGETHER]
    things: dict[tuple[str, uuid.UUID], Thing] = {}
    for row in of_that_day:
        for thing in things_of(row):
            # The latest message about a thing says which version of it was asked about.
            things.setdefault((thing.object_type, thing.object_id), thing)
    looks = look(list(things.values()))
    last = set(things_of(rows[0]))
    latest = [one for one in looks if one.thing in last]
    is_one = len(latest) == len(looks)
    in_order = tuple(_in_order(looks))
    return Asked(rows[0], tuple(latest), in_order, is_one_message=is_one, is_followed=bool(writers))


def _is_acknowledgement(reply: InboundMessage) -> bool:
    """The message that the patient chose is one of our own answers: “which one?”, or that something is confirmed."""
    chosen = reply.in_reply_to
    return (
        chosen is not None
        and chosen.provider_message_id == reply.replied_to_id
        and chosen.dedupe_key.startswith(ANSWER_KEY)
    )


def _wrote_since(reply: InboundMessage, question: Message) -> list[uuid.UUID | None]:
    """Who has written to that number between the question and the reply, acknowledgements aside; None is the house."""
    said = messages_to(channel=reply.channel, address=reply.sender, ours=reply.to)
    since, until = left_at(question), reply.created_at + NOTED_WITHIN
    said = said.filter(GreaterThan(LEFT_AT, since), LessThanOrEqual(LEFT_AT, until))
    return list(said.exclude(dedupe_key__startswith=ANSWER_KEY).values_list("sent_by_id", flat=True)[:_LOOKED_AT])


def is_in_talk(reply: InboundMessage) -> bool:
    """What the number was told last was an answer to it, or typed by a person: whoever reads there is known by now."""
    said = messages_to(channel=reply.channel, address=reply.sender, ours=reply.to)
    last = said.filter(LessThanOrEqual(LEFT_AT, reply.created_at + NOTED_WITHIN)).first()
    return last is not None and (last.sent_by_id is not None or last.dedupe_key.startswith(ANSWER_KEY))


def things_of(message: Message) -> list[Thing]:
    event = message.event
    if event is None:
        return []
    return next((one.things_of(event) for one in _HANDLERS.values() if event.key in one.asking), [])


def has_new_question(reply: InboundMessage, since: dt.datetime) -> bool:
    """Something was asked of the number after that moment, before the reply."""
    asking = messages_asking(channel=reply.channel, address=reply.sender, ours=reply.to, now=reply.created_at)
    return asking.filter(GreaterThan(LEFT_AT, since)).exists()


def as_json(things: Sequence[Thing]) -> list[list[Any]]:
    return [[thing.object_type, str(thing.object_id), thing.version] for thing in things]


def from_json(rows: Sequence[Sequence[Any]]) -> list[Thing]:
    return [Thing(str(kind), uuid.UUID(str(pk)), int(version)) for kind, pk, version in rows if kind in _HANDLERS]


def _in_order(looks: Sequence[Look]) -> list[Look]:
    return sorted(looks, key=lambda one: (one.starts_at, one.names))
