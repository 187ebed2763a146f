"""Times and spans of time inside sentences, as the pages about sending write them. No queries."""

from __future__ import annotations

import datetime as dt
import zoneinfo

from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from core.templatetags.agdar_ui import clock_text, daytime_text

_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def moment(value: dt.datetime, zone: zoneinfo.ZoneInfo) -> str:
    """“10:05” today, “Mon 23 Nov, 10:05” on another day."""
    is_today = timezone.localtime(value, zone).date() == timezone.localdate(timezone=zone)
    return clock_text(value, zone) if is_today else daytime_text(value, zone)


def span(value: dt.timedelta) -> str:
    """“34 s”, “4 min”, “2 h 10 min”, “3 d 4 h”: no more than somebody wants to know."""
    seconds = max(0, int(value.total_seconds()))
    if seconds < _MINUTE:
        return _("%(seconds)s s") % {"seconds": seconds}
    if seconds < _HOUR:
        return _("%(minutes)s min") % {"minutes": seconds // _MINUTE}
    if seconds < _DAY:
        return _("%(hours)s h %(minutes)s min") % {
            "hours": seconds // _HOUR,
            "minutes": seconds % _HOUR // _MINUTE,
        }
    return _("%(days)s d %(hours)s h") % {"days": seconds // _DAY, "hours": seconds % _DAY // _HOUR}


def hours_or_days(value: dt.timedelta) -> str:
    """“3 hours”, “2 days”, in full, for a sentence that says how long ago. Less than an hour is one hour."""
    hours = max(1, int(value.total_seconds()) // _HOUR)
    if hours < 48:
        return ngettext("%(count)s hour", "%(count)s hours", hours) % {"count": hours}
    return ngettext("%(count)s day", "%(count)s days", hours // 24) % {"count": hours // 24}


def milliseconds(value: int) -> str:
    """“240 ms”, “1.2 s”."""
    if value < 1000:
        return _("%(milliseconds)s ms") % {"milliseconds": value}
    return _("%(seconds)s s") % {"seconds": f"{value / 1000:.1f}"}
