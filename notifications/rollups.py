"""Counts the past days of each tenant once, and again when something of them has changed. The only writer of the rollups.

A kept number always equals a COUNT over the rows, because of three rules:

* A day is kept an hour after its end at the earliest (``GRACE``); until then its readers count it live.
* Whatever changes a kept day later (a receipt, a price, a click) writes a mark in its own transaction
  (``rollup_marks``). Readers count a marked day live; here it is counted again, and the marks that were seen go. A
  change that is not committed yet is not seen, and neither is its mark, which stays for the next time.
* Every night all is counted and compared (``check``): what differs is mended and told to the admins.

Delivery itself writes nothing here: see ``rollup_marks.FRESH``.
"""

from __future__ import annotations

import datetime as dt
import uuid
import zoneinfo
from collections.abc import Collection, Iterator

import structlog
from django.db import transaction
from django.utils import timezone

from core.bulk import insert_rows
from core.ids import ordered_uuids
from core.selectors import zone_of_tenant
from notifications import alerts, rollup_sources
from notifications.models import DailyCount, RollupMark, RollupState
from notifications.rollup_sources import MEASURES, Counts, Key, Span

log = structlog.get_logger(__name__)

# Longer than any of our transactions lasts, so that what was written before midnight is there.
GRACE = dt.timedelta(hours=1)
# Days that are counted in one statement and kept in one transaction.
CHUNK = 31
_DAY = dt.timedelta(days=1)
_HOUR = dt.timedelta(hours=1)


def last_closed(zone: zoneinfo.ZoneInfo, now: dt.datetime) -> dt.date:
    """The last local day that may be kept."""
    return (now - GRACE).astimezone(zone).date() - _DAY


def catch_up(tenant_id: uuid.UUID, *, chunks: int = 4) -> dict[str, int]:
    """Keeps the days that have ended since, and counts the marked ones again. Safe to run twice at once.

    At most ``chunks`` of a month each, so that a tenant with years of history does not hold up the others: call again
    while ``left`` is 1. Returns how many days were kept.
    """
    counts = {"kept": 0, "again": 0, "left": 0}
    for _turn in range(chunks):
        with transaction.atomic():
            state = _locked(tenant_id)
            if state is None:
                return counts
            counts["again"] += _count_marked(state)
            kept, is_done = _keep_next(state)
            counts["kept"] += kept
        if is_done:
            return counts
    counts["left"] = 1
    return counts


def recount(tenant_id: uuid.UUID, since: dt.datetime | None = None) -> None:
    """History was written behind our back (a demo, an import): its kept days are counted again, from ``since`` on."""
    with transaction.atomic():
        state = _locked(tenant_id, waits=True)
        assert state is not None
        if since is None:
            DailyCount.objects.all().delete()
            state.closed_through = None
        elif state.closed_through is not None:
            first = since.astimezone(zoneinfo.ZoneInfo(state.zone)).date()
            DailyCount.objects.filter(day__gte=first).delete()
            state.closed_through = min(state.closed_through, first - _DAY)
        state.save(update_fields=["closed_through"])
    while catch_up(tenant_id)["left"]:
        pass


def check(tenant_id: uuid.UUID) -> int:
    """Counts every kept day and compares. What differs is mended and told; returns how many days differed."""
    catch_up(tenant_id)
    wrong: list[dt.date] = []
    first = DailyCount.objects.order_by("day").values_list("day", flat=True).first()
    while first is not None:
        with transaction.atomic():
            state = _locked(tenant_id)
            if state is None or state.closed_through is None or first > state.closed_through:
                break
            span = Span(first, min(first + CHUNK * _DAY - _DAY, state.closed_through), zoneinfo.ZoneInfo(state.zone))
            wrong += _compare(tenant_id, span)
        first = span.last + _DAY
    RollupState.objects.filter(tenant=tenant_id).update(checked_at=timezone.now())
    if wrong:
        log.error("rollups_differed", tenant_id=str(tenant_id), days=len(wrong), first=str(wrong[0]))
        alerts.counts_were_mended(tenant_id=tenant_id, days=len(wrong), first=wrong[0])
    return len(wrong)


def marked_days(state: RollupState) -> set[dt.date]:
    """The kept days that have a mark: their kept numbers are old."""
    return _days_of(RollupMark.objects.values_list("hour", flat=True).distinct(), state)


# --- inside a transaction that holds the state's lock ----------------------------------------------------------------


def _locked(tenant_id: uuid.UUID, *, waits: bool = False) -> RollupState | None:
    """The state, locked, with the tenant's clock as it is now; None while somebody else is at it."""
    zone = zone_of_tenant()
    RollupState.objects.get_or_create(tenant_id=tenant_id, defaults={"zone": zone.key})
    state = RollupState.objects.select_for_update(skip_locked=not waits).filter(tenant=tenant_id).first()
    if state is not None and state.zone != zone.key:
        # Other midnights: no day is what it was.
        DailyCount.objects.all().delete()
        state.zone, state.closed_through = zone.key, None
        state.save(update_fields=["zone", "closed_through"])
    return state


def _count_marked(state: RollupState) -> int:
    """The marks go before the days are counted: a change in between is not lost, it comes with a mark of its own."""
    marks = dict(RollupMark.objects.values_list("pk", "hour"))
    if not marks:
        return 0
    RollupMark.objects.filter(pk__in=marks).delete()
    days = _days_of(set(marks.values()), state)
    for span in spans_of(days, zoneinfo.ZoneInfo(state.zone)):
        _replace(state.tenant_id, span, rollup_sources.count(span))
    return len(days)


def _days_of(hours: Collection[dt.datetime], state: RollupState) -> set[dt.date]:
    """The kept days in which those hours lie. Where a zone is off by half an hour, an hour may lie in two."""
    zone, kept = zoneinfo.ZoneInfo(state.zone), state.closed_through
    if kept is None:
        return set()
    ends = {hour.astimezone(zone).date() for hour in hours} | {
        (hour + _HOUR - dt.timedelta.resolution).astimezone(zone).date() for hour in hours
    }
    return {day for day in ends if day <= kept}


def spans_of(days: Collection[dt.date], zone: zoneinfo.ZoneInfo) -> Iterator[Span]:
    """The days as runs, none longer than a chunk."""
    run: list[dt.date] = []
    for day in sorted(days):
        if run and (day != run[-1] + _DAY or len(run) == CHUNK):
            yield Span(run[0], run[-1], zone)
            run = []
        run.append(day)
    if run:
        yield Span(run[0], run[-1], zone)


def _keep_next(state: RollupState) -> tuple[int, bool]:
    """The next chunk of days that have ended. How many, and whether none is left."""
    zone = zoneinfo.ZoneInfo(state.zone)
    last = last_closed(zone, timezone.now())
    if state.closed_through is None:
        moment = rollup_sources.first_moment()
        first = last + _DAY if moment is None else min(moment.astimezone(zone).date(), last + _DAY)
    else:
        first = state.closed_through + _DAY
    if first > last:
        if state.closed_through is None:
            state.closed_through = last
            state.save(update_fields=["closed_through"])
        return 0, True
    span = Span(first, min(first + CHUNK * _DAY - _DAY, last), zone)
    _replace(state.tenant_id, span, rollup_sources.count(span))
    state.closed_through = span.last
    state.save(update_fields=["closed_through"])
    return (span.last - span.first).days + 1, span.last == last


def _replace(tenant_id: uuid.UUID, span: Span, found: dict[Key, Counts]) -> None:
    DailyCount.objects.filter(day__gte=span.first, day__lte=span.last).delete()
    ids = ordered_uuids(len(found))
    insert_rows(
        DailyCount,
        [
            {
                "id": key_id,
                "tenant_id": tenant_id,
                **key._asdict(),
                **{name: getattr(counts, name) for name in MEASURES},
            }
            for key_id, (key, counts) in zip(ids, found.items(), strict=True)
        ],
    )


def _compare(tenant_id: uuid.UUID, span: Span) -> list[dt.date]:
    """The days that differ without a mark, mended."""
    rows = DailyCount.objects.filter(day__gte=span.first, day__lte=span.last)
    kept = {
        Key(*row[: len(Key._fields)]): Counts(*row[len(Key._fields) :])
        for row in rows.values_list(*Key._fields, *MEASURES)
    }
    found = rollup_sources.count(span)
    differs = {key.day for key in kept.keys() | found.keys() if kept.get(key) != found.get(key)}
    if not differs:
        return []
    # After the counting: a change that it saw has left its mark by now, and will be counted in its turn.
    state = RollupState.objects.get(tenant=tenant_id)
    wrong = sorted(differs - marked_days(state))
    for day in wrong:
        _replace(tenant_id, Span(day, day, span.zone), {key: one for key, one in found.items() if key.day == day})
    return wrong
