"""Whose files an address opens: the adult who has it, and the children of a guardian who has it.

Worked out afresh at each page. A phone is not an identity: where several people hold one, an adult's file opens only with
the birth date that stands in it. Nothing is opened of the dead, of files that were merged away or are restricted.
Must never import anything of the other apps.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import Q
from django.utils import timezone

from core.models import Guardianship, Patient


@dataclass(frozen=True, slots=True)
class OpenFile:
    """A file that may be opened, and by whom: ``reader`` is ``patient:<id>`` or ``guardian:<id>``.

    ``hidden_types``: kinds of messages that this guardian does not get, and so does not read here either.
    """

    patient: Patient
    reader: str
    needs_birth_date: bool = False
    hidden_types: tuple[str, ...] = ()

    @property
    def guardian_id(self) -> uuid.UUID | None:
        kind, _colon, key = self.reader.partition(":")
        return uuid.UUID(key) if kind == "guardian" else None


def files_of(address: str, today: dt.date | None = None) -> list[OpenFile]:
    """Of the open tenant, the eldest first. Empty: nobody here is known by that address."""
    if not address:
        return []
    day = today or timezone.localdate()
    adults = [
        patient
        for patient in _patients(Q(phone=address) | Q(email__iexact=address))
        # A child is spoken for by a guardian, also where the file has a number of its own.
        if not patient.is_minor_on(day)
    ]
    closed = _closed(address)
    children = [
        row
        for row in _guardianships(address)
        if row.patient.is_minor_on(day) and may_see(row, day) and row.patient_id not in closed
    ]
    people = {f"patient:{one.pk}" for one in adults} | {f"guardian:{row.guardian_id}" for row in children}
    files = [OpenFile(one, f"patient:{one.pk}", needs_birth_date=len(people) > 1) for one in adults]
    seen = {one.pk for one in adults}
    for row in children:
        # Two guardians with one phone are one reader.
        if row.patient_id not in seen:
            seen.add(row.patient_id)
            files.append(OpenFile(row.patient, f"guardian:{row.guardian_id}", hidden_types=tuple(row.not_for)))
    return sorted(files, key=lambda one: (one.patient.birth_date, str(one.patient.pk)))


def may_see(row: Guardianship, day: dt.date) -> bool:
    """Verified, in force and not blocked. Who wishes for no messages may still look."""
    begun = row.valid_from is None or row.valid_from <= day
    over = row.valid_until is not None and row.valid_until < day
    return row.verified_at is not None and not row.blocked_reason and begun and not over


def reader_of(patient: Patient, *, guardian_id: uuid.UUID | None) -> str:
    """The key of who asks for something at the desk."""
    return f"guardian:{guardian_id}" if guardian_id is not None else f"patient:{patient.pk}"


def _patients(which: Q) -> Iterable[Patient]:
    rows = Patient.objects.filter(which, deceased_at=None, merged_into=None, is_restricted=False)
    return rows.select_related("tenant")


def _guardianships(address: str) -> Iterable[Guardianship]:
    holders = Q(guardian__phone=address) | Q(guardian__email__iexact=address)
    rows = Guardianship.objects.filter(
        holders, patient__deceased_at=None, patient__merged_into=None, patient__is_restricted=False
    )
    return rows.select_related("patient__tenant", "guardian").order_by("-is_primary", "pk")


def _closed(address: str) -> set[uuid.UUID]:
    """Children of whom somebody who must not know holds that address as well."""
    holders = Q(guardian__phone=address) | Q(guardian__email__iexact=address)
    return set(Guardianship.objects.filter(holders).exclude(blocked_reason="").values_list("patient_id", flat=True))
