"""The form of the staff's preferences: the matrix, quiet time, email, sound. Parses; the service decides and writes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from core.clocks import NEARBY, WEEK, ClockField, weekday, zone_choices
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
        choices=lambda: [(number, weekday(number)) for number in WEEK],
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
    """The location's, then all others."""
    return [("", _("As at my location (%(zone)s)") % {"zone": NEARBY.get(place, place)}), *zone_choices(chosen)]
