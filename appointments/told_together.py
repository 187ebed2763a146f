"""What a message says that is about several visits: a series, or all that is called off of a family.

Values for the placeholders; the words are in ``words_more.py``. The strictest place speaks for all (``core/discretion.py``).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from django.utils import timezone

from appointments.models import Appointment
from core import discretion, phone
from core.contacts import Contact, contact_for
from core.models import Patient
from notifications.rendering import Bilingual, Code, Count, LocalDate, LocalTime, Words, value_text

NO_PHONE = Words("the clinic", "العيادة")


def counted(number: int) -> Count:
    """“12 appointments”, «12 موعدًا»."""
    return Count(
        number,
        ("# appointment", "# appointments"),
        ("لا مواعيد", "موعد واحد", "موعدان", "# مواعيد", "# موعدًا", "# موعد"),
    )


@dataclass(frozen=True, slots=True)
class VisitLine:
    """Whose visit, and when on the wall clock of its place. ``who`` is None where all are the reader's own."""

    who: Bilingual | None
    start: dt.datetime


@dataclass(frozen=True, slots=True)
class VisitList:
    """Several visits in one line of text: “Sara 10:00 AM, Omar 10:30 AM”; with their days where these differ."""

    # Its times are read: in the digits that the reader wishes.
    has_numbers: ClassVar[bool] = True
    lines: tuple[VisitLine, ...]

    def name_in(self, language: str | None = None) -> str:
        language = language or "en"
        has_days = len({line.start.date() for line in self.lines}) > 1
        return ("، " if language == "ar" else ", ").join(_line(line, language, has_day=has_days) for line in self.lines)


def _line(line: VisitLine, language: str, *, has_day: bool) -> str:
    parts = [first_name(line.who, language)] if line.who is not None else []
    if has_day:
        parts.append(value_text(LocalDate(line.start.date()), language))
    return " ".join([*parts, value_text(LocalTime(line.start.time()), language)])


def first_name(person: Bilingual, language: str) -> str:
    """A phone lies on the table: the first name is enough to tell the children apart."""
    return person.name_in(language).split()[0]


def listed(visits: Sequence[Appointment]) -> VisitList:
    """Who reads for somebody else, of whom there may be several, is told whose visit each is."""
    is_named = len({visit.patient_id for visit in visits}) > 1 or visits[0].patient.is_minor_on(timezone.localdate())
    return VisitList(tuple(VisitLine(visit.patient if is_named else None, visit.local_start) for visit in visits))


def context_of(patient: Patient, visits: Sequence[Appointment]) -> dict[str, Any]:
    """What every message about these visits may say. They are in their order and have their place and people joined."""
    location = discretion.strictest(visit.location for visit in visits) or visits[0].location
    first, last = visits[0].local_start, visits[-1].local_start
    number = phone.display(location.phone)
    contact = contact_for(patient)
    return {
        "patient_name": patient,
        "recipient_name": contact if isinstance(contact, Contact) else patient,
        "provider_name": visits[0].provider,
        "clinic_name": patient.tenant,
        "location_name": location,
        "date": LocalDate(first.date()),
        "time": LocalTime(first.time()),
        "last_date": LocalDate(last.date()),
        "visits": counted(len(visits)),
        "phone": Code(number) if number else NO_PHONE,
    }
