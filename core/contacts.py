"""Who reads a patient's messages, and where.

Adults read their own. A minor is reached through the guardians who are verified, in force and not blocked, the first
contact first; without one nobody is told anything (PDPL Impl. Reg. Art. 13). The reasons are values of
``notifications.states.Reason``, as plain text: this floor does not know messaging. Must never import anything of the
other apps.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from django.dispatch import Signal
from django.utils import timezone

from core.models import Guardian, Guardianship, Patient
from core.models.tenant import in_language

DECEASED = "deceased"
MERGED_AWAY = "merged_away"
RESTRICTED = "restricted"
PATIENT_LEFT = "patient_left"
GUARDIAN_UNVERIFIED = "guardian_unverified"
GUARDIAN_BLOCKED = "guardian_blocked"
# What of a patient is read here, for who loads hundreds of them.
CONTACT_FIELDS = (
    *("tenant_id", "name_en", "name_ar", "birth_date", "gender", "phone", "email", "language"),
    *("numerals", "show_hijri", "deceased_at", "merged_into_id", "is_restricted", "is_active"),
)
# Sent with ``patient`` in the transaction in which somebody may have stopped, or begun, to be one who is told.
readers_changed = Signal()
# Who has left still hears of what is open between them: a visit that is moved or called off, results, a bill.
STILL_OPEN = frozenset({"CHANGE", "RESULTS", "BILLING"})


@dataclass(frozen=True, slots=True)
class Contact:
    """The reader: names for the greeting, addresses (empty when unknown), language; ``guardian`` for a minor.

    ``gender`` is F, M or empty; ``numerals`` and ``show_hijri`` are the reader's own wishes. ``person_key`` names the
    person, never the address: two people may share one.
    """

    name_en: str
    name_ar: str
    phone: str
    email: str
    language: str
    guardian: Guardian | None = None
    gender: str = ""
    numerals: str = "latn"
    show_hijri: bool = False
    person_key: str = ""

    def name_in(self, language: str | None = None) -> str:
        return in_language(self.name_en, self.name_ar, language)


class Readers:
    """The readers of some patients on a day, asked as often as there are kinds of messages. One query, and none where
    all are adults.
    """

    def __init__(self, patients: Iterable[Patient], *, day: dt.date | None = None) -> None:
        self._day = day or timezone.localdate()
        self._patients = {patient.id: patient for patient in patients}
        asked = [one for one in self._patients.values() if one.deceased_at is None and one.merged_into_id is None]
        minors = [one.id for one in asked if one.is_minor_on(self._day)]
        self._guardianships: dict[uuid.UUID, list[Guardianship]] = defaultdict(list)
        rows = Guardianship.objects.filter(patient__among=minors).select_related("guardian")
        for row in rows.order_by("-is_primary", "pk") if minors else ():
            self._guardianships[row.patient_id].append(row)

    def of(self, patient_id: uuid.UUID, notification_type: str = "") -> list[Contact] | str:
        """All readers of that kind of message, the first contact first; or the reason why there is none."""
        patient = self._patients[patient_id]
        silence = silence_of(patient, notification_type)
        if silence:
            return silence
        if not patient.is_minor_on(self._day):
            return [_contact(patient)]
        return self._guardians_of(patient_id, notification_type)

    def _guardians_of(self, patient_id: uuid.UUID, notification_type: str) -> list[Contact] | str:
        rows = self._guardianships[patient_id]
        may_know = [row for row in rows if row.speaks_on(self._day)]
        told = [row for row in may_know if not row.blocked_reason and notification_type not in row.not_for]
        # A phone that a blocked guardian holds as well would tell them too.
        blocked = [row.guardian for row in rows if row.blocked_reason]
        closed = {address.casefold() for one in blocked for address in (one.phone, one.email)}
        readers = [_contact(row.guardian, row.guardian) for row in told]
        if closed:
            readers = [_without(one, closed) for one in readers]
            readers = [one for one in readers if one.phone or one.email]
        if readers:
            return _once_each(readers)
        return GUARDIAN_BLOCKED if may_know else GUARDIAN_UNVERIFIED


def recipients_for(
    patients: Iterable[Patient], *, notification_type: str = "", day: dt.date | None = None
) -> dict[uuid.UUID, list[Contact] | str]:
    """All readers of a patient's messages in the order of contact, or the reason why there is none, by patient id.

    ``notification_type`` is a value of ``NotificationType``: a guardian may be left out of one kind. ``day`` is today
    where it is not given. Two guardians with one phone are one reader.
    """
    rows = list(patients)
    readers = Readers(rows, day=day)
    return {patient.id: readers.of(patient.id, notification_type) for patient in rows}


def contact_for(patient: Patient, *, notification_type: str = "") -> Contact | str:
    """The first of the readers, or the reason why there is none."""
    return contacts_for([patient], notification_type=notification_type)[patient.pk]


def contacts_for(patients: Iterable[Patient], *, notification_type: str = "") -> dict[uuid.UUID, Contact | str]:
    """``contact_for`` for many at once: patient id → contact or reason. One query, and none where all are adults."""
    found = recipients_for(patients, notification_type=notification_type)
    return {pk: readers if isinstance(readers, str) else readers[0] for pk, readers in found.items()}


def guardian_contact(
    guardianship: Guardianship, *, notification_type: str = "", day: dt.date | None = None
) -> Contact | str:
    """One guardian of a minor as a reader, whoever else reads; or why they must not be told."""
    today = day or timezone.localdate()
    if not guardianship.patient.is_minor_on(today) or not guardianship.speaks_on(today):
        return GUARDIAN_UNVERIFIED
    if guardianship.blocked_reason or notification_type in guardianship.not_for:
        return GUARDIAN_BLOCKED
    return _contact(guardianship.guardian, guardianship.guardian)


def silence_of(patient: Patient, notification_type: str) -> str:
    """Why nothing is said about this patient to anybody; empty: the readers decide."""
    if patient.deceased_at is not None:
        return DECEASED
    if patient.merged_into_id is not None:
        return MERGED_AWAY
    if patient.is_restricted:
        return RESTRICTED
    return PATIENT_LEFT if not patient.is_active and notification_type not in STILL_OPEN else ""


def _without(reader: Contact, closed: Collection[str]) -> Contact:
    return replace(
        reader,
        phone="" if reader.phone in closed else reader.phone,
        email="" if reader.email.casefold() in closed else reader.email,
    )


def _once_each(readers: Sequence[Contact]) -> list[Contact]:
    """One message an address: who shares the phone of somebody before them is left out, and so is who has no address
    while others have one.
    """
    kept: list[Contact] = []
    for reader in readers:
        if reader.phone and any(reader.phone == other.phone for other in kept):
            continue
        email = reader.email.casefold()
        has_twin = bool(email) and any(email == other.email.casefold() for other in kept)
        kept.append(replace(reader, email="") if has_twin else reader)
    return [reader for reader in kept if reader.phone or reader.email] or kept[:1]


def _contact(person: Patient | Guardian, guardian: Guardian | None = None) -> Contact:
    return Contact(
        name_en=person.name_en,
        name_ar=person.name_ar,
        phone=person.phone,
        email=person.email,
        language=person.language,
        guardian=guardian,
        gender=person.gender,
        numerals=person.numerals,
        show_hijri=person.show_hijri,
        person_key=f"{'patient' if guardian is None else 'guardian'}:{person.pk}",
    )
