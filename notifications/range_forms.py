"""Which days a report is about: a preset that moves with the calendar, or from one day to another."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from core.forms import DayField
from notifications.rollup_sources import Span

_DAY = dt.timedelta(days=1)
# Longer ranges would be read row by row into one page.
MOST_DAYS = 3 * 366
# Before it nothing was sent, and a month before the first year there is has no clock.
_EARLIEST = dt.date(2000, 1, 1)
PRESETS = {
    "7": _("7 days"),
    "30": _("30 days"),
    "90": _("90 days"),
    "month": _("This month"),
    "last_month": _("Last month"),
    "365": _("12 months"),
}
UNITS = {"day": _("By day"), "week": _("By week"), "month": _("By month")}
# Up to so many days each day has a bar of its own; then weeks; then months.
_DAYS_SHOWN, _WEEKS_SHOWN = 45, 190


class RangeForm(forms.Form):
    """From the address. Of a valid form ``span()`` are the days and ``unit()`` how they are cut."""

    since = DayField(label=_("From"), required=False)
    until = DayField(label=_("To"), required=False)
    unit = forms.ChoiceField(
        label=pgettext_lazy("of a chart", "Show"),
        required=False,
        choices=[("", _("As fits")), *UNITS.items()],
        widget=forms.Select(attrs={"class": "in"}),
    )

    def __init__(self, data: Any, *, zone: zoneinfo.ZoneInfo, today: dt.date) -> None:
        super().__init__(data)
        self.zone, self.today = zone, today
        asked = self.data.get("range", "")
        has_days = bool(self.data.get("since") or self.data.get("until"))
        self.preset = "" if has_days else asked if asked in PRESETS else "30"

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        since, until = data.get("since"), data.get("until")
        if since and since > self.today:
            self.add_error("since", _("This day has not come yet."))
        elif since and until and until < since:
            self.add_error("until", _("The last day is before the first one."))
        elif since and (min(until or self.today, self.today) - since).days >= MOST_DAYS:
            self.add_error("since", _("At most three years can be shown at once."))
        return data

    def span(self) -> Span:
        """Ends today at the latest. Only one end given: 30 days from or up to it."""
        if self.preset:
            return Span(*self._preset_days(), self.zone)
        since, until = self.cleaned_data["since"], self.cleaned_data["until"]
        last = max(min(until or (since + 29 * _DAY), self.today), _EARLIEST)
        return Span(since or last - 29 * _DAY, last, self.zone)

    def _preset_days(self) -> tuple[dt.date, dt.date]:
        month = self.today.replace(day=1)
        match self.preset:
            case "month":
                return month, self.today
            case "last_month":
                return (month - _DAY).replace(day=1), month - _DAY
            case _:
                return self.today - (int(self.preset) - 1) * _DAY, self.today

    def unit_of(self, span: Span) -> str:
        if self.cleaned_data.get("unit"):
            return str(self.cleaned_data["unit"])
        days = (span.last - span.first).days + 1
        return "day" if days <= _DAYS_SHOWN else "week" if days <= _WEEKS_SHOWN else "month"

    def presets(self) -> list[dict[str, Any]]:
        return [{"key": key, "label": label, "is_current": key == self.preset} for key, label in PRESETS.items()]
