"""Reminders as rows: when they are due on which clock, when they die, and a sweep that is safe to run twice."""

from __future__ import annotations

import datetime as dt
import zoneinfo

import pytest
import time_machine
from django.utils import timezone

from appointments import reminders, services
from appointments.models import Appointment, Reminder
from appointments.reminders import family
from appointments.tasks import send_due_reminders_task
from appointments.tests.test_booking import book
from conftest import Clinic
from core.tenancy import tenant_scope
from notifications.models import NotificationEvent
from notifications.states import Reason
from tests.factories import PatientFactory

LONDON = zoneinfo.ZoneInfo("Europe/London")
RIYADH = zoneinfo.ZoneInfo("Asia/Riyadh")
S = Appointment.Status


def wall(text: str, zone: zoneinfo.ZoneInfo, fold: int = 0) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=zone, fold=fold)


@pytest.mark.parametrize(
    ("start", "zone", "due_utc"),
    [
        ("2026-11-25T10:00", RIYADH, "2026-11-24T07:00"),
        # The clock goes forward on 29 March 2026, 01:00 → 02:00: the day before is 23 hours away.
        ("2026-03-29T10:00", LONDON, "2026-03-28T10:00"),
        ("2026-03-30T10:00", LONDON, "2026-03-29T09:00"),
        # The clock goes back on 25 October 2026, 02:00 → 01:00: the day before is 25 hours away.
        ("2026-10-25T10:00", LONDON, "2026-10-24T09:00"),
        # 01:30 the day before does not exist: the first instant after the gap.
        ("2026-03-30T01:30", LONDON, "2026-03-29T01:00"),
        # 01:30 the day before comes twice: the first of the two.
        ("2026-10-26T01:30", LONDON, "2026-10-25T00:30"),
    ],
)
def test_the_day_before_is_the_same_wall_clock(start: str, zone: zoneinfo.ZoneInfo, due_utc: str) -> None:
    due = reminders.day_before(wall(start, zone), zone)
    assert due == dt.datetime.fromisoformat(due_utc).replace(tzinfo=dt.UTC)


def test_a_start_in_the_hour_that_comes_twice_is_told_by_the_wall_clock_too() -> None:
    for fold in (0, 1):
        due = reminders.day_before(wall("2026-10-25T01:30", LONDON, fold), LONDON)
        assert due == dt.datetime(2026, 10, 24, 0, 30, tzinfo=dt.UTC)


def test_two_hours_are_elapsed_hours_and_the_day_is_the_locations(clinic: Clinic) -> None:
    clinic.location.timezone = "Europe/London"
    clinic.location.save()
    with time_machine.travel("2026-03-20T08:00:00Z", tick=False):
        visit = book(clinic, wall("2026-03-29T02:30", LONDON))
    # 02:30 on the wall minus two elapsed hours is 23:30 of the day before: the hour from 01:00 to 02:00 is missing.
    due = {row.kind: row.due_at.astimezone(LONDON).strftime("%d %H:%M") for row in visit.reminders.all()}
    assert due == {"24H": "28 02:30", "2H": "28 23:30"}


def test_each_reminder_has_its_deadline(clinic: Clinic, ten_oclock: dt.datetime) -> None:
    book(clinic, ten_oclock)
    expires = dict(Reminder.objects.values_list("kind", "expires_at"))
    assert expires == {"24H": ten_oclock - dt.timedelta(hours=3), "2H": ten_oclock - dt.timedelta(minutes=15)}


@pytest.mark.parametrize(
    ("lead", "planned"),
    [
        (dt.timedelta(hours=24, minutes=1), {"24H", "2H"}),
        (dt.timedelta(hours=24), {"2H"}),
        (dt.timedelta(hours=23), {"2H"}),
        (dt.timedelta(hours=2), set()),
        (dt.timedelta(minutes=30), set()),
    ],
)
def test_an_offset_that_is_past_at_booking_is_never_planned(
    clinic: Clinic, ten_oclock: dt.datetime, lead: dt.timedelta, planned: set[str]
) -> None:
    with time_machine.travel(ten_oclock - lead, tick=False):
        book(clinic, ten_oclock)
        rows = Reminder.objects.all()
        assert set(rows.filter(status="PLANNED").values_list("kind", flat=True)) == planned
        others = rows.exclude(kind__in=planned).values_list("status", "reason")
        assert set(others) <= {("CANCELLED", Reason.BOOKED_INSIDE_WINDOW)}, "and everybody can see why"
        assert rows.count() == 2
    with time_machine.travel(ten_oclock - dt.timedelta(minutes=20), tick=False):
        # Nor is it caught up later.
        assert send_due_reminders_task()["sent"] == len(planned & {"2H"})


def recorded() -> list[str]:
    rows = NotificationEvent.objects.filter(key__startswith="appointment.reminder")
    return sorted(rows.values_list("key", flat=True))


def test_a_due_reminder_is_handed_over_once(clinic: Clinic, ten_oclock: dt.datetime) -> None:
    visit = book(clinic, ten_oclock)
    with time_machine.travel(ten_oclock - dt.timedelta(hours=24, seconds=1), tick=False):
        assert send_due_reminders_task() == {"sent": 0, "cancelled": 0, "expired": 0, "failed": 0}
    with time_machine.travel(ten_oclock - dt.timedelta(hours=24), tick=False):
        assert send_due_reminders_task()["sent"] == 1
        assert send_due_reminders_task()["sent"] == 0
    with time_machine.travel(ten_oclock - dt.timedelta(hours=2), tick=False):
        assert send_due_reminders_task()["sent"] == 1
    assert recorded() == ["appointment.reminder_24h", "appointment.reminder_2h"]
    event = NotificationEvent.objects.get(key="appointment.reminder_24h")
    assert event.dedupe_key == f"appointment.reminder_24h:{visit.pk}:1:24H"
    assert (event.object_id, event.object_version, event.actor) == (visit.pk, 1, None)


@pytest.mark.parametrize("status", [S.ARRIVED, S.CANCELLED, S.NO_SHOW, S.COMPLETED, S.ENTERED_IN_ERROR])
def test_a_visit_that_no_longer_calls_for_it_is_not_reminded(
    clinic: Clinic, ten_oclock: dt.datetime, status: S
) -> None:
    visit = book(clinic, ten_oclock)
    # Past every handler, so that the look at send time is what stops it.
    Appointment.objects.filter(pk=visit.pk).update(status=status)
    with time_machine.travel(ten_oclock - dt.timedelta(hours=1), tick=False):
        counts = send_due_reminders_task()
    assert counts == {"sent": 0, "cancelled": 2, "expired": 0, "failed": 0}
    assert set(Reminder.objects.values_list("status", "reason")) == {("CANCELLED", Reason.STATUS_NOT_ELIGIBLE)}
    assert recorded() == []


def test_a_reminder_of_an_older_version_is_not_sent(clinic: Clinic, ten_oclock: dt.datetime) -> None:
    visit = book(clinic, ten_oclock)
    Appointment.objects.filter(pk=visit.pk).update(version=2)
    with time_machine.travel(ten_oclock - dt.timedelta(hours=1), tick=False):
        assert send_due_reminders_task()["cancelled"] == 2
    assert set(Reminder.objects.values_list("reason", flat=True)) == {Reason.STALE_VERSION}


def test_after_an_outage_what_is_too_late_expires_and_the_rest_goes(clinic: Clinic, ten_oclock: dt.datetime) -> None:
    book(clinic, ten_oclock)
    with time_machine.travel(ten_oclock - dt.timedelta(minutes=90), tick=False):
        assert send_due_reminders_task() == {"sent": 1, "cancelled": 0, "expired": 1, "failed": 0}
    assert Reminder.objects.get(kind="24H").reason == Reason.PAST_DUE
    assert recorded() == ["appointment.reminder_2h"]


def test_nothing_is_sent_for_a_visit_that_has_begun(clinic: Clinic, ten_oclock: dt.datetime) -> None:
    book(clinic, ten_oclock)
    with time_machine.travel(ten_oclock + dt.timedelta(days=1), tick=False):
        assert send_due_reminders_task()["expired"] == 2
    assert recorded() == []


def test_one_bad_row_does_not_stop_the_others(
    clinic: Clinic, ten_oclock: dt.datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = book(clinic, ten_oclock)
    good = book(clinic, ten_oclock + dt.timedelta(hours=1), patient=PatientFactory(tenant=clinic.tenant))
    gather = family.gather

    def sometimes(ready: list[Reminder], now: dt.datetime) -> list[family.Group]:
        if any(row.appointment_id == bad.pk for row in ready):
            raise ValueError("no phone")
        return gather(ready, now)

    at = ten_oclock - dt.timedelta(hours=20)
    with time_machine.travel(at, tick=False), monkeypatch.context() as patched:
        patched.setattr("appointments.reminders.family.gather", sometimes)
        assert send_due_reminders_task() == {"sent": 1, "cancelled": 0, "expired": 0, "failed": 1}
        assert Reminder.objects.get(appointment=bad, kind="24H").status == "PLANNED"
        assert Reminder.objects.get(appointment=good, kind="24H").status == "SENT"
    with time_machine.travel(at, tick=False):
        assert send_due_reminders_task()["sent"] == 0, "it stands in nobody's way meanwhile"
    with time_machine.travel(at + dt.timedelta(minutes=1), tick=False):
        assert send_due_reminders_task()["sent"] == 1, "and is tried again"


def test_every_tenant_gets_its_own_and_a_suspended_one_none(
    clinic: Clinic, other_clinic: Clinic, ten_oclock: dt.datetime
) -> None:
    book(clinic, ten_oclock)
    with tenant_scope(other_clinic.tenant.pk):
        book(other_clinic, ten_oclock)
    other_clinic.tenant.is_active = False
    other_clinic.tenant.save()
    with time_machine.travel(ten_oclock - dt.timedelta(hours=23), tick=False):
        assert send_due_reminders_task()["sent"] == 1
        assert NotificationEvent.objects.get(key="appointment.reminder_24h").tenant == clinic.tenant
        other_clinic.tenant.is_active = True
        other_clinic.tenant.save()
        assert send_due_reminders_task()["sent"] == 1


def test_a_moved_visit_is_reminded_at_its_new_time_only(clinic: Clinic, ten_oclock: dt.datetime) -> None:
    visit = book(clinic, ten_oclock)
    later = ten_oclock + dt.timedelta(days=2)
    services.appointment_reschedule(appointment_id=visit.pk, actor=clinic.front_desk, starts_at=later)
    with time_machine.travel(ten_oclock - dt.timedelta(hours=1), tick=False):
        assert send_due_reminders_task()["sent"] == 0
    with time_machine.travel(later - dt.timedelta(hours=1, minutes=59), tick=False):
        assert send_due_reminders_task() == {"sent": 1, "cancelled": 0, "expired": 1, "failed": 0}


def test_planning_twice_plans_once(clinic: Clinic, ten_oclock: dt.datetime) -> None:
    visit = book(clinic, ten_oclock)
    reminders.plan(visit)
    assert Reminder.objects.count() == 2
    Reminder.objects.filter(kind="24H").update(status="SENT")
    reminders.plan(visit)
    assert Reminder.objects.get(kind="24H").status == "SENT", "what has gone out does not go out again"
    assert timezone.now() < Reminder.objects.get(kind="2H").due_at
