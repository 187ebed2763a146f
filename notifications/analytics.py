"""The numbers of messaging for people: of any range of local days, exactly as a COUNT over the rows would tell them.

Kept days come from the rollups, today and what has a mark are counted live (``notifications/rollups.py`` says why the
sum is exact). Everything is the open tenant's. Reads only.
"""

from __future__ import annotations

import datetime as dt
import zoneinfo
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.db.models import Count, Exists, Subquery, Sum
from django.utils import timezone

from core.models import Location
from core.selectors import zone_of_tenant
from notifications import rollup_sources, rollups
from notifications.models import DailyCount, Dimension, RollupMark, RollupState, SuppressedAddress
from notifications.rollup_sources import ANSWERED, MEASURES, Counts, Span
from notifications.states import Reason

_DAY = dt.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Book:
    """How far the open tenant's days are kept, by which clock. Opened once a page and handed on."""

    zone: zoneinfo.ZoneInfo
    # None: no day is kept by this clock.
    state: RollupState | None
    has_marks: bool


def open_book() -> Book:
    """One query, or two before any day is kept."""
    places = Location.objects.order_by("pk").values("timezone")[:1]
    state = RollupState.objects.annotate(clock=Subquery(places), has_marks=Exists(RollupMark.objects.all())).first()
    if state is None:
        return Book(zone_of_tenant(), None, has_marks=False)
    zone = zoneinfo.ZoneInfo(state.clock or settings.TIME_ZONE)
    is_kept = state.closed_through is not None and state.zone == zone.key
    return Book(zone, state if is_kept else None, has_marks=state.has_marks)


def last_days(days: int, book: Book | None = None) -> Span:
    """Today and the days before it, ``days`` altogether."""
    zone = book.zone if book is not None else zone_of_tenant()
    last = timezone.now().astimezone(zone).date()
    return Span(last - (days - 1) * _DAY, last, zone)


def before(span: Span) -> Span:
    """As many days, right before."""
    length = (span.last - span.first).days + 1
    return Span(span.first - length * _DAY, span.first - _DAY, span.zone)


def groups(
    span: Span,
    dimensions: Collection[Dimension],
    by: Sequence[str] = ("dimension", "key", "channel"),
    book: Book | None = None,
) -> dict[tuple[Any, ...], Counts]:
    """The counts of those days, by fields of ``Key``. One query for what is kept, one for each source of what is live."""
    found: dict[tuple[Any, ...], Counts] = defaultdict(Counts)
    live = _live_days(span, book or open_book())
    kept = DailyCount.objects.filter(
        dimension__in=[one.value for one in dimensions], day__gte=span.first, day__lte=span.last
    ).exclude(day__in=live)
    sums = {f"sum_{name}": Sum(name) for name in MEASURES}
    if len(live) <= (span.last - span.first).days:
        for row in kept.order_by().values_list(*by).annotate(**sums):
            found[row[: len(by)]].add(Counts(*row[len(by) :]))
    for part in rollups.spans_of(live, span.zone):
        for key, counts in rollup_sources.count(part, dimensions).items():
            found[tuple(getattr(key, name) for name in by)].add(counts)
    return dict(found)


def _live_days(span: Span, book: Book) -> list[dt.date]:
    """The days of the span that are not kept, or have a mark. None of them lies ahead: nothing has happened there."""
    last = min(span.last, timezone.now().astimezone(span.zone).date())
    first, marked = span.first, set()
    if book.state is not None and book.state.closed_through is not None and span.zone == book.zone:
        first = max(first, book.state.closed_through + _DAY)
        marked = rollups.marked_days(book.state) if book.has_marks else set()
    unkept = {first + n * _DAY for n in range((last - first).days + 1)}
    return sorted(unkept | {day for day in marked if span.first <= day <= last})


# --- totals ----------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Totals:
    """Messages of a span, by status and by channel, with their sum."""

    by_status: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    by_channel: dict[str, Counts] = field(default_factory=lambda: defaultdict(Counts))
    all: Counts = field(default_factory=Counts)

    @property
    def success_rate(self) -> float:
        return success_rate(self.all)


def success_rate(counts: Counts) -> float:
    """(DELIVERED + READ) / all × 100, one decimal: the contract's rule. 0.0 of nothing."""
    return share(counts.delivered, counts.messages)


def share(part: int, whole: int) -> float:
    """In per cent, one decimal; 0.0 of nothing."""
    return round(part / whole * 100, 1) if whole else 0.0


def totals(span: Span, book: Book | None = None) -> Totals:
    return _totals(groups(span, [Dimension.STATUS], book=book))


def _totals(found: dict[tuple[Any, ...], Counts]) -> Totals:
    """Of groups by dimension, status and channel."""
    made = Totals()
    for (dimension, status, channel), counts in found.items():
        if dimension == Dimension.STATUS:
            made.by_status[status] += counts.messages
            made.by_channel[channel].add(counts)
            made.all.add(counts)
    return made


# --- series ----------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Step:
    """One day, week (from the Sunday, as the region counts) or month of a series, cut off at the span's ends."""

    first: dt.date
    last: dt.date
    all: Counts = field(default_factory=Counts)
    by_channel: dict[str, Counts] = field(default_factory=lambda: defaultdict(Counts))


def steps(span: Span, unit: str) -> list[Step]:
    """The span, cut into days, weeks or months, empty."""
    made: list[Step] = []
    first = span.first
    while first <= span.last:
        last = min(_end_of(first, unit), span.last)
        made.append(Step(first, last))
        first = last + _DAY
    return made


def _end_of(day: dt.date, unit: str) -> dt.date:
    match unit:
        case "week":
            return day + ((5 - day.weekday()) % 7) * _DAY
        case "month":
            return (day.replace(day=28) + 4 * _DAY).replace(day=1) - _DAY
        case _:
            return day


def series(span: Span, unit: str = "day", book: Book | None = None) -> list[Step]:
    """Messages by day, week or month, and by channel."""
    made = steps(span, unit)
    at = {step.first + n * _DAY: step for step in made for n in range((step.last - step.first).days + 1)}
    for (day, channel), counts in groups(span, [Dimension.STATUS], by=("day", "channel"), book=book).items():
        step = at[day]
        step.all.add(counts)
        step.by_channel[channel].add(counts)
    return made


def totals_by_day(span: Span, book: Book | None = None) -> dict[dt.date, Totals]:
    """One query for the totals of each day: what the dashboard needs of two weeks."""
    made: dict[dt.date, Totals] = defaultdict(Totals)
    for (day, dimension, status, channel), counts in groups(
        span, [Dimension.STATUS], by=("day", "dimension", "key", "channel"), book=book
    ).items():
        one = made[day]
        assert dimension == Dimension.STATUS
        one.by_status[status] += counts.messages
        one.by_channel[channel].add(counts)
        one.all.add(counts)
    return made


def summed(found: Iterable[Totals]) -> Totals:
    made = Totals()
    for one in found:
        made.all.add(one.all)
        for status, n in one.by_status.items():
            made.by_status[status] += n
        for channel, counts in one.by_channel.items():
            made.by_channel[channel].add(counts)
    return made


# --- the report ------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Calls:
    """What a provider made of its calls on a channel. ``times``: (milliseconds at most, calls), 0 for more or unknown."""

    provider: str
    channel: str
    calls: int = 0
    accepted: int = 0
    times: dict[int, int] = field(default_factory=lambda: defaultdict(int))

    @property
    def success(self) -> float:
        return share(self.accepted, self.calls)

    def within(self, per_cent: int) -> int | None:
        """So many milliseconds at most took that part of the calls; None: longer than the scale, or not known."""
        return percentile(self.times, per_cent, endless=0)


@dataclass(slots=True)
class Attendance:
    """Visits that took place or should have, with or without a reminder that went out."""

    visits: int = 0
    missed: int = 0

    @property
    def rate(self) -> float:
        return share(self.missed, self.visits)


@dataclass(slots=True)
class Answers:
    """How fast the staff answered arrivals: minutes (begun ones left out) → alerts."""

    minutes: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    unanswered: int = 0

    @property
    def answered(self) -> int:
        return sum(self.minutes.values())

    @property
    def alerts(self) -> int:
        return self.answered + self.unanswered

    @property
    def median(self) -> int | None:
        return percentile(self.minutes, 50)

    def share_within(self, minutes: int) -> float:
        """Answered before so many minutes had passed, of all alerts."""
        return share(sum(n for took, n in self.minutes.items() if took < minutes), self.alerts)


@dataclass(slots=True)
class Report:
    """Everything the analytics page tells of a span. Keys are those of ``Dimension``."""

    span: Span
    totals: Totals
    by_type: dict[str, Counts]
    by_template: dict[str, Counts]
    by_department: dict[str, Counts]
    # (reason or "provider:code", channel) → messages
    causes: dict[tuple[str, str], int]
    # currency → dimension → key → counts: what was paid, never added up over currencies
    costs: dict[str, dict[str, dict[str, Counts]]]
    calls: list[Calls]
    # "reminded", "unreminded"
    visits: dict[str, Attendance]
    answers: Answers
    # channel → addresses that opted out
    opt_outs: dict[str, int]


def report(span: Span, dimensions: Collection[Dimension] = tuple(Dimension), book: Book | None = None) -> Report:
    """One pass over the kept numbers of the span, and today live. What is not asked for stays empty."""
    found = groups(span, dimensions, by=("dimension", "key", "channel", "currency", "bucket"), book=book)
    plain: dict[tuple[Any, ...], Counts] = defaultdict(Counts)
    costs: dict[str, dict[str, dict[str, Counts]]] = {}
    for (dimension, key, channel, currency, _bucket), counts in found.items():
        plain[dimension, key, channel].add(counts)
        if currency and counts.cost:
            where = channel if dimension == Dimension.STATUS else key
            of_currency = costs.setdefault(currency, defaultdict(lambda: defaultdict(Counts)))
            of_currency[dimension][where].add(counts)
    return Report(
        span=span,
        totals=_totals(plain),
        by_type=_by_key(plain, Dimension.TYPE),
        by_template=_by_key(plain, Dimension.TEMPLATE),
        by_department=_by_key(plain, Dimension.DEPARTMENT),
        causes={
            (key, channel): counts.messages
            for (dimension, key, channel), counts in plain.items()
            if dimension == Dimension.CAUSE
        },
        costs=costs,
        calls=_calls(found),
        visits={
            key: Attendance(counts.messages, counts.failed)
            for (dimension, key, _channel), counts in plain.items()
            if dimension == Dimension.VISIT
        },
        answers=_answers(found),
        opt_outs=opt_outs(span),
    )


def opt_outs(span: Span) -> dict[str, int]:
    """Channel → addresses whose owner told us or the provider to stop, whatever became of it since."""
    rows = SuppressedAddress.objects.filter(
        reason__in=[Reason.OPTED_OUT, Reason.COMPLAINED], created_at__gte=span.start, created_at__lt=span.end
    )
    return dict(rows.order_by().values_list("channel").annotate(n=Count("pk")))


def _by_key(found: dict[tuple[Any, ...], Counts], dimension: Dimension) -> dict[str, Counts]:
    made: dict[str, Counts] = defaultdict(Counts)
    for (of, key, _channel), counts in found.items():
        if of == dimension:
            made[key].add(counts)
    return dict(made)


def _calls(found: dict[tuple[Any, ...], Counts]) -> list[Calls]:
    made: dict[tuple[str, str], Calls] = {}
    for (dimension, provider, channel, _currency, bucket), counts in found.items():
        if dimension == Dimension.CALL:
            one = made.setdefault((provider, channel), Calls(provider, channel))
            one.calls += counts.messages
            one.accepted += counts.sent
            one.times[bucket] += counts.messages
    return sorted(made.values(), key=lambda one: -one.calls)


def _answers(found: dict[tuple[Any, ...], Counts]) -> Answers:
    made = Answers()
    for (dimension, key, _channel, _currency, bucket), counts in found.items():
        if dimension == Dimension.ALERT and key == ANSWERED:
            made.minutes[bucket] += counts.messages
        elif dimension == Dimension.ALERT:
            made.unanswered += counts.messages
    return made


def percentile(found: dict[int, int], per_cent: int, *, endless: int | None = None) -> int | None:
    """The value that so many per cent do not exceed, of value → count. ``endless`` is the value that stands for more
    than all others; None where the answer lies there, or nothing is known.
    """
    wanted = sum(found.values()) * per_cent / 100
    seen = 0
    for value in sorted(found, key=lambda one: (one == endless, one)):
        seen += found[value]
        if seen and seen >= wanted:
            return None if value == endless else value
    return None
