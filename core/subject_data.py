"""All that is kept about one patient: a register of sections, which the apps fill, and what a copy of it may not say.

A copy holds nobody else's data: addresses of others are masked, staff are named by their role, and a text that names a
relative is left out. Apps register from ``AppConfig.ready()``: what they tell, what they erase, and what of theirs stands
in the way of erasing. A house test asks that every table with a patient in it is either told of or left out for a reason.
Must never import anything of the other apps.
"""

from __future__ import annotations

import datetime as dt
import re
import uuid
import zoneinfo
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from django.db.models import Q
from django.utils.functional import Promise

from core.merging import file_ids
from core.models import Guardian, Guardianship, Location, Patient, User
from core.selectors import zone_of_tenant

Row = Mapping[str, Any]
# Particles that Arabic writes together with the word after them: «وعمر», «لسارة».
_PARTICLES = "وفبكل"
_ISOLATES = dict.fromkeys(map(ord, "\u2066\u2067\u2068\u2069\u200e\u200f\u0640"))


class DuplicateSection(Exception):
    """Two sections with one name."""


class NotYet(Exception):
    """An eraser has to wait: something of the patient's is under way. It is tried again."""


@dataclass(frozen=True, slots=True)
class Section:
    """A table of the copy. ``columns``: key → heading; ``rows`` yields one mapping a row, with plain values in it.

    ``models`` are those whose rows it tells, as labels: ``notifications.Message``.
    """

    name: str
    title: Promise
    columns: Mapping[str, Promise]
    rows: Callable[[Copy], Iterable[Row]]
    models: tuple[str, ...]


_SECTIONS: dict[str, Section] = {}
_LEFT_OUT: dict[str, str] = {}
_ERASERS: dict[str, Callable[[Patient], int]] = {}
_OBSTACLES: dict[str, Callable[[Patient], str]] = {}
_NAMES: list[Callable[[Patient], Iterable[str]]] = []


def register_section(section: Section) -> None:
    if section.name in _SECTIONS:
        raise DuplicateSection(section.name)
    _SECTIONS[section.name] = section


def leave_out(model: str, why: str) -> None:
    """A table with a patient in it that no copy tells of, and why."""
    _LEFT_OUT[model] = why


def register_eraser(name: str, function: Callable[[Patient], int]) -> None:
    """What an app lets go of when a patient's data is erased; returns how many rows. In short transactions of its own,
    and safe to run again."""
    if name in _ERASERS:
        raise DuplicateSection(name)
    _ERASERS[name] = function


def register_obstacle(name: str, function: Callable[[Patient], str]) -> None:
    """What must be settled before: a sentence for the admin, or empty."""
    if name in _OBSTACLES:
        raise DuplicateSection(name)
    _OBSTACLES[name] = function


def register_names(function: Callable[[Patient], Iterable[str]]) -> None:
    """Names of other people who are written to about a patient: a text in which one of them stands is theirs."""
    _NAMES.append(function)


def sections() -> list[Section]:
    return list(_SECTIONS.values())


def told_models() -> set[str]:
    return {label for section in _SECTIONS.values() for label in section.models}


def left_out_models() -> dict[str, str]:
    return dict(_LEFT_OUT)


def erasers() -> list[tuple[str, Callable[[Patient], int]]]:
    return list(_ERASERS.items())


def obstacles_of(patient: Patient) -> list[str]:
    """What must be settled before the patient's data can be erased; empty when nothing stands in the way."""
    return [sentence for check in _OBSTACLES.values() if (sentence := check(patient))]


# --- what a copy may say ---------------------------------------------------------------------------------------------


@dataclass
class Copy:
    """One copy that is being made: of whom, for whom (``patient:<id>`` or ``guardian:<id>``), and the rules of what it may
    say. The tenant's scope is open."""

    patient: Patient
    reader: str
    language: str
    # How often a text was left out, for the page that says so.
    withheld: int = field(default=0)

    @cached_property
    def zone(self) -> zoneinfo.ZoneInfo:
        return zone_of_tenant()

    @cached_property
    def files(self) -> list[uuid.UUID]:
        """The file and those that were merged into it: what is never rewritten still stands under the old ones."""
        return file_ids(self.patient)

    @cached_property
    def own_addresses(self) -> frozenset[str]:
        """What the reader knows anyway: the patient's own addresses, and theirs."""
        known = {self.patient.phone, self.patient.phone_alternative, self.patient.email}
        kind, _colon, key = self.reader.partition(":")
        if kind == "guardian":
            known |= {one for pair in Guardian.objects.filter(pk=key).values_list("phone", "email") for one in pair}
        return frozenset(known - {""})

    def address(self, address: str) -> str:
        """As it is when it is the patient's or the reader's own; masked when it is somebody else's."""
        if not address or address in self.own_addresses:
            return address
        return mask(address)

    def text(self, text: str) -> str | None:
        """The words, or None where they name a relative, another guardian or who pays: those are somebody else's data."""
        if text and self._others.search(text.translate(_ISOLATES)):
            self.withheld += 1
            return None
        return text

    def staff(self, user: User | None) -> str:
        """Who it was, by role; the person is no part of the patient's data."""
        return str(user.get_role_display()) if user is not None else ""

    @cached_property
    def relatives(self) -> list[Patient]:
        """Files of the same clinic group that share a guardian or an address with this one."""
        guardians = Guardianship.objects.filter(patient=self.patient).values("guardian")
        addresses = set(self.own_addresses)
        for pair in Guardian.objects.filter(guardianships__patient=self.patient).values_list("phone", "email"):
            addresses |= set(pair)
        addresses.discard("")
        shared = (
            Q(guardianships__guardian__in=guardians)
            | Q(phone__in=addresses)
            | Q(phone_alternative__in=addresses)
            | Q(email__in=addresses)
            # An adult whose number is that of a guardian here.
            | Q(guardianships__guardian__phone__in=addresses)
        )
        return list(Patient.objects.filter(shared).exclude(pk=self.patient.pk).distinct())

    @cached_property
    def other_guardians(self) -> list[Guardian]:
        """Who speaks for the patient and does not read this copy."""
        kind, _colon, key = self.reader.partition(":")
        rows = Guardian.objects.filter(guardianships__patient=self.patient)
        return list((rows.exclude(pk=key) if kind == "guardian" else rows).distinct())

    def words_from(self, address: str, text: str) -> str | None:
        """What somebody wrote: None where it came from another guardian."""
        theirs = {known for one in self.other_guardians for known in (one.phone, one.email)} - self.own_addresses
        if text and address in theirs:
            self.withheld += 1
            return None
        return self.text(text)

    @cached_property
    def _others(self) -> re.Pattern[str]:
        """Finds the given name of a relative or another guardian as a word of its own, in either script."""
        ours = _words(
            self.patient.name_en, self.patient.name_ar, self.patient.tenant.name_en, self.patient.tenant.name_ar
        )
        for pair in Location.objects.values_list("name_en", "name_ar"):
            ours |= _words(*pair)
        people: list[Patient | Guardian] = [*self.relatives, *self.other_guardians]
        given = {
            name.split()[0].casefold() for one in people for name in (one.name_en, one.name_ar) if name.split()
        } - ours
        named = {name for names in _NAMES for name in names(self.patient) if _words(name) - ours}
        numbers = {one.mrn for one in self.relatives if len(one.mrn) > 3}
        words = "|".join(re.escape(word) for word in sorted(given | numbers | named))
        # Never matches when nobody is to be looked for.
        return re.compile(rf"(?<!\w)[{_PARTICLES}]?(?:{words})(?!\w)" if words else r"(?!)", re.IGNORECASE)


def _words(*names: str) -> set[str]:
    return {word.casefold() for name in names for word in name.split()}


def mask(address: str) -> str:
    """``+966501234567`` → ``+9665•••••67``, ``huda@mail.example`` → ``h•••@mail.example``: recognised by who knows it."""
    name, at, host = address.partition("@")
    if at:
        return f"{name[:1]}•••@{host}"
    return f"{address[:5]}•••••{address[-2:]}" if len(address) > 8 else "•••"


def plain(value: Any, zone: dt.tzinfo) -> Any:
    """As it stands in a table that people read: the wall clock of the clinic."""
    if isinstance(value, dt.datetime):
        return value.astimezone(zone).strftime("%Y-%m-%d %H:%M")
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, Promise):
        return str(value)
    if isinstance(value, list | tuple):
        return ", ".join(str(plain(one, zone)) for one in value)
    return value


def exact(value: Any) -> Any:
    """As it stands in the file for machines: moments with their offset, everything else as it is."""
    if isinstance(value, dt.datetime | dt.date):
        return value.isoformat()
    if isinstance(value, uuid.UUID | Promise):
        return str(value)
    if isinstance(value, Mapping):
        return {str(name): exact(one) for name, one in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [exact(one) for one in value]
    return value
