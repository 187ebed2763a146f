"""What may be called what: at a sensitive place neither the clinic, nor the place, nor who works there is named.

A clinic's name tells a stranger why somebody goes there. So whatever reaches a patient about a sensitive location (SMS,
WhatsApp, email with its sender and subject, calendar entry, page, file name) says the discreet name that the clinic has
chosen, or words that say nothing. Staff read the real names: this is for what leaves the house.

The strictest place wins where several are in one message. Must never import anything of the other apps.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

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
# What somebody typed may name anything. Instead of it, by the placeholder it fills:
_INSTEAD_OF_TYPED = {
    "reason": Plain("a change in the schedule", "تغيير في الجدول"),
    "next_steps": Plain("Please follow what was agreed.", "نرجو اتباع ما تم الاتفاق عليه."),
}


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
    return Names(clinic=discreet_name(location), location=PLACE, is_discreet=True)


def discreet_name(location: Location) -> Plain:
    """What the clinic is called at a sensitive place."""
    own = Plain(location.discreet_name_en, location.discreet_name_ar)
    return own if own.name_in() else CLINIC


def discreet_context(context: Mapping[str, Any], location: Location | None) -> Mapping[str, Any]:
    """The values of a message's placeholders, as a patient may read them about that place. No query."""
    if location is None or not location.is_sensitive:
        return context
    values = dict(context)
    named = {"clinic_name": discreet_name(location), "location_name": PLACE, "provider_name": PROVIDER}
    values.update({name: value for name, value in named.items() if name in context})
    typed = {name: instead for name, instead in _INSTEAD_OF_TYPED.items() if isinstance(context.get(name), str)}
    return {**values, **typed}


def strictest(locations: Iterable[Location]) -> Location | None:
    """The place by whose names a message about several is written: a sensitive one, else the first."""
    places = list(locations)
    return next((place for place in places if place.is_sensitive), places[0] if places else None)
