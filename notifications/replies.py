"""What patients write back: stored once, tied to the last message that went to that number, and rung for.

A worker understands it (``integrations/reply_handling.py``); nothing is answered while the provider waits.
"""

from __future__ import annotations

import datetime as dt
import uuid

import structlog
from django.db import transaction
from django.utils import timezone

from core.tenancy import system_scope, tenant_scope
from notifications import questions
from notifications.models import InboundMessage, Message

log = structlog.get_logger(__name__)

# A reply belongs to the last message of this long; an older one is no conversation any more.
_CONVERSATION = dt.timedelta(days=30)


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
    last = _last_to(channel=channel, sender=sender, to=to, tenant_id=tenant_id, replied_to_id=replied_to_id)
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


def _last_to(*, channel: str, sender: str, to: str, tenant_id: uuid.UUID | None, replied_to_id: str) -> Message | None:
    """The message that is answered: the one the patient chose, the last one that asked something, or else the last."""
    with system_scope("the number tells the tenant: the last message that went there over that channel"):
        theirs = {"tenant": tenant_id} if tenant_id is not None else {}
        sent = Message.objects.filter(
            questions.sender_is(to),
            recipient=sender,
            channel=channel,
            patient__isnull=False,
            sent_at__gte=timezone.now() - _CONVERSATION,
            **theirs,
        )
        chosen = sent.filter(provider_message_id=replied_to_id).first() if replied_to_id else None
        asking = questions.messages_asking(channel=channel, address=sender, ours=to).filter(**theirs)
        return chosen or asking.first() or sent.order_by("-sent_at").first()


def tenants_asking(reply: InboundMessage) -> list[uuid.UUID]:
    """The clinic groups that asked something of that number over the same sender on the day of the last question.

    More than one only where they share the provider's number: which of them is meant, the reply does not say.
    """
    if not reply.is_shared or reply.replied_to_id:
        return [reply.tenant_id]
    with system_scope("a shared number: whose question is answered"):
        rows = list(
            questions.messages_asking(
                channel=reply.channel, address=reply.sender, ours=reply.to, now=reply.created_at
            ).values_list("tenant_id", "sent_at")[:50]
        )
    sent = [(tenant, at) for tenant, at in rows if at is not None]
    if not sent:
        return [reply.tenant_id]
    return list(dict.fromkeys(tenant for tenant, at in sent if at >= sent[0][1] - questions.TOGETHER))


def tenants_writing_to(reply: InboundMessage) -> list[uuid.UUID]:
    """Who has ever written to that number over that sender: a STOP is meant for the sender, so for all of them."""
    if not reply.is_shared:
        return [reply.tenant_id]
    with system_scope("a STOP to a shared number is recorded by every clinic group that uses it"):
        rows = Message.objects.filter(
            questions.sender_is(reply.to),
            recipient=reply.sender,
            channel=reply.channel,
            patient__isnull=False,
            sent_at__isnull=False,
        )
        return list({reply.tenant_id, *rows.order_by().values_list("tenant_id", flat=True).distinct()})


def unhandled(limit: int) -> list[tuple[uuid.UUID, uuid.UUID]]:
    """Replies that nobody has understood yet, the first first: (tenant, id)."""
    with system_scope("what has come in; each is handled in its tenant's scope"):
        rows = InboundMessage.objects.filter(handled_at=None, tenant__is_active=True).order_by("created_at", "pk")
        return list(rows.values_list("tenant_id", "pk")[:limit])
