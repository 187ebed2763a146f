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
from django.utils import timezone

from core.models import Location, Patient
from notifications.models import InboundMessage, Message, NotificationEvent
from notifications.rendering import Bilingual, Link
from notifications.reply_words import Meaning
from notifications.states import Status

# An older message is no question any more; the visit it asked about is seldom still to come.
STAYS_OPEN = dt.timedelta(days=30)
# Questions of one day stand together on the phone: nobody can know which of them “1” answers.
TOGETHER = dt.timedelta(hours=24)
# Messages that are looked at: more than one family gets in a day.
_LOOKED_AT = 30
# It has left, or may have.
_LEFT = (Status.SENT, Status.DELIVERED, Status.READ, Status.UNCONFIRMED, Status.SENDING)


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


def messages_asking(*, channel: str, address: str, ours: str, now: dt.datetime | None = None) -> QuerySet[Message]:
    """What was asked of that number over that sender, the latest first. In the open scope, or over all of a system's."""
    keys = {key for handler in _HANDLERS.values() for key in handler.asking}
    since = (now or timezone.now()) - STAYS_OPEN
    return (
        Message.objects.filter(
            sender_is(ours),
            recipient=address,
            channel=channel,
            patient__isnull=False,
            event__key__in=keys,
            sent_at__gte=since,
            status__in=_LEFT,
        )
        .select_related("event", "patient__tenant")
        .order_by("-sent_at")
    )


def sender_is(ours: str) -> Q:
    """Messages that left by this sender. Empty on the row: by the provider's default one."""
    return Q(sender__in=["", ours]) if ours else Q()


@dataclass(frozen=True, slots=True)
class Asked:
    """The questions that a reply can be about. ``latest``: of the last message alone, all of it, dead things too.

    ``looks``: everything that was asked about on that day, in the order in which it takes place; ``is_one_message``: the
    last message asked about all of it.
    """

    message: Message | None
    latest: tuple[Look, ...] = ()
    looks: tuple[Look, ...] = ()
    is_one_message: bool = False

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
            return Asked(named, tuple(looks), tuple(_in_order(looks)), is_one_message=True)
    rows = list(asking[:_LOOKED_AT])
    if not rows:
        return Asked(None)
    first = rows[0].sent_at or reply.created_at
    of_that_day = [row for row in rows if row.sent_at is not None and row.sent_at >= first - TOGETHER]
    things: dict[tuple[str, uuid.UUID], Thing] = {}
    for row in of_that_day:
        for thing in things_of(row):
            # The latest message about a thing says which version of it was asked about.
            things.setdefault((thing.object_type, thing.object_id), thing)
    looks = look(list(things.values()))
    last = set(things_of(rows[0]))
    latest = [one for one in looks if one.thing in last]
    return Asked(rows[0], tuple(latest), tuple(_in_order(looks)), is_one_message=len(latest) == len(looks))


def things_of(message: Message) -> list[Thing]:
    event = message.event
    if event is None:
        return []
    return next((one.things_of(event) for one in _HANDLERS.values() if event.key in one.asking), [])


def has_new_question(reply: InboundMessage, since: dt.datetime) -> bool:
    """Something was asked of the number after that moment."""
    asking = messages_asking(channel=reply.channel, address=reply.sender, ours=reply.to)
    return asking.filter(sent_at__gt=since).exists()


def as_json(things: Sequence[Thing]) -> list[list[Any]]:
    return [[thing.object_type, str(thing.object_id), thing.version] for thing in things]


def from_json(rows: Sequence[Sequence[Any]]) -> list[Thing]:
    return [Thing(str(kind), uuid.UUID(str(pk)), int(version)) for kind, pk, version in rows if kind in _HANDLERS]


def _in_order(looks: Sequence[Look]) -> list[Look]:
    return sorted(looks, key=lambda one: (one.starts_at, one.names))
