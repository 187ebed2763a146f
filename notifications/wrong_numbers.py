"""A number turned out to be somebody else's: what follows for messages and for the desk.

Stopped on both channels that a number has, what waits for it withdrawn, one task for the desk. Used again once a person
has checked it (``suppression.lift``). Needs the tenant's scope open.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from django.dispatch import receiver

from core.models import Patient
from core.patients.numbers import number_dropped, number_was_wrong
from notifications import desk_tasks, lifecycle, suppression
from notifications.models import Message
from notifications.states import CANCELLABLE, Channel, Reason, TaskKind

CHANNELS = (Channel.SMS, Channel.WHATSAPP)


@receiver(number_was_wrong)
def stop_number(*, tenant_id: uuid.UUID, phone: str, patients: Sequence[Patient], **_signal: Any) -> None:
    """Nothing goes there any more, whoever it was for."""
    for channel in CHANNELS:
        suppression.suppress(tenant_id=tenant_id, channel=channel, address=phone, reason=Reason.WRONG_NUMBER)
    waiting = Message.objects.filter(
        recipient=phone, channel__in=CHANNELS, status__in=CANCELLABLE, next_attempt_at__isnull=False
    )
    lifecycle.refuse_many(dict.fromkeys(waiting.values_list("pk", flat=True), Reason.WRONG_NUMBER))
    if patients:
        desk_tasks.open_task(
            TaskKind.WRONG_NUMBER,
            tenant_id=tenant_id,
            key=suppression.wrong_number_key(phone),
            patient=patients[0],
            obj=patients[0],
            details={"patient_ids": [str(patient.pk) for patient in patients]},
        )


@receiver(number_dropped)
def end_task(*, phone: str, **_signal: Any) -> None:
    """It stands in nobody's file any more: there is nothing left to do. Stopped it stays."""
    desk_tasks.end_by_key(TaskKind.WRONG_NUMBER, suppression.wrong_number_key(phone))
