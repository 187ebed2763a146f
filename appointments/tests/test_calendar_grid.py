"""Where a visit stands: rows, lanes, the week's first day, the hours that are shown."""

from __future__ import annotations

import datetime as dt

import pytest

from appointments.calendar_grid import Grid, by_day, by_provider, week_of
from appointments.models import Appointment
from conftest import Clinic

DAY = dt.date(2026, 11, 25)  # a Wednesday


def visit(clinic: Clinic, start: str, end: str, day: dt.date = DAY, **fields: object) -> Appointment:
    def at(text: str) -> dt.datetime:
        moved = day + dt.timedelta(days=1) if text == "24:00" else day
        return dt.datetime.combine(moved, dt.time.fromisoformat(text.replace("24:00", "00:00")), clinic.location.zone)

    return Appointment(
        location=clinic.location, starts_at=at(start), ends_at=at(end), **{"provider": clinic.provider, **fields}
    )


def grid(clinic: Clinic, *visits: Appointment, now: str = "2026-11-25T06:00:00+03:00") -> Grid:
    return by_day(list(visits), [DAY], clinic.location, dt.datetime.fromisoformat(now))


def places(found: Grid) -> list[str]:
    return [block.place for block in found.columns[0].blocks]


@pytest.mark.parametrize(
    ("weekend", "first"),
    [([4, 5], "2026-11-22"), ([5, 6], "2026-11-23"), ([4], "2026-11-21"), ([], "2026-11-22"), ([6], "2026-11-23")],
)
def test_the_week_begins_after_the_weekend(weekend: list[int], first: str) -> None:
    days = week_of(DAY, weekend)
    assert days[0].isoformat() == first
    assert DAY in days
    assert len(days) == 7


def test_rows_are_quarters_of_an_hour_after_eight(clinic: Clinic) -> None:
    assert places(grid(clinic, visit(clinic, "08:00", "08:15"), visit(clinic, "10:30", "11:15"))) == [
        "x-r0 x-s1 x-n1-0",
        "x-r10 x-s3 x-n1-0",
    ]


def test_odd_minutes_cover_every_quarter_they_touch(clinic: Clinic) -> None:
    assert places(grid(clinic, visit(clinic, "09:10", "09:50"))) == ["x-r4 x-s4 x-n1-0"]


def test_overlapping_visits_stand_side_by_side_and_later_ones_have_the_whole_width(clinic: Clinic) -> None:
    found = grid(
        clinic,
        visit(clinic, "09:00", "10:00"),
        visit(clinic, "09:30", "10:30"),
        visit(clinic, "10:00", "11:00"),
        visit(clinic, "11:00", "11:30"),
    )
    assert places(found) == ["x-r4 x-s4 x-n2-0", "x-r6 x-s4 x-n2-1", "x-r8 x-s4 x-n2-0", "x-r12 x-s2 x-n1-0"]


def test_five_at_once_share_six_lanes_and_thirteen_still_fit(clinic: Clinic) -> None:
    assert places(grid(clinic, *[visit(clinic, "09:00", "09:30") for _n in range(5)]))[-1] == "x-r4 x-s2 x-n6-4"
    assert places(grid(clinic, *[visit(clinic, "09:00", "09:30") for _n in range(13)]))[-1] == "x-r4 x-s2 x-n12-11"


def test_a_visit_outside_the_working_day_stretches_the_page(clinic: Clinic) -> None:
    found = grid(clinic, visit(clinic, "06:45", "07:15"), visit(clinic, "21:00", "21:30"))
    assert [hour for _place, hour in found.hours][:1] == ["06:00"]
    assert [hour for _place, hour in found.hours][-1:] == ["21:00"]
    assert found.last_row == 16 * 4 - 1


def test_a_visit_past_midnight_is_cut_at_its_day(clinic: Clinic) -> None:
    late = visit(clinic, "23:30", "24:00")
    late.ends_at += dt.timedelta(minutes=30)
    assert places(grid(clinic, late)) == ["x-r62 x-s2 x-n1-0"]


def test_past_slots_are_not_offered_and_now_has_its_row(clinic: Clinic) -> None:
    found = grid(clinic, now="2026-11-25T12:05:00+03:00")
    column = found.columns[0]
    assert column.slots[0].time == "12:30"
    assert column.slots[-1].time == "19:30"
    assert column.now_row == 16
    assert grid(clinic, now="2026-11-25T21:00:00+03:00").columns[0].now_row is None


def test_the_day_is_split_by_provider(clinic: Clinic) -> None:
    mine, other = visit(clinic, "09:00", "09:30"), visit(clinic, "09:00", "09:30", provider=clinic.colleague)
    found = by_provider(
        [mine, other], DAY, [clinic.provider, clinic.colleague], clinic.location, dt.datetime.now(tz=dt.UTC)
    )
    assert [column.appointments for column in found.columns] == [[mine], [other]]
    assert {block.lanes for column in found.columns for block in column.blocks} == {1}
