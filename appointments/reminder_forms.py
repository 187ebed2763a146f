"""What an admin types about reminders: whole days, hours and minutes, as the kind calls for."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any, ClassVar

from django import forms
from django.utils.translation import gettext_lazy as _

from appointments.models import Reminder, ReminderTiming
from appointments.reminders import rules
from appointments.reminders.clock import DAY, Rule
from core.settings_forms import SettingsForm

Kind = Reminder.Kind
_NUMBER = {"dir": "ltr", "class": "num", "autocomplete": "off", "inputmode": "numeric"}
_HOUR, _MINUTE = dt.timedelta(hours=1), dt.timedelta(minutes=1)
# The unit of how long before, and of the two other times.
_UNITS: Mapping[str, tuple[dt.timedelta, dt.timedelta]] = {
    Kind.EARLY: (DAY, _HOUR),
    Kind.DAY_BEFORE: (DAY, _HOUR),
    Kind.TWO_HOURS: (_MINUTE, _MINUTE),
}
_OFFSET = {DAY: _("Days before the visit"), _MINUTE: _("Minutes before the visit")}
_LEAD = {_HOUR: _("At least so many hours before"), _MINUTE: _("At least so many minutes before")}
_UNTIL = {_HOUR: _("Of no use within so many hours"), _MINUTE: _("Of no use within so many minutes")}


def _number(label: Any, least: int, most: int, help_text: Any = "") -> forms.IntegerField:
    return forms.IntegerField(
        label=label,
        min_value=least,
        max_value=most,
        help_text=help_text,
        widget=forms.NumberInput(attrs=_NUMBER),
    )


class ReminderRuleForm(SettingsForm):
    """One kind. ``wish()`` is ``rules.rule_set``'s ``rule``."""

    field_of: ClassVar[dict[str, str]] = {"offset": "offset", "lead": "lead"}
    is_on = forms.BooleanField(label=_("Send this reminder"), required=False)

    def __init__(self, *args: Any, kind: str, rule: Rule, **kwargs: Any) -> None:
        self.offset_unit, self.unit = _UNITS[kind]
        initial = {
            "is_on": rule.is_on,
            "offset": rule.offset // self.offset_unit,
            "lead": rule.lead // self.unit,
            "until": rule.until // self.unit,
        }
        super().__init__(*args, **{"initial": initial, "auto_id": f"{kind}_%s", **kwargs})
        least, most = rules.OFFSETS[kind]
        self.fields["offset"] = _number(_OFFSET[self.offset_unit], least // self.offset_unit, most // self.offset_unit)
        longest = most // self.unit
        self.fields["lead"] = _number(
            _LEAD[self.unit], 0, longest, _("Quiet hours may put it off until then; else it comes before them.")
        )
        self.fields["until"] = _number(
            _UNTIL[self.unit], 0, longest, _("After a standstill it is left out so near to the visit.")
        )

    def wish(self) -> dict[str, Any]:
        data = self.cleaned_data
        rule = Rule(
            is_on=data["is_on"],
            offset=data["offset"] * self.offset_unit,
            lead=data["lead"] * self.unit,
            until=data["until"] * self.unit,
        )
        return {"rule": rule}


class TimingForm(SettingsForm):
    undo_minutes = _number(
        _("Minutes before a booking is told"),
        *rules.LIMITS["undo_minutes"],
        _("What is put right meanwhile is one message with the final time. 0: at once."),
    )
    recent_hours = _number(
        _("Hours without a reminder after other news"),
        *rules.LIMITS["recent_hours"],
        _("Who has just read of the visit is not reminded of it. 0: always."),
    )
    at_once_per_address = _number(
        _("Reminders to one phone at once"),
        *rules.LIMITS["at_once_per_address"],
        _("After a standstill the others follow a little later."),
    )

    @staticmethod
    def initial_of(row: ReminderTiming) -> dict[str, Any]:
        return {name: getattr(row, name) for name in rules.LIMITS}
