"""Groups a user's notifications by day, on the wall clock where the user works. No queries.

The day is that of the latest news of a row, which is the order of the lists.
"""

from __future__ import annotations

import datetime as dt
import itertools
import zoneinfo
from collections.abc import Iterable
from dataclasses import dataclass

from django.utils import timezone
from django.utils.translation import gettext

from core.templatetags.agdar_ui import day_text
from notifications.models import Notification


@dataclass(frozen=True, slots=True)
class DayGroup:
    """``key`` names it within the page; ``is_today`` decides whether a row shows the time alone or the day with it."""

    key: str
    label: str
    rows: list[Notification]
    is_today: bool
    zone: zoneinfo.ZoneInfo
    shows_day: bool = False


def _day_of(notification: Notification, zone: zoneinfo.ZoneInfo) -> dt.date:
    return timezone.localtime(notification.activity_at, zone).date()


def by_today(notifications: Iterable[Notification], zone: zoneinfo.ZoneInfo) -> list[DayGroup]:
    """Today and earlier, for the small panel."""
    today = timezone.localdate(timezone=zone)
    groups = itertools.groupby(notifications, key=lambda row: _day_of(row, zone) >= today)
    return [
        DayGroup(
            key="today" if is_today else "earlier",
            label=gettext("Today") if is_today else gettext("Earlier"),
            rows=list(rows),
            is_today=is_today,
            zone=zone,
            shows_day=not is_today,
        )
        for is_today, rows in groups
    ]


def by_day(notifications: Iterable[Notification], zone: zoneinfo.ZoneInfo) -> list[DayGroup]:
    """One group a day, for the page."""
    today = timezone.localdate(timezone=zone)
    names = {today: gettext("Today"), today - dt.timedelta(days=1): gettext("Yesterday")}
    groups = itertools.groupby(notifications, key=lambda row: _day_of(row, zone))
    return [
        DayGroup(
            key=f"{day:%Y%m%d}",
            label=names.get(day) or day_text(day),
            rows=list(rows),
            is_today=day == today,
            zone=zone,
        )
        for day, rows in groups
    ]
