"""Periodic work of sending: the sweeper that makes the broker dispensable, and the questions to the providers.

All of it is safe to run twice at once and returns counts. Nothing here looks at a time window: what is due is
found, however old.
"""

from __future__ import annotations

import datetime as dt

import structlog
from celery import shared_task
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_noop as _

from core import tasks as doorbells
from core.queueing import publish
from core.tenancy import active_tenant_ids, tenant_scope
from integrations import sms_providers
from integrations.messaging_service import MessagingService
from integrations.sms_providers import ProviderError
from notifications import lifecycle, receipts
from notifications.models import Message, ProviderReceipt
from notifications.states import AWAITING_RECEIPT, Channel, Reason, Status

log = structlog.get_logger(__name__)

# The doorbell rings at the commit; what is still waiting after this was lost on the way.
GRACE = dt.timedelta(seconds=10)
# A row that was handed to the broker again is left alone for this long.
REDRIVE = dt.timedelta(seconds=30)
# Rows a tenant gets in one tick of ten seconds: 10,000 lost ones are re-driven within a minute, and a large house's
# backlog does not starve a small one.
BATCH = 2000
# After this nobody waits for a receipt any more; the message stays SENT or UNCONFIRMED, visibly.
HORIZON = dt.timedelta(days=3)
CHECKS_A_TICK = 50

_TASKS = {
    Channel.SMS: doorbells.send_sms_task,
    Channel.WHATSAPP: doorbells.send_whatsapp_task,
    Channel.EMAIL: doorbells.send_email_task,
}


@shared_task
def sweep_messages_task() -> dict[str, int]:
    """Finds what is due and lost, too late, orphaned by a dead worker, or waiting for its next channel."""
    counts = {"driven": 0, "expired": 0, "unconfirmed": 0, "fell_back": 0}
    for tenant_id in active_tenant_ids():
        with tenant_scope(tenant_id):
            for name, n in _sweep_tenant().items():
                counts[name] += n
    if any(counts.values()):
        log.info("messages_swept", **counts)
    return counts


def _sweep_tenant() -> dict[str, int]:
    now = timezone.now()
    waiting = Message.objects.filter(Q(status=Status.QUEUED) | Q(status=Status.FAILED, next_attempt_at__isnull=False))
    expired = sum(
        lifecycle.refuse(pk, Reason.PAST_DUE)
        for pk in waiting.filter(expires_at__lte=now).values_list("pk", flat=True)[:BATCH]
    )
    orphans = Message.objects.filter(status=Status.SENDING, lease_expires_at__lte=now)
    unconfirmed = 0
    for pk in orphans.values_list("pk", flat=True)[:BATCH]:
        unconfirmed += lifecycle.move(
            pk,
            Status.UNCONFIRMED,
            only_from=[Status.SENDING],
            where=Q(lease_expires_at__lte=now),
            fields={
                "provider_message_id": "",
                "lease_token": None,
                "lease_expires_at": None,
                "next_check_at": now + REDRIVE,
            },
            error="worker_lost",
        )
    due = waiting.filter(
        Q(driven_at__isnull=True) | Q(driven_at__lte=now - REDRIVE),
        Q(status=Status.QUEUED, next_attempt_at__lte=now - GRACE) | Q(status=Status.FAILED, next_attempt_at__lte=now),
    )
    batch = list(due.order_by("next_attempt_at").values_list("pk", "channel")[:BATCH])
    Message.objects.filter(pk__in=[pk for pk, _channel in batch]).update(driven_at=now)
    driven = sum(publish(_TASKS[Channel(channel)], str(pk)) for pk, channel in batch)
    fell_back = 0
    for message in Message.objects.filter(fallback_due_at__lte=now).select_related("patient", "template", "event"):
        fell_back += MessagingService().fall_back(message) is not None
    return {"driven": driven, "expired": expired, "unconfirmed": unconfirmed, "fell_back": fell_back}


@shared_task
def sweep_receipts_task() -> dict[str, int]:
    """Applies receipts that were stored, but whose process died before it applied them."""
    stale = ProviderReceipt.objects.filter(applied_at=None, received_at__lte=timezone.now() - GRACE)
    applied = sum(receipts.apply(pk) for pk in stale.values_list("pk", flat=True)[:BATCH])
    return {"applied": applied}


@shared_task
def provider_sync_task() -> dict[str, int]:
    """Asks the providers about messages without a final receipt, each less and less often, until the horizon."""
    counts = {"asked": 0, "moved": 0}
    for tenant_id in active_tenant_ids():
        with tenant_scope(tenant_id):
            rows = Message.objects.filter(status__in=AWAITING_RECEIPT, next_check_at__lte=timezone.now())
            for message in rows.order_by("next_check_at")[:CHECKS_A_TICK]:
                counts["asked"] += 1
                counts["moved"] += sync_message(message)
    return counts


def sync_message(message: Message) -> bool:
    """Asks the provider about one message and applies the answer. True when the status moved.

    An UNCONFIRMED message of which the provider proves to know nothing was never sent: it may be tried again.
    """
    now = timezone.now()
    handed_over = message.sent_at or message.updated_at
    age = now - handed_over
    next_check = now + max(dt.timedelta(minutes=2), age) if age < HORIZON else None
    Message.objects.filter(pk=message.pk).update(next_check_at=next_check)
    if not message.provider or message.status not in AWAITING_RECEIPT:
        return False
    try:
        found = sms_providers.get(message.provider).look_up(
            message_id=str(message.pk),
            to=message.recipient,
            channel=message.channel,
            body=message.body,
            sent_after=message.created_at,
            provider_message_id=message.provider_message_id,
        )
    except ProviderError as error:
        log.info("look_up_failed", message_id=str(message.pk), kind=error.kind.value, code=error.code)
        return False
    if found is None:
        if message.status != Status.UNCONFIRMED:
            return False
        return lifecycle.fail(
            message, bounced=False, may_retry=True, code="not_found", detail=_("The provider never received it.")
        )
    if found.cost is not None:
        Message.objects.filter(pk=message.pk).update(cost=found.cost, currency=found.currency)
    return receipts.settle(
        message,
        word=found.status,
        provider=message.provider,
        provider_message_id=found.provider_message_id,
        error_code=found.error_code,
        response={"looked_up": True, "status": found.status},
    )
