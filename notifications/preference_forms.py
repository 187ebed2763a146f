"""The form of the staff's preferences: the matrix, quiet time, email, sound. Parses; the service decides and writes."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from dataclasses import dataclass
from typing import Any

from django import forms
from django.utils.formats import date_format
from django.utils.translation import gettext_lazy as _

from core.selectors import western_digits
from notifications import staff_preferences
from notifications.models import StaffPreference
from notifications.states import Category, Frequency, StaffChannel

# What a category holds, in the words of the desk.
_HINTS = {
    Category.ARRIVAL: _("A patient has come in"),
    Category.APPOINTMENT: _("Booked, moved, cancelled, missed"),
    Category.MESSAGING: _("Patients who answer, messages that fail"),
    Category.SYSTEM: _("Outages and long queues"),
    Category.ANNOUNCEMENT: _("Words from your admins"),
    Category.GENERAL: _("Results, bills and the rest"),
}
# Offered first: where the clinics and their people are.
_NEARBY = {
    "Asia/Riyadh": _("Riyadh"),
    "Asia/Dubai": _("Dubai"),
    "Asia/Kuwait": _("Kuwait"),
    "Asia/Qatar": _("Doha"),
    "Asia/Bahrain": _("Manama"),
    "Asia/Muscat": _("Muscat"),
    "Asia/Amman": _("Amman"),
    "Asia/Beirut": _("Beirut"),
    "Africa/Cairo": _("Cairo"),
    "Europe/Istanbul": _("Istanbul"),
    "Europe/London": _("London"),
}
_REGIONS = ("Africa", "America", "Asia", "Atlantic", "Australia", "Europe", "Indian", "Pacific")
# Sunday first, as the week goes.
_WEEK = (6, 0, 1, 2, 3, 4, 5)
# 1 January 2024 was a Monday.
_MONDAY = dt.date(2024, 1, 1)


def weekday(number: int) -> str:
    """Its name in the reader's language. Monday is 0."""
    return date_format(_MONDAY + dt.timedelta(days=number), "l")


class ClockField(forms.TimeField):
    """A time of the day: the browser's own picker, and Arabic digits where somebody types it."""

    def __init__(self, **kwargs: Any) -> None:
        attrs = {"type": "time", "class": "num", "dir": "ltr"}
        kwargs.setdefault("error_messages", {"invalid": _("Write a time such as 22:00.")})
        super().__init__(
            widget=forms.TimeInput(format="%H:%M", attrs=attrs), input_formats=["%H:%M", "%H:%M:%S"], **kwargs
        )

    def to_python(self, value: Any) -> dt.time | None:
        return super().to_python(western_digits(value) if isinstance(value, str) else value)


@dataclass(frozen=True, slots=True)
class Cell:
    """One box of the matrix."""

    id: str
    name: str
    channel: StaffChannel
    is_on: bool


@dataclass(frozen=True, slots=True)
class Row:
    category: Category
    hint: Any
    cells: list[Cell]


class StaffPreferenceForm(forms.Form):
    """``wish()`` are the values of ``staff_preference_update``. Boxes of a category share a name: ``on_ARRIVAL``."""

    quiet_starts = ClockField(label=_("From"), required=False)
    quiet_ends = ClockField(label=_("Until"), required=False)
    ramadan_quiet_starts = ClockField(label=_("From"), required=False)
    ramadan_quiet_ends = ClockField(label=_("Until"), required=False)
    is_quiet_on_weekends = forms.BooleanField(label=_("Quiet on weekends"), required=False)
    is_quiet_on_holidays = forms.BooleanField(label=_("Quiet on holidays"), required=False)
    timezone = forms.ChoiceField(label=_("Time zone"), required=False)  # its choices depend on the person
    frequency = forms.ChoiceField(label=_("Email comes"), choices=Frequency.choices)
    digest_time = ClockField(label=_("Time of the summary"))
    digest_weekday = forms.TypedChoiceField(
        label=_("Day of the weekly summary"),
        coerce=int,
        choices=lambda: [(number, weekday(number)) for number in _WEEK],
    )
    has_toasts = forms.BooleanField(label=_("Show new ones in the corner of the page"), required=False)
    has_sound = forms.BooleanField(label=_("Play a sound for new ones"), required=False)

    def __init__(self, *args: Any, preference: StaffPreference, place: str, **kwargs: Any) -> None:
        """``place``: the zone that holds when none is chosen."""
        kwargs["initial"] = {name: getattr(preference, name) for name in self.base_fields}
        self._matrix = staff_preferences.effective_matrix(preference)
        super().__init__(*args, **kwargs)
        for category in Category.values:
            self.fields[f"on_{category}"] = forms.MultipleChoiceField(choices=StaffChannel.choices, required=False)
        self.fields["timezone"] = forms.ChoiceField(
            label=_("Time zone"), choices=_zones(place, preference.timezone), required=False
        )

    @property
    def rows(self) -> list[Row]:
        """The matrix as it stands, or as it was just sent."""
        return [Row(category, _HINTS[category], self._cells(category)) for category in Category]

    def _cells(self, category: Category) -> list[Cell]:
        name = f"on_{category}"
        on = self[name].value() or [] if self.is_bound else self._matrix[category]
        return [Cell(f"id_{name}_{channel}", name, channel, channel in on) for channel in StaffChannel]

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        for start, end in staff_preferences.WINDOWS:
            if {start, end} & set(self.errors):
                continue
            refusal = staff_preferences.window_refusal(data.get(start), data.get(end))
            if refusal is not None:
                self.add_error(start if data.get(start) is None else end, str(refusal))
        return data

    def wish(self) -> dict[str, Any]:
        matrix = {category: self.cleaned_data[f"on_{category}"] for category in Category.values}
        return {"matrix": matrix, **{name: self.cleaned_data[name] for name in self.base_fields}}

    def preview(self) -> StaffPreference:
        """What would hold if this were saved. Only of a valid form."""
        return StaffPreference(**{name: self.cleaned_data[name] for name in self.base_fields})


def _zones(place: str, chosen: str) -> list[tuple[Any, Any]]:
    """The location's, those nearby, then the world by region. A zone chosen earlier stays on the list."""
    known = zoneinfo.available_timezones()
    world: list[tuple[Any, Any]] = []
    for region in _REGIONS:
        names = sorted(name for name in known if name.startswith(f"{region}/"))
        world.append((region, [(name, name.partition("/")[2].replace("_", " ")) for name in names]))
    others = [(name, name) for name in ("UTC", chosen) if name and name.partition("/")[0] not in _REGIONS]
    return [
        ("", _("As at my location (%(zone)s)") % {"zone": _NEARBY.get(place, place)}),
        (_("Nearby"), list(_NEARBY.items())),
        *world,
        (_("Other"), list(dict(others).items())),
    ]
