"""Reports that nobody signed: the provider is asked, and its answer is believed (``integrations/sync.py``)."""

from __future__ import annotations

import time

from core.tenancy import tenant_scope
from integrations import sync
from notifications import receipts
from notifications.models import Message

# The rest is left to provider sync, at its gentle pace.
SECONDS = 10.0


def follow() -> int:
    """Asks about the messages that were hinted at since the last time; how many moved."""
    ends = time.monotonic() + SECONDS
    moved = 0
    for tenant_id, message_id in receipts.take_hints():
        if time.monotonic() >= ends:
            break
        with tenant_scope(tenant_id):
            moved += sync.sync_message(Message.objects.get(pk=message_id))
    return moved
