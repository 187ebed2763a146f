"""The kept numbers of past days: they equal a COUNT over the rows at every moment, whatever moves, and in any zone."""

from __future__ import annotations

import datetime as dt
import itertools
import random
import zoneinfo
from collections.abc import Iterator
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conftest import Clinic
from core.models import Location
from core.tenancy import tenant_scope
from integrations.tasks import check_counts_task, count_days_task
from notifications import analytics, clicks, lifecycle, rollup_marks, rollup_sources, rollups
from notifications.models import DailyCount, Dimension, Message, NotificationEvent, RollupMark, RollupState, ShortLink
from notifications.rollup_sources import Span
from notifications.states import TRANSITIONS, Status
from tests.factories import AppointmentFactory

RIYADH = zoneinfo.ZoneInfo("Asia/Riyadh")
serial = itertools.count()


@pytest.fixture(autouse=True)
def afternoon() -> Iterator[None]:
    """Two o'clock in Riyadh: yesterday has been over for an hour, whenever the tests run."""
    with time_machine.travel(dt.datetime.now(RIYADH).replace(hour=14, minute=0)):
        yield


def written(clinic: Clinic, at: dt.datetime, status: str = "DELIVERED", **fields: Any) -> Message:
    """A message that was created then. Written as history: nobody marks anything."""
    made = Message(
        tenant=clinic.tenant,
        patient=clinic.patient,
        status=status,
        language="ar",
        dedupe_key=f"rollup:{next(serial)}",
        **{"channel": "SMS", "notification_type": "REMINDER", **fields},
    )
    made.save()
    Message.objects.filter(pk=made.pk).update(created_at=at)
    made.created_at = at
    return made


def days_ago(days: int, hour: int = 12) -> dt.datetime:
    today = timezone.now().astimezone(RIYADH).date()
    return dt.datetime.combine(today - dt.timedelta(days=days), dt.time(hour), tzinfo=RIYADH)


def counted(span: Span) -> dict[tuple[str, str], int]:
    """A COUNT over the rows, asked in the plainest way."""
    found: dict[tuple[str, str], int] = {}
    for status, channel in Message.objects.filter(created_at__gte=span.start, created_at__lt=span.end).values_list(
        "status", "channel"
    ):
        found[status, channel] = found.get((status, channel), 0) + 1
    return found


def told(span: Span) -> dict[tuple[str, str], int]:
    found = analytics.groups(span, [Dimension.STATUS])
    return {(status, channel): counts.messages for (_of, status, channel), counts in found.items()}


def test_past_days_are_kept_and_today_is_live(clinic: Clinic) -> None:
    written(clinic, days_ago(3))
    written(clinic, days_ago(1), "FAILED", channel="EMAIL")
    written(clinic, timezone.now(), "QUEUED")
    assert count_days_task()["kept"] == 3
    kept = DailyCount.objects.filter(dimension=Dimension.STATUS).values_list("key", "channel", "messages")
    assert sorted(kept) == [("DELIVERED", "SMS", 1), ("FAILED", "EMAIL", 1)]
    span = analytics.last_days(7)
    assert told(span) == counted(span) == {("DELIVERED", "SMS"): 1, ("FAILED", "EMAIL"): 1, ("QUEUED", "SMS"): 1}


def test_a_late_receipt_is_told_at_once_and_kept_with_the_next_turn(clinic: Clinic) -> None:
    message = written(clinic, days_ago(2), "SENT")
    count_days_task()
    assert lifecycle.move(message.pk, Status.DELIVERED)
    span = analytics.last_days(7)
    assert told(span) == {("DELIVERED", "SMS"): 1}
    assert count_days_task()["again"] == 1
    assert not RollupMark.objects.exists()
    assert told(span) == {("DELIVERED", "SMS"): 1}
    assert check_counts_task() == {"days_mended": 0}


def test_what_is_on_its_way_for_minutes_writes_no_mark(clinic: Clinic) -> None:
    message = written(clinic, timezone.now() - dt.timedelta(minutes=20), "SENT")
    lifecycle.move(message.pk, Status.DELIVERED)
    assert not RollupMark.objects.exists()


def test_a_change_that_is_not_committed_keeps_its_mark_for_the_next_turn(clinic: Clinic) -> None:
    """As another connection would see it: the marks that were there are gone, the one that came later stays."""
    written(clinic, days_ago(2), "SENT")
    count_days_task()
    rollup_marks.mark(clinic.tenant.pk, [days_ago(2)])
    seen = dict(RollupMark.objects.values_list("pk", "hour"))
    rollup_marks.mark(clinic.tenant.pk, [days_ago(2)])
    RollupMark.objects.filter(pk__in=seen).delete()
    state = RollupState.objects.get()
    assert rollups.marked_days(state) == {days_ago(2).date()}


def test_a_day_stays_open_for_an_hour_after_its_end(clinic: Clinic) -> None:
    midnight = dt.datetime(2026, 3, 11, tzinfo=RIYADH)
    with time_machine.travel(midnight + dt.timedelta(minutes=50), tick=False):
        written(clinic, midnight - dt.timedelta(minutes=10))
        count_days_task()
        assert not DailyCount.objects.exists()
        assert told(Span(dt.date(2026, 3, 10), dt.date(2026, 3, 10), RIYADH)) == {("DELIVERED", "SMS"): 1}
    with time_machine.travel(midnight + dt.timedelta(minutes=70), tick=False):
        count_days_task()
        assert set(DailyCount.objects.values_list("day", flat=True)) == {dt.date(2026, 3, 10)}


@pytest.mark.parametrize(
    ("zone", "moment", "day"),
    [
        # Riyadh has no summer time: 21:00 UTC is its midnight.
        ("Asia/Riyadh", "2026-03-10T20:59:59+00:00", dt.date(2026, 3, 10)),
        ("Asia/Riyadh", "2026-03-10T21:00:00+00:00", dt.date(2026, 3, 11)),
        # Half an hour off: the hour of a mark lies in two of its days.
        ("Asia/Kolkata", "2026-03-10T18:29:59+00:00", dt.date(2026, 3, 10)),
        ("Asia/Kolkata", "2026-03-10T18:30:00+00:00", dt.date(2026, 3, 11)),
        # Cairo's clock goes from 24 April 2026 00:00 to 01:00: that day has no midnight.
        ("Africa/Cairo", "2026-04-23T21:59:59+00:00", dt.date(2026, 4, 23)),
        ("Africa/Cairo", "2026-04-23T22:00:00+00:00", dt.date(2026, 4, 24)),
    ],
)
def test_days_end_at_the_midnight_of_the_clinic(clinic: Clinic, zone: str, moment: str, day: dt.date) -> None:
    Location.objects.update(timezone=zone)
    message = written(clinic, dt.datetime.fromisoformat(moment), "SENT")
    with time_machine.travel(dt.datetime.fromisoformat(moment) + dt.timedelta(days=4)):
        rollups.catch_up(clinic.tenant.pk)
        assert set(DailyCount.objects.values_list("day", flat=True)) == {day}
        lifecycle.move(message.pk, Status.DELIVERED)
        assert day in rollups.marked_days(RollupState.objects.get())
        rollups.catch_up(clinic.tenant.pk)
        assert rollups.check(clinic.tenant.pk) == 0
        assert told(Span(day, day, zoneinfo.ZoneInfo(zone))) == {("DELIVERED", "SMS"): 1}


def test_another_clock_counts_all_days_again(clinic: Clinic) -> None:
    written(clinic, dt.datetime.combine(days_ago(5).date(), dt.time(1), tzinfo=RIYADH))
    count_days_task()
    Location.objects.update(timezone="Europe/London")
    span = analytics.last_days(10)
    assert told(span) == counted(span)
    count_days_task()
    assert set(DailyCount.objects.values_list("day", flat=True)) == {days_ago(6).date()}
    assert told(span) == counted(span)


def test_numbers_that_differ_are_mended_and_told_to_the_admins(clinic: Clinic) -> None:
    written(clinic, days_ago(4))
    count_days_task()
    DailyCount.objects.filter(dimension=Dimension.STATUS).update(messages=7)
    assert check_counts_task() == {"days_mended": 1}
    span = analytics.last_days(7)
    assert told(span) == counted(span)
    event = NotificationEvent.objects.get(key="system.counts")
    assert "1 day" in event.payload["text_en"]
    assert check_counts_task() == {"days_mended": 0}


def test_a_marked_day_is_no_mistake(clinic: Clinic) -> None:
    message = written(clinic, days_ago(4), "SENT")
    count_days_task()
    lifecycle.move(message.pk, Status.READ)
    assert check_counts_task() == {"days_mended": 0}
    assert not NotificationEvent.objects.filter(key="system.counts").exists()


def test_a_tenant_without_messages_has_nothing_and_asks_nothing(clinic: Clinic) -> None:
    assert count_days_task() == {"kept": 0, "again": 0, "left": 0}
    assert told(analytics.last_days(365)) == {}
    assert analytics.report(analytics.last_days(365)).totals.success_rate == 0.0


def test_nothing_of_another_tenant_is_counted(clinic: Clinic, other_clinic: Clinic) -> None:
    written(clinic, days_ago(2))
    count_days_task()
    with tenant_scope(other_clinic.tenant.pk):
        assert told(analytics.last_days(30)) == {}
        assert not DailyCount.objects.exists()
    assert told(analytics.last_days(30)) == {("DELIVERED", "SMS"): 1}


def test_years_are_kept_chunk_by_chunk(clinic: Clinic) -> None:
    written(clinic, days_ago(200))
    assert rollups.catch_up(clinic.tenant.pk, chunks=2) == {"kept": 62, "again": 0, "left": 1}
    span = analytics.last_days(365)
    assert told(span) == {("DELIVERED", "SMS"): 1}
    assert rollups.catch_up(clinic.tenant.pk, chunks=9)["left"] == 0


def test_reading_a_range_takes_the_same_queries_for_a_year_as_for_a_week(
    clinic: Clinic, django_assert_num_queries: Any
) -> None:
    for days in (2, 90, 360):
        written(clinic, days_ago(days))
    while rollups.catch_up(clinic.tenant.pk)["left"]:
        pass
    for days in (7, 365):
        span = analytics.last_days(days)
        # How far the days are kept, those that are, and today.
        with django_assert_num_queries(3):
            analytics.totals(span)


STATUSES = list(Status)
moves = st.lists(st.tuples(st.integers(0, 5), st.sampled_from(STATUSES), st.booleans()), min_size=1, max_size=12)


@settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(moves=moves, seed=st.integers(0, 999))
def test_whatever_moves_the_numbers_are_those_of_the_rows(clinic: Clinic, moves: list[Any], seed: int) -> None:
    """Random messages of random days move by single moves and in batches, days are kept in between: never a difference."""
    dice = random.Random(seed)
    Message.objects.all().delete()
    rollups.recount(clinic.tenant.pk)
    rows = [
        written(
            clinic,
            days_ago(dice.randrange(4), dice.randrange(24)),
            dice.choice(["QUEUED", "SENDING", "SENT", "FAILED"]),
            channel=dice.choice(["SMS", "WHATSAPP", "EMAIL"]),
            currency="SAR",
            cost="0.05",
            provider="twilio",
        )
        for _ in range(6)
    ]
    rollups.recount(clinic.tenant.pk)
    span = Span(days_ago(6).date(), days_ago(0).date(), RIYADH)
    for place, to, in_a_batch in moves:
        message = rows[place]
        fields = {"error_code": f"3000{dice.randrange(9)}"} if to in rollup_sources.FAILED else {}
        if in_a_batch:
            lifecycle.move_many([lifecycle.Move(message.pk, to, fields=fields)])
        elif any(to in ends for ends in TRANSITIONS.values()):
            lifecycle.move(message.pk, to, fields=fields)
        if dice.random() < 0.3:
            rollups.catch_up(clinic.tenant.pk)
        assert told(span) == counted(span)
        for dimension in Dimension:
            whole = analytics.groups(span, [dimension], by=("day", "dimension", "key", "channel", "currency", "bucket"))
            assert whole == {tuple(key): one for key, one in rollup_sources.count(span, [dimension]).items()}
    assert rollups.check(clinic.tenant.pk) == 0


def test_a_click_of_later_days_counts_on_the_day_of_its_message(clinic: Clinic) -> None:
    message = written(clinic, days_ago(5), sent_at=days_ago(5))
    count_days_task()
    link = ShortLink.objects.create(
        tenant=clinic.tenant, code="abc", target="/c/x/", message=message, language="en", expires_at=timezone.now()
    )
    assert clicks.note_click(link, clicks.Visit.of({"User-Agent": "Mozilla/5.0 (iPhone) Safari/605"})) is not None
    assert analytics.totals(analytics.last_days(7)).all.clicked == 1
    assert count_days_task()["again"] == 1
    assert analytics.totals(analytics.last_days(7)).all.clicked == 1


def test_a_visit_that_is_ended_late_counts_on_its_day(clinic: Clinic) -> None:
    visit = AppointmentFactory(
        tenant=clinic.tenant,
        patient=clinic.patient,
        provider=clinic.provider,
        location=clinic.location,
        department=clinic.department,
        starts_at=days_ago(3),
        number="A-1",
    )
    count_days_task()
    visit.status = "NO_SHOW"
    visit.save()
    assert analytics.report(analytics.last_days(7)).visits["unreminded"].missed == 1
    assert count_days_task()["again"] == 1
    assert check_counts_task() == {"days_mended": 0}


@pytest.mark.postgres
@pytest.mark.django_db
def test_the_database_knows_into_how_few_groups_a_year_falls() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_statistic_ext WHERE stxname = 'daily_count_groups'")
        assert cursor.fetchone() == (1,)
