"""The filters of the audit trail and of the log of looks, from the address. Days are those of the reader's wall clock."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from typing import Any

from django import forms
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from core.audit_words import action_choices
from core.forms import DayField
from core.models import Look, Patient, Role, User

# Centuries away there is nothing to find, and no clock to reckon with.
_FIRST_DAY, _LAST_DAY = dt.date(2000, 1, 1), dt.date(2199, 12, 31)


class UserField(forms.ModelChoiceField):  # type: ignore[type-arg]  # takes no arguments when it runs
    """Somebody of the clinic group, those who left too: history has their names."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(queryset=User.objects.none(), required=False, empty_label=_("Everybody"), **kwargs)

    def label_from_instance(self, obj: Any) -> str:
        return str(obj.name)


class RangeForm(forms.Form):
    """What both pages ask: who, and from when to when."""

    who = UserField(label=pgettext_lazy("audit", "Who"))
    since = DayField(label=_("From"), required=False)
    until = DayField(label=_("To"), required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["who"].queryset = User.objects.exclude(role=Role.PATIENT).order_by("name_en", "pk")  # type: ignore[attr-defined]

    @property
    def is_filtered(self) -> bool:
        return any(self.data.get(name) for name in self.fields)

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        since, until = data.get("since"), data.get("until")
        if since and until and until < since:
            self.add_error("until", _("The last day is before the first one."))
        return data

    def bounds(self, zone: zoneinfo.ZoneInfo) -> dict[str, dt.datetime | None]:
        """``since`` and ``until`` as moments; the last day is part of the range."""
        data = self.cleaned_data
        last = data["until"]
        return {
            "since": _midnight(data["since"], zone),
            "until": _midnight(min(last, _LAST_DAY) + dt.timedelta(days=1) if last else None, zone),
        }


class AuditFilterForm(RangeForm):
    """``selection()`` are the arguments of ``audit_trail.trail``."""

    q = forms.CharField(
        label=_("Search"),
        max_length=100,
        required=False,
        widget=forms.TextInput(
            attrs={
                "type": "search",
                "autocomplete": "off",
                "dir": "auto",
                "placeholder": _("Person, patient or file no."),
            }
        ),
    )
    action = forms.ChoiceField(label=pgettext_lazy("audit", "What"), required=False)
    # Not shown as fields: links of the page narrow the trail to one kind of object, or to one.
    kind = forms.CharField(max_length=60, required=False, widget=forms.HiddenInput)
    object = forms.UUIDField(required=False, widget=forms.HiddenInput)
    field_order = ("q", "who", "action", "since", "until", "kind", "object")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["action"].choices = [("", _("Everything")), *action_choices()]  # type: ignore[attr-defined]

    def selection(self, zone: zoneinfo.ZoneInfo) -> dict[str, Any]:
        data = self.cleaned_data
        return {
            "actor": data["who"],
            "action": data["action"],
            "object_type": data["kind"],
            "object_id": data["object"],
            "search": data["q"],
            **self.bounds(zone),
        }


class LookFilterForm(RangeForm):
    """``patient`` comes from a patient's page, as an id."""

    q = forms.CharField(
        label=_("Patient"),
        max_length=100,
        required=False,
        widget=forms.TextInput(
            attrs={
                "type": "search",
                "autocomplete": "off",
                "dir": "auto",
                "placeholder": _("Name, file number or phone"),
            }
        ),
    )
    page = forms.ChoiceField(label=pgettext_lazy("look", "Where"), required=False)
    patient = forms.ModelChoiceField(queryset=Patient.objects.none(), required=False, widget=forms.HiddenInput)
    field_order = ("q", "who", "page", "since", "until", "patient")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["page"].choices = [("", _("Every page")), *Look.Page.choices]  # type: ignore[attr-defined]
        self.fields["patient"].queryset = Patient.objects.all()  # type: ignore[attr-defined]

    def selection(self, zone: zoneinfo.ZoneInfo) -> dict[str, Any]:
        data = self.cleaned_data
        return {
            "patient": data["patient"],
            "user": data["who"],
            "page": data["page"],
            "search": data["q"],
            **self.bounds(zone),
        }


def _midnight(day: dt.date | None, zone: zoneinfo.ZoneInfo) -> dt.datetime | None:
    if day is None:
        return None
    # The day after the last one is a bound, too.
    day = min(max(day, _FIRST_DAY), _LAST_DAY + dt.timedelta(days=1))
    return timezone.make_aware(dt.datetime.combine(day, dt.time()), zone)
