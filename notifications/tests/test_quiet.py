"""When it is quiet, and when that ends: windows, Ramadan, weekends, holidays, and clocks that are changed."""

from __future__ import annotations

import datetime as dt
import zoneinfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from notifications import quiet
from notifications.quiet import LONGEST, Schedule, moment, next_quiet, quiet_until

RIYADH = zoneinfo.ZoneInfo("Asia/Riyadh")
BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")
CAIRO = zoneinfo.ZoneInfo("Africa/Cairo")
NIGHT = (dt.time(22), dt.time(7))
WEEKEND = frozenset({4, 5})


def at(zone: zoneinfo.ZoneInfo, *parts: int, fold: int = 0) -> dt.datetime:
    return dt.datetime(*parts, tzinfo=zone, fold=fold)  # type: ignore[misc, arg-type]


def shown(schedule: Schedule, *parts: int, fold: int = 0) -> str | None:
    """The end of the quiet time as the person's clock shows it: "Sun 27 Sep 07:00"."""
    until = quiet_until(schedule, at(schedule.zone, *parts, fold=fold))
    return f"{until.astimezone(schedule.zone):%a %d %b %H:%M}" if until else None


# --- the window ------------------------------------------------------------------------------------------------------
def test_without_a_wish_it_is_never_quiet() -> None:
    assert quiet_until(Schedule(RIYADH), at(RIYADH, 2026, 9, 1, 3)) is None
    assert next_quiet(Schedule(RIYADH), at(RIYADH, 2026, 9, 1, 3)) is None


@pytest.mark.parametrize(
    ("clock", "until"),
    [
        ((21, 59), None),
        ((22, 0), "Wed 02 Sep 07:00"),
        ((23, 59), "Wed 02 Sep 07:00"),
        ((6, 59), "Tue 01 Sep 07:00"),
        ((7, 0), None),
    ],
)
def test_a_night_spans_midnight_and_the_minute_it_ends_is_loud(clock: tuple[int, int], until: str | None) -> None:
    assert shown(Schedule(RIYADH, NIGHT), 2026, 9, 1, *clock) == until


def test_a_window_within_the_day() -> None:
    nap = Schedule(RIYADH, (dt.time(13), dt.time(15, 30)))
    assert shown(nap, 2026, 9, 1, 12, 59) is None
    assert shown(nap, 2026, 9, 1, 13) == "Tue 01 Sep 15:30"
    assert shown(nap, 2026, 9, 1, 15, 30) is None


def test_the_clock_is_the_persons_own() -> None:
    now = at(RIYADH, 2026, 9, 1, 23)
    assert quiet_until(Schedule(RIYADH, NIGHT), now) == at(RIYADH, 2026, 9, 2, 7)
    assert quiet_until(Schedule(zoneinfo.ZoneInfo("America/New_York"), NIGHT), now) is None


# --- weekends and holidays -------------------------------------------------------------------------------------------
def test_a_night_runs_into_the_weekend_and_the_weekend_into_the_night_after() -> None:
    schedule = Schedule(RIYADH, NIGHT, weekdays=WEEKEND)
    # Thursday evening, 3 September 2026
    assert shown(schedule, 2026, 9, 3, 22) == "Sun 06 Sep 07:00"
    assert shown(schedule, 2026, 9, 4, 12) == "Sun 06 Sep 07:00"
    assert shown(schedule, 2026, 9, 3, 12) is None


def test_a_weekend_alone_ends_at_midnight() -> None:
    assert shown(Schedule(RIYADH, weekdays=WEEKEND), 2026, 9, 4, 12) == "Sun 06 Sep 00:00"


def test_a_holiday_the_weekend_and_the_night_are_one() -> None:
    national_day = (dt.date(2026, 9, 23), dt.date(2026, 9, 24))
    schedule = Schedule(RIYADH, NIGHT, weekdays=WEEKEND, holidays=(national_day,))
    assert shown(schedule, 2026, 9, 22, 23) == "Sun 27 Sep 07:00"
    assert shown(Schedule(RIYADH, holidays=(national_day,)), 2026, 9, 23, 0) == "Fri 25 Sep 00:00"
    assert shown(Schedule(RIYADH, holidays=(national_day,)), 2026, 9, 25, 0) is None


def test_what_never_ends_ends_after_a_month() -> None:
    now = at(RIYADH, 2026, 9, 1, 12)
    assert quiet_until(Schedule(RIYADH, weekdays=frozenset(range(7))), now) == now + LONGEST


# --- Ramadan ---------------------------------------------------------------------------------------------------------
# 1447: from Wednesday 18 February to Thursday 19 March 2026.
FASTING = Schedule(RIYADH, NIGHT, ramadan_window=(dt.time(3), dt.time(11)))


def test_ramadan_has_its_own_window() -> None:
    assert shown(FASTING, 2026, 3, 1, 23) is None
    assert shown(FASTING, 2026, 3, 1, 10) == "Sun 01 Mar 11:00"


def test_the_evening_before_belongs_to_the_first_day() -> None:
    assert shown(FASTING, 2026, 2, 16, 23) == "Tue 17 Feb 07:00", "the night before the eve"
    assert shown(FASTING, 2026, 2, 17, 23) is None
    assert shown(FASTING, 2026, 2, 18, 3) == "Wed 18 Feb 11:00"


def test_the_night_before_the_feast_is_an_ordinary_one() -> None:
    assert shown(FASTING, 2026, 3, 19, 10) == "Thu 19 Mar 11:00"
    assert shown(FASTING, 2026, 3, 19, 23) == "Fri 20 Mar 07:00"


def test_without_a_window_for_ramadan_the_ordinary_one_goes_on() -> None:
    assert shown(Schedule(RIYADH, NIGHT), 2026, 3, 1, 23) == "Mon 02 Mar 07:00"


def test_a_window_for_ramadan_alone_is_quiet_in_ramadan_alone() -> None:
    schedule = Schedule(RIYADH, ramadan_window=(dt.time(3), dt.time(11)))
    assert shown(schedule, 2026, 3, 1, 10) == "Sun 01 Mar 11:00"
    assert shown(schedule, 2026, 4, 1, 10) is None


def test_both_ramadans_of_2030_are_known() -> None:
    assert quiet.ramadan_near(dt.date(2030, 1, 1)) == (dt.date(2030, 1, 5), dt.date(2030, 2, 3))
    assert quiet.ramadan_near(dt.date(2030, 2, 4)) == (dt.date(2030, 12, 26), dt.date(2031, 1, 23))


@pytest.mark.parametrize("year", [1900, 1923, 2078, 2500])
def test_outside_the_printed_calendar_there_is_no_ramadan(year: int) -> None:
    assert quiet.ramadan_near(dt.date(year, 12, 1)) is None
    for month in range(1, 13):
        assert quiet_until(FASTING, at(RIYADH, year, month, 15, 23)) == at(RIYADH, year, month, 16, 7)
        assert quiet_until(FASTING, at(RIYADH, year, month, 15, 10)) is None


# --- clocks that are changed -----------------------------------------------------------------------------------------
def test_an_end_in_the_hour_that_does_not_exist_is_the_change() -> None:
    schedule = Schedule(BERLIN, (dt.time(22), dt.time(2, 30)))
    assert quiet_until(schedule, at(BERLIN, 2026, 3, 28, 23)) == dt.datetime(2026, 3, 29, 1, tzinfo=dt.UTC)


def test_a_window_inside_the_hour_that_does_not_exist_is_none() -> None:
    schedule = Schedule(BERLIN, (dt.time(2, 10), dt.time(2, 40)))
    assert quiet_until(schedule, dt.datetime(2026, 3, 29, 1, tzinfo=dt.UTC)) is None
    assert next_quiet(schedule, at(BERLIN, 2026, 3, 28, 12)) == (
        dt.datetime(2026, 3, 30, 0, 10, tzinfo=dt.UTC),
        dt.datetime(2026, 3, 30, 0, 40, tzinfo=dt.UTC),
    )


def test_an_hour_that_comes_twice_is_quiet_both_times() -> None:
    schedule = Schedule(BERLIN, (dt.time(22), dt.time(2, 30)))
    until = dt.datetime(2026, 10, 25, 1, 30, tzinfo=dt.UTC)
    assert quiet_until(schedule, at(BERLIN, 2026, 10, 24, 23)) == until
    assert quiet_until(schedule, at(BERLIN, 2026, 10, 25, 2, 45)) == until
    assert quiet_until(schedule, at(BERLIN, 2026, 10, 25, 2, 30, fold=1)) is None


def test_an_end_where_the_second_hour_begins_is_not_late() -> None:
    schedule = Schedule(BERLIN, (dt.time(22), dt.time(2)))
    assert quiet_until(schedule, at(BERLIN, 2026, 10, 24, 23)) == dt.datetime(2026, 10, 25, 0, tzinfo=dt.UTC)


def test_a_day_whose_midnight_does_not_exist_begins_at_the_change() -> None:
    # Friday 24 April 2026: at midnight clocks in Cairo show one.
    schedule = Schedule(CAIRO, weekdays=WEEKEND)
    begins = dt.datetime(2026, 4, 23, 22, tzinfo=dt.UTC)
    assert moment(CAIRO, dt.datetime(2026, 4, 24)) == begins
    assert quiet_until(schedule, begins - dt.timedelta(microseconds=1)) is None
    assert quiet_until(schedule, begins) == at(CAIRO, 2026, 4, 26)


# --- what is next ----------------------------------------------------------------------------------------------------
def test_the_next_quiet_time_is_whole() -> None:
    schedule = Schedule(RIYADH, NIGHT, weekdays=WEEKEND)
    thursday = at(RIYADH, 2026, 9, 3, 12)
    assert next_quiet(schedule, thursday) == (at(RIYADH, 2026, 9, 3, 22), at(RIYADH, 2026, 9, 6, 7))
    # while it is quiet: the one after
    assert next_quiet(schedule, at(RIYADH, 2026, 9, 4, 12)) == (at(RIYADH, 2026, 9, 6, 22), at(RIYADH, 2026, 9, 7, 7))


# --- whatever is wished, wherever --------------------------------------------------------------------------------------
ZONES = (
    "Africa/Cairo",
    "Africa/Casablanca",  # winter time in Ramadan
    "America/Havana",  # midnight comes twice
    "America/Santiago",
    "America/St_Johns",
    "Asia/Beirut",
    "Asia/Kathmandu",
    "Asia/Riyadh",
    "Australia/Lord_Howe",  # half an hour
    "Europe/Berlin",
    "Pacific/Chatham",
    "UTC",
)
times = st.builds(dt.time, st.integers(0, 23), st.sampled_from([0, 1, 15, 30, 45, 59]))
windows = st.none() | st.tuples(times, times).filter(lambda pair: pair[0] != pair[1])
days = st.dates(dt.date(2026, 1, 1), dt.date(2027, 12, 31))
schedules = st.builds(
    Schedule,
    zone=st.sampled_from(ZONES).map(zoneinfo.ZoneInfo),
    window=windows,
    ramadan_window=windows,
    weekdays=st.frozensets(st.integers(0, 6), max_size=3),
    holidays=st.lists(
        st.tuples(days, st.integers(0, 4)).map(lambda one: (one[0], one[0] + dt.timedelta(days=one[1]))), max_size=3
    ).map(tuple),
)
moments = st.datetimes(dt.datetime(2026, 1, 1), dt.datetime(2027, 12, 31), timezones=st.just(dt.UTC))
changes = [
    dt.datetime(*parts, tzinfo=dt.UTC)
    for parts in [(2026, 3, 29, 1), (2026, 10, 25, 1), (2026, 4, 23, 22), (2026, 10, 29, 21), (2026, 11, 1, 5)]
]
# Half of them close to a change of the clock, where mistakes live.
near_changes = st.tuples(st.sampled_from(changes), st.integers(-2000, 2000)).map(
    lambda one: one[0] + dt.timedelta(minutes=one[1])
)


def is_on_the_dial(schedule: Schedule, instant: dt.datetime) -> bool:
    """Said again, in another way: does the wall clock alone say that it is quiet?"""
    wall = instant.astimezone(schedule.zone).replace(tzinfo=None)
    if wall.weekday() in schedule.weekdays or any(first <= wall.date() <= last for first, last in schedule.holidays):
        return True
    month = quiet.ramadan_near(wall.date() - dt.timedelta(days=1)) or (dt.date.max, dt.date.max)
    eve = month[0] - dt.timedelta(days=1)
    is_ramadan = dt.datetime.combine(eve, quiet.EVENING) <= wall < dt.datetime.combine(month[1], quiet.EVENING)
    window = schedule.ramadan_window if is_ramadan and schedule.ramadan_window else schedule.window
    if window is None:
        return False
    start, end = window
    clock = wall.time()
    return start <= clock < end if start < end else clock >= start or clock < end


@settings(max_examples=400, deadline=None)
@given(schedule=schedules, now=moments | near_changes)
def test_quiet_time_is_the_dials_it_ends_and_it_has_no_holes(schedule: Schedule, now: dt.datetime) -> None:
    until = quiet_until(schedule, now)
    if until is None:
        assert not is_on_the_dial(schedule, now)
        return
    assert until > now, "no quiet time ends in the past"
    if until == now + LONGEST:
        return
    assert quiet_until(schedule, until) is None, "its end is loud"
    assert not is_on_the_dial(schedule, until)
    for part in range(1, 24):
        between = now + (until - now) * part / 24
        assert quiet_until(schedule, between) == until, "one quiet time has one end"


@settings(max_examples=200, deadline=None)
@given(schedule=schedules, now=moments | near_changes)
def test_the_next_quiet_time_begins_where_it_was_loud(schedule: Schedule, now: dt.datetime) -> None:
    found = next_quiet(schedule, now)
    loud = quiet_until(schedule, now) or now
    if found is None:
        return
    start, end = found
    assert loud < start < end
    assert quiet_until(schedule, start) == end
    for part in range(24):
        assert quiet_until(schedule, loud + (start - loud) * part / 24) is None
