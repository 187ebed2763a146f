"""Links that lie on a phone in the wrong hands: those of the visits to come are written anew, and the old ones open nothing.

A link names no reader, so nobody can tell on whose phone it is. Who still may know gets the new one with the next message, or
in the own view. What was queued a moment before carries the old one: its reader is told to call the clinic.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

from django.db.models import Q
from django.dispatch import receiver
from django.utils import timezone

from appointments import tokens
from appointments.models import Appointment
from appointments.states import AWAITED
from core.models import Patient
from core.patients.guardians import guardian_shut_out
from core.patients.numbers import number_was_wrong


@receiver(guardian_shut_out)
def after_a_guardian(*, patient: Patient, until: dt.datetime | None, **_signal: Any) -> None:
    _renew([patient], until=until)


@receiver(number_was_wrong)
def after_a_number(*, patients: Sequence[Patient], **_signal: Any) -> None:
    """Somebody else has read what was sent there."""
    _renew(patients)


def _renew(patients: Sequence[Patient], *, until: dt.datetime | None = None) -> None:
    """The visits are locked first, as everywhere, and in one order. ``until``: only links that were given before."""
    given = Q(created_at__lt=until) if until is not None else Q()
    coming = Appointment.objects.filter(patient__in=patients, status__in=AWAITED, starts_at__gt=timezone.now())
    for visit in coming.select_for_update(of=("self",), no_key=True).order_by("pk"):
        if visit.tokens.filter(given, version=visit.version).exists():
            tokens.issue(visit)
