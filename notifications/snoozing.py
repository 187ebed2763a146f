"""Until when somebody may put a notification off: three usual answers and a time of their own, on their wall clock."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from django import forms
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from core.selectors import western_digits

MORNING = dt.time(8)
AFTERNOON = dt.time(14)
# Friday and Saturday (Monday is 0), for who works nowhere in particular.
USUAL_WEEKEND = (4, 5)


@dataclass(frozen=True, slots=True)
class Choice:
    """One button: its name in the form, its words, and the moment."""

    name: str
    label: str
    until: dt.datetime


def choices(
    zone: zoneinfo.ZoneInfo, now: dt.datetime | None = None, *, weekend: Collection[int] = USUAL_WEEKEND
) -> list[Choice]:
    """What makes sense to offer now: no afternoon in the afternoon, and a week that begins tomorrow is offered once."""
    now = now or timezone.now()
    here = timezone.localtime(now, zone)
    tomorrow = here.date() + dt.timedelta(days=1)
    week = _next_week(tomorrow, weekend)
    found = [Choice("hour", _("In one hour"), now + dt.timedelta(hours=1))]
    # An hour before it, "in one hour" says the same.
    if here.hour < AFTERNOON.hour - 1:
        found.append(Choice("afternoon", _("This afternoon"), _at(here.date(), AFTERNOON, zone)))
    found.append(Choice("tomorrow", _("Tomorrow morning"), _at(tomorrow, MORNING, zone)))
    if week is not None and week != tomorrow:
        found.append(Choice("week", _("Next working week"), _at(week, MORNING, zone)))
    return found


def _next_week(first: dt.date, weekend: Collection[int]) -> dt.date | None:
    """From ``first`` on, the first working day after a weekend day; None where there is no weekend, or nothing else."""
    days = (first + dt.timedelta(days=ahead) for ahead in range(7))
    return next((day for day in days if day.weekday() not in weekend and (day.weekday() - 1) % 7 in weekend), None)


def _at(day: dt.date, time: dt.time, zone: zoneinfo.ZoneInfo) -> dt.datetime:
    return timezone.make_aware(dt.datetime.combine(day, time), zone)


class _MomentField(forms.DateTimeField):
    """The browser's own picker; Arabic digits where somebody types it."""

    def to_python(self, value: Any) -> dt.datetime | None:
        return super().to_python(western_digits(value) if isinstance(value, str) else value)


class SnoozeForm(forms.Form):
    """A button (``preset``), or a time of one's own (``until``)."""

    until = _MomentField(
        label=gettext_lazy("Another time"),
        required=False,
        widget=forms.DateTimeInput(format="%Y-%m-%dT%H:%M", attrs={"type": "datetime-local"}),
    )

    def __init__(
        self, *args: Any, zone: zoneinfo.ZoneInfo, weekend: Collection[int] = USUAL_WEEKEND, **kwargs: Any
    ) -> None:
        # The page behind the dialog has a field of that name too.
        super().__init__(*args, **{**kwargs, "auto_id": "snooze_%s"})
        self._zone = zone
        self.choices = choices(zone, weekend=weekend)
        now = timezone.localtime(timezone.now(), zone)
        self.fields["until"].widget.attrs["min"] = f"{now:%Y-%m-%dT%H:%M}"

    @property
    def preset(self) -> str:
        return str(self.data.get("preset", ""))

    def full_clean(self) -> None:
        """What is typed is read on the reader's wall clock; an hour that summer time skips is refused."""
        with timezone.override(self._zone):
            super().full_clean()

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if self.preset:
            # An afternoon chosen on a page of the morning, say.
            if self._chosen() is None:
                raise forms.ValidationError(_("This choice is not offered any more. Choose another one."))
        elif not data.get("until") and "until" not in self.errors:
            self.add_error("until", _("Choose a day and a time."))
        return data

    def until_moment(self) -> dt.datetime:
        """The moment that was chosen; only of a valid form."""
        chosen = self._chosen()
        if chosen is not None:
            return chosen.until
        moment: dt.datetime = self.cleaned_data["until"]
        return moment

    def _chosen(self) -> Choice | None:
        return next((choice for choice in self.choices if choice.name == self.preset), None)
