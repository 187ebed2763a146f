"""What waits to be sent when somebody stops being one who is told, or is reached elsewhere: withdrawn, or sent there.

In the same transaction. The gate would refuse it all the same right before the send; until then the clinic would read that
it is on its way, and what was to be told would be lost.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Any

from django.db.models.signals import post_save
from django.dispatch import receiver
from django.utils import timezone

from core.contacts import CONTACT_FIELDS, Contact, Readers, readers_changed, silence_of
from core.models import Guardian, Patient
from notifications import desk_tasks, gate, lifecycle
from notifications.models import Message
from notifications.states import CANCELLABLE, Reason, TaskKind

# Of these fields depends where somebody is reached.
_ADDRESSES = frozenset({"phone", "email"})


@receiver(readers_changed)
def withdraw_unread(*, patient: Patient, **_signal: Any) -> int:
    """Refuses this patient's waiting messages whose reader must not be told any more; returns how many.

    A message that a worker has just claimed goes, as it must: nobody
    knows whether the provider has it.
    """
    waiting = list(
        Message.objects.filter(patient=patient, status__in=CANCELLABLE, next_attempt_at__isnull=False).only(
            *("id", "tenant_id", "patient_id", "guardian_id", "notification_type")
        )
    )
    if silence_of(patient, ""):
        desk_tasks.end_for_object(patient.pk, [TaskKind.OWN_CONTACT])
    if not waiting:
        return 0
    readers = Readers([patient])
    answers = {message.pk: gate.reader_among(message, readers) for message in waiting}
    refused = {pk: Reason(answer) for pk, answer in answers.items() if isinstance(answer, str)}
    return len(lifecycle.refuse_many(refused)) if refused else 0


@receiver(post_save, sender=Patient)
def patient_moved(*, instance: Patient, created: bool, raw: bool = False, **signal: Any) -> None:
    if not raw and not created and _touches(signal.get("update_fields")):
        readdress([instance.pk])


@receiver(post_save, sender=Guardian)
def guardian_moved(*, instance: Guardian, created: bool, raw: bool = False, **signal: Any) -> None:
    if not raw and not created and _touches(signal.get("update_fields")):
        readdress(instance.guardianships.values_list("patient_id", flat=True))


def _touches(written: Iterable[str] | None) -> bool:
    return written is None or bool(_ADDRESSES & set(written))


def readdress(patient_ids: Iterable[uuid.UUID]) -> int:
    """What waits for an address that its reader no longer has goes to the one they have now; returns how many.

    News of events only: a code, and the answer to a reply, are for the very address. One query where nothing waits.
    """
    waiting = Message.objects.filter(
        patient__in=list(patient_ids), event__isnull=False, status__in=CANCELLABLE, next_attempt_at__isnull=False
    )
    rows = list(waiting.order_by("pk"))
    if not rows:
        return 0
    patients = Patient.objects.filter(pk__in={row.patient_id for row in rows}).select_related("tenant")
    readers = Readers(patients.only(*CONTACT_FIELDS, "tenant"))
    moved = 0
    for row in rows:
        reader = gate.reader_among(row, readers)
        address = gate.address_of(reader, row.channel) if isinstance(reader, Contact) else ""
        # Whoever cannot be reached that way any more is the gate's business, and then the desk's.
        if address and address != row.recipient and gate.named_by_event(row) is None:
            moved += waiting.filter(pk=row.pk).update(recipient=address, updated_at=timezone.now())
    return moved
