"""The words of a notification's row. Must never query: a page has 25 of them."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from collections.abc import Iterator
from typing import Any

from django import template
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString, mark_safe

from core.models.tenant import in_language
from core.templatetags.agdar_ui import clock, daytime
from notifications import undoing
from notifications.actions import ShownAction, actions_of
from notifications.models import Notification
from notifications.states import Category

register = template.Library()


@register.filter
def moment_in(value: dt.datetime | None, zone: zoneinfo.ZoneInfo) -> SafeString | str:
    """10:05 today, “Mon 23 Nov, 10:05” on another day."""
    if value is None:
        return ""
    is_today = timezone.localtime(value, zone).date() == timezone.localdate(timezone=zone)
    return clock(value, zone) if is_today else daytime(value, zone)


@register.filter
def category_label(category: str) -> str:
    """As ``get_category_display``, which looks at every choice in every row."""
    return str(Category(category).label)


@register.filter
def has_chips(notification: Notification, in_history: object) -> bool:
    """Is there anything that ``notification_chips.html`` would say? Most rows have nothing."""
    n = notification
    own = n.is_critical or n.resolved_at or n.acknowledged_at or n.instead_of_id or n.override or n.snoozed_until
    return bool(own or (in_history and (n.is_muted or n.archived_at or n.is_silent)))


@register.simple_tag
def row_base(pk: str) -> SafeString:
    """The address of a row, with which those of its buttons begin."""
    return mark_safe(reverse("notifications:notification", args=[pk]))  # noqa: S308  # our own path and a UUID


@register.simple_tag
def undo_ms() -> int:
    """How long the page shows “Undo”."""
    return int(undoing.SHOWN_FOR / dt.timedelta(milliseconds=1))


@register.simple_tag(takes_context=True)
def row_actions(context: dict[str, Any], notification: Notification) -> list[ShownAction]:
    """What else can be done on the row (``notifications/actions.py``)."""
    return actions_of(notification, context["request"].user)


@register.filter
def sample_of(notification: Notification) -> Iterator[dict[str, Any]]:
    """The latest of a group: title in the reader's language, and when."""
    for one in notification.sample:
        yield {
            "title": in_language(one["title"], one["title_ar"]),
            "at": dt.datetime.fromisoformat(one["at"]),
        }
