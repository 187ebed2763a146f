"""Tells the rollups that something of a past day has changed. Rung by whoever writes what they count.

A mark is a row of the same transaction as the change, and there is one for each hour of a batch: whatever is on its
way for less than ``FRESH`` (nearly all that providers report) writes none. Must never read.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable

from django.utils import timezone

from core.bulk import insert_rows
from notifications.models import RollupMark

# A day is counted an hour after its end at the earliest (``rollups.GRACE``). What is younger than this belongs to a day
# that stays open for half an hour more, which no transaction of ours lasts.
FRESH = dt.timedelta(minutes=30)


def mark(tenant_id: uuid.UUID, moments: Iterable[dt.datetime]) -> None:
    """What began at those moments (a message's ``created_at``, a visit's start) counts differently from now on."""
    since = timezone.now() - FRESH
    hours = {moment.replace(minute=0, second=0, microsecond=0) for moment in moments if moment < since}
    if hours:
        insert_rows(RollupMark, [{"id": uuid.uuid4(), "tenant_id": tenant_id, "hour": hour} for hour in sorted(hours)])
