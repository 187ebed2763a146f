"""What patients write back: stored once, tied to the last message that went to that number, and rung for.

A worker understands it (``integrations/reply_handling.py``); nothing is answered while the provider waits.
"""

from __future__ import annotations

import uuid
from typing import Any

import structlog
from django.db import transaction

from core.tenancy import system_scope, tenant_scope
from notifications import questions
from notifications.models import InboundMessage, Message
from notifications.reply_words import Meaning, read
from notifications.selectors import left_at

log = structlog.get_logger(__name__)

# What is said to a question. Everything else is said to whoever wrote last.
_ANSWERS = frozenset({Meaning.CONFIRM, Meaning.CANCEL, Meaning.CHANGE, Meaning.PICK, Meaning.ALL})


def receive(
    *,
    provider: str,
    channel: str,
    sender: str,
    to: str,
    body: str,
    provider_message_id: str,
    tenant_id: uuid.UUID | None = None,
    replied_to_id: str = "",
) -> InboundMessage | None:
    """Stores a reply. None when nobody of ours ever wrote to that number: then no tenant may see it.

    ``tenant_id``: it came over that tenant's own account, so it is no other's. ``sender`` and ``to`` are bare E.164.
    ``replied_to_id`` is the provider's id of the message that the patient chose to answer. A repeated call with the same
    provider's id returns the row that is there.
    """
    # PostgreSQL takes no NUL in a text.
    body = body.replace("\x00", "")
    if (there := _known(provider, provider_message_id, channel=channel, sender=sender, to=to)) is not None:
        return there
    last = _last_to(channel=channel, sender=sender, to=to, tenant_id=tenant_id, replied_to_id=replied_to_id, body=body)
    if last is None:
        log.warning("reply_from_unknown_number", provider=provider)
        return None
    with tenant_scope(last.tenant_id), transaction.atomic():
        reply, _is_new = InboundMessage.objects.get_or_create(
            tenant_id=last.tenant_id,
            provider=provider,
            provider_message_id=provider_message_id,
            defaults={
                "channel": channel,
                "sender": sender,
                "to": to,
                "is_shared": tenant_id is None,
                "body": body,
                "replied_to_id": replied_to_id[:80],
                "patient_id": last.patient_id,
                "in_reply_to": last,
            },
        )
    return reply


def _known(provider: str, provider_message_id: str, *, channel: str, sender: str, to: str) -> InboundMessage | None:
    """The same reply, come again: it stays with the clinic group that has it, whoever has written to the number since."""
    with system_scope("a reply that the provider brings twice"):
        writing = questions.messages_to(channel=channel, address=sender, ours=to).order_by().values("tenant")
        rows = InboundMessage.objects.filter(provider=provider, provider_message_id=provider_message_id)
        return rows.filter(tenant__in=writing.distinct()).first()


def _last_to(
    *, channel: str, sender: str, to: str, tenant_id: uuid.UUID | None, replied_to_id: str, body: str
) -> Message | None:
    """The message that is answered, however long ago it was: a STOP counts whenever it comes."""
    # A clinic group that is suspended answers nobody, so over a shared number it comes last.
    circles: list[dict[str, Any]] = [{"tenant__is_active": True}, {}] if tenant_id is None else [{"tenant": tenant_id}]
    is_answer = read(body).meaning in _ANSWERS
    with system_scope("the number tells the tenant: the last message that went there over that channel"):
        for theirs in circles:
            sent = questions.messages_to(channel=channel, address=sender, ours=to).filter(**theirs)
            chosen = sent.filter(provider_message_id=replied_to_id).first() if replied_to_id else None
            asking = questions.messages_asking(channel=channel, address=sender, ours=to).filter(**theirs)
            found = chosen or (asking.first() if is_answer else None) or sent.first()
            if found is not None:
                return found
    return None


def tenants_asking(reply: InboundMessage) -> list[uuid.UUID]:
    """The clinic groups that asked something of that number over the same sender on the day of the last question.

    More than one only where they share the provider's number: which of them is meant, the reply does not say.
    """
    if not reply.is_shared or reply.replied_to_id:
        return [reply.tenant_id]
    with system_scope("a shared number: whose question is answered"):
        asking = questions.messages_asking(
            channel=reply.channel, address=reply.sender, ours=reply.to, now=reply.created_at
        )
        rows = [(row.tenant_id, left_at(row)) for row in asking[:50]]
    if not rows:
        return [reply.tenant_id]
    return list(dict.fromkeys(tenant for tenant, at in rows if at >= rows[0][1] - questions.TOGETHER))


def tenants_writing_to(reply: InboundMessage) -> list[uuid.UUID]:
    """Who has ever written to that number over that sender: a STOP is meant for the sender, so for all of them."""
    if not reply.is_shared:
        return [reply.tenant_id]
    with system_scope("a STOP to a shared number is recorded by every clinic group that uses it"):
        rows = questions.messages_to(channel=reply.channel, address=reply.sender, ours=reply.to)
        return list({reply.tenant_id, *rows.order_by().values_list("tenant_id", flat=True).distinct()})


def unhandled(limit: int) -> list[tuple[uuid.UUID, uuid.UUID]]:
    """Replies that nobody has understood yet, the first first: (tenant, id)."""
    with system_scope("what has come in; each is handled in its tenant's scope"):
        rows = InboundMessage.objects.filter(handled_at=None, tenant__is_active=True).order_by("created_at", "pk")
        return list(rows.values_list("tenant_id", "pk")[:limit])
