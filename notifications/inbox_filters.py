"""What the notification page shows: its views (tabs) and filters, from the address to rows."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from typing import Any

from django import forms
from django.db.models import Q, QuerySet, TextChoices
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from core.forms import DayField
from core.models import User
from core.selectors import words_in
from notifications import inbox
from notifications.models import Notification, NotificationItem
from notifications.models.inbox import COUNTED
from notifications.states import Category, Level

_FIRST_DAY, _LAST_DAY = dt.date(2000, 1, 1), dt.date(2199, 12, 31)
_WORDS = ("title", "title_ar", "message", "message_ar")


class Show(TextChoices):
    """The views of the page."""

    INBOX = "", _("Inbox")
    UNREAD = "unread", _("Unread")
    SNOOZED = "snoozed", _("Snoozed")
    ARCHIVED = "archived", _("Archived")
    HISTORY = "history", pgettext_lazy("everything that ever came", "History")


def rows_of(user: User, show: str) -> QuerySet[Notification]:
    """The rows of a view, the latest first. The history has everything, also what the reader switched off."""
    mine = inbox.for_user(user)
    if show == Show.UNREAD:
        return mine.filter(COUNTED)
    if show == Show.SNOOZED:
        return mine.filter(snoozed_until__isnull=False, archived_at=None)
    if show == Show.ARCHIVED:
        return mine.filter(archived_at__isnull=False, is_muted=False)
    if show == Show.HISTORY:
        return mine
    return mine.filter(archived_at=None, snoozed_until=None)


class InboxFilterForm(forms.Form):
    """The filters of the page, from the address. Days are those of the reader's wall clock."""

    q = forms.CharField(
        label=_("Search"),
        max_length=100,
        required=False,
        widget=forms.TextInput(attrs={"type": "search", "autocomplete": "off", "dir": "auto"}),
    )
    category = forms.ChoiceField(
        label=pgettext_lazy("of a notification", "About"),
        required=False,
        choices=[("", _("Everything")), *((value, label) for value, label in Category.choices)],
    )
    level = forms.ChoiceField(
        label=pgettext_lazy("of a notification", "Kind"), required=False, choices=[("", _("Any kind")), *Level.choices]
    )
    since = DayField(label=_("From"), required=False)
    until = DayField(label=_("To"), required=False)

    @property
    def show(self) -> Show:
        """The view; one that does not exist is the inbox."""
        wanted = self.data.get("show", "")
        return Show(wanted) if wanted in Show.values else Show.INBOX

    @property
    def is_filtered(self) -> bool:
        return any(self.data.get(name) for name in self.fields)

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        since, until = data.get("since"), data.get("until")
        if since and until and until < since:
            self.add_error("until", _("The last day is before the first one."))
        return data

    def rows(self, user: User, zone: zoneinfo.ZoneInfo) -> QuerySet[Notification]:
        """The rows of the view that pass; only of a valid form."""
        data = self.cleaned_data
        rows = rows_of(user, self.show)
        if data["category"]:
            rows = rows.filter(category=data["category"])
        if data["level"]:
            rows = rows.filter(notification_type=data["level"])
        if data["since"]:
            rows = rows.filter(activity_at__gte=_midnight(data["since"], zone))
        # The last day is part of the range.
        if data["until"]:
            rows = rows.filter(activity_at__lt=_midnight(data["until"], zone) + dt.timedelta(days=1))
        for word in data["q"].split():
            rows = rows.filter(words_in(word, *_WORDS) | _folded(user, word))
        return rows


def _folded(user: User, word: str) -> Q:
    """A row shows the latest of its group; the word may stand in an earlier one."""
    items = NotificationItem.objects.filter(words_in(word, *_WORDS), user=user)
    return Q(pk__in=items.values("notification"))


def _midnight(day: dt.date, zone: zoneinfo.ZoneInfo) -> dt.datetime:
    """Centuries away there is nothing to find, and no clock to reckon with."""
    day = min(max(day, _FIRST_DAY), _LAST_DAY)
    return timezone.make_aware(dt.datetime.combine(day, dt.time()), zone)
