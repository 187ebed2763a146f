"""Whom another send has told the same: the one that this send repeats, or “clinic closed” pressed once more. Reads only."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import Any

from django.db.models import Q

from notifications.bulk_states import BulkSource
from notifications.models import BulkRecipient, BulkSend, Message
from notifications.states import Reason, Status

# On its way, or there.
GOOD = frozenset({Status.QUEUED, Status.SENDING, Status.SENT, Status.DELIVERED, Status.READ})

# (patient, visit, the visit's version)
Told = tuple[uuid.UUID, uuid.UUID | None, int]


def already(bulk: BulkSend, people: Sequence[Told]) -> dict[uuid.UUID, Reason]:
    """Patients among ``people`` who would read the same a second time. No query for a send that repeats nothing."""
    if bulk.again_of_id is not None:
        found = told_by(_relatives(bulk), [one[0] for one in people], GOOD)
        return {patient_id: Reason.RECENT_CONFIRMATION for patient_id, _visit, _version in found}
    if bulk.source == BulkSource.CLOSED:
        # Unknown is not failed: who may have it is not told again unasked.
        found = told_by(_of_that_day(bulk), [one[0] for one in people], GOOD | {Status.UNCONFIRMED})
        # Another visit of the same day, or the visit at another time, is news.
        return {one[0]: Reason.RECENT_CONFIRMATION for one in people if one in found}
    return {}


def told_by(bulks: Collection[uuid.UUID], patient_ids: Sequence[uuid.UUID], statuses: Collection[str]) -> set[Told]:
    """Who has a message of these sends in one of the ``statuses``: their own, or a relative's that names them too."""
    people = BulkRecipient.objects.filter(bulk__in=bulks, patient__among=patient_ids).order_by()
    rows = list(people.values_list("bulk_id", "folded_into", "patient_id", "object_id", "object_version"))
    heads = followed({(bulk_id, head) for bulk_id, head, *_rest in rows if head is not None})
    wanted = {*patient_ids, *heads.values()}
    sent = Message.objects.filter(bulk__in=bulks, patient__among=wanted, status__in=statuses).order_by()
    there: set[tuple[Any, Any]] = set(sent.values_list("bulk_id", "patient_id"))
    return {
        (patient_id, visit, version)
        for bulk_id, head, patient_id, visit, version in rows
        if (bulk_id, patient_id) in there or (bulk_id, heads.get((bulk_id, head))) in there
    }


def followed(places: Collection[tuple[uuid.UUID, int]]) -> dict[tuple[uuid.UUID, int | None], uuid.UUID]:
    """(send, position) → the patient who stands there."""
    by_bulk: dict[uuid.UUID, list[int]] = defaultdict(list)
    for bulk_id, position in places:
        by_bulk[bulk_id].append(position)
    found: dict[tuple[uuid.UUID, int | None], uuid.UUID] = {}
    for bulk_id, positions in by_bulk.items():
        rows = BulkRecipient.objects.filter(bulk=bulk_id, position__among=positions).order_by()
        found |= {(bulk_id, position): pk for position, pk in rows.values_list("position", "patient_id")}
    return found


def _relatives(bulk: BulkSend) -> set[uuid.UUID]:
    """The send that this one repeats, what that one repeated, and all other repeats of them."""
    found = {bulk.pk}
    while True:
        near = BulkSend.objects.filter(Q(again_of__in=found) | Q(repeats__in=found))
        more = set(near.order_by().values_list("pk", flat=True)) - found
        if not more:
            return found - {bulk.pk}
        found |= more


def _of_that_day(bulk: BulkSend) -> set[uuid.UUID]:
    """Other sends that told of the same closed day."""
    closed = Q(source=BulkSource.CLOSED) | Q(again_of__source=BulkSource.CLOSED)
    rows = BulkSend.objects.filter(closed, audience__visits_from=bulk.audience.get("visits_from", ""))
    return set(rows.exclude(pk=bulk.pk).order_by().values_list("pk", flat=True))
