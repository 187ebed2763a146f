"""Conversations: one row a number, written here only. What waits in them for a person, who looks after it, when it is done.

A conversation's row is locked while one of its replies is understood, so two that come at once are read one after the
other. Needs the tenant's scope open.
"""

from __future__ import annotations

import datetime as dt
import itertools
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter

from django.db import transaction
from django.db.models import F, QuerySet
from django.utils import timezone

from core import audit
from core.access import Can
from core.models import User
from core.permissions import NotAllowed, demand
from notifications import desk_tasks
from notifications.models import Conversation, InboundMessage, Message
from notifications.questions import Thing, as_json, from_json
from notifications.states import Channel, TaskKind
from notifications.whatsapp_approval import WINDOW

State = Conversation.State
# An answer to “which one?” that comes later than this answers something else.
ASKED_FOR = dt.timedelta(hours=24)
# So many messages of a conversation are on its page.
SHOWN = 60
_PHONE = (Channel.SMS, Channel.WHATSAPP)
_KINDS = (TaskKind.REPLY, TaskKind.EMERGENCY)


def locked_for(reply: InboundMessage) -> Conversation:
    """The number's conversation, locked; made with its first reply."""
    Conversation.objects.get_or_create(
        tenant_id=reply.tenant_id,
        address=reply.sender,
        defaults={"channel": reply.channel, "patient_id": reply.patient_id, "last_reply_at": reply.created_at},
    )
    row = Conversation.objects.select_for_update().get(address=reply.sender)
    row.channel = reply.channel
    row.patient_id = reply.patient_id or row.patient_id
    row.last_reply_at = max(row.last_reply_at, reply.created_at)
    row.save(update_fields=["channel", "patient", "last_reply_at"])
    return row


def wait_for_person(conversation: Conversation, reply: InboundMessage, *, is_urgent: bool = False) -> None:
    """Somebody has to read it: it counts as unread, and is on the desk's list once, however many follow."""
    Conversation.objects.filter(pk=conversation.pk).update(state=State.OPEN, unread=F("unread") + 1)
    desk_tasks.open_task(
        TaskKind.EMERGENCY if is_urgent else TaskKind.REPLY,
        tenant_id=conversation.tenant_id,
        key=str(conversation.pk),
        patient=reply.patient,
        obj=conversation,
        is_urgent=is_urgent,
    )


def note_asked(conversation: Conversation, *, meaning: str, things: Sequence[Thing], now: dt.datetime) -> None:
    """“Which one?” has been asked, about these in this order."""
    conversation.pending = {"meaning": meaning, "things": as_json(things)}
    conversation.pending_at = now
    conversation.save(update_fields=["pending", "pending_at"])


def note_answered(conversation: Conversation) -> None:
    if conversation.pending:
        conversation.pending, conversation.pending_at = {}, None
        conversation.save(update_fields=["pending", "pending_at"])


def asked_about(conversation: Conversation, now: dt.datetime) -> tuple[str, list[Thing]]:
    """What “which one?” was asked for and about; nothing when it was not, or too long ago."""
    at = conversation.pending_at
    if not conversation.pending or at is None or now - at > ASKED_FOR:
        return "", []
    return str(conversation.pending["meaning"]), from_json(conversation.pending["things"])


def note_warned(conversation: Conversation, now: dt.datetime) -> None:
    conversation.warned_at = now
    conversation.save(update_fields=["warned_at"])


# --- what people do --------------------------------------------------------------------------------------------------


@transaction.atomic
def assign(*, conversation: Conversation, actor: User, to: User | None) -> None:
    """Who looks after it; nobody in particular without ``to``."""
    demand(actor, Can.SEND_MESSAGES, conversation)
    if to is not None and (to.tenant_id != conversation.tenant_id or not to.is_active):
        raise NotAllowed
    row = Conversation.objects.select_for_update().get(pk=conversation.pk)
    if to is not None and row.unread:
        row.unread = 0
        row.save(update_fields=["unread"])
    if row.assigned_to_id == (to.pk if to else None):
        return
    before = row.assigned_to_id
    row.assigned_to = to
    row.save(update_fields=["assigned_to"])
    audit.record(
        tenant_id=row.tenant_id,
        actor=actor,
        action="conversation.assigned",
        obj=row,
        before={"assigned_to": str(before) if before else ""},
        after={"assigned_to": str(to.pk) if to else ""},
    )


def note_replied(*, conversation: Conversation, actor: User) -> None:
    """Somebody has answered: nothing is unread, and it is theirs unless a colleague has it."""
    row = Conversation.objects.filter(pk=conversation.pk)
    row.filter(assigned_to=None).update(assigned_to=actor)
    row.update(unread=0)


@transaction.atomic
def done(*, conversation: Conversation, actor: User) -> bool:
    """Nothing more to do; its tasks end with it. False when somebody was faster."""
    demand(actor, Can.SEND_MESSAGES, conversation)
    changed = Conversation.objects.filter(pk=conversation.pk, state=State.OPEN).update(state=State.DONE, unread=0)
    for task in desk_tasks.open_about(conversation.pk, _KINDS):
        desk_tasks.complete(task=task, actor=actor)
    if changed:
        audit.record(tenant_id=conversation.tenant_id, actor=actor, action="conversation.done", obj=conversation)
    return bool(changed)


# --- reading ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Line:
    """One message of a conversation, from either side."""

    at: dt.datetime
    is_reply: bool
    row: InboundMessage | Message


def listed(*, show: str = "open", user: User | None = None) -> QuerySet[Conversation]:
    """``open``, ``mine`` or ``all``, the latest reply first."""
    rows = Conversation.objects.select_related("patient", "assigned_to").order_by("-last_reply_at", "-pk")
    if show == "all":
        return rows
    rows = rows.filter(state=State.OPEN)
    return rows.filter(assigned_to=user) if show == "mine" else rows


def thread(conversation: Conversation) -> list[Line]:
    """The last messages with that number in their order: by SMS and WhatsApp, from both sides."""
    replies = InboundMessage.objects.filter(sender=conversation.address).order_by("-created_at")[:SHOWN]
    ours = (
        Message.objects.filter(recipient=conversation.address, channel__in=_PHONE, patient__isnull=False)
        .select_related("sent_by", "patient")
        .order_by("-created_at")[:SHOWN]
    )
    lines = [Line(row.created_at, is_reply=True, row=row) for row in replies]
    lines += [Line(row.created_at, is_reply=False, row=row) for row in ours]
    return list(itertools.islice(sorted(lines, key=attrgetter("at"), reverse=True), SHOWN))[::-1]


def last_message(conversation: Conversation, channel: str = "") -> Message | None:
    """The last one of ours to that number, over that channel or any; it says whom the number is known as."""
    rows = Message.objects.filter(
        recipient=conversation.address, channel__in=[channel] if channel else _PHONE, patient__isnull=False
    ).exclude(sent_at=None)
    return rows.select_related("patient__tenant").order_by("-created_at").first()


def patients_in(lines: Sequence[Line]) -> list[uuid.UUID]:
    """Whose messages stand there: a family's number has several."""
    return list(dict.fromkeys(line.row.patient_id for line in lines if line.row.patient_id is not None))


def window_until(conversation: Conversation) -> dt.datetime | None:
    """Until when WhatsApp takes free words: a day after the patient's last message there. None: not now."""
    last = (
        InboundMessage.objects.filter(sender=conversation.address, channel=Channel.WHATSAPP)
        .order_by("-created_at")
        .values_list("created_at", flat=True)
        .first()
    )
    until = last + WINDOW if last is not None else None
    return until if until is not None and until > timezone.now() else None
