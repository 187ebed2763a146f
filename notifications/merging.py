"""What becomes of a patient's messages when two files of one person become one (``core.merging``).

Everything that was written moves along. What still waits goes to whom the survivor's messages go to; of two that say
the same in the same place one is enough.
"""

from __future__ import annotations

import uuid

from django.utils import timezone

from core import merging
from core.contacts import Contact, Readers
from core.models import Patient
from notifications import gate, lifecycle
from notifications.models import Conversation, DeskTask, InboundMessage, Message
from notifications.states import CANCELLABLE, Reason, TaskState


def register() -> None:
    merging.register_step("messages", merge_messages, covers=["notifications.Message"])
    merging.register_step(
        "replies", merge_replies, covers=["notifications.InboundMessage", "notifications.Conversation"]
    )
    merging.register_step("desk tasks", merge_tasks, covers=["notifications.DeskTask"])
    # The list of a send stays what was approved; who is in it under the old file is refused as merged away.
    merging.register_step("lists of sends", leave, covers=["notifications.BulkRecipient"])


def leave(survivor: Patient, merged: Patient) -> None:
    """Nothing moves."""


def merge_messages(survivor: Patient, merged: Patient) -> None:
    Message.objects.filter(patient=merged).update(patient=survivor)
    waiting = Message.objects.filter(patient=survivor, status__in=CANCELLABLE, next_attempt_at__isnull=False)
    rows = list(waiting.select_for_update(no_key=True, of=("self",)).order_by("created_at", "pk"))
    if not rows:
        return
    readers = Readers([survivor])
    # Whose own reader is still told comes first: of two about one event to one address, theirs is the one in their words.
    rows.sort(key=lambda row: not _is_own(row, readers.of(survivor.pk, row.notification_type)))
    said: set[tuple[object, ...]] = set()
    refused: dict[uuid.UUID, Reason] = {}
    for row in rows:
        found = readers.of(survivor.pk, row.notification_type)
        if isinstance(found, str):
            refused[row.pk] = Reason(found)
            continue
        if gate.named_by_event(row) is not None:
            # Written to somebody else by name: the two files were never asked.
            continue
        reader = _reader(row, found)
        address = gate.address_of(reader, row.channel)
        if not address:
            refused[row.pk] = Reason.MERGED_AWAY
            continue
        keys: list[tuple[object, ...]] = [(row.channel, address, row.subject, row.body)]
        keys += [(row.channel, address, source) for source in (row.bulk_id, row.event_id) if source is not None]
        if said & set(keys):
            refused[row.pk] = Reason.MERGED_AWAY
            continue
        said |= set(keys)
        guardian = reader.guardian.pk if reader.guardian is not None else None
        if (address, guardian) != (row.recipient, row.guardian_id):
            waiting.filter(pk=row.pk).update(recipient=address, guardian=guardian, updated_at=timezone.now())
    lifecycle.refuse_many(refused)


def _is_own(row: Message, found: list[Contact] | str) -> bool:
    readers = [] if isinstance(found, str) else found
    return any((one.guardian.pk if one.guardian is not None else None) == row.guardian_id for one in readers)


def _reader(row: Message, found: list[Contact]) -> Contact:
    """The one it was written to, where they are still told; else the first."""
    mine = (one for one in found if one.guardian is not None and one.guardian.pk == row.guardian_id)
    return next(mine, found[0])


def merge_replies(survivor: Patient, merged: Patient) -> None:
    InboundMessage.objects.filter(patient=merged).update(patient=survivor)
    Conversation.objects.filter(patient=merged).update(patient=survivor)


def merge_tasks(survivor: Patient, merged: Patient) -> None:
    """One task of a kind about the person is enough; those about a visit or a message all stay."""
    mine = DeskTask.objects.filter(state=TaskState.OPEN, object_id=survivor.pk)
    theirs = DeskTask.objects.filter(state=TaskState.OPEN, object_id=merged.pk, kind__in=mine.values("kind"))
    theirs.update(state=TaskState.OVER, ended_at=timezone.now())
    DeskTask.objects.filter(object_id=merged.pk).update(object_id=survivor.pk)
    DeskTask.objects.filter(patient=merged).update(patient=survivor)
