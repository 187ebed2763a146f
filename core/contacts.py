"""Who reads a patient's messages, and where.

Adults read their own. A minor is reached through the verified guardian who is the first contact; without one nobody is
told anything (PDPL Impl. Reg. Art. 13). The reasons are values of ``notifications.states.Reason``, as plain text:
this floor does not know messaging. Must never import anything of the other apps.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import QuerySet
from django.utils import timezone

from core.models import Guardian, Guardianship, Patient
from core.models.tenant import in_language

DECEASED = "deceased"
MERGED_AWAY = "merged_away"
GUARDIAN_UNVERIFIED = "guardian_unverified"
# What of a patient is read here, for who loads hundreds of them.
CONTACT_FIELDS = (
    *("tenant_id", "name_en", "name_ar", "birth_date", "phone", "email", "language"),
    *("deceased_at", "merged_into_id"),
)


@dataclass(frozen=True, slots=True)
class Contact:
    """The reader: names for the greeting, addresses (empty when unknown), language; ``guardian`` for a minor."""

    name_en: str
    name_ar: str
    phone: str
    email: str
    language: str
    guardian: Guardian | None = None

    def name_in(self, language: str | None = None) -> str:
        return in_language(self.name_en, self.name_ar, language)


def contact_for(patient: Patient) -> Contact | str:
    """The contact, or the reason why there is none."""
    return contacts_for([patient])[patient.pk]


def contacts_for(patients: Iterable[Patient]) -> dict[uuid.UUID, Contact | str]:
    """``contact_for`` for many at once: patient id → contact or reason. One query, and none where all are adults."""
    found: dict[uuid.UUID, Contact | str] = {}
    minors: list[uuid.UUID] = []
    today = timezone.localdate()
    for patient in patients:
        if patient.deceased_at is not None:
            found[patient.id] = DECEASED
        elif patient.merged_into_id is not None:
            found[patient.id] = MERGED_AWAY
        elif patient.is_minor_on(today):
            found[patient.id] = GUARDIAN_UNVERIFIED
            minors.append(patient.id)
        else:
            found[patient.id] = _contact(patient)
    if minors:
        for guardianship in _speaking().filter(patient__among=minors):
            found[guardianship.patient_id] = _contact(guardianship.guardian, guardianship.guardian)
    return found


def _speaking() -> QuerySet[Guardianship]:
    rows = Guardianship.objects.filter(is_primary=True, receives_messages=True, verified_at__isnull=False)
    return rows.select_related("guardian")


def _contact(person: Patient | Guardian, guardian: Guardian | None = None) -> Contact:
    return Contact(
        name_en=person.name_en,
        name_ar=person.name_ar,
        phone=person.phone,
        email=person.email,
        language=person.language,
        guardian=guardian,
    )
