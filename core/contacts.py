"""Who reads a patient's messages, and where.

Adults read their own. A minor is reached through the verified guardian who is the first contact; without one nobody is
told anything (PDPL Impl. Reg. Art. 13). The reasons are values of ``notifications.states.Reason``, as plain text:
this floor does not know messaging. Must never import anything of the other apps.
"""

from __future__ import annotations

from dataclasses import dataclass

from core.models import Guardian, Guardianship, Patient
from core.models.tenant import in_language

DECEASED = "deceased"
MERGED_AWAY = "merged_away"
GUARDIAN_UNVERIFIED = "guardian_unverified"


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
    if patient.deceased_at is not None:
        return DECEASED
    if patient.merged_into_id is not None:
        return MERGED_AWAY
    if not patient.is_minor:
        return _contact(patient)
    guardian = speaking_guardian(patient)
    return _contact(guardian, guardian) if guardian is not None else GUARDIAN_UNVERIFIED


def speaking_guardian(patient: Patient) -> Guardian | None:
    """The first contact, if verified and willing to get messages."""
    guardianship = (
        Guardianship.objects.filter(patient=patient, is_primary=True, receives_messages=True, verified_at__isnull=False)
        .select_related("guardian")
        .first()
    )
    return guardianship.guardian if guardianship is not None else None


def _contact(person: Patient | Guardian, guardian: Guardian | None = None) -> Contact:
    return Contact(
        name_en=person.name_en,
        name_ar=person.name_ar,
        phone=person.phone,
        email=person.email,
        language=person.language,
        guardian=guardian,
    )
