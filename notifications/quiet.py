"""When a person wants to hear nothing, and when that ends. Pure: no queries, no clock of its own.

Everything is said on the wall clock of the person's zone:

* a window every day, ``22:00`` to ``07:00``: it may span midnight, and the minute it ends is loud;
* in Ramadan another window instead, if there is one. Ramadan is that of the Umm al-Qura calendar, and its days begin on
  the evening before (``EVENING``), so the eve's night is Ramadan's and the night before the feast is not. Outside the
  years the calendar is printed for there is no Ramadan;
* whole weekend days, whole holidays.

Where clocks change: what begins in an hour that does not exist begins at the change; an hour that comes twice is quiet
both times, so nobody is woken by the second one.
"""

from __future__ import annotations

import bisect
import datetime as dt
import functools
import zoneinfo
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import hijridate

Window: TypeAlias = tuple[dt.time, dt.time]
Days: TypeAlias = tuple[dt.date, dt.date]
_Wall: TypeAlias = tuple[dt.datetime, dt.datetime]

# Sunset differs by place and season; no window is worth an astronomer.
EVENING = dt.time(18)
# Nothing is held back longer than this, whatever windows, weekends and holidays add up to.
LONGEST = dt.timedelta(days=31)
_RAMADAN = 9
_FIRST_YEAR, _LAST_YEAR = 1343, 1500
_DAY = dt.timedelta(days=1)
_TICK = dt.timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Schedule:
    """A person's quiet times. ``weekdays`` are whole days (Monday is 0), ``holidays`` first and last days."""

    zone: zoneinfo.ZoneInfo
    window: Window | None = None
    ramadan_window: Window | None = None
    weekdays: frozenset[int] = frozenset()
    holidays: tuple[Days, ...] = ()

    @property
    def is_always_loud(self) -> bool:
        return not (self.window or self.ramadan_window or self.weekdays or self.holidays)


def quiet_until(schedule: Schedule, now: dt.datetime) -> dt.datetime | None:
    """None when it is loud; else the moment (UTC) at which it is loud again, at most ``LONGEST`` from ``now``.

    Times that adjoin are one: a holiday on Thursday, the weekend and the night before Sunday end on Sunday morning.
    """
    if schedule.is_always_loud:
        return None
    now = now.astimezone(dt.UTC)
    latest = now + LONGEST
    until = now
    while until < latest:
        ends = [end for start, end in _around(schedule, until.astimezone(schedule.zone).date()) if start <= until < end]
        if not ends:
            break
        until = max(ends)
    return min(until, latest) if until > now else None


def quiet_since(schedule: Schedule, now: dt.datetime) -> dt.datetime:
    """When the quiet time began (UTC) that lasts at ``now``, at most ``LONGEST`` ago; ``now`` itself when it is loud."""
    now = now.astimezone(dt.UTC)
    earliest = now - LONGEST
    since, looked_at = now, now
    while since > earliest:
        day = looked_at.astimezone(schedule.zone).date()
        starts = [start for start, end in _around(schedule, day) if start <= looked_at < end]
        if not starts:
            break
        since = min(starts)
        # What ends where this one begins is one time with it.
        looked_at = since - _TICK
    return max(since, earliest)


def next_quiet(schedule: Schedule, now: dt.datetime) -> tuple[dt.datetime, dt.datetime] | None:
    """The next quiet time that has not begun yet, from and until (UTC), if one begins within ``LONGEST``."""
    if schedule.is_always_loud:
        return None
    loud = quiet_until(schedule, now) or now.astimezone(dt.UTC)
    day = loud.astimezone(schedule.zone).date()
    for number in range(LONGEST.days):
        starts = [start for start, _ in _around(schedule, day + number * _DAY) if start > loud]
        if starts:
            first = min(starts)
            return first, quiet_until(schedule, first) or first
    return None


def moment(zone: zoneinfo.ZoneInfo, wall: dt.datetime) -> dt.datetime:
    """The first moment (UTC) at which that zone's wall clock shows ``wall`` or, where it skips it, is past it."""
    early = wall.replace(tzinfo=zone, fold=0).astimezone(dt.UTC)
    if early.astimezone(zone).replace(tzinfo=None) == wall:
        return early
    # The clock jumps over it: the jump lies between what the offset before and the offset after make of it.
    low, high = sorted((early, wall.replace(tzinfo=zone, fold=1).astimezone(dt.UTC)))
    while high - low > _TICK:
        middle = low + (high - low) // 2
        if middle.astimezone(zone).replace(tzinfo=None) < wall:
            low = middle
        else:
            high = middle
    return high


def ramadan_near(day: dt.date) -> Days | None:
    """The first and last day of the Ramadan that ``day`` lies in, or of the next one; None outside the printed years."""
    months = _ramadans()
    place = bisect.bisect_left(months, day, key=lambda month: month[1])
    if place == len(months) or day < months[0][0] - dt.timedelta(days=400):
        return None
    return months[place]


def _around(schedule: Schedule, day: dt.date) -> Iterator[tuple[dt.datetime, dt.datetime]]:
    """The spans that touch that day: its own, and those of the days beside it, whose night reaches into it.

    A clock that is changed around midnight can move a day's edge into the next one.
    """
    for number in (-1, 0, 1):
        yield from _of_day(schedule, day + number * _DAY)


def _of_day(schedule: Schedule, day: dt.date) -> Iterator[tuple[dt.datetime, dt.datetime]]:
    """The quiet spans that begin on that day, as moments."""
    for start, end in _walls(schedule, day):
        begins, ends = moment(schedule.zone, start), _last_moment(schedule.zone, end)
        if begins < ends:
            yield begins, ends


def _last_moment(zone: zoneinfo.ZoneInfo, wall: dt.datetime) -> dt.datetime:
    """The moment from which the wall clock is never before ``wall`` again: the second of two, if it shows it twice."""
    before = wall - _TICK
    if _comes_twice(zone, wall) and _comes_twice(zone, before):
        return wall.replace(tzinfo=zone, fold=1).astimezone(dt.UTC)
    return moment(zone, wall)


def _comes_twice(zone: zoneinfo.ZoneInfo, wall: dt.datetime) -> bool:
    first, second = wall.replace(tzinfo=zone, fold=0).utcoffset(), wall.replace(tzinfo=zone, fold=1).utcoffset()
    return first is not None and second is not None and first > second


def _walls(schedule: Schedule, day: dt.date) -> Iterator[_Wall]:
    """The quiet spans that begin on that day, on the wall clock."""
    midnight = dt.datetime.combine(day, dt.time())
    if day.weekday() in schedule.weekdays or any(first <= day <= last for first, last in schedule.holidays):
        yield midnight, midnight + _DAY
    month = _month_around(day) if schedule.ramadan_window is not None else None
    if schedule.window is not None:
        span = _span(day, schedule.window)
        yield from (span,) if month is None else _outside(span, month)
    if schedule.ramadan_window is not None and month is not None:
        yield from _within(_span(day, schedule.ramadan_window), month)


def _span(day: dt.date, window: Window) -> _Wall:
    start, end = window
    return dt.datetime.combine(day, start), dt.datetime.combine(day if end > start else day + _DAY, end)


def _within(span: _Wall, month: _Wall) -> Iterator[_Wall]:
    start, end = max(span[0], month[0]), min(span[1], month[1])
    if start < end:
        yield start, end


def _outside(span: _Wall, month: _Wall) -> Iterator[_Wall]:
    if span[0] < month[0]:
        yield span[0], min(span[1], month[0])
    if span[1] > month[1]:
        yield max(span[0], month[1]), span[1]


def _month_around(day: dt.date) -> _Wall | None:
    """The Ramadan that touches that day or the night after it, from the evening of its eve to that of its last day."""
    months = _ramadans()
    place = bisect.bisect_left(months, day, key=lambda month: month[1])
    if place == len(months):
        return None
    first, last = months[place]
    # A window that begins today ends tomorrow at the latest.
    if day < first - 2 * _DAY:
        return None
    return dt.datetime.combine(first - _DAY, EVENING), dt.datetime.combine(last, EVENING)


@functools.cache
def _ramadans() -> tuple[Days, ...]:
    """Every Ramadan of the Umm al-Qura calendar as it is printed (1924 to 2077)."""
    months = []
    for year in range(_FIRST_YEAR, _LAST_YEAR + 1):
        first = hijridate.Hijri(year, _RAMADAN, 1)
        day = dt.date(*first.to_gregorian().datetuple())
        months.append((day, day + (first.month_length() - 1) * _DAY))
    return tuple(months)
