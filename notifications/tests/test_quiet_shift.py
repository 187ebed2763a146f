"""Where a message goes that falls into a quiet time: later, else earlier, else nowhere. Never into the quiet time."""

from __future__ import annotations

import datetime as dt
import zoneinfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from notifications.quiet import Schedule, quiet_since, quiet_until
from notifications.quiet_shift import shift

RIYADH = zoneinfo.ZoneInfo("Asia/Riyadh")
NIGHT = Schedule(zone=RIYADH, window=(dt.time(22), dt.time(8)))
HOUR = dt.timedelta(hours=1)
DAY_AHEAD = 12 * HOUR
TWO_AHEAD = dt.timedelta(minutes=45)
LONG_AGO = dt.datetime(2027, 1, 1, tzinfo=dt.UTC)


def at(day: int, hour: int, minute: int = 0) -> dt.datetime:
    return dt.datetime(2027, 1, day, hour, minute, tzinfo=RIYADH)


def test_a_visit_at_half_past_six_is_reminded_at_eight_the_day_before_and_the_evening_before() -> None:
    start = at(12, 6, 30)
    assert shift(at(11, 6, 30), start, NIGHT, DAY_AHEAD, LONG_AGO) == at(11, 8)
    assert shift(at(12, 4, 30), start, NIGHT, TWO_AHEAD, LONG_AGO) == at(11, 21, 59)


def test_nothing_goes_out_before_the_visit_was_booked() -> None:
    assert shift(at(12, 4, 30), at(12, 6, 30), NIGHT, TWO_AHEAD, at(11, 22)) is None
    assert shift(at(12, 4, 30), at(12, 6, 30), NIGHT, TWO_AHEAD, at(11, 21, 59)) == at(11, 21, 59)
    assert shift(at(12, 4, 30), at(12, 6, 30), NIGHT, TWO_AHEAD, None) is None


@pytest.mark.parametrize(
    ("due", "wanted"),
    [((11, 7, 59), (11, 8)), ((11, 8), (11, 8)), ((11, 21, 59), (11, 21, 59)), ((11, 22), (12, 8)), ((12, 0), (12, 8))],
)
def test_the_quiet_time_is_half_open_and_crosses_midnight(due: tuple[int, ...], wanted: tuple[int, ...]) -> None:
    assert shift(at(*due), at(13, 12), NIGHT, DAY_AHEAD, None) == at(*wanted)


def test_the_least_lead_is_enough_to_the_second() -> None:
    start = at(12, 8, 45)
    assert shift(at(12, 6, 45), start, NIGHT, TWO_AHEAD, LONG_AGO) == at(12, 8)
    assert shift(at(12, 6, 44), start - dt.timedelta(minutes=1), NIGHT, TWO_AHEAD, LONG_AGO) == at(11, 21, 59)


def test_what_begins_at_no_time_can_always_wait() -> None:
    assert shift(at(11, 23), None, NIGHT, 99 * HOUR, None) == at(12, 8)


def test_where_it_is_never_loud_between_two_quiet_times_they_are_one() -> None:
    weekend = Schedule(zone=RIYADH, window=(dt.time(22), dt.time(8)), weekdays=frozenset({4, 5}))
    saturday_noon = at(16, 12)
    assert quiet_since(weekend, saturday_noon) == at(14, 22), "the night before Friday, Friday and Saturday"
    assert quiet_until(weekend, saturday_noon) == at(17, 8)
    assert shift(saturday_noon, at(17, 8, 30), weekend, TWO_AHEAD, LONG_AGO) == at(14, 21, 59)


ZONES = ["Asia/Riyadh", "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "Asia/Beirut", "Pacific/Apia"]
times = st.times().map(lambda clock: clock.replace(second=0, microsecond=0, tzinfo=None))


@settings(max_examples=400, deadline=None)
@given(
    zone=st.sampled_from(ZONES),
    window=st.tuples(times, times).filter(lambda pair: pair[0] != pair[1]),
    due=st.datetimes(dt.datetime(2026, 1, 1), dt.datetime(2028, 1, 1)),
    ahead=st.timedeltas(dt.timedelta(0), 30 * HOUR),
    lead=st.timedeltas(dt.timedelta(0), 12 * HOUR),
    booked=st.timedeltas(dt.timedelta(0), 48 * HOUR),
)
def test_no_moment_lies_in_a_quiet_time_nor_outside_of_what_it_is_for(
    zone: str,
    window: tuple[dt.time, dt.time],
    due: dt.datetime,
    ahead: dt.timedelta,
    lead: dt.timedelta,
    booked: dt.timedelta,
) -> None:
    schedule = Schedule(zone=zoneinfo.ZoneInfo(zone), window=window)
    due = due.replace(tzinfo=dt.UTC)
    start, not_before = due + ahead, due - booked
    moment = shift(due, start, schedule, lead, not_before)
    until = quiet_until(schedule, due)
    if moment is None:
        assert until is not None
        assert start - until < lead, "it could have waited"
        earlier = quiet_since(schedule, due) - dt.timedelta(minutes=1)
        assert earlier < not_before or quiet_until(schedule, earlier) is not None
        return
    assert quiet_until(schedule, moment) is None
    assert moment >= not_before
    if moment > due:
        assert start - moment >= lead
    if until is None:
        assert moment == due
