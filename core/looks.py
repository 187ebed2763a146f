"""The log of who looked at a patient's messages: one writer, and the reads of its pages.

Must never import anything of the other apps.
"""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Protocol

from django.db.models import QuerySet
from django.utils import timezone

from core.models import Look, Patient, User
from core.selectors import matching

# A page that is read again within this time is the same look: reloads and the refreshing of a page do not flood the log.
WINDOW = dt.timedelta(minutes=15)
# The database lets a look go after this time and not before (migration 0003 holds the same number). Two years: a patient
# who complains of last year's curiosity still finds it.
KEPT = dt.timedelta(days=730)
_NAMESPACE = uuid.UUID("6f7c2a52-0a52-4f0e-9d3b-6b0f0b1c5a11")


class Written(Protocol):
    """What a message must show of itself; ``core`` knows no messages."""

    pk: uuid.UUID
    patient_id: uuid.UUID | None
    tenant_id: uuid.UUID


def record_look(*, user: User, patient: Patient | None = None, message: Written | None = None, page: str) -> None:
    """Notes that ``user`` saw what was written to a patient. One statement; twice within ``WINDOW`` is one row.

    Give the patient, the message, or both; ``page`` is a value of ``Look.Page``. Nothing is written for a message to
    staff (it has no patient), and for patients who read what was written to themselves. Raises ``ValueError`` for an
    unknown page. A look that cannot be noted is an error of the page: what is not logged is not shown.
    """
    page = Look.Page(page).value
    patient_id = patient.pk if patient is not None else message.patient_id if message is not None else None
    tenant_id = patient.tenant_id if patient is not None else message.tenant_id if message is not None else None
    if patient_id is None or tenant_id is None or (patient is not None and patient.user_id == user.pk):
        return
    now = timezone.now()
    message_id = message.pk if message is not None else None
    # The key is made of what makes two looks the same one, so the database drops the second without being asked first.
    same = f"{user.pk}|{patient_id}|{message_id}|{page}|{int(now.timestamp() // WINDOW.total_seconds())}"
    look = Look(
        id=uuid.uuid5(_NAMESPACE, same),
        tenant_id=tenant_id,
        user=user,
        patient_id=patient_id,
        message=message_id,
        page=page,
        seen_at=now,
    )
    Look.objects.bulk_create([look], ignore_conflicts=True)


def looks_at(patient: Patient) -> QuerySet[Look]:
    """Who looked at this patient's messages, the latest first, with the user."""
    return Look.objects.filter(patient=patient).select_related("user").order_by("-seen_at", "-pk")


def log(
    *,
    patient: Patient | None = None,
    user: User | None = None,
    page: str = "",
    search: str = "",
    since: dt.datetime | None = None,
    until: dt.datetime | None = None,
) -> QuerySet[Look]:
    """The looks that pass, the latest first, with who looked. ``search`` finds patients as their list does."""
    rows = Look.objects.select_related("user").order_by("-seen_at", "-pk")
    given = {"patient": patient, "user": user, "page": page, "seen_at__gte": since, "seen_at__lt": until}
    rows = rows.filter(**{name: value for name, value in given.items() if value})
    if search.strip():
        rows = rows.filter(patient__in=Patient.objects.filter(matching(search)).values("pk"))
    return rows


def looks_forget(*, limit: int = 10_000) -> int:
    """Deletes the open tenant's looks that are older than ``KEPT``; returns how many. At most ``limit`` a call."""
    # A minute of grace: the database decides by its own clock.
    old = Look.objects.filter(seen_at__lt=timezone.now() - KEPT - dt.timedelta(minutes=1))
    keys = list(old.order_by("seen_at").values_list("pk", flat=True)[:limit])
    return Look.objects.filter(pk__in=keys).delete()[0]
