"""The arrival alert while the patient is here: what its card says changes with the checks.

A payment half a minute after the alert shows on the open card at the next poll, without a second alarm.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from django.dispatch import receiver

from appointments.models import Appointment
from core.arrival import Check, checks_changed, open_points_of
from notifications import cards
from notifications.rendering import LocalTime, Words

KEY = "appointment.arrived"
# Afterwards the card stays as it was told.
_HERE = (Appointment.Status.ARRIVED, Appointment.Status.IN_PROGRESS)


def live_values(appointment_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, Mapping[str, Any]]:
    """Of the visits that are going on: visit id → the values of the card's text as they are now."""
    rows = Appointment.objects.select_related("location", "patient", "department")
    here = list(rows.filter(pk__in=appointment_ids, status__in=_HERE))
    points = open_points_of(here)
    return {
        visit.pk: {
            "time": LocalTime(visit.local_start.time()),
            "location_name": visit.location,
            "patient_name": visit.patient,
            "open_points": describe_checks(points[visit.pk]),
        }
        for visit in here
    }


@receiver(checks_changed)
def card_changes(*, patient_id: uuid.UUID, appointment_id: uuid.UUID | None = None, **_sender: Any) -> None:
    """Whoever has the alert in the bell sees the change; in the transaction of the change, so never before it."""
    here = Appointment.objects.filter(patient=patient_id, status__in=_HERE)
    if appointment_id is not None:
        here = here.filter(pk=appointment_id)
    for pk, tenant_id in here.values_list("pk", "tenant"):
        cards.touch(tenant_id=tenant_id, key=KEY, object_ids=[pk])


def describe_checks(checks: Sequence[Check]) -> Words:
    """“Open: financial clearance (pending). Clear: consent (verified).”"""
    unclear = [check for check in checks if not check.is_clear]
    clear = [check for check in checks if check.is_clear]

    def listed(rows: Sequence[Check], language: str) -> str:
        if language == "ar":
            return "، ".join(f"{row.name_ar} ({row.status_ar})" for row in rows)
        return ", ".join(f"{row.name_en.lower()} ({row.status_en.lower()})" for row in rows)

    if not unclear:
        return Words(f"All clear: {listed(clear, 'en')}.", f"لا توجد نقاط معلقة: {listed(clear, 'ar')}.")
    english, arabic = f"Open: {listed(unclear, 'en')}.", f"نقاط معلقة: {listed(unclear, 'ar')}."
    if clear:
        english += f" Clear: {listed(clear, 'en')}."
        arabic += f" مكتمل: {listed(clear, 'ar')}."
    return Words(english, arabic)
