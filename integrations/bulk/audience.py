"""The people of a send: patients by filters, written down as recipients.

Audiences that need a visit are the business of ``appointments/bulk_audience.py``; they come in through ``fill`` too.
"""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.utils.translation import gettext as _

from core import discretion
from core.bulk import insert_rows, tell_planner
from core.errors import DomainError
from core.ids import ordered_uuids
from core.models import Location, Patient, PatientTag
from notifications import bulk_values
from notifications.bulk_states import MessageClass
from notifications.models import BulkRecipient, BulkSend

CHUNK = 5000
# More than any clinic group of the region has patients; a wish beyond it is a mistake.
MOST = 200_000
MANY = 5000
# Placeholders of every send.
ALWAYS = ("patient_name", "clinic_name")
# What tells of the treatment: never the ground of an advertisement (PDPL Art. 26).
OF_TREATMENT = frozenset({"department", "provider"})


@dataclass(frozen=True, slots=True)
class Person:
    """One recipient to be: the patient, values of placeholders of their own, the visit it is about, the row of the file."""

    patient_id: uuid.UUID
    values: Mapping[str, Any] = field(default_factory=dict)
    object_id: uuid.UUID | None = None
    object_version: int = 0
    row: int | None = None


def refuse_filters(message_class: str, filters: Mapping[str, Any]) -> None:
    """Raises ``DomainError`` for an audience that this class must not be sent to."""
    if message_class != MessageClass.PROMOTIONAL:
        return
    if any(filters.get(name) for name in OF_TREATMENT):
        raise DomainError(
            _("Advertising must not be sent by department or provider: that is health data."),
            code="promotion_by_treatment",
        )
    if filters.get("tag") and PatientTag.objects.filter(pk=filters["tag"], is_health=True).exists():
        raise DomainError(
            _("Advertising must not be sent by this tag: it says something about health."), code="promotion_by_tag"
        )
    if filters.get("location") and discretion.is_discreet(Location.objects.filter(pk=filters["location"]).first()):
        raise DomainError(
            _("Advertising must not be sent by this location: having been there says something about health."),
            code="promotion_by_location",
        )


def patients(
    *, language: str = "", department_id: uuid.UUID | None = None, tag_id: uuid.UUID | None = None
) -> Iterator[Person]:
    """The living, active patients of the open tenant scope: who read ``language``, have a file in the department, the tag."""
    rows = Patient.objects.filter(is_active=True, deceased_at=None, merged_into=None)
    if language:
        rows = rows.filter(language=language)
    if department_id is not None:
        rows = rows.filter(subfiles__department=department_id)
    if tag_id is not None:
        rows = rows.filter(taggings__tag=tag_id)
    for pk in rows.order_by("pk").values_list("pk", flat=True).iterator(chunk_size=CHUNK):
        yield Person(pk)


def fill(bulk: BulkSend, people: Iterable[Person]) -> int:
    """Writes the recipients of a draft, each patient once; returns how many. Raises ``DomainError`` for too many."""
    seen: set[uuid.UUID] = set()
    position = 0
    fresh = _first_of_each(people, seen)
    while chunk := list(itertools.islice(fresh, CHUNK)):
        if position + len(chunk) > MOST:
            raise DomainError(
                _("This is more than %(most)s people. Narrow the choice.") % {"most": f"{MOST:,}"}, code="too_many"
            )
        insert_rows(BulkRecipient, _rows(bulk, chunk, position))
        position += len(chunk)
    if position >= MANY:
        tell_planner(BulkRecipient)
    return position


def _first_of_each(people: Iterable[Person], seen: set[uuid.UUID]) -> Iterator[Person]:
    for person in people:
        if person.patient_id not in seen:
            seen.add(person.patient_id)
            yield person


def _rows(bulk: BulkSend, people: list[Person], before: int) -> Iterator[dict[str, Any]]:
    for position, (key, person) in enumerate(zip(ordered_uuids(len(people)), people, strict=True), start=before + 1):
        yield {
            "id": key,
            "tenant_id": bulk.tenant_id,
            "bulk_id": bulk.pk,
            "position": position,
            "patient_id": person.patient_id,
            "row": person.row,
            "values": bulk_values.pack(person.values) if person.values else {},
            "object_id": person.object_id,
            "object_version": person.object_version,
            "reason": "",
            "folded_into": None,
        }
