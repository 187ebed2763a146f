"""Who reads a patient's messages, in words for the page. Roof: may import every app."""

from __future__ import annotations

from dataclasses import dataclass

from core.contacts import Contact, contact_for
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
    """The person who is told, with addresses, language and preferred channel."""
    contact = contact_for(patient)
    if not isinstance(contact, Contact):
        return Reader(refusal=str(Reason(contact).label))
    preference = preference or gate.preference_of(patient)
    relation, language = "", preference.preferred_language or patient.language
    if contact.guardian is not None:
        language = contact.language
        kind = Guardianship.objects.filter(patient=patient, guardian=contact.guardian).values_list("kind", flat=True)
        relation = str(Guardianship.Kind(kind[0]).label)
    return Reader(
        name=contact.name_in(),
        relation=relation,
        phone=contact.phone,
        email=contact.email,
        language=str(Language(language).label),
        channel=Channel(preference.preferred_channel),
    )
