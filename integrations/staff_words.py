"""The words that reach staff beside the bell, in the reader's language. No queries, no sending.

Push and chat stand where others can read them: what kind, how many, where to look; no names, no texts. Email is the
person's own: it says what the bell says.
"""

from __future__ import annotations

import zoneinfo
from collections.abc import Sequence
from dataclasses import dataclass

from django.conf import settings
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from integrations.push import Notice
from notifications import cards
from notifications.models import Notification
from notifications.rendering import isolate
from notifications.states import Category
from notifications.wording import format_date, format_time

# A summary names so many; the inbox has all.
LONGEST_SUMMARY = 100
_RIGHT_TO_LEFT = {"ar"}


@dataclass(frozen=True, slots=True)
class Text:
    title: str
    body: str


def notice(notifications: Sequence[Notification], language: str, *, is_summary: bool) -> Notice:
    """What a lock screen shows."""
    text = _discreet(notifications, language, is_summary=is_summary)
    first = notifications[0]
    return Notice(
        title=text.title,
        body=text.body,
        url=_path(notifications),
        # 32 letters of base64url at most (RFC 8030); summaries take each other's place.
        tag="summary" if is_summary else first.pk.hex,
        lang=language,
        dir="rtl" if language in _RIGHT_TO_LEFT else "ltr",
    )


def chat(notifications: Sequence[Notification], language: str, *, is_summary: bool) -> Text:
    """The same with a link, for a channel that others read too."""
    text = _discreet(notifications, language, is_summary=is_summary)
    return Text(text.title, f"{text.body}\n{_address(notifications)}")


def _discreet(notifications: Sequence[Notification], language: str, *, is_summary: bool) -> Text:
    with translation.override(language):
        if is_summary:
            count = len(notifications)
            body = ngettext(
                "%(count)s notification while you were away", "%(count)s notifications while you were away", count
            )
            return Text(_("Agdar"), body % {"count": count})
        one = notifications[0]
        kind = str(Category(one.category).label)
        title = _("Urgent: %(kind)s") % {"kind": kind} if one.is_critical else kind
        if one.is_critical:
            return Text(title, _("Somebody has to take care of it."))
        count = one.group_count
        body = ngettext("%(count)s new notification", "%(count)s new notifications", count) % {"count": count}
        return Text(title, body)


def letter(notification: Notification, language: str) -> Text:
    """One notification by email, with what is true as it is written."""
    cards.freshen([notification])
    with translation.override(language):
        title = notification.display_title
        words = [
            notification.display_message or title,
            _("Open it: %(address)s") % {"address": _address([notification])},
        ]
        return Text(_one_line(title), "\n\n".join(words))


def summary(notifications: Sequence[Notification], language: str, zone: zoneinfo.ZoneInfo) -> Text:
    """Many in one email: by what they are about, each with its time on the reader's wall clock."""
    with translation.override(language):
        count = len(notifications)
        subject = ngettext("%(count)s notification", "%(count)s notifications", count) % {"count": count}
        shown = notifications[:LONGEST_SUMMARY]
        parts = [subject]
        for category in Category:
            lines = [_line(one, language, zone) for one in shown if one.category == category]
            if lines:
                parts.append("\n".join([f"{category.label}", *lines]))
        rest = count - len(shown)
        if rest:
            parts.append(ngettext("and %(count)s more", "and %(count)s more", rest) % {"count": rest})
        parts.append(_("Your inbox: %(address)s") % {"address": _address(notifications)})
        return Text(subject, "\n\n".join(parts))


def _line(one: Notification, language: str, zone: zoneinfo.ZoneInfo) -> str:
    shown = timezone.localtime(one.activity_at, zone)
    when = f"{format_date(shown.date(), language)} {format_time(shown.time(), language)}"
    many = f" (×{one.group_count})" if one.group_count > 1 else ""
    return f"• {when} – {isolate(_one_line(one.display_title), language)}{many}"


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _path(notifications: Sequence[Notification]) -> str:
    if len(notifications) == 1:
        return reverse("notifications:open", args=[notifications[0].pk])
    return reverse("notifications:inbox")


def _address(notifications: Sequence[Notification]) -> str:
    return f"{settings.PUBLIC_BASE_URL}{_path(notifications)}"
