"""What waits to be sent when somebody stops being one who is told: withdrawn at once, in the same transaction.

The gate would refuse it all the same right before the send; until then the clinic would read that it is on its way.
"""

from __future__ import annotations

from typing import Any

from django.dispatch import receiver

from core.contacts import Readers, readers_changed, silence_of
from core.models import Patient
from notifications import desk_tasks, gate, lifecycle
from notifications.models import Message
from notifications.states import CANCELLABLE, Reason, TaskKind


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
