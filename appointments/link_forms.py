"""What a patient types behind the link of a message. Parse and check shapes; the services decide."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django import forms
from django.core.validators import RegexValidator
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from hijridate import Hijri

from core.selectors import western_digits

# No living person was born before it, and no Hijri year reaches it.
_FIRST_GREGORIAN_YEAR = 1700


class _NumberField(forms.CharField):
    """A number as people type it, in the digits of either script."""

    def __init__(self, label: Any, length: int) -> None:
        attrs = {"inputmode": "numeric", "autocomplete": "off", "class": "num", "dir": "ltr", "size": length}
        super().__init__(
            label=label,
            max_length=length,
            widget=forms.TextInput(attrs=attrs),
            validators=[RegexValidator(r"^[0-9]+\Z", _("Write numbers only."))],
        )

    def to_python(self, value: Any) -> str:
        return western_digits(super().to_python(value) or "")


class BirthDateForm(forms.Form):
    """A date of birth in three numbers, of either calendar: ``cleaned_data["birth_date"]``.

    Below 1700 it is a year of the Hijri calendar: many people of the region know their date of birth in it.
    """

    birth_day = _NumberField(_("Day"), 2)
    birth_month = _NumberField(_("Month"), 2)
    birth_year = _NumberField(_("Year"), 4)

    def clean(self) -> dict[str, Any]:
        super().clean()
        parts = [self.cleaned_data.get(f"birth_{name}") for name in ("year", "month", "day")]
        if all(parts):
            year, month, day = (int(part or 0) for part in parts)
            try:
                self.cleaned_data["birth_date"] = _day(year, month, day)
            except (ValueError, OverflowError):
                self.add_error(None, gettext("There is no such day. Please check the numbers."))
        return self.cleaned_data


def _day(year: int, month: int, day: int) -> dt.date:
    if year >= _FIRST_GREGORIAN_YEAR:
        return dt.date(year, month, day)
    found = Hijri(year, month, day).to_gregorian()
    return dt.date(found.year, found.month, found.day)
