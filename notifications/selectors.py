"""Reads of messages: one message with all that its page shows, the latest of an object, what is due.

The list and its filters are in ``message_filters.py``.

Returns QuerySets where it can. Writes nothing.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable

from django.db.models import OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.utils import timezone

from core.models import Patient, Tenant
from core.tenancy import system_scope
from notifications.models import InboundMessage, Message, MessageAttempt, MessageLog, SuppressedAddress
from notifications.states import CANCELLABLE, Channel, Status

# The patient has not got it, and nobody will try again without a person.
PROBLEMS = frozenset({Status.FAILED, Status.BOUNCED, Status.UNCONFIRMED})
# A phone that is on gets a WhatsApp message within seconds.
STUCK_AFTER = dt.timedelta(hours=1)
# When a message left the house, or may have: the moment itself is noted once the provider has answered, so of one that is
# UNCONFIRMED or SENDING the row's last move counts.
LEFT_AT = Coalesce("sent_at", "updated_at")
# It reached the patient, or is on its way.
UNDER_WAY = frozenset({Status.QUEUED, Status.SENDING, Status.SENT, Status.DELIVERED, Status.READ})


def message_in_full() -> QuerySet[Message]:
    """Messages with everything that the message's own page shows about the row itself."""
    return Message.objects.select_related("patient__tenant", "guardian", "user", "template", "sent_by", "event", "bulk")


def timeline(message: Message) -> list[MessageLog]:
    """Every row of the log, the first first."""
    return list(MessageLog.objects.filter(message=message).select_related("actor").order_by("position"))


def attempts_of(message: Message) -> list[MessageAttempt]:
    """Every call of a provider for it, the first first."""
    return list(MessageAttempt.objects.filter(message=message).order_by("number"))


def is_stuck(message: Message) -> bool:
    """WhatsApp took it and has said nothing since. A recipient who blocks the sender looks like that for ever."""
    return (
        message.channel == Channel.WHATSAPP
        and message.status == Status.SENT
        and message.sent_at is not None
        and timezone.now() - message.sent_at > STUCK_AFTER
    )


def left_at(message: Message) -> dt.datetime:
    """``LEFT_AT`` of a row that is at hand."""
    return message.sent_at or message.updated_at


def copies_of(message: Message) -> QuerySet[Message]:
    """The same news to the same patient over other channels: fallbacks, and the event's other slots."""
    same = Q(conversation_id=message.conversation_id)
    if message.event_id is not None:
        same |= Q(event_id=message.event_id)
    # The person comes first: conversations have no index of their own.
    person = {"patient_id": message.patient_id, "user_id": message.user_id}
    return Message.objects.filter(same, **person).exclude(pk=message.pk).order_by("created_at")


def replies_to(message: Message) -> QuerySet[InboundMessage]:
    return InboundMessage.objects.filter(in_reply_to=message).order_by("created_at")


def messages_of(patient: Patient) -> QuerySet[Message]:
    """What was written to a patient or their guardian, the latest first."""
    return Message.objects.filter(patient=patient).select_related("template").order_by("-created_at", "-pk")


def replies_of(patient: Patient) -> QuerySet[InboundMessage]:
    return InboundMessage.objects.filter(patient=patient).order_by("-created_at", "-pk")


def suppressed(addresses: Iterable[str]) -> QuerySet[SuppressedAddress]:
    """The channels that are stopped for these addresses, with the message that showed it."""
    known = [address for address in addresses if address]
    rows = SuppressedAddress.objects.filter(address__in=known, lifted_at=None).select_related("message")
    return rows.order_by("channel", "-created_at")


def by_object(object_ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, list[Message]]:
    """The patients' messages about each of these objects, the latest first; objects without one are missing."""
    found: dict[uuid.UUID, list[Message]] = {}
    rows = Message.objects.filter(object_id__in=list(object_ids), patient__isnull=False).order_by("-created_at", "-pk")
    for message in rows:
        if message.object_id is not None:
            found.setdefault(message.object_id, []).append(message)
    return found


def latest_news(messages: list[Message]) -> list[Message]:
    """The copies of the latest news among one object's messages (see ``by_object``): one event, or one message."""
    if not messages:
        return []
    first = messages[0]
    if first.event_id is None:
        return [first]
    return [message for message in messages if message.event_id == first.event_id]


def untold(news: list[Message]) -> Message | None:
    """The message to show when the latest news reached nobody over any channel; None when some copy is under way."""
    if not news or any(message.status in UNDER_WAY for message in news):
        return None
    if any(message.status == Status.FAILED and message.next_attempt_at is not None for message in news):
        return None
    return next((message for message in news if message.status in PROBLEMS), news[0])


def telling(messages: list[Message]) -> Message | None:
    """Of the copies of one object's latest news (see ``by_object``), the one that got furthest."""
    rank = [Status.READ, Status.DELIVERED, Status.SENT, Status.SENDING, Status.QUEUED]
    return min(
        latest_news(messages),
        key=lambda copy: rank.index(Status(copy.status)) if copy.status in rank else len(rank),
        default=None,
    )


def due(lane: int, now: dt.datetime) -> QuerySet[Message]:
    """What the open scope's tenant has to send in a lane: queued, or failed with a retry that is due."""
    return Message.objects.filter(lane=lane, status__in=CANCELLABLE, next_attempt_at__lte=now)


def tenants_with_due(lane: int, now: dt.datetime) -> list[uuid.UUID]:
    """The active tenants that have something to send in a lane: one index probe each."""
    with system_scope("whose turn it is; the rows themselves are claimed in their tenant's scope"):
        # The first row by the index's own order: an EXISTS is turned into a join that reads the whole backlog.
        first = due(lane, now).filter(tenant=OuterRef("pk")).order_by("next_attempt_at").values("pk")[:1]
        waiting = Tenant.objects.filter(is_active=True).annotate(first_due=Subquery(first))
        return list(waiting.filter(first_due__isnull=False).values_list("pk", flat=True))


def tenants_to_ask_about(now: dt.datetime) -> list[uuid.UUID]:
    """The active tenants that have messages about which a provider is to be asked."""
    with system_scope("whose turn it is; the rows themselves are claimed in their tenant's scope"):
        waiting = Message.objects.filter(next_check_at__lte=now, tenant__is_active=True)
        return list(waiting.order_by().values_list("tenant", flat=True).distinct())


def attempts_alike(*, channel: str, recipient: str, body: str, since: dt.datetime) -> QuerySet[MessageAttempt]:
    """Attempts of any tenant to hand over the same words for the same address, begun after ``since``.

    For telling copies apart in a provider's list: the account there is the house's, and the list knows no tenants.
    """
    with system_scope("a provider's list holds the messages of all tenants"):
        return MessageAttempt.objects.filter(
            message__channel=channel, message__recipient=recipient, message__body=body, started_at__gte=since
        )


def tenant_of_message(message_id: uuid.UUID) -> uuid.UUID | None:
    """Whose message it is; None when there is none. For tasks and commands, which have its id and no tenant."""
    with system_scope("a task carries the message's id only"):
        return Message.objects.filter(pk=message_id).values_list("tenant_id", flat=True).first()
