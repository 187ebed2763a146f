"""What is kept for a time only: the words of messages and replies, and the raw reports of the providers.

How long is the tenant's decision (``core.tenant_settings``). Only the words go: that a message was sent, to whom, when and
with what outcome stays as proof. In short transactions, so that nobody waits; safe to run twice at once.
"""

from __future__ import annotations

import datetime as dt
import uuid

from django.db.models import Q, QuerySet

from core import tenant_settings
from core.models import TenantSettings
from notifications.models import InboundMessage, Message, ProviderReceipt
from notifications.states import Status

# Rows of one transaction: some tens of milliseconds.
BATCH = 1000
# What may still leave needs its words.
_UNSENT = (Status.QUEUED, Status.SENDING)


def erase_words(tenant_id: uuid.UUID, now: dt.datetime) -> int:
    """Empties what is older than the tenant keeps words; returns of how many messages and replies.

    Begins where it last ended, so a night looks at one day. Who shortens the time is followed in the next night, and
    who lengthens it gets nothing back. The tenant's scope is open.
    """
    own = tenant_settings.of(tenant_id)
    if own.message_days is None:
        return 0
    until = now - dt.timedelta(days=own.message_days)
    since = own.words_erased_until
    if since is not None and since >= until:
        return 0
    span = Q(created_at__lt=until) & (Q(created_at__gte=since) if since is not None else Q())
    messages = Message.objects.filter(span).exclude(status__in=_UNSENT).exclude(body="", subject="")
    erased = _empty(messages, body="", subject="")
    erased += _empty(InboundMessage.objects.filter(span).exclude(body=""), body="")
    TenantSettings.objects.filter(tenant_id=tenant_id).update(words_erased_until=until)
    return erased


def delete_receipts(tenant_id: uuid.UUID | None, days: int, now: dt.datetime) -> int:
    """Deletes applied raw reports that are older than ``days``; of no tenant (None): those on messages unknown to us."""
    # Their keys are ordered by time, and older ones are gone: this reads what it deletes.
    until = now - dt.timedelta(days=days)
    whose = Q(tenant=tenant_id) if tenant_id is not None else Q(tenant=None)
    old = ProviderReceipt.objects.filter(
        whose, pk__lt=_first_key(until), received_at__lt=until, applied_at__isnull=False
    )
    deleted = 0
    while keys := list(old.order_by("pk").values_list("pk", flat=True)[:BATCH]):
        count, _each = ProviderReceipt.objects.filter(pk__in=keys).delete()
        deleted += count
    return deleted


def _empty(rows: QuerySet[Message] | QuerySet[InboundMessage], **empty: str) -> int:
    """The oldest first, ``BATCH`` a statement. What is emptied falls out of ``rows``, and is not walked over again."""
    count, rest = 0, rows
    while batch := list(rest.order_by("created_at").values_list("pk", "created_at")[:BATCH]):
        # Not ``save``: the message has not changed, so its last change stays what it was.
        count += rows.filter(pk__in=[key for key, _at in batch]).update(**empty)
        rest = rows.filter(created_at__gte=batch[-1][1])
    return count


def _first_key(moment: dt.datetime) -> uuid.UUID:
    """The least key that ``core.ids.ordered_uuid`` could have made at that moment."""
    return uuid.UUID(int=int(moment.timestamp() * 1000) << 80)
