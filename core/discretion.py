"""What may be called what: at a sensitive place neither the clinic, nor the place, nor who works there is named.

A clinic's name tells a stranger why somebody goes there. So whatever reaches a patient about a sensitive location (SMS,
WhatsApp, email with its sender and subject, calendar entry, page, file name) says the discreet name that the clinic has
chosen, or words that say nothing. Staff read the real names: this is for what leaves the house.

The strictest place wins where several are in one message. Must never import anything of the other apps.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from core.models import Location, Tenant
from core.models.tenant import in_language


class Named(Protocol):
    def name_in(self, language: str | None = None) -> str: ...


@dataclass(frozen=True, slots=True)
class Plain:
    """A name in both languages."""

    en: str
    ar: str

    def name_in(self, language: str | None = None) -> str:
        return in_language(self.en, self.ar, language)


# Where the clinic has written no discreet name down. Said of every clinic, so of none.
CLINIC = Plain("Your care team", "فريق الرعاية")
PLACE = Plain("our usual place", "المكان المعتاد")
PROVIDER = Plain("your care team", "فريق الرعاية")


@dataclass(frozen=True, slots=True)
class Names:
    """What the clinic, the place and who sees the patient are called. By itself it is the clinic's name."""

    clinic: Named
    location: Named
    is_discreet: bool

    def name_in(self, language: str | None = None) -> str:
        return self.clinic.name_in(language)

    def provider(self, person: Named) -> Named:
        return PROVIDER if self.is_discreet else person


def is_discreet(location: Location | None) -> bool:
    """Nothing that leaves the house may name it."""
    return location is not None and location.is_sensitive


def names_for(tenant: Tenant, location: Location | None) -> Names:
    """The names for what a patient reads about a visit, a bill or a result of that place. No query."""
    if location is None:
        return Names(clinic=tenant, location=tenant, is_discreet=False)
    if not location.is_sensitive:
        return Names(clinic=tenant, location=location, is_discreet=False)
    own = Plain(location.discreet_name_en, location.discreet_name_ar)
    return Names(clinic=own if own.name_in() else CLINIC, location=PLACE, is_discreet=True)


def strictest(locations: Iterable[Location]) -> Location | None:
    """The place by whose names a message about several is written: a sensitive one, else the first."""
    places = list(locations)
    return next((place for place in places if place.is_sensitive), places[0] if places else None)
