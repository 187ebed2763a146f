"""What the desk types about several visits: a provider's absence, a series, the waiting list, the rules for both.

Forms check shape only; the services decide, and ``show_refusal`` puts their answer next to the field it is about.
"""

from __future__ import annotations

import datetime as dt
import uuid
import zoneinfo
from typing import Any

from django import forms
from django.db.models import QuerySet
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from appointments import policy, selectors
from appointments.forms import DURATIONS, DateField, MissingHour, ProviderField, minutes_text, wall_clock
from appointments.models import Series, VisitPolicy
from core.clocks import ClockField
from core.errors import DomainError
from core.models import Department, Location, Patient
from core.roster_forms import WallClockField

_FIELD_OF = {
    "ends_early": "ends_at",
    "too_long": "ends_at",
    "not_a_provider": "provider",
    "reason_missing": "reason",
    "reason_too_long": "reason",
    "days_wrong": "last_day",
    "hours_wrong": "time_until",
    "patient_inactive": "patient",
    "twice": "patient",
    **{f"{name}_out_of_range": name for name in policy.LIMITS},
}


def show_refusal(form: forms.BaseForm, error: DomainError) -> None:
    field = _FIELD_OF.get(error.code)
    form.add_error(field if field in form.fields else None, str(error))


def _offer_rows(form: forms.Form, name: str, rows: QuerySet[Any]) -> None:
    field = form.fields[name]
    assert isinstance(field, forms.ModelChoiceField)
    field.queryset = rows


def _offer_choices(form: forms.Form, name: str, choices: list[tuple[Any, Any]]) -> None:
    field = form.fields[name]
    assert isinstance(field, forms.ChoiceField)
    field.choices = choices


def _offer_providers(form: forms.Form) -> None:
    field = form.fields["provider"]
    assert isinstance(field, ProviderField)
    field.offer()


def _reason() -> forms.CharField:
    return forms.CharField(
        label=_("Reason"),
        max_length=300,
        help_text=_("For the team. The patients are told no reason."),
        widget=forms.Textarea(attrs={"rows": 2, "dir": "auto"}),
        error_messages={"required": _("Please give a reason.")},
    )


class AbsenceForm(forms.Form):
    """From–to on the clock of the location, or of the person at the screen where it is everywhere."""

    provider = ProviderField(error_messages={"required": _("Choose the provider.")})
    location: forms.ModelChoiceField[Location] = forms.ModelChoiceField(
        queryset=None, label=_("Location"), required=False, empty_label=_("Wherever they work")
    )
    starts_at = WallClockField(label=_("From"))
    ends_at = WallClockField(label=_("To"))
    reason = _reason()
    key = forms.UUIDField(widget=forms.HiddenInput)

    def __init__(self, *args: Any, zone: zoneinfo.ZoneInfo, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._zone = zone
        _offer_rows(self, "location", selectors.bookable_locations())
        _offer_providers(self)
        self.fields["key"].initial = uuid.uuid4

    def clean(self) -> dict[str, Any]:
        super().clean()
        location: Location | None = self.cleaned_data.get("location")
        zone = location.zone if location is not None else self._zone
        for name in ("starts_at", "ends_at"):
            moment: dt.datetime | None = self.cleaned_data.get(name)
            if moment is None:
                continue
            try:
                self.cleaned_data[name] = wall_clock(moment.date(), moment.time(), zone)
            except MissingHour as missing:
                self.cleaned_data[name] = missing.first_valid
        return self.cleaned_data


class SeriesCancelForm(forms.Form):
    """The rest of a series, from one of its visits on."""

    since = forms.ChoiceField(label=_("From which visit on?"))
    reason = _reason()

    def __init__(self, *args: Any, series: Series, visits: list[Any], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        zone = series.location.zone
        _offer_choices(
            self,
            "since",
            [(visit.starts_at.isoformat(), f"{visit.starts_at.astimezone(zone):%Y-%m-%d %H:%M}") for visit in visits],
        )

    def clean_since(self) -> dt.datetime:
        return dt.datetime.fromisoformat(self.cleaned_data["since"])


class WaitForm(forms.Form):
    """A wish for an earlier time. The patient is one of the radio buttons that the search puts on the page."""

    patient: forms.ModelChoiceField[Patient] = forms.ModelChoiceField(
        queryset=None,
        label=_("Patient"),
        error_messages={"required": _("Choose the patient: search, then pick one from the list.")},
    )
    patient_search = forms.CharField(required=False, max_length=100)
    appointment = forms.UUIDField(required=False, widget=forms.HiddenInput)
    department: forms.ModelChoiceField[Department] = forms.ModelChoiceField(
        queryset=None, label=_("Department"), empty_label=None
    )
    provider = ProviderField(required=False)
    location: forms.ModelChoiceField[Location] = forms.ModelChoiceField(
        queryset=None, label=_("Location"), required=False, empty_label=_("Any")
    )
    first_day = DateField(label=_("Not before"))
    last_day = DateField(label=_("Not after"))
    time_from = ClockField(label=_("From"), required=False)
    time_until = ClockField(label=_("Until"), required=False)
    notice_minutes = forms.TypedChoiceField(label=_("Needs so much notice"), coerce=int)
    length_minutes = forms.TypedChoiceField(label=_("Length"), coerce=int)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _offer_rows(self, "patient", Patient.objects.all())
        _offer_rows(self, "department", selectors.departments())
        _offer_rows(self, "location", selectors.bookable_locations())
        _offer_providers(self)
        _offer_choices(
            self,
            "notice_minutes",
            [
                (60, gettext("1 hour")),
                (120, gettext("2 hours")),
                (24 * 60, gettext("1 day")),
                (48 * 60, gettext("2 days")),
            ],
        )
        _offer_choices(self, "length_minutes", [(minutes, minutes_text(minutes)) for minutes in DURATIONS])


class PolicyForm(forms.ModelForm):  # type: ignore[type-arg]  # generic for the type checker only
    """The clinic group's rules; written by ``appointments/policy.py``."""

    class Meta:
        model = VisitPolicy
        fields = (
            "no_show_hold_minutes",
            "no_show_needs_ok",
            "offer_hold_minutes",
            "offers_at_once",
            "offer_notice_minutes",
            "offers_per_day",
        )
