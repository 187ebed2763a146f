"""Where each visit stands in the calendar: rows of a quarter of an hour, lanes side by side. Pure, makes no query.

The page may carry no style attribute (CSP), so that every position is one of a finite set of classes in
``static/css/calendar.css``: ``x-r<row>`` where it begins, ``x-s<rows>`` how long it is, ``x-n<lanes>-<lane>`` its lane.
Must never import a view or a form.
"""

from __future__ import annotations

import datetime as dt
import math
import zoneinfo
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.utils import timezone

from appointments.models import Appointment
from core.models import Location, User

ROW_MINUTES = 15
ROWS_AN_HOUR = 60 // ROW_MINUTES
# A free slot that can be clicked is half an hour long, the usual visit.
SLOT_ROWS = 2
# The working day; a visit outside of it stretches the page.
OPENS, CLOSES = 8, 20
# A column is drawn in twelfths: these numbers of lanes divide it evenly. More than twelve share the last lane.
_LANES = (1, 2, 3, 4, 6, 12)


@dataclass(frozen=True, slots=True)
class Block:
    """One visit in its column."""

    appointment: Appointment
    row: int
    span: int
    lane: int
    lanes: int

    @property
    def place(self) -> str:
        return f"x-r{self.row} x-s{self.span} x-n{self.lanes}-{self.lane}"

    @property
    def is_short(self) -> bool:
        """Too low for two lines of text."""
        return self.span < SLOT_ROWS


@dataclass(frozen=True, slots=True)
class Slot:
    """Half an hour that can be booked by a click."""

    row: int
    time: str

    @property
    def place(self) -> str:
        return f"x-r{self.row} x-s{SLOT_ROWS}"


@dataclass(frozen=True, slots=True)
class Column:
    """One day, or one provider's day."""

    date: dt.date
    provider: User | None
    is_today: bool
    is_weekend: bool
    now_row: int | None
    # On a phone: the day that is unfolded.
    is_open: bool = False
    blocks: list[Block] = field(default_factory=list)
    slots: list[Slot] = field(default_factory=list)

    @property
    def appointments(self) -> list[Appointment]:
        return [block.appointment for block in self.blocks]


@dataclass(frozen=True, slots=True)
class Grid:
    columns: list[Column]
    hours: list[tuple[str, str]]
    last_row: int


def week_of(day: dt.date, weekend: Sequence[int]) -> list[dt.date]:
    """The seven days around ``day``; the week begins on the day after the weekend (Sunday after Friday–Saturday)."""
    begins = next(
        (weekday for weekday in range(7) if weekday not in weekend and (weekday - 1) % 7 in weekend),
        6,  # no weekend at all: Sunday, as on the calendars of the country
    )
    first = day - dt.timedelta(days=(day.weekday() - begins) % 7)
    return [first + dt.timedelta(days=n) for n in range(7)]


def by_day(visits: Iterable[Appointment], days: Sequence[dt.date], location: Location, now: dt.datetime) -> Grid:
    """The week: one column a day."""
    return _grid([(day, None) for day in days], list(visits), location, now)


def by_provider(
    visits: Iterable[Appointment], day: dt.date, providers: Sequence[User], location: Location, now: dt.datetime
) -> Grid:
    """The day: one column a provider."""
    return _grid([(day, provider) for provider in providers], list(visits), location, now)


def _grid(
    keys: list[tuple[dt.date, User | None]], visits: list[Appointment], location: Location, now: dt.datetime
) -> Grid:
    zone = location.zone
    local_now = timezone.localtime(now, zone)
    opens = min([OPENS, *(_minutes(visit.starts_at, zone) // 60 for visit in visits)])
    closes = max([CLOSES, *(math.ceil(_end_minutes(visit, zone) / 60) for visit in visits)])
    dates = [date for date, _provider in keys]
    unfolded = local_now.date() if local_now.date() in dates else min(dates, default=None)
    columns = []
    for date, provider in keys:
        is_today = date == local_now.date()
        minutes_now = local_now.hour * 60 + local_now.minute
        in_view = is_today and opens * 60 <= minutes_now < closes * 60
        column = Column(
            date=date,
            provider=provider,
            is_today=is_today,
            is_weekend=date.weekday() in location.weekend,
            is_open=provider is not None or date == unfolded,
            now_row=(minutes_now - opens * 60) // ROW_MINUTES if in_view else None,
        )
        own = [
            visit
            for visit in visits
            if timezone.localdate(visit.starts_at, zone) == date
            and (provider is None or visit.provider_id == provider.pk)
        ]
        column.blocks.extend(_blocks(own, opens, zone))
        column.slots.extend(_slots(date, opens, closes, local_now))
        columns.append(column)
    hours = [(f"x-r{(hour - opens) * ROWS_AN_HOUR}", f"{hour:02d}:00") for hour in range(opens, closes)]
    return Grid(columns=columns, hours=hours, last_row=(closes - opens) * ROWS_AN_HOUR - 1)


def _blocks(visits: list[Appointment], opens: int, zone: zoneinfo.ZoneInfo) -> list[Block]:
    """Visits that share time stand side by side; each run of overlapping visits has its own number of lanes."""
    blocks: list[Block] = []
    run: list[tuple[int, int, int, Appointment]] = []  # row, end row, lane, visit
    for visit in sorted(visits, key=lambda one: (one.starts_at, one.pk)):
        row = (_minutes(visit.starts_at, zone) - opens * 60) // ROW_MINUTES
        end = max(row + 1, math.ceil((_end_minutes(visit, zone) - opens * 60) / ROW_MINUTES))
        if run and row >= max(taken_until for _row, taken_until, _lane, _visit in run):
            blocks.extend(_in_lanes(run))
            run = []
        busy = {lane for _row, taken_until, lane, _visit in run if taken_until > row}
        lane = next(number for number in range(len(run) + 1) if number not in busy)
        run.append((row, end, lane, visit))
    blocks.extend(_in_lanes(run))
    return blocks


def _in_lanes(run: list[tuple[int, int, int, Any]]) -> list[Block]:
    if not run:
        return []
    needed = max(lane for _row, _end, lane, _visit in run) + 1
    lanes = next((number for number in _LANES if number >= needed), _LANES[-1])
    return [
        Block(appointment=visit, row=row, span=end - row, lane=min(lane, lanes - 1), lanes=lanes)
        for row, end, lane, visit in run
    ]


def _slots(date: dt.date, opens: int, closes: int, local_now: dt.datetime) -> list[Slot]:
    """The half hours that are still to come."""
    slots = []
    for row in range(0, (closes - opens) * ROWS_AN_HOUR, SLOT_ROWS):
        time = dt.time(opens + row // ROWS_AN_HOUR, row % ROWS_AN_HOUR * ROW_MINUTES)
        if dt.datetime.combine(date, time) > local_now.replace(tzinfo=None):
            slots.append(Slot(row=row, time=time.strftime("%H:%M")))
    return slots


def _minutes(moment: dt.datetime, zone: zoneinfo.ZoneInfo) -> int:
    local = timezone.localtime(moment, zone)
    return local.hour * 60 + local.minute


def _end_minutes(visit: Appointment, zone: zoneinfo.ZoneInfo) -> int:
    """Minutes after the first midnight; a visit past midnight is cut at the end of its day."""
    if timezone.localdate(visit.ends_at, zone) > timezone.localdate(visit.starts_at, zone):
        return 24 * 60
    return _minutes(visit.ends_at, zone)
