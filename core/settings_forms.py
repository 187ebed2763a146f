"""What an admin types about the clinic group, its places and its people. Parse and check shapes; the services decide."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from django import forms
from django.db.models import Q
from django.forms import BoundField
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from core import tenant_settings
from core.clocks import WEEK, ClockField, weekday, zone_choices
from core.errors import DomainError
from core.models import Department, Language, Location, Role, Tenant, TenantSettings, User
from core.roster_forms import DayField
from core.staff_accounts import STAFF_ROLES

_LTR = {"dir": "ltr", "class": "num", "autocomplete": "off"}
_ARABIC = {"dir": "rtl", "lang": "ar"}
_ENGLISH = {"dir": "ltr", "lang": "en"}


class SettingsForm(forms.Form):
    """``wish()`` are the service's arguments; ``refuse`` shows its answer at the field that its code names."""

    fields: dict[str, Any]
    # The code of a refusal → the field it is about, where the code is not the field's own name.
    field_of: ClassVar[dict[str, str]] = {"name_missing": "name_en"}

    def wish(self) -> dict[str, Any]:
        return self.cleaned_data

    def refuse(self, error: DomainError) -> None:
        name = self.field_of.get(error.code, error.code)
        self.add_error(name if name in self.fields else None, str(error))


def name_fields() -> tuple[forms.CharField, forms.CharField]:
    return (
        forms.CharField(
            label=_("Name in English"), max_length=200, required=False, widget=forms.TextInput(attrs=_ENGLISH)
        ),
        forms.CharField(
            label=_("Name in Arabic"), max_length=200, required=False, widget=forms.TextInput(attrs=_ARABIC)
        ),
    )


def _days_field(label: Any, name: str, **kwargs: Any) -> forms.IntegerField:
    least, most = tenant_settings.LEAST_DAYS[name], tenant_settings.MOST_DAYS
    return forms.IntegerField(
        label=label,
        min_value=least,
        max_value=most,
        widget=forms.NumberInput(attrs={**_LTR, "inputmode": "numeric"}),
        **kwargs,
    )


class ClinicForm(SettingsForm):
    name_en, name_ar = name_fields()
    default_language = forms.ChoiceField(
        label=_("Language of new patients"),
        choices=Language.choices,
        help_text=_("Used until a patient has chosen one."),
    )
    age_of_majority = forms.TypedChoiceField(
        label=_("Age of majority"),
        coerce=int,
        choices=[(age, str(age)) for age in tenant_settings.AGES],
        help_text=_("Messages about younger patients go to their guardian."),
    )
    currency = forms.ChoiceField(label=_("Currency"), choices=[(code, code) for code in tenant_settings.CURRENCIES])

    @staticmethod
    def initial_of(tenant: Tenant) -> dict[str, Any]:
        names = ("name_en", "name_ar", "default_language", "age_of_majority", "currency")
        return {name: getattr(tenant, name) for name in names}


class QuietHoursForm(SettingsForm):
    field_of: ClassVar[dict[str, str]] = {"quiet_half": "quiet_until", "quiet_same": "quiet_until"}
    quiet_from = ClockField(label=_("From"), required=False)
    quiet_until = ClockField(label=_("Until"), required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"auto_id": "quiet_%s", **kwargs})


class MovingForm(SettingsForm):
    """Whether patients take another time by the link in their messages."""

    field_of: ClassVar[dict[str, str]] = {"notice_out_of_range": "move_notice_hours"}
    patients_may_move = forms.BooleanField(
        label=_("Patients take another free time themselves"),
        required=False,
        help_text=_("By the link in their messages. Off: they ask for another time, and the desk gets a task."),
    )
    move_notice_hours = forms.IntegerField(
        label=_("Hours of notice"),
        min_value=0,
        max_value=tenant_settings.LONGEST_NOTICE_HOURS,
        help_text=_("So long before the visit, and before the new time, they have to ask."),
        widget=forms.NumberInput(attrs={**_LTR, "inputmode": "numeric"}),
    )


class RamadanForm(SettingsForm):
    field_of: ClassVar[dict[str, str]] = {
        "ramadan_half": "ramadan_until",
        "last_before_first": "ramadan_until",
        "ramadan_long": "ramadan_until",
    }
    ramadan_from = DayField(label=_("First day"), required=False)
    ramadan_until = DayField(label=_("Last day"), required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"auto_id": "ramadan_%s", **kwargs})


class RetentionForm(SettingsForm):
    """``categories``: (value, label) of the notifications; each has a field of its own, empty for the house's days."""

    field_of: ClassVar[dict[str, str]] = {
        "message_days_out_of_range": "message_days",
        "receipt_days_out_of_range": "receipt_days",
        "export_days_out_of_range": "export_days",
    }
    message_days = _days_field(
        _("Words of messages and replies"),
        "message_days",
        required=False,
        help_text=_("Empty: they are kept. Afterwards the words are deleted; when and how it was sent stays as proof."),
    )
    receipt_days = _days_field(_("Raw reports of the providers"), "receipt_days")
    export_days = _days_field(_("Exported files"), "export_days")

    def __init__(self, *args: Any, own: TenantSettings, categories: list[tuple[str, Any]], **kwargs: Any) -> None:
        kwargs.setdefault("initial", {}).update(
            {name: getattr(own, name) for name in ("message_days", "receipt_days", "export_days")},
            **{f"days_{value}": tenant_settings.notification_days(own, value) for value, _label in categories},
        )
        super().__init__(*args, **kwargs)
        self._categories = [value for value, _label in categories]
        for value, label in categories:
            self.fields[f"days_{value}"] = _days_field(label, "notifications")

    @property
    def notification_fields(self) -> list[BoundField]:
        return [self[f"days_{value}"] for value in self._categories]

    def wish(self) -> dict[str, Any]:
        days = {value: self.cleaned_data[f"days_{value}"] for value in self._categories}
        names = ("message_days", "receipt_days", "export_days")
        return {**{name: self.cleaned_data[name] for name in names}, "notification_days": days}


@dataclass(frozen=True, slots=True)
class DayRow:
    """One line of the table of opening hours."""

    label: str
    opens: BoundField
    closes: BoundField


class LocationForm(SettingsForm):
    """A location with its clock, its hours and its senders. A day without times is one on which it is closed."""

    name_en, name_ar = name_fields()
    address_en = forms.CharField(
        label=_("Address in English"), max_length=300, required=False, widget=forms.TextInput(attrs=_ENGLISH)
    )
    address_ar = forms.CharField(
        label=_("Address in Arabic"), max_length=300, required=False, widget=forms.TextInput(attrs=_ARABIC)
    )
    phone = forms.CharField(
        label=_("Phone"),
        max_length=20,
        required=False,
        help_text=_("Patients read it in messages."),
        widget=forms.TextInput(attrs={**_LTR, "inputmode": "tel"}),
    )
    timezone = forms.ChoiceField(label=_("Time zone"))
    weekend = forms.TypedMultipleChoiceField(
        label=_("Weekend"), coerce=int, required=False, widget=forms.CheckboxSelectMultiple
    )
    is_sensitive = forms.BooleanField(
        label=_("Nobody must learn that a patient comes here"),
        required=False,
        help_text=_(
            "Messages, emails and calendar entries then name neither the clinic, the place nor the provider, and the"
            " patient's page asks for the date of birth first."
        ),
    )
    discreet_name_en = forms.CharField(
        label=_("Discreet name in English"),
        max_length=60,
        required=False,
        help_text=_("Says nothing to a stranger. Empty: “Your care team”."),
        widget=forms.TextInput(attrs=_ENGLISH),
    )
    discreet_name_ar = forms.CharField(
        label=_("Discreet name in Arabic"), max_length=60, required=False, widget=forms.TextInput(attrs=_ARABIC)
    )
    sms_sender = forms.CharField(
        label=_("SMS sender"),
        max_length=40,
        required=False,
        help_text=_("A registered name of at most 11 English letters, or a number."),
        widget=forms.TextInput(attrs=_LTR),
    )
    whatsapp_sender = forms.CharField(
        label=_("WhatsApp number"),
        max_length=30,
        required=False,
        help_text=_("With its country code: +966…"),
        widget=forms.TextInput(attrs={**_LTR, "inputmode": "tel"}),
    )
    email_sender = forms.CharField(
        label=_("Email sender"), max_length=254, required=False, widget=forms.TextInput(attrs=_LTR)
    )

    def __init__(self, *args: Any, location: Location | None = None, **kwargs: Any) -> None:
        place = location or Location()
        names = [name for name in self.base_fields if name != "phone"]
        initial = {name: getattr(place, name) for name in (*names, "phone")}
        for kind in ("opening_hours", "ramadan_hours"):
            for number, span in enumerate(getattr(place, kind) or []):
                if span is not None:
                    initial[f"{kind}_{number}"], initial[f"{kind}_{number}_until"] = span
        super().__init__(*args, **{**kwargs, "initial": initial})
        self.fields["timezone"].choices = zone_choices(place.timezone)
        self.fields["weekend"].choices = [(number, weekday(number)) for number in WEEK]
        for kind in ("opening_hours", "ramadan_hours"):
            for number in range(7):
                words = {"day": weekday(number)}
                self.fields[f"{kind}_{number}"] = ClockField(label=gettext("%(day)s: opens") % words, required=False)
                self.fields[f"{kind}_{number}_until"] = ClockField(
                    label=gettext("%(day)s: closes") % words, required=False
                )

    @property
    def opening(self) -> list[DayRow]:
        return self._rows("opening_hours")

    @property
    def ramadan(self) -> list[DayRow]:
        return self._rows("ramadan_hours")

    @property
    def has_ramadan(self) -> bool:
        """Some hours of Ramadan are written down, or were just refused."""
        return any(row.opens.value() or row.opens.errors or row.closes.errors for row in self.ramadan)

    def _rows(self, kind: str) -> list[DayRow]:
        return [DayRow(weekday(number), self[f"{kind}_{number}"], self[f"{kind}_{number}_until"]) for number in WEEK]

    def clean(self) -> dict[str, Any]:
        super().clean()
        for kind in ("opening_hours", "ramadan_hours"):
            for number in range(7):
                opens, closes = f"{kind}_{number}", f"{kind}_{number}_until"
                if opens not in self.cleaned_data or closes not in self.cleaned_data:
                    continue
                if (self.cleaned_data[opens] is None) != (self.cleaned_data[closes] is None):
                    self.add_error(opens, gettext("Give both times, or neither for a day on which it is closed."))
        return self.cleaned_data

    def wish(self) -> dict[str, Any]:
        plain = {name: self.cleaned_data[name] for name in self.base_fields}
        return {**plain, "opening_hours": self._week("opening_hours"), "ramadan_hours": self._week("ramadan_hours")}

    def _week(self, kind: str) -> list[tuple[dt.time, dt.time] | None]:
        return list(self._spans(kind))

    def _spans(self, kind: str) -> Iterator[tuple[dt.time, dt.time] | None]:
        for number in range(7):
            opens, closes = self.cleaned_data[f"{kind}_{number}"], self.cleaned_data[f"{kind}_{number}_until"]
            yield (opens, closes) if opens is not None and closes is not None else None


class DepartmentForm(SettingsForm):
    field_of: ClassVar[dict[str, str]] = {
        "name_missing": "name_en",
        "code_malformed": "code",
        "code_taken": "code",
    }
    code = forms.CharField(
        label=_("Code"),
        max_length=10,
        help_text=_("Short, such as DENT. It stands on file numbers."),
        widget=forms.TextInput(attrs=_LTR),
    )
    name_en, name_ar = name_fields()

    @staticmethod
    def initial_of(department: Department) -> dict[str, Any]:
        return {name: getattr(department, name) for name in ("code", "name_en", "name_ar")}


class StaffForm(SettingsForm):
    """Somebody who works here. Places and departments out of use are offered only to who has them already."""

    field_of: ClassVar[dict[str, str]] = {
        "name_missing": "name_en",
        "email_taken": "email",
        "email_malformed": "email",
        "own_role": "role",
        "last_admin": "role",
        "role_unknown": "role",
    }
    name_en, name_ar = name_fields()
    title_en = forms.CharField(
        label=_("Title in English"), max_length=40, required=False, widget=forms.TextInput(attrs=_ENGLISH)
    )
    title_ar = forms.CharField(
        label=_("Title in Arabic"), max_length=40, required=False, widget=forms.TextInput(attrs=_ARABIC)
    )
    email = forms.EmailField(
        label=_("Email"),
        help_text=_("They sign in with it."),
        widget=forms.EmailInput(attrs={"dir": "ltr", "autocomplete": "off"}),
    )
    role = forms.ChoiceField(label=_("Role"), choices=[(role.value, role.label) for role in STAFF_ROLES])
    language = forms.ChoiceField(label=_("Language"), choices=Language.choices)
    location: Any = forms.ModelChoiceField(
        queryset=None, label=_("Location"), required=False, empty_label=_("No fixed location")
    )
    department: Any = forms.ModelChoiceField(
        queryset=None, label=_("Department"), required=False, empty_label=_("No department")
    )

    def __init__(self, *args: Any, person: User | None = None, **kwargs: Any) -> None:
        names = ("name_en", "name_ar", "title_en", "title_ar", "email", "role", "language")
        initial: dict[str, Any] = {"role": Role.FRONT_DESK, "language": Language.ENGLISH}
        if person is not None:
            initial = {name: getattr(person, name) for name in names}
            initial |= {"location": person.location_id, "department": person.department_id}
        super().__init__(*args, **{**kwargs, "initial": initial})
        kept_place = person.location_id if person is not None else None
        kept_department = person.department_id if person is not None else None
        self.fields["location"].queryset = _in_use(Location, kept_place)
        self.fields["department"].queryset = _in_use(Department, kept_department)


def _in_use(model: type[Location | Department], kept: Any) -> Any:
    return model.objects.filter(Q(is_active=True) | Q(pk=kept)).order_by("name_en", "pk")


class StaffFilterForm(forms.Form):
    """The filters of the list of users, from the address."""

    fields: dict[str, Any]
    q = forms.CharField(label=_("Search"), max_length=100, required=False)
    role = forms.ChoiceField(
        label=_("Role"),
        required=False,
        choices=[("", _("Any role")), *((role.value, role.label) for role in STAFF_ROLES)],
    )
    state = forms.ChoiceField(
        label=_("Account"),
        required=False,
        choices=[("", _("All accounts")), ("active", _("Active")), ("inactive", _("Inactive"))],
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["q"].widget.attrs |= {"type": "search", "dir": "auto", "placeholder": _("Name or email")}
