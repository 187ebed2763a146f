"""What is new to a page since its last answer: which kinds of things, whether to show them in the corner and be heard.

One query, with the reader's wishes in it. It names kinds, never a person: the corner of a screen is read by passers-by.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from dataclasses import dataclass

from core.models import User
from core.models.tenant import in_language
from notifications import registry
from notifications.models import Notification
from notifications.models.inbox import COUNTED
from notifications.states import Category

# A row carries the moment it was written and is seen when its transaction ends, up to so much later.
LAG = dt.timedelta(seconds=10)
# One writing of a row sets its times within so much.
AT_ONCE = dt.timedelta(seconds=1)
# As many rows are looked at, as many toasts shown: more is told by the number.
MOST_ROWS = 10
MOST_TOASTS = 3


@dataclass(frozen=True, slots=True)
class Toast:
    """One kind of thing that is new; ``text`` says it with its number. A critical one stays until it is closed."""

    kind: str
    text: str
    is_critical: bool


@dataclass(frozen=True, slots=True)
class News:
    """``is_any``: something came that is no secret of the quiet time, so a sentence is due."""

    is_any: bool = False
    toasts: tuple[Toast, ...] = ()
    has_sound: bool = False


@dataclass(frozen=True, slots=True)
class _Row:
    event_key: str
    category: str
    is_critical: bool
    is_silent: bool
    group_count: int
    created_at: dt.datetime
    activity_at: dt.datetime
    updated_at: dt.datetime
    has_toasts: bool | None
    has_sound: bool | None


def news_since(user: User, since: dt.datetime, *, grown_by: int) -> News:
    """``since``: when the page's numbers were read; ``grown_by``: how many more are unread than it shows.

    New is what was written after ``since``; and, if more are unread than these explain, what was written just before
    and came to light after. Not what somebody has since had in hand: read and marked as unread, acknowledged.
    """
    found = Notification.objects.filter(COUNTED, user=user, activity_at__gt=since - LAG)
    rows = [
        _Row(*values)
        for values in found.order_by("-activity_at", "-pk").values_list(
            "event_key",
            "category",
            "is_critical",
            "is_silent",
            "group_count",
            "created_at",
            "activity_at",
            "updated_at",
            "user__staff_preference__has_toasts",
            "user__staff_preference__has_sound",
        )[:MOST_ROWS]
    ]
    written_since = sum(row.activity_at > since for row in rows)
    fresh = [row for row in rows[: max(written_since, grown_by)] if _is_worth_a_word(row, since)]
    if not fresh:
        return News()
    # Without a row of preferences: shown, not heard.
    return News(
        is_any=True,
        toasts=_toasts(fresh) if fresh[0].has_toasts is not False else (),
        has_sound=bool(fresh[0].has_sound),
    )


def _is_worth_a_word(row: _Row, since: dt.datetime) -> bool:
    """Not what came in the quiet time, nor the next of a group that was told of already."""
    if row.is_silent or row.updated_at - row.activity_at > AT_ONCE:
        return False
    return row.is_critical or row.group_count == 1 or row.created_at > since


def _toasts(rows: list[_Row]) -> tuple[Toast, ...]:
    """One a kind, the critical ones first."""
    kinds = Counter((not row.is_critical, _kind(row)) for row in rows)
    return tuple(
        Toast(kind=kind, text=f"{kind} ({count})" if count > 1 else kind, is_critical=not is_usual)
        for (is_usual, kind), count in sorted(kinds.items(), key=lambda item: item[0][0])[:MOST_TOASTS]
    )


def _kind(row: _Row) -> str:
    """The event's name in the reader's language; of what has no event, or one that is no longer known, its category."""
    try:
        event = registry.get(row.event_key)
    except KeyError:
        return str(Category(row.category).label)
    return in_language(event.name_en, event.name_ar)
