"""What patients write back: stored once, tied to the last message that went to that number, told to the front desk."""

from __future__ import annotations

import datetime as dt
import uuid

import structlog
from django.db import transaction
from django.utils import timezone

from core.tenancy import system_scope, tenant_scope
from notifications import events
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
) -> InboundMessage | None:
    """Stores a reply. None when nobody of ours ever wrote to that number: then no tenant may see it.

    ``tenant_id``: it came over that tenant's own account, so it is no other's. ``sender`` and ``to`` are bare E.164. A repeated call with the same provider's id returns the row that is there.
    """
    with system_scope("the number tells the tenant: the last message that went there over that channel"):
        last = (
            Message.objects.filter(
                recipient=sender,
                channel=channel,
                # Empty: it went out from the provider's default sender.
                sender__in=["", to],
                patient__isnull=False,
                sent_at__gte=timezone.now() - _CONVERSATION,
                **({"tenant": tenant_id} if tenant_id is not None else {}),
            )
            .order_by("-sent_at")
            .first()
        )
    if last is None:
        log.warning("reply_from_unknown_number", provider=provider)
        return None
    with tenant_scope(last.tenant_id), transaction.atomic():
        reply, is_new = InboundMessage.objects.get_or_create(
            tenant_id=last.tenant_id,
            provider=provider,
            provider_message_id=provider_message_id,
            defaults={
                "channel": channel,
                "sender": sender,
                "body": body,
                "patient_id": last.patient_id,
                "in_reply_to": last,
            },
        )
        if is_new:
            events.record(
                "message.reply_received",
                tenant_id=last.tenant_id,
                dedupe=str(reply.pk),
                obj=last,
                payload={"reply_id": str(reply.pk)},
            )
    return reply
