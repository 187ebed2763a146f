"""The reminders of a patient of whom nothing may be said any more: dropped at once, and back when that was a mistake."""

from __future__ import annotations

from typing import Any

from django.dispatch import receiver
from django.utils import timezone

from appointments.models import Reminder
from appointments.reminders import replan_for_patient
from core.contacts import DECEASED, PATIENT_LEFT, RESTRICTED, readers_changed, silence_of
from core.models import Patient
from notifications.states import NotificationType

# What ends by itself when the file is put right. A merged file has no visits left.
_PASSING = (DECEASED, RESTRICTED, PATIENT_LEFT)


@receiver(readers_changed)
def follow(*, patient: Patient, **_signal: Any) -> None:
    """A guardian's end drops no reminder: somebody else may be found before it is due."""
    now = timezone.now()
    rows = Reminder.objects.filter(appointment__patient=patient)
    silence = silence_of(patient, NotificationType.REMINDER)
    if silence:
        rows.filter(status=Reminder.Status.PLANNED).update(
            status=Reminder.Status.CANCELLED, reason=silence, updated_at=now
        )
    else:
        # Each is looked at again when it is due: a visit that was called off meanwhile stays silent.
        back = rows.filter(status=Reminder.Status.CANCELLED, reason__in=_PASSING, due_at__gt=now).update(
            status=Reminder.Status.PLANNED, reason="", updated_at=now
        )
        if back:
            # Rules, quiet hours and clocks may be others by now.
            replan_for_patient(patient.pk)
