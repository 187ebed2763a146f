"""What people type about a visit: booking, moving, the reasons. Times are the wall clock of the location.

Forms check shape only; what the clinic allows (a past start, a taken slot) is the service's answer, and
``show_refusal`` puts it next to the field it is about.
"""

from __future__ import annotations

import datetime as dt
import uuid
import zoneinfo
from typing import Any

from django import forms
from django.utils import timezone
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from appointments import selectors
from appointments.models import Appointment
from core.errors import DomainError
from core.models import ConsentVerification, Location, Patient, User

# The usual lengths of a visit; a moved visit keeps its own even when it is none of these.
DURATIONS = (15, 20, 30, 45, 60, 90, 120)
DEFAULT_DURATION = 30

# Which field a refusal is about. What is not here is shown above the form.
_FIELD_OF = {
    "start_past": "time",
    "start_far": "date",
    "duration_invalid": "duration",
    "overlap": "time",
    "count_out_of_range": "visits",
    "provider_away": "time",
    "nothing_changed": "time",
    "not_a_provider": "provider",
    "provider_inactive": "provider",
    "deceased": "patient",
    "merged_away": "patient",
    "patient_inactive": "patient",
    "reason_missing": "reason",
    "reason_too_long": "reason",
    "valid_until_past": "valid_until",
}


class MissingHour(Exception):
    """The clocks go forward over this time; it does not exist on that day."""

    def __init__(self, first_valid: dt.datetime) -> None:
        super().__init__(first_valid.isoformat())
        self.first_valid = first_valid


def wall_clock(day: dt.date, time: dt.time, zone: zoneinfo.ZoneInfo) -> dt.datetime:
    """That time on that place's clock; the first of two when the hour comes twice. Raises ``MissingHour``."""
    local = dt.datetime.combine(day, time, tzinfo=zone)
    real = local.astimezone(dt.UTC).astimezone(zone)
    if real.replace(tzinfo=None) != local.replace(tzinfo=None):
        raise MissingHour(real)
    return local


def comes_twice(moment: dt.datetime) -> bool:
    """The clocks go back over this time, so that day has it twice."""
    return moment.replace(fold=0).utcoffset() != moment.replace(fold=1).utcoffset()


def show_refusal(form: forms.BaseForm, error: DomainError) -> None:
    """Puts the service's refusal next to its field, or above the form."""
    field = _FIELD_OF.get(error.code)
    form.add_error(field if field in form.fields else None, str(error))


class DateField(forms.DateField):
    """A day by the browser's own picker, written the way the picker needs it in every language."""

    def __init__(self, **kwargs: Any) -> None:
        widget = forms.DateInput(format="%Y-%m-%d", attrs={"type": "date", "class": "num", "dir": "ltr"})
        super().__init__(widget=widget, input_formats=["%Y-%m-%d"], **kwargs)


class TimeField(forms.TimeField):
    def __init__(self, **kwargs: Any) -> None:
        # Five-minute steps; the visit may still start at any minute that is typed.
        attrs = {"type": "time", "class": "num", "dir": "ltr"}
        super().__init__(
            widget=forms.TimeInput(format="%H:%M", attrs=attrs), input_formats=["%H:%M", "%H:%M:%S"], **kwargs
        )


class ProviderField(forms.ModelChoiceField):
    """Providers under the name of their department."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(queryset=None, label=_("Provider"), **kwargs)

    def offer(self) -> None:
        """Fills the list; ``static/js/appointments.js`` narrows it to the department that is chosen."""
        rows = selectors.providers().select_related("department")
        self.queryset = rows
        groups: dict[str, list[tuple[Any, str]]] = {}
        for person in rows:
            group = person.department.name if person.department is not None else gettext("Other")
            groups.setdefault(group, []).append((person.pk, person.name))
        self.choices = [("", gettext("Choose a provider")), *groups.items()]


def _duration_choices() -> list[tuple[int, str]]:
    return [(minutes, minutes_text(minutes)) for minutes in DURATIONS]


def minutes_text(minutes: int) -> str:
    return ngettext("%(minutes)d minute", "%(minutes)d minutes", minutes) % {"minutes": minutes}


def _duration_field() -> forms.TypedChoiceField:
    return forms.TypedChoiceField(
        label=_("Length"),
        coerce=lambda minutes: dt.timedelta(minutes=int(minutes)),
        choices=_duration_choices,
        initial=DEFAULT_DURATION,
    )


def _reason_field(**kwargs: Any) -> forms.CharField:
    kwargs.setdefault("label", _("Reason"))
    return forms.CharField(max_length=300, widget=forms.Textarea(attrs={"rows": 2, "dir": "auto"}), **kwargs)


class _SlotForm(forms.Form):
    """A place in a provider's day. ``zone`` is known once the location is."""

    provider = ProviderField(error_messages={"required": _("Choose the provider.")})
    date = DateField(label=_("Date"), error_messages={"required": _("Choose the day.")})
    time = TimeField(label=_("Time"), error_messages={"required": _("Choose the time.")})

    def _clean_start(self, location: Location | None) -> None:
        day, time = self.cleaned_data.get("date"), self.cleaned_data.get("time")
        if day is None or time is None or location is None:
            return
        try:
            start = wall_clock(day, time, location.zone)
        except MissingHour as missing:
            self.add_error(
                "time",
                gettext("The clocks go forward on that day and this time is left out. The next one is %(time)s.")
                % {"time": missing.first_valid.strftime("%H:%M")},
            )
            return
        self.cleaned_data["starts_at"] = start
        self.cleaned_data["is_twice"] = comes_twice(start)


class BookingForm(_SlotForm):
    """A new visit. The patient is one of the radio buttons that the search puts on the page."""

    patient = forms.ModelChoiceField(
        queryset=None,
        label=_("Patient"),
        error_messages={
            "required": _("Choose the patient: search, then pick one from the list."),
            "invalid_choice": _("This patient is not in your files. Search again."),
        },
    )
    patient_search = forms.CharField(
        label=_("Search by name, file number or phone"),
        required=False,
        max_length=100,
        widget=forms.TextInput(attrs={"type": "search", "autocomplete": "off", "dir": "auto"}),
    )
    location = forms.ModelChoiceField(queryset=None, label=_("Location"), empty_label=None)
    department = forms.ModelChoiceField(
        queryset=None,
        label=_("Department"),
        empty_label=_("Choose a department"),
        error_messages={"required": _("Choose the department.")},
    )
    duration = _duration_field()
    notes = forms.CharField(
        label=_("Notes for the team"),
        required=False,
        max_length=2000,
        help_text=_("The patient does not see them."),
        widget=forms.Textarea(attrs={"rows": 3, "dir": "auto"}),
    )
    booking_key = forms.UUIDField(required=False, widget=forms.HiddenInput)
    # The visit that did not take place, where this one is instead.
    replaces = forms.UUIDField(required=False, widget=forms.HiddenInput)
    visits = forms.IntegerField(
        label=_("Visits, one every week"),
        required=False,
        initial=1,
        min_value=1,
        max_value=52,
        help_text=_("More than one is a series: the patient gets one message about all of it."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["patient"].queryset = Patient.objects.all()
        self.fields["location"].queryset = selectors.bookable_locations()
        self.fields["department"].queryset = selectors.departments()
        self.fields["provider"].offer()
        self.fields["booking_key"].initial = uuid.uuid4

    def clean(self) -> dict[str, Any]:
        super().clean()
        self._clean_start(self.cleaned_data.get("location"))
        return self.cleaned_data


class RescheduleForm(_SlotForm):
    """Another time or another provider for the same visit."""

    duration = _duration_field()
    reason = _reason_field(required=False, help_text=_("The patient and the provider read it. It may stay empty."))

    def __init__(self, *args: Any, appointment: Appointment, **kwargs: Any) -> None:
        self.appointment = appointment
        length = appointment.ends_at - appointment.starts_at
        minutes = int(length.total_seconds() // 60)
        kwargs.setdefault("initial", {}).update(
            provider=appointment.provider_id,
            date=appointment.local_start.date(),
            time=appointment.local_start.time(),
            duration=minutes,
        )
        super().__init__(*args, **kwargs)
        self.fields["provider"].offer()
        if minutes not in DURATIONS:
            self.fields["duration"].choices = sorted([*_duration_choices(), (minutes, minutes_text(minutes))])

    def clean(self) -> dict[str, Any]:
        super().clean()
        self._clean_start(self.appointment.location)
        return self.cleaned_data


class _MoveForm(forms.Form):
    """A move that needs a word. Built with the visit like every form of ``views/verbs.py``."""

    def __init__(self, *args: Any, appointment: Appointment, **kwargs: Any) -> None:
        self.appointment = appointment
        super().__init__(*args, **kwargs)


class PlainMoveForm(_MoveForm):
    """Nothing to fill in."""


class ReasonForm(_MoveForm):
    reason = _reason_field(error_messages={"required": _("Please give a reason.")})


class OptionalReasonForm(_MoveForm):
    reason = _reason_field(required=False)


class CancelForm(_MoveForm):
    reason = _reason_field(
        error_messages={"required": _("Please give a reason.")},
        help_text=_("The patient and the provider read it, together with how to book again."),
    )
    by = forms.ChoiceField(
        label=_("Who calls it off?"),
        choices=[
            (Appointment.CancelledBy.CLINIC, _("The clinic")),
            (Appointment.CancelledBy.PATIENT, _("The patient asked for it")),
        ],
        initial=Appointment.CancelledBy.CLINIC,
        widget=forms.RadioSelect,
    )


class CompleteForm(_MoveForm):
    next_steps = forms.CharField(
        label=_("Next steps for the patient"),
        required=False,
        max_length=1000,
        help_text=_("Sent by email with thanks for the visit. It may stay empty."),
        widget=forms.Textarea(attrs={"rows": 4, "dir": "auto"}),
    )


class CorrectNoShowForm(_MoveForm):
    to = forms.ChoiceField(
        label=_("What is true?"),
        choices=[
            (Appointment.Status.ARRIVED, _("The patient came and is waiting")),
            (Appointment.Status.COMPLETED, _("The patient came and was seen")),
        ],
        initial=Appointment.Status.ARRIVED,
        widget=forms.RadioSelect,
    )
    reason = _reason_field(error_messages={"required": _("Please give a reason.")})


class ConsentForm(forms.Form):
    """What the desk saw when it checked the treatment consent."""

    status = forms.ChoiceField(
        label=_("What did you find?"),
        choices=ConsentVerification.Status.choices,
        initial=ConsentVerification.Status.VERIFIED,
        widget=forms.RadioSelect,
    )
    valid_until = DateField(
        label=_("Valid until"), required=False, help_text=_("Empty: it has no end. Only for a verified consent.")
    )


class FilterForm(forms.Form):
    """The list's filters. What cannot be read falls back to the default, so that a stale link still opens."""

    q = forms.CharField(
        label=_("Search"),
        required=False,
        max_length=100,
        widget=forms.TextInput(
            attrs={
                "class": "in",
                "type": "search",
                "dir": "auto",
                "placeholder": _("Name, file number, phone, visit number"),
            }
        ),
    )
    first = DateField(label=_("From"), required=False)
    last = DateField(label=_("To"), required=False)
    provider = forms.ChoiceField(label=_("Provider"), required=False, widget=forms.Select(attrs={"class": "in"}))
    status = forms.ChoiceField(
        label=_("Status"),
        required=False,
        choices=[("", _("Every status")), *Appointment.Status.choices],
        widget=forms.Select(attrs={"class": "in"}),
    )

    # The list opens on the next two weeks.
    SPAN = dt.timedelta(days=14)

    def __init__(self, data: Any, *, today: dt.date, providers: list[User]) -> None:
        super().__init__(data)
        self.today = today
        self.fields["first"].initial = today
        self.fields["last"].initial = today + self.SPAN
        self.fields["provider"].choices = [
            ("", gettext("Every provider")),
            *((str(person.pk), person.name) for person in providers),
        ]

    def chosen(self) -> dict[str, Any]:
        """The filters that hold: dates always, the other way round if they were swapped."""
        self.is_valid()
        found = self.cleaned_data
        first = found.get("first") or self.today
        last = found.get("last") or first + self.SPAN
        first, last = min(first, last), max(first, last)
        return {
            "q": found.get("q", ""),
            "first": first,
            "last": last,
            "provider": found.get("provider", ""),
            "status": found.get("status", ""),
        }


class LinkCancelForm(forms.Form):
    """The patient's own words, if any, for not coming."""

    reason = _reason_field(required=False, label=_("Would you like to tell us why?"))


def today_at(location: Location | None) -> dt.date:
    """Today's date on the clock of the place."""
    return timezone.localdate(timezone=location.zone) if location is not None else timezone.localdate()
