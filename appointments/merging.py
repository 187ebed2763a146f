"""The visits of two files that become one (``core.merging``): they move, and nobody is told of it.

A visit stays the same visit: its number, version, links, reminders and history hold.
"""

from __future__ import annotations

from appointments.models import Appointment, Series, WaitlistEntry
from appointments.reminders import replan_for_patient
from core import merging
from core.models import Patient


def register() -> None:
    labels = ["appointments.Appointment", "appointments.Series", "appointments.WaitlistEntry"]
    merging.register_step("visits", merge_visits, covers=labels)


def merge_visits(survivor: Patient, merged: Patient) -> None:
    """Past the row's own handlers: nothing has happened to any of the visits."""
    for model in (Appointment, Series, WaitlistEntry):
        model.objects.filter(patient=merged).update(patient=survivor)
    # The quiet hours are those of the file that stays.
    replan_for_patient(survivor.pk)
