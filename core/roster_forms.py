"""What people type about who is at work. Times are the wall clock of the person's place; the services decide."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from core import roster
from core.errors import DomainError
from core.models import Location, Role, User
from core.selectors import western_digits, zone_of

if TYPE_CHECKING:
    _PersonField = forms.ModelChoiceField[User]
else:
    # Not generic when it runs.
    _PersonField = forms.ModelChoiceField

_PICKER = "%Y-%m-%dT%H:%M"
# Nothing is planned outside; and the day before the first one there is, or behind the last, cannot be reckoned with.
_YEARS = range(1900, 2200)

# Which field a refusal is about. What is not here is shown above the form.
_FIELD_OF = {
    "user_not_staff": "user",
    "user_away": "user",
    "cover_is_self": "cover",
    "cover_not_staff": "cover",
    "cover_other_role": "cover",
    "cover_away": "cover",
    "overlap": "starts_at",
    "span_empty": "ends_at",
    "span_past": "ends_at",
    "span_far": "starts_at",
    "span_long": "ends_at",
    "name_missing": "name_en",
    "last_before_first": "last_day",
    "holiday_long": "last_day",
    "holiday_past": "last_day",
    "holiday_far": "last_day",
    "holiday_twice": "first_day",
    "minutes_out_of_range": "minutes",
}


class WallClockField(forms.DateTimeField):
    """Day and time by the browser's own picker. Clean data has no zone yet: the form knows whose clock it is."""

    def __init__(self, **kwargs: Any) -> None:
        attrs = {"type": "datetime-local", "class": "num", "dir": "ltr"}
        super().__init__(widget=forms.DateTimeInput(format=_PICKER, attrs=attrs), **kwargs)

    def to_python(self, value: Any) -> dt.datetime | None:
        # In UTC every wall clock time exists, once.
        with timezone.override(dt.UTC):
            moment = super().to_python(western_digits(value) if isinstance(value, str) else value)
        if moment is not None and moment.year not in _YEARS:
            raise ValidationError(self.error_messages["invalid"], code="invalid")
        return moment.replace(tzinfo=None) if moment is not None else None


class DayField(forms.DateField):
    def __init__(self, **kwargs: Any) -> None:
        attrs = {"type": "date", "class": "num", "dir": "ltr"}
        super().__init__(widget=forms.DateInput(format="%Y-%m-%d", attrs=attrs), **kwargs)

    def to_python(self, value: Any) -> dt.date | None:
        day = super().to_python(western_digits(value) if isinstance(value, str) else value)
        if day is not None and day.year not in _YEARS:
            raise ValidationError(self.error_messages["invalid"], code="invalid")
        return day


class StaffField(_PersonField):
    """Colleagues under the name of their role."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("error_messages", {})["invalid_choice"] = _("This person does not work here.")
        super().__init__(queryset=None, **kwargs)

    def offer(self, people: Iterable[User], first: str) -> None:
        """Fills the list; ``first`` is what no choice means."""
        self.queryset = roster.staff().select_related("location")
        groups: dict[str, list[tuple[Any, str]]] = {}
        for person in sorted(people, key=lambda one: (list(Role).index(Role(one.role)), one.name)):
            groups.setdefault(str(Role(person.role).label), []).append((person.pk, person.name))
        self.choices = [("", first), *groups.items()]


class RosterForm(forms.Form):
    """A form of these pages: ``wish()`` are the service's arguments, ``refuse`` shows its answer where it belongs."""

    fields: dict[str, Any]

    def wish(self) -> dict[str, Any]:
        return self.cleaned_data

    def refuse(self, error: DomainError) -> None:
        field = _FIELD_OF.get(error.code)
        self.add_error(field if field in self.fields else None, str(error))


class _SpanForm(RosterForm):
    starts_at = WallClockField(label=_("From"), error_messages={"required": _("Choose when it begins.")})
    ends_at = WallClockField(label=_("To"), error_messages={"required": _("Choose when it ends.")})

    def zone(self) -> zoneinfo.ZoneInfo | None:
        """The clock that is meant; None while it is not known."""
        raise NotImplementedError

    def clean(self) -> dict[str, Any]:
        super().clean()
        zone = self.zone()
        if zone is not None:
            for name in ("starts_at", "ends_at"):
                self._put_on_the_clock(name, zone)
        return self.cleaned_data

    def _put_on_the_clock(self, name: str, zone: zoneinfo.ZoneInfo) -> None:
        typed = self.cleaned_data.get(name)
        if typed is None:
            return
        moment = typed.replace(tzinfo=zone)
        if moment.astimezone(dt.UTC).astimezone(zone).replace(tzinfo=None) != typed:
            self.add_error(name, gettext("The clocks go forward then, and this time is left out. Choose another one."))
        else:
            self.cleaned_data[name] = moment


class OwnAbsenceForm(_SpanForm):
    """My own."""

    cover = StaffField(label=_("Who covers"), required=False)

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        self._user = user
        super().__init__(*args, **{"auto_id": "absence_%s", **kwargs})
        self.fields["cover"].offer(roster.covers_for(user), gettext("Whoever is on duty"))
        self.order_fields(["starts_at", "ends_at", "cover"])

    def zone(self) -> zoneinfo.ZoneInfo:
        return zone_of(self._user)


class AbsenceForm(_SpanForm):
    """Anybody's, by an admin."""

    user = StaffField(label=_("Who is away"), error_messages={"required": _("Choose who is away.")})
    cover = StaffField(label=_("Who covers"), required=False)

    def __init__(self, *args: Any, people: Iterable[User], **kwargs: Any) -> None:
        super().__init__(*args, **{"auto_id": "absence_%s", **kwargs})
        self.fields["user"].offer(people, gettext("Choose a colleague"))
        self.fields["cover"].offer(people, gettext("Whoever is on duty"))
        self.order_fields(["user", "cover", "starts_at", "ends_at"])

    def zone(self) -> zoneinfo.ZoneInfo | None:
        user = self.cleaned_data.get("user")
        return zone_of(user) if user is not None else None


class ShiftForm(_SpanForm):
    """A supervisor on duty. The clock is the location's, or the person's where it is everywhere."""

    user = StaffField(label=_("Who is on duty"), error_messages={"required": _("Choose who is on duty.")})
    location: Any = forms.ModelChoiceField(
        queryset=None, label=_("Location"), required=False, empty_label=_("All locations")
    )

    def __init__(self, *args: Any, people: Iterable[User], locations: Iterable[Location], **kwargs: Any) -> None:
        super().__init__(*args, **{"auto_id": "shift_%s", **kwargs})
        self.fields["user"].offer(people, gettext("Choose a colleague"))
        _offer_locations(self.fields["location"], locations)
        self.order_fields(["user", "location", "starts_at", "ends_at"])

    def zone(self) -> zoneinfo.ZoneInfo | None:
        location, user = self.cleaned_data.get("location"), self.cleaned_data.get("user")
        if location is not None:
            return zoneinfo.ZoneInfo(location.timezone)
        return zone_of(user) if user is not None else None


class HolidayForm(RosterForm):
    name_en = forms.CharField(
        label=_("Name in English"),
        max_length=200,
        required=False,
        help_text=_("One of the two names is enough."),
        widget=forms.TextInput(attrs={"dir": "ltr", "lang": "en", "autocomplete": "off"}),
    )
    name_ar = forms.CharField(
        label=_("Name in Arabic"),
        max_length=200,
        required=False,
        widget=forms.TextInput(attrs={"dir": "rtl", "lang": "ar", "autocomplete": "off"}),
    )
    first_day = DayField(label=_("First day"), error_messages={"required": _("Choose the first day.")})
    last_day = DayField(label=_("Last day"), error_messages={"required": _("Choose the last day.")})
    location: Any = forms.ModelChoiceField(
        queryset=None, label=_("Location"), required=False, empty_label=_("All locations")
    )

    def __init__(self, *args: Any, locations: Iterable[Location], **kwargs: Any) -> None:
        super().__init__(*args, **{"auto_id": "holiday_%s", **kwargs})
        _offer_locations(self.fields["location"], locations)


class MinutesForm(RosterForm):
    minutes = forms.IntegerField(
        label=_("Minutes"),
        min_value=roster.MINUTES.start,
        max_value=roster.MINUTES.stop - 1,
        widget=forms.NumberInput(attrs={"class": "num", "dir": "ltr", "inputmode": "numeric"}),
        error_messages={"required": _("Choose between 1 and 60 minutes.")},
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"auto_id": "escalation_%s", **kwargs})


def _offer_locations(field: Any, locations: Iterable[Location]) -> None:
    field.queryset = Location.objects.filter(is_active=True).order_by("name_en", "pk")
    field.choices = [("", field.empty_label), *((one.pk, one.name) for one in locations)]
