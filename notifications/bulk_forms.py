"""What an admin types for a bulk send. The forms parse; ``integrations/bulk/`` decides."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from collections.abc import Iterable, Mapping
from typing import Any

from django import forms
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from core.errors import DomainError
from core.models import Department, Language, Location, Role, User
from core.roster_forms import DayField, WallClockField
from core.tags import all_tags
from notifications.bulk_states import MessageClass
from notifications.models import MessageTemplate
from notifications.states import Channel

MAX_BODY = 1600
LONGEST_DAYS = 366
# What each class is, under its name.
CLASS_HELP = {
    MessageClass.SERVICE: _("About a visit, a result, a bill or the clinic's hours. Part of the care."),
    MessageClass.AWARENESS: _("Health campaigns. Patients can say no to them."),
    MessageClass.PROMOTIONAL: _("Offers and advertising. Only to patients who agreed to it, never by treatment."),
}

_FIELD_OF = {
    "promotion_by_treatment": "department",
    "promotion_by_tag": "tag",
    "promotion_by_location": "location",
    "template_unusable": "template",
    "own_whatsapp": "channel",
    "window_half": "sends_until",
    "window_empty": "sends_until",
    "window_closed": "sends_until",
    "schedule_out_of_range": "scheduled_at",
    "useful_out_of_range": "useful_hours",
    "useful_too_short": "useful_hours",
    "window_at_night": "opens_at",
    "approval_out_of_range": "approval_above",
    **{
        f"{name}_{why}": name
        for name in ("body_en", "body_ar", "subject_en", "subject_ar")
        for why in ("missing", "placeholder")
    },
    **dict.fromkeys(
        ("file_empty", "file_too_large", "file_format", "file_too_long", "file_too_wide", "file_broken"), "file"
    ),
    **dict.fromkeys(("file_suspect", "file_hidden", "column_twice", "columns_unknown"), "file"),
}


class BulkForm(forms.Form):
    """A form of these pages: ``refuse`` shows a service's answer where it belongs."""

    fields: dict[str, Any]

    def refuse(self, error: DomainError) -> None:
        field = _FIELD_OF.get(error.code)
        self.add_error(field if field in self.fields else None, str(error))


def _offer(field: Any, rows: Iterable[Any], first: str) -> None:
    field.choices = [("", first), *((row.pk, row.name) for row in rows)]


class _ClassField(forms.ChoiceField):
    def __init__(self) -> None:
        super().__init__(
            label=_("Kind of message"),
            choices=MessageClass.choices,
            widget=forms.RadioSelect,
            error_messages={"required": _("Choose what kind of message it is.")},
        )


class AudienceForm(BulkForm):
    """Step 1: what for, and who, by filters or from a file. ``status_choices`` come from the appointments."""

    name = forms.CharField(
        label=_("Name of this send"),
        max_length=120,
        help_text=_("Only staff see it."),
        widget=forms.TextInput(attrs={"dir": "auto", "autocomplete": "off"}),
        error_messages={"required": _("Give it a name, so that you find it again.")},
    )
    message_class = _ClassField()
    department: Any = forms.ModelChoiceField(queryset=None, label=_("Department"), required=False)
    provider: Any = forms.ModelChoiceField(queryset=None, label=_("Provider"), required=False)
    location: Any = forms.ModelChoiceField(queryset=None, label=_("Location"), required=False)
    visits_from = DayField(label=_("Visits from"), required=False)
    visits_until = DayField(label=_("Visits until"), required=False)
    statuses = forms.MultipleChoiceField(
        label=_("State of the visit"), required=False, widget=forms.CheckboxSelectMultiple
    )
    language = forms.ChoiceField(
        label=_("Language of the patient"), required=False, choices=[("", _("All languages")), *Language.choices]
    )
    tag: Any = forms.ModelChoiceField(queryset=None, label=_("Tag"), required=False)
    file = forms.FileField(
        label=_("List of patients"),
        required=False,
        help_text=_("CSV or Excel (.xlsx), up to 100,000 rows. The first row names the columns."),
        widget=forms.ClearableFileInput(attrs={"accept": ".csv,.txt,.tsv,.xlsx"}),
    )

    def __init__(self, *args: Any, status_choices: Iterable[tuple[str, Any]], **kwargs: Any) -> None:
        super().__init__(*args, **{"initial": {"message_class": MessageClass.SERVICE}, **kwargs})
        self.fields["statuses"].choices = list(status_choices)
        departments = Department.objects.order_by("name_en", "pk")
        providers = User.objects.filter(role=Role.PROVIDER).order_by("name_en", "pk")
        locations = Location.objects.order_by("name_en", "pk")
        for name, rows, first in (
            ("department", departments, gettext("All departments")),
            ("provider", providers, gettext("All providers")),
            ("location", locations, gettext("All locations")),
            ("tag", all_tags(), gettext("With and without tags")),
        ):
            self.fields[name].queryset = rows
            _offer(self.fields[name], rows, first)

    def class_choices(self) -> list[dict[str, Any]]:
        chosen = self["message_class"].value()
        return [
            {"value": one.value, "label": one.label, "help": CLASS_HELP[one], "is_chosen": one.value == chosen}
            for one in MessageClass
        ]

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        first, last = data.get("visits_from"), data.get("visits_until")
        if first and last and last < first:
            self.add_error("visits_until", _("The last day is before the first one."))
        elif first and last and (last - first).days > LONGEST_DAYS:
            self.add_error("visits_until", _("Choose at most one year."))
        if self.is_by_visit and not self.errors:
            data["visits_from"] = first or last or timezone.localdate()
            data["visits_until"] = last or max(data["visits_from"], timezone.localdate() + dt.timedelta(days=30))
        return data

    @property
    def is_by_visit(self) -> bool:
        """Whether a visit decides who is meant, and not only the patient's own data."""
        data = self.cleaned_data
        return any(data.get(name) for name in ("visits_from", "visits_until", "provider", "location", "statuses"))

    def filters(self) -> Mapping[str, Any]:
        """As they are kept with the send: ids and ISO dates, without empty ones."""
        data = self.cleaned_data
        found: dict[str, Any] = {
            name: str(data[name].pk) for name in ("department", "provider", "location", "tag") if data.get(name)
        }
        if self.is_by_visit:
            found |= {name: data[name].isoformat() for name in ("visits_from", "visits_until")}
        if data.get("statuses"):
            found["statuses"] = data["statuses"]
        if data.get("language"):
            found["language"] = data["language"]
        return found


def _body(label: Any, language: str, *, rows: int = 7) -> forms.CharField:
    attrs = {"lang": language, "dir": "rtl" if language == "ar" else "ltr", "rows": rows}
    return forms.CharField(label=label, max_length=MAX_BODY, required=False, widget=forms.Textarea(attrs=attrs))


def _subject(label: Any, language: str) -> forms.CharField:
    attrs = {"lang": language, "dir": "rtl" if language == "ar" else "ltr", "autocomplete": "off"}
    return forms.CharField(label=label, max_length=200, required=False, widget=forms.TextInput(attrs=attrs))


class WordsForm(BulkForm):
    """Step 2: a template, or words of its own in both languages."""

    template = forms.ChoiceField(label=_("Template"), required=False)
    channel = forms.ChoiceField(
        label=_("Channel"), required=False, choices=[("", _("Each patient's preferred channel")), *Channel.choices]
    )
    is_urgent = forms.BooleanField(
        label=_("Urgent: send at any hour"),
        required=False,
        help_text=_("For news that cannot wait until morning, such as a closed clinic."),
    )
    subject_en = _subject(_("Email subject in English"), "en")
    subject_ar = _subject(_("Email subject in Arabic"), "ar")
    body_en = _body(_("Text in English"), "en")
    body_ar = _body(_("Text in Arabic"), "ar")

    TEXTS = ("subject_en", "subject_ar", "body_en", "body_ar")

    def __init__(self, *args: Any, templates: Iterable[MessageTemplate], may_be_urgent: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        names: dict[str, str] = {}
        for row in templates:
            channel = str(Channel(row.channel).label)
            names[row.code] = f"{names[row.code]}, {channel}" if row.code in names else f"{row.name} · {channel}"
        self.fields["template"].choices = [("", gettext("No template: write it here")), *names.items()]
        if not may_be_urgent:
            del self.fields["is_urgent"]

    def wish(self) -> dict[str, Any]:
        data = self.cleaned_data
        return {
            "template_code": data["template"],
            "texts": {name: data[name] for name in self.TEXTS},
            "channel": data["channel"],
            "is_urgent": data.get("is_urgent", False),
        }


class SubmitForm(BulkForm):
    """Step 3: when. Times are the wall clock of ``zone``."""

    scheduled_at = WallClockField(label=_("Start"), required=False, help_text=_("Empty: at once."))
    sends_from = forms.TimeField(
        label=_("Send from"),
        required=False,
        widget=forms.TimeInput(format="%H:%M", attrs={"type": "time", "class": "num", "dir": "ltr"}),
    )
    sends_until = forms.TimeField(
        label=_("Send until"),
        required=False,
        widget=forms.TimeInput(format="%H:%M", attrs={"type": "time", "class": "num", "dir": "ltr"}),
    )
    useful_hours = forms.IntegerField(
        label=_("Useful for hours"),
        min_value=1,
        max_value=168,
        initial=24,
        help_text=_("What could not be sent until then is not sent any more."),
        widget=forms.NumberInput(attrs={"class": "num", "dir": "ltr", "inputmode": "numeric"}),
    )

    def __init__(self, *args: Any, zone: zoneinfo.ZoneInfo, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._zone = zone

    def clean_scheduled_at(self) -> dt.datetime | None:
        typed = self.cleaned_data["scheduled_at"]
        return typed.replace(tzinfo=self._zone) if typed is not None else None


class ClosedForm(BulkForm):
    """“Clinic closed”: where, when, and the words, which are ready."""

    location: Any = forms.ModelChoiceField(queryset=None, label=_("Location"), required=False)
    day = DayField(label=_("Day"), error_messages={"required": _("Choose the day.")})
    starts = forms.TimeField(
        label=_("Visits from"),
        required=False,
        widget=forms.TimeInput(format="%H:%M", attrs={"type": "time", "class": "num", "dir": "ltr"}),
    )
    ends = forms.TimeField(
        label=_("Visits until"),
        required=False,
        widget=forms.TimeInput(format="%H:%M", attrs={"type": "time", "class": "num", "dir": "ltr"}),
    )
    channel = forms.ChoiceField(
        label=_("Channel"),
        required=False,
        choices=[
            ("", _("Each patient's preferred channel")),
            ("SMS", Channel.SMS.label),
            ("EMAIL", Channel.EMAIL.label),
        ],
    )
    body_en = _body(_("Text in English"), "en")
    body_ar = _body(_("Text in Arabic"), "ar")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        rows = Location.objects.order_by("name_en", "pk")
        self.fields["location"].queryset = rows
        _offer(self.fields["location"], rows, gettext("All locations"))

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if data.get("day") and data["day"] < timezone.localdate():
            self.add_error("day", _("This day is over."))
        if data.get("starts") and data.get("ends") and data["ends"] <= data["starts"]:
            self.add_error("ends", _("The end must be later than the beginning, on the same day."))
        return data

    def span(self, zone: zoneinfo.ZoneInfo) -> tuple[dt.datetime, dt.datetime]:
        """The range of visits on that wall clock, the whole day where no time is given."""
        data = self.cleaned_data
        starts = dt.datetime.combine(data["day"], data["starts"] or dt.time(0), tzinfo=zone)
        if data["ends"]:
            return starts, dt.datetime.combine(data["day"], data["ends"], tzinfo=zone)
        return starts, dt.datetime.combine(data["day"] + dt.timedelta(days=1), dt.time(0), tzinfo=zone)


class ClassRuleForm(BulkForm):
    """The hours of one class, and up to how many one person may send alone."""

    opens_at = forms.TimeField(
        label=_("From"), widget=forms.TimeInput(format="%H:%M", attrs={"type": "time", "class": "num", "dir": "ltr"})
    )
    closes_at = forms.TimeField(
        label=_("Until"), widget=forms.TimeInput(format="%H:%M", attrs={"type": "time", "class": "num", "dir": "ltr"})
    )
    approval_above = forms.IntegerField(
        label=_("Second person above"),
        min_value=0,
        max_value=100_000,
        widget=forms.NumberInput(attrs={"class": "num", "dir": "ltr", "inputmode": "numeric"}),
    )

    def __init__(self, *args: Any, message_class: str, **kwargs: Any) -> None:
        super().__init__(*args, **{"auto_id": f"{message_class.lower()}_%s", **kwargs})
        self.message_class = MessageClass(message_class)
