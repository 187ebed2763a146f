"""Who reads a patient's messages, in words for the page. Roof: may import every app."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from core.contacts import Contact, recipients_for
from core.models import Guardianship, Language, Patient
from notifications import gate
from notifications.models import NotificationPreference
from notifications.states import Channel, Reason


@dataclass(frozen=True, slots=True)
class Reader:
    """``refusal`` says why nobody gets messages; ``relation`` is empty for an adult who reads their own."""

    name: str = ""
    relation: str = ""
    phone: str = ""
    email: str = ""
    language: str = ""
    channel: str = ""
    refusal: str = ""

    @property
    def is_reachable(self) -> bool:
        return not self.refusal and bool(self.phone or self.email)


def reader_of(patient: Patient, preference: NotificationPreference | None = None) -> Reader:
    """The person who is told first, with addresses, language and preferred channel."""
    return readers_of(patient, preference)[0]


def readers_of(patient: Patient, preference: NotificationPreference | None = None) -> list[Reader]:
    """All who are told, the first contact first; or one row that says why nobody is."""
    found = recipients_for([patient])[patient.pk]
    if isinstance(found, str):
        return [Reader(refusal=str(Reason(found).label))]
    preference = preference or gate.preference_of(patient)
    guardians = [contact.guardian for contact in found if contact.guardian is not None]
    kinds = (
        dict(Guardianship.objects.filter(patient=patient, guardian__in=guardians).values_list("guardian", "kind"))
        if guardians
        else {}
    )
    return [_reader(patient, preference, contact, kinds) for contact in found]


def _reader(
    patient: Patient, preference: NotificationPreference, contact: Contact, kinds: dict[uuid.UUID, str]
) -> Reader:
    guardian = contact.guardian
    language = contact.language if guardian is not None else preference.preferred_language or patient.language
    return Reader(
        name=contact.name_in(),
        relation=str(Guardianship.Kind(kinds[guardian.pk]).label) if guardian is not None else "",
        phone=contact.phone,
        email=contact.email,
        language=str(Language(language).label),
        channel=Channel(preference.preferred_channel),
    )
