"""Draws the next number of a named counter, without gaps between committed rows and without doubles."""

from __future__ import annotations

import uuid

from django.db import transaction
from django.db.models import F

from core.models import NumberSequence


@transaction.atomic
def next_number(tenant_id: uuid.UUID, name: str) -> int:
    """The next value, starting at 1. The row is locked until the caller's transaction ends."""
    sequences = NumberSequence.objects.filter(tenant_id=tenant_id, name=name)
    if not sequences.update(value=F("value") + 1):
        # Two first callers: the loser of the unique constraint updates the winner's row.
        NumberSequence.objects.bulk_create([NumberSequence(tenant_id=tenant_id, name=name)], ignore_conflicts=True)
        sequences.update(value=F("value") + 1)
    return sequences.get().value
