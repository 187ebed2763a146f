"""The dashboard in words: cards, the trend, statuses and channels of a period; queues and latest messages of now."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

from django.utils.translation import gettext as _

from core.access import Can, allows
from core.models import User
from core.selectors import zone_of
from core.templatetags.agdar_ui import STATUS_CLASSES
from notifications import analytics
from notifications.analytics import Totals
from notifications.models import Message
from notifications.rollup_sources import Span
from notifications.selectors import PROBLEMS
from notifications.states import Channel, Status
from notifications.views import figures, operations_words
from notifications.views.figures import COLOURS, Card

_TONES = STATUS_CLASSES["notifications.Message"]


def period(span: Span, book: analytics.Book) -> dict[str, Any]:
    """The period beside as many days before: one reading for both."""
    earlier = analytics.before(span)
    by_day = analytics.totals_by_day(Span(earlier.first, span.last, span.zone), book)
    now = analytics.summed(one for day, one in by_day.items() if day >= span.first)
    before = analytics.summed(one for day, one in by_day.items() if day < span.first)
    days = [span.first + dt.timedelta(days=n) for n in range((span.last - span.first).days + 1)]
    daily = [(day, by_day.get(day) or Totals()) for day in days]
    return {
        "days": len(days),
        "cards": _cards(span, now, before, [one for _day, one in daily]),
        "compared": figures.compared(span),
        "trend": _trend(span, daily),
        "statuses": _statuses(span, now),
        "channels": _channels(span, now),
        "total": now.all.messages,
        "all_url": figures.messages_url(span),
    }


def _cards(span: Span, now: Totals, before: Totals, daily: Sequence[Totals]) -> list[Card]:
    problems, problems_before = _problems(now), _problems(before)
    return [
        Card(
            _("Messages"),
            "messages",
            figures.number(now.all.messages),
            change=figures.change_of(now.all.messages, before.all.messages),
            url=figures.messages_url(span),
            **_spark([one.all.messages for one in daily]),
        ),
        Card(
            _("Success rate"),
            "circle-check",
            f"{now.success_rate}",
            unit="%",
            change=figures.points_of(now.success_rate, before.success_rate, before.all.messages),
            hint=_("Delivered or read, of all messages"),
            **_spark([one.success_rate for one in daily]),
        ),
        Card(
            _("Read"),
            "eye",
            figures.number(now.all.read),
            change=figures.change_of(now.all.read, before.all.read, more_is="good"),
            url=figures.messages_url(span, status=Status.READ),
            **_spark([one.all.read for one in daily]),
        ),
        Card(
            _("Needs attention"),
            "alert-triangle",
            figures.number(problems),
            change=figures.change_of(problems, problems_before, more_is="bad"),
            hint=_("Failed, bounced or not confirmed"),
            url=figures.messages_url(span, status="problem"),
            **_spark([_problems(one) for one in daily]),
        ),
    ]


def _problems(totals: Totals) -> int:
    return sum(totals.by_status.get(status, 0) for status in PROBLEMS)


def _spark(values: Sequence[float]) -> dict[str, str]:
    line, area = figures.spark(values)
    return {"line": line, "area": area}


def _trend(span: Span, daily: Sequence[tuple[dt.date, Totals]]) -> dict[str, Any]:
    """Messages a day by channel: the chart's data and the same as rows of a table."""
    rows = []
    for day, one in daily:
        here = figures.on(day, span.zone)
        numbers = [one.by_channel[channel].messages if channel in one.by_channel else 0 for channel in Channel.values]
        rows.append(
            {
                "day": day,
                "url": figures.messages_url(here),
                "numbers": numbers,
                "total": one.all.messages,
                "rate": one.success_rate if one.all.messages else None,
            }
        )
    chart = {
        "type": "bar",
        "stacked": True,
        "labels": [figures.step_label(day, "day") for day, _one in daily],
        "urls": [row["url"] for row in rows],
        "series": [
            {"label": str(channel.label), "color": COLOURS[channel], "data": [row["numbers"][place] for row in rows]}
            for place, channel in enumerate(Channel)
        ],
    }
    return {"rows": rows, "chart": chart, "channels": [channel.label for channel in Channel]}


def _statuses(span: Span, now: Totals) -> list[dict[str, Any]]:
    """Those that occur, in the order of a message's life."""
    return [
        {
            "label": status.label,
            "tone": _TONES[status],
            "number": now.by_status[status],
            "share": f"{analytics.share(now.by_status[status], now.all.messages)}",
            "url": figures.messages_url(span, status=status),
        }
        for status in Status
        if now.by_status.get(status)
    ]


def _channels(span: Span, now: Totals) -> list[dict[str, Any]]:
    return [
        {
            "channel": channel.value,
            "label": channel.label,
            "number": now.by_channel[channel].messages,
            "rate": analytics.success_rate(now.by_channel[channel]),
            "url": figures.messages_url(span, channel=channel),
        }
        for channel in Channel
        if channel in now.by_channel and now.by_channel[channel].messages
    ]


# --- now -------------------------------------------------------------------------------------------------------------


def live(user: User, latest: Sequence[Message]) -> dict[str, Any]:
    """What changes by itself: finished words, so that one tag over them tells whether anything has."""
    return {
        **operations_words.at_a_glance(zone_of(user)),
        "recent": latest,
        # What can change of a message that is shown.
        "states": [(message.pk, message.status, message.updated_at) for message in latest],
        "location": user.location,
        "sees_operations": allows(user, Can.ADMINISTER),
    }
