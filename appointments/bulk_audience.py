"""The people of a bulk send who have, or had, a visit: by day, place, provider, department and status.

One recipient a patient, about the first visit that fits. A visit that is still to come is named on the recipient, so that
its message is withdrawn when the visit moves, and left out when it no longer takes place at the moment of the send.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from django.utils import timezone

from appointments.models import Appointment
from appointments.states import AWAITED
from core import discretion, phone
from integrations.bulk.audience import Person
from notifications.rendering import Code, LocalDate, LocalTime, Words
from notifications.states import Reason

OBJECT_TYPE = Appointment._meta.label_lower
# Placeholders that these recipients have values for.
VARIABLES = ("date", "time", "provider_name", "location_name", "phone")
# The statuses that an audience may be chosen by; what was entered in error was never a visit.
STATUSES = tuple(status for status in Appointment.Status if status != Appointment.Status.ENTERED_IN_ERROR)
_NO_PHONE = Words("the clinic", "العيادة")


def visits(
    *,
    starts: dt.datetime,
    ends: dt.datetime,
    location_id: uuid.UUID | None = None,
    provider_id: uuid.UUID | None = None,
    department_id: uuid.UUID | None = None,
    statuses: Collection[str] = (),
    language: str = "",
    tag_id: uuid.UUID | None = None,
) -> Iterator[Person]:
    """The patients with a visit that begins in [starts, ends), in the order of their visits. The tenant scope is open."""
    rows = Appointment.objects.filter(starts_at__gte=starts, starts_at__lt=ends, status__in=statuses or AWAITED)
    for name, wanted in (("location", location_id), ("provider", provider_id), ("department", department_id)):
        if wanted is not None:
            rows = rows.filter(**{name: wanted})
    if language:
        rows = rows.filter(patient__language=language)
    if tag_id is not None:
        rows = rows.filter(patient__taggings__tag=tag_id)
    rows = rows.filter(patient__is_active=True, patient__deceased_at=None, patient__merged_into=None)
    seen: set[uuid.UUID] = set()
    now = timezone.now()
    for visit in rows.select_related("location", "provider").order_by("starts_at", "pk").iterator(chunk_size=2000):
        if visit.patient_id not in seen:
            seen.add(visit.patient_id)
            yield _person(visit, now)


def _person(visit: Appointment, now: dt.datetime) -> Person:
    number = phone.display(visit.location.phone)
    values: dict[str, Any] = {
        "date": LocalDate(visit.local_start.date()),
        "time": LocalTime(visit.local_start.time()),
        "provider_name": visit.provider,
        "location_name": visit.location,
        "phone": Code(number) if number else _NO_PHONE,
    }
    if discretion.is_discreet(visit.location):
        # Else the send's own, which is the clinic group's.
        values["clinic_name"] = visit.location
    is_to_come = visit.status in AWAITED and visit.starts_at > now
    return Person(
        visit.patient_id,
        dict(discretion.discreet_context(values, visit.location)),
        object_id=visit.pk if is_to_come else None,
        object_version=visit.version if is_to_come else 0,
    )


def refusals(objects: Sequence[tuple[uuid.UUID, int]]) -> Mapping[uuid.UUID, Reason]:
    """The visits among them that have moved, were called off, or have begun since the audience was chosen."""
    versions = dict(objects)
    now = timezone.now()
    found: dict[uuid.UUID, Reason] = dict.fromkeys(versions, Reason.STATUS_NOT_ELIGIBLE)
    rows = Appointment.objects.filter(pk__among=list(versions)).order_by()
    for pk, version, status, starts_at in rows.values_list("pk", "version", "status", "starts_at"):
        if version != versions[pk]:
            found[pk] = Reason.STALE_VERSION
        elif status in AWAITED:
            if starts_at > now:
                del found[pk]
            else:
                found[pk] = Reason.PAST_DUE
    return found
