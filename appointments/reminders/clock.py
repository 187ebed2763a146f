"""When a reminder goes: wall clocks, elapsed hours and quiet times. Pure: no queries, no clock of its own.

“24 hours before” is the same wall clock the day before at the location; “2 hours before” is elapsed time. In a quiet
time it goes at its end while the least lead holds, else at the last minute before it, else not at all.
"""

from __future__ import annotations

import datetime as dt
import zoneinfo
from collections.abc import Sequence
from dataclasses import dataclass

from django.utils import timezone

from appointments.models import Reminder
from notifications.quiet import Schedule, quiet_until
from notifications.quiet_shift import shift
from notifications.states import Reason

Kind = Reminder.Kind
DAY = dt.timedelta(days=1)
# No lead is as long: a shift with it never goes later.
_ALWAYS_EARLIER = dt.timedelta.max


@dataclass(frozen=True, slots=True)
class Rule:
    """One kind of reminder: how long before the start, moved no closer to it than ``lead``, useless from ``until`` on."""

    is_on: bool
    offset: dt.timedelta
    lead: dt.timedelta
    until: dt.timedelta


@dataclass(frozen=True, slots=True)
class Slot:
    """A planned reminder: due and useless from when on, in UTC; or the reason why there is none."""

    due_at: dt.datetime
    expires_at: dt.datetime
    reason: Reason | None = None


def days_before(start: dt.datetime, zone: zoneinfo.ZoneInfo, days: int) -> dt.datetime:
    """The same wall clock so many days before, in UTC. In the hour that a clock skips: the first instant after it.

    In the hour that comes twice it is the first of the two.
    """
    wall = timezone.localtime(start, zone).replace(tzinfo=None, fold=0) - dt.timedelta(days=days)
    while True:
        instant = wall.replace(tzinfo=zone).astimezone(dt.UTC)
        if instant.astimezone(zone).replace(tzinfo=None, fold=0) == wall:
            return instant
        # Not on this clock: the gap ends at a full minute.
        wall = wall.replace(second=0, microsecond=0) + dt.timedelta(minutes=1)


def day_before(start: dt.datetime, zone: zoneinfo.ZoneInfo) -> dt.datetime:
    """The same wall clock the day before, in UTC."""
    return days_before(start, zone, 1)


def offset_before(start: dt.datetime, zone: zoneinfo.ZoneInfo, offset: dt.timedelta) -> dt.datetime:
    """Whole days by the calendar, anything else elapsed. In UTC: within one zone Python reckons on the wall clock."""
    days, rest = divmod(offset, DAY)
    return days_before(start, zone, days) if not rest else start.astimezone(dt.UTC) - offset


def slot(
    rule: Rule,
    *,
    start: dt.datetime,
    zone: zoneinfo.ZoneInfo,
    quiet: Sequence[Schedule] = (),
    booked_at: dt.datetime,
) -> Slot:
    """Where the reminder of a visit stands that was booked (or moved) at ``booked_at``."""
    start = start.astimezone(dt.UTC)
    due, expires = offset_before(start, zone, rule.offset), start - rule.until
    if due <= booked_at:
        # A late reminder helps nobody: it is not caught up.
        return Slot(due, expires, Reason.BOOKED_INSIDE_WINDOW)
    moved = out_of_quiet(due, start, quiet, rule.lead, booked_at)
    return Slot(moved or due, expires, None if moved is not None else Reason.QUIET_DROPPED)


def out_of_quiet(
    due: dt.datetime,
    start: dt.datetime,
    quiet: Sequence[Schedule],
    lead: dt.timedelta,
    not_before: dt.datetime | None,
) -> dt.datetime | None:
    """``quiet_shift.shift`` for several quiet times at once: the clinic's and the patient's own. None: nowhere."""
    later = due
    while ends := [end for one in quiet if (end := quiet_until(one, later)) is not None]:
        later = max(ends)
        if start - later < lead:
            break
    else:
        return later
    if not_before is None:
        return None
    earlier: dt.datetime | None = due
    while earlier is not None and any(quiet_until(one, earlier) is not None for one in quiet):
        for one in quiet:
            if earlier is not None:
                earlier = shift(earlier, start, one, _ALWAYS_EARLIER, not_before)
    return earlier
