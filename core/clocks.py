"""Times of the day, week days and time zones, as forms offer them. Must never import anything of the other apps."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from typing import Any

from django import forms
from django.utils.formats import date_format
from django.utils.translation import gettext_lazy as _

from core.selectors import western_digits

# Offered first: where the clinics and their people are.
NEARBY = {
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
WEEK = (6, 0, 1, 2, 3, 4, 5)
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


def zone_choices(chosen: str) -> list[tuple[Any, Any]]:
    """Those nearby, then the world by region. A zone chosen earlier stays on the list."""
    known = zoneinfo.available_timezones()
    world: list[tuple[Any, Any]] = []
    for region in _REGIONS:
        names = sorted(name for name in known if name.startswith(f"{region}/"))
        world.append((region, [(name, name.partition("/")[2].replace("_", " ")) for name in names]))
    others = [(name, name) for name in ("UTC", chosen) if name and name.partition("/")[0] not in _REGIONS]
    return [(_("Nearby"), list(NEARBY.items())), *world, (_("Other"), list(dict(others).items()))]
