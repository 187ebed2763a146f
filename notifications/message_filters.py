"""What the message list can be filtered by, from the address (or a saved filter) to rows. The exports use the same.

Whatever is combined, the database answers from the index ``message_list`` alone (``models/message.py``), which holds
every column named here. So a filter must never look into another column or another table: who is searched for is found
first, and the messages by the people's ids.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet, TextChoices
from django.http import QueryDict
from django.utils import timezone
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from core import keyset, phone
from core.forms import DayField
from core.keyset import Page
from core.models import Guardianship, Patient, Role, User
from core.selectors import matching, western_digits, words_in
from notifications import default_words
from notifications.models import BulkSend, Message, MessageTemplate
from notifications.selectors import PROBLEMS
from notifications.states import Channel, NotificationType, Status

PAGE_SIZE = 25
# Beyond this the page says "1,000+": an exact count of a year is a read of the year.
COUNTED = 1000
# More people than this are no search. Their ids travel in one parameter.
MOST_PEOPLE = 10_000
PROBLEM = "problem"
_FIRST_DAY, _LAST_DAY = dt.date(2000, 1, 1), dt.date(2199, 12, 31)
# What a row of the list shows. Not the text of hundreds of emails in full, but a preview of it.
_UNUSED = ("fallback_channels",)


class Period(TextChoices):
    """Days that a saved filter can name: they move with the calendar."""

    TODAY = "today", _("Today")
    YESTERDAY = "yesterday", _("Yesterday")
    WEEK = "7", _("Last 7 days")
    MONTH = "30", _("Last 30 days")
    QUARTER = "90", _("Last 90 days")


class _Choice(forms.ModelChoiceField):  # type: ignore[type-arg]  # generic for the type checker only
    """A row of the open tenant scope. Looked up only when one is chosen, listed only when the form is shown."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(queryset=None, required=False, **kwargs)

    def label_from_instance(self, obj: Any) -> str:
        return default_words.title(obj) if isinstance(obj, MessageTemplate) else str(obj)


def provider_choices() -> list[tuple[str, Any]]:
    """Those that this house can have used; the sandbox only where there is one."""
    known: list[tuple[str, Any]] = [
        ("twilio", "Twilio"),
        ("unifonic", "Unifonic"),
        ("smtp", _("Mail server")),
        ("anymail", _("Mail service")),
    ]
    return [*known, ("sandbox", _("Sandbox"))] if settings.SANDBOX_ENABLED else known


class MessageFilterForm(forms.Form):
    """The filters of the list. ``rows()`` are the messages that pass, of a valid form and inside a tenant scope."""

    q = forms.CharField(
        label=_("Search"),
        max_length=100,
        required=False,
        widget=forms.TextInput(
            attrs={"type": "search", "autocomplete": "off", "dir": "auto", "placeholder": _("Name, phone or email")}
        ),
    )
    status = forms.ChoiceField(label=_("Status"), required=False)
    channel = forms.ChoiceField(label=_("Channel"), required=False)
    period = forms.ChoiceField(label=pgettext_lazy("of time", "Period"), required=False)
    type = forms.ChoiceField(label=_("Type"), required=False)
    template = _Choice(label=_("Template"), empty_label=_("Any template"))
    provider = forms.ChoiceField(label=pgettext_lazy("sends messages", "Provider"), required=False)
    sent_by = _Choice(label=_("Sent by"), empty_label=_("Anybody"))
    bulk = _Choice(label=_("Bulk send"), empty_label=_("Any or none"))
    since = DayField(label=_("From"), required=False)
    until = DayField(label=_("To"), required=False)
    patient = _Choice(label=_("Patient"), widget=forms.HiddenInput)

    MAIN = ("q", "status", "channel", "period")
    MORE = ("type", "template", "provider", "sent_by", "bulk", "since", "until")

    def __init__(self, data: Mapping[str, Any] | None = None) -> None:
        super().__init__(data if data is not None else {})
        choices: dict[str, tuple[Any, list[tuple[str, Any]]]] = {
            "status": (_("Any status"), [(PROBLEM, _("Needs attention")), *Status.choices]),
            "channel": (_("Any channel"), list(Channel.choices)),
            "period": (_("Any time"), list(Period.choices)),
            "type": (_("Any type"), list(NotificationType.choices)),
            "provider": (pgettext_lazy("sends messages", "Any provider"), provider_choices()),
        }
        for name, (nothing, values) in choices.items():
            field = self.fields[name]
            assert isinstance(field, forms.ChoiceField)
            field.choices = [("", nothing), *values]
        rows: dict[str, QuerySet[Any]] = {
            "template": MessageTemplate.objects.order_by("name", "channel"),
            "sent_by": User.objects.filter(role__in=[Role.ADMIN, Role.FRONT_DESK]).order_by("name_en", "pk"),
            "bulk": BulkSend.objects.order_by("-created_at", "-pk"),
            "patient": Patient.objects.all(),
        }
        for name, found in rows.items():
            choice = self.fields[name]
            assert isinstance(choice, forms.ModelChoiceField)
            choice.queryset = found

    # --- what was asked ----------------------------------------------------------------------------------------------
    @cached_property
    def asked(self) -> dict[str, str]:
        """The filters that are set, as the address holds them. Also what a saved filter and an export keep."""
        values = {name: str(self.data.get(name, "") or "").strip() for name in self.fields}
        return {name: value for name, value in values.items() if value}

    @property
    def is_filtered(self) -> bool:
        return bool(self.asked)

    @property
    def has_more(self) -> bool:
        """Is one of the filters set that are folded away?"""
        return any(name in self.asked for name in self.MORE)

    @property
    def address(self) -> str:
        """``status=FAILED&channel=SMS``"""
        made = QueryDict(mutable=True)
        made.update(self.asked)
        return made.urlencode()

    def fixed(self, zone: dt.tzinfo) -> dict[str, str]:
        """``asked`` with a period written as days: for what is carried out later. Of a valid form."""
        days = dict(zip(("since", "until"), self._days(zone), strict=True))
        kept = {name: value for name, value in self.asked.items() if name not in ("period", "since", "until")}
        return kept | {name: day.isoformat() for name, day in days.items() if day is not None}

    def main(self) -> Iterator[forms.BoundField]:
        return (self[name] for name in self.MAIN)

    def more(self) -> Iterator[forms.BoundField]:
        return (self[name] for name in self.MORE)

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        since, until = data.get("since"), data.get("until")
        if since and until and until < since:
            self.add_error("until", _("The last day is before the first one."))
        if data.get("q") and not self.errors:
            data["people"] = self._people(western_digits(data["q"]).strip())
        return data

    # --- rows --------------------------------------------------------------------------------------------------------
    def rows(self, zone: dt.tzinfo) -> QuerySet[Message]:
        """The messages that pass, the latest first. Days are those of ``zone``, the last one is part of the range."""
        data = self.cleaned_data
        rows = Message.objects.order_by("-created_at", "-pk")
        if data["status"] == PROBLEM:
            rows = rows.filter(status__in=sorted(PROBLEMS))
        elif data["status"]:
            rows = rows.filter(status=data["status"])
        same = {
            "channel": data["channel"],
            "notification_type": data["type"],
            **{f"{name}_id": data[name] and data[name].pk for name in ("template", "sent_by", "bulk", "patient")},
        }
        rows = rows.filter(**{name: value for name, value in same.items() if value})
        if data["provider"]:
            # The clinic group's own account at that provider too: twilio@4f9a0c21de.
            rows = rows.filter(Q(provider=data["provider"]) | Q(provider__startswith=f"{data['provider']}@"))
        if "people" in data:
            rows = rows.filter(data["people"])
        first, last = self._days(zone)
        if first is not None:
            rows = rows.filter(created_at__gte=_midnight(first, zone))
        if last is not None:
            rows = rows.filter(created_at__lt=_midnight(min(last, _LAST_DAY) + dt.timedelta(days=1), zone))
        return rows

    def _days(self, zone: dt.tzinfo) -> tuple[dt.date | None, dt.date | None]:
        """The range; days that were written down count more than a period."""
        data = self.cleaned_data
        if data["since"] or data["until"] or not data["period"]:
            return data["since"], data["until"]
        today = timezone.localdate(timezone=zone)
        match data["period"]:
            case Period.TODAY:
                return today, today
            case Period.YESTERDAY:
                return today - dt.timedelta(days=1), today - dt.timedelta(days=1)
        return today - dt.timedelta(days=int(data["period"]) - 1), today

    def _people(self, typed: str) -> Q:
        """Messages to the people that fit: by name in either script, file number, phone in any form, email; or by the
        address a message went to, also when it stands in no file any more.
        """
        if (message_id := _uuid(typed)) is not None:
            return Q(pk=message_id)
        if len(typed) < 2:
            raise ValidationError({"q": _("Write at least two letters or digits.")})
        guardians = Guardianship.objects.filter(_guardian(typed)).values("patient")
        wanted = matching(typed) | Q(pk__in=guardians)
        patients = set(Patient.objects.filter(wanted).values_list("pk", flat=True)[: MOST_PEOPLE + 1])
        if len(patients) > MOST_PEOPLE:
            raise ValidationError({"q": _("That fits too many people. Write more of the name or number.")})
        users = set(User.objects.filter(_user(typed)).values_list("pk", flat=True)[:MOST_PEOPLE])
        if (address := _address(typed)) is not None:
            there = Message.objects.filter(recipient__in=address).order_by("-created_at")
            for patient_id, user_id in there.values_list("patient_id", "user_id")[:COUNTED]:
                patients |= {patient_id} - {None}
                users |= {user_id} - {None}
        found = Q(patient_id__among=patients)
        return found | Q(user_id__among=users) if users else found


def page_of(rows: QuerySet[Message], *, older: str = "", newer: str = "") -> Page[Message]:
    """A page with all that a line shows. First the ids, from the index alone; then these 25 rows."""
    page = keyset.page_of(rows.only("created_at"), by="created_at", size=PAGE_SIZE, older=older, newer=newer)
    shown = Message.objects.select_related("patient", "guardian", "user", "template").defer(*_UNUSED)
    found = {row.pk: row for row in shown.filter(pk__among=[row.pk for row in page.rows])} if page.rows else {}
    return Page([found[row.pk] for row in page.rows if row.pk in found], page.newer, page.older)


def count_of(rows: QuerySet[Message], page: Page[Message]) -> int | None:
    """How many there are; ``COUNTED + 1`` for more than ``COUNTED``; None below the first page, where nobody asks."""
    if page.newer:
        return None
    return bounded_count(rows, COUNTED) if page.older else len(page.rows)


def bounded_count(rows: QuerySet[Message], most: int) -> int:
    """``most + 1`` when there are more than ``most``."""
    return rows.values("pk")[: most + 1].count()


def _guardian(typed: str) -> Q:
    wanted = Q(guardian__email__icontains=typed)
    names = Q()
    for word in typed.split():
        names &= words_in(word, "guardian__name_en", "guardian__name_ar")
    return wanted | names


def _user(typed: str) -> Q:
    names = Q()
    for word in typed.split():
        names &= words_in(word, "name_en", "name_ar")
    return names | Q(email__icontains=typed)


def _address(typed: str) -> list[str] | None:
    """The whole address somebody may have meant, or None for a part of one."""
    if "@" in typed:
        return list({typed, typed.lower()})
    try:
        return [phone.to_e164(typed)]
    except ValidationError:
        return None


def _uuid(typed: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(typed) if len(typed) >= 32 else None
    except ValueError:
        return None


def _midnight(day: dt.date, zone: dt.tzinfo) -> dt.datetime:
    """Centuries away there is nothing to find, and no clock to reckon with."""
    day = min(max(day, _FIRST_DAY), _LAST_DAY)
    return timezone.make_aware(dt.datetime.combine(day, dt.time()), zone)
