"""What a patient wishes about a new time: taps, no words. The desk reads it on the task."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from core.clocks import WEEK, weekday

PARTS = (("morning", _("Morning")), ("afternoon", _("Afternoon")), ("evening", _("Evening")))


class WishForm(forms.Form):
    """Nothing chosen: any time suits."""

    parts = forms.MultipleChoiceField(
        label=_("Time of day"), choices=PARTS, required=False, widget=forms.CheckboxSelectMultiple
    )
    weekdays = forms.TypedMultipleChoiceField(
        label=_("Days"), coerce=int, required=False, widget=forms.CheckboxSelectMultiple
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        days = self.fields["weekdays"]
        assert isinstance(days, forms.TypedMultipleChoiceField)
        days.choices = [(number, weekday(number)) for number in WEEK]
