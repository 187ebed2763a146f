"""The clinic group's rules for reminders, quiet times, and planning anew when they change."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from collections.abc import Callable

import pytest
import time_machine
from django.utils import timezone

from appointments import reminders
from appointments.models import Appointment, Reminder, ReminderRule, ReminderTiming
from appointments.reminders import clock, rules
from appointments.reminders.clock import Rule
from appointments.tasks import replan_reminders_task, send_due_reminders_task
from appointments.tests.test_booking import book
from conftest import Clinic
from core import tenant_settings
from core.errors import DomainError
from core.models import AuditEvent
from core.permissions import NotAllowed
from notifications.models import NotificationEvent, NotificationPreference
from notifications.quiet import Schedule
from notifications.states import Reason
from tests.factories import DepartmentFactory

RIYADH = zoneinfo.ZoneInfo("Asia/Riyadh")
HOUR, MINUTE, DAY = dt.timedelta(hours=1), dt.timedelta(minutes=1), dt.timedelta(days=1)
NIGHT = Schedule(RIYADH, (dt.time(22), dt.time(8)))
Kind = Reminder.Kind


def at(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=RIYADH).astimezone(dt.UTC)


def planned(kind: str, start: str, booked: str, *quiet: Schedule) -> str:
    found = clock.slot(
        rules.DEFAULTS[kind], start=at(start), zone=RIYADH, quiet=quiet or (NIGHT,), booked_at=at(booked)
    )
    return f"{found.due_at.astimezone(RIYADH):%d %H:%M}" if found.reason is None else str(found.reason.value)


@pytest.mark.parametrize(
    ("kind", "start", "booked", "expected"),
    [
        # 06:30, quiet from 22 to 8: the morning of the day before, and the last minute of the evening before.
        (Kind.DAY_BEFORE, "2026-11-25T06:30", "2026-11-20T12:00", "24 08:00"),
        (Kind.TWO_HOURS, "2026-11-25T06:30", "2026-11-20T12:00", "24 21:59"),
        # Booked after that minute: there is none.
        (Kind.TWO_HOURS, "2026-11-25T06:30", "2026-11-24T22:00", "quiet_dropped"),
        (Kind.TWO_HOURS, "2026-11-25T06:30", "2026-11-24T21:59", "24 21:59"),
        # Half open: eight o'clock goes, one minute before does not.
        (Kind.TWO_HOURS, "2026-11-25T10:00", "2026-11-20T12:00", "25 08:00"),
        (Kind.TWO_HOURS, "2026-11-25T09:59", "2026-11-20T12:00", "25 08:00"),
        # Three quarters of an hour is the least lead of the short one.
        (Kind.TWO_HOURS, "2026-11-25T08:45", "2026-11-20T12:00", "25 08:00"),
        (Kind.TWO_HOURS, "2026-11-25T08:44", "2026-11-20T12:00", "24 21:59"),
        (Kind.DAY_BEFORE, "2026-11-25T21:59", "2026-11-20T12:00", "24 21:59"),
        (Kind.DAY_BEFORE, "2026-11-25T22:00", "2026-11-20T12:00", "25 08:00"),
        (Kind.DAY_BEFORE, "2026-11-25T10:00", "2026-11-24T10:00", "booked_inside_window"),
    ],
)
def test_quiet_hours_move_a_reminder_later_else_earlier_else_nowhere(
    kind: str, start: str, booked: str, expected: str
) -> None:
    assert planned(kind, start, booked) == expected


def test_the_clinics_quiet_time_and_the_patients_own_hold_together() -> None:
    until_ten = Schedule(RIYADH, (dt.time(7), dt.time(10)))
    siesta = Schedule(RIYADH, (dt.time(20), dt.time(22)))
    assert planned(Kind.DAY_BEFORE, "2026-11-25T06:30", "2026-11-20T12:00", NIGHT, until_ten) == "24 10:00"
    assert planned(Kind.TWO_HOURS, "2026-11-25T06:30", "2026-11-20T12:00", NIGHT, siesta) == "24 19:59"


def quiet(clinic: Clinic, start: int | None, end: int | None) -> None:
    tenant_settings.quiet_hours_set(
        actor=clinic.admin,
        quiet_from=None if start is None else dt.time(start),
        quiet_until=None if end is None else dt.time(end),
    )


def due(visit: Appointment) -> dict[str, str]:
    rows = visit.reminders.order_by("due_at")
    return {
        row.kind: f"{row.due_at.astimezone(RIYADH):%H:%M}" if row.status == "PLANNED" else row.reason for row in rows
    }


@pytest.fixture
def early(clinic: Clinic) -> Appointment:
    """Half past six, in five days; booked at noon."""
    noon = timezone.localtime().replace(hour=12, minute=0, second=0, microsecond=0)
    with time_machine.travel(noon, tick=False):
        return book(clinic, noon.replace(hour=6, minute=30) + 5 * DAY)


def test_quiet_hours_that_are_set_later_move_what_is_planned_and_back(clinic: Clinic, early: Appointment) -> None:
    assert due(early) == {"24H": "06:30", "2H": "04:30"}
    quiet(clinic, 22, 8)
    assert replan_reminders_task() == {"visits": 1, "tenants": 1}
    assert due(early) == {"24H": "08:00", "2H": "21:59"}
    assert replan_reminders_task()["visits"] == 0, "once"
    quiet(clinic, None, None)
    replan_reminders_task()
    assert due(early) == {"24H": "06:30", "2H": "04:30"}


def test_a_patients_own_quiet_hours_move_their_reminders_at_once(clinic: Clinic, early: Appointment) -> None:
    NotificationPreference.objects.create(
        tenant=clinic.tenant, patient=clinic.patient, quiet_from=dt.time(22), quiet_until=dt.time(8)
    )
    assert due(early) == {"24H": "08:00", "2H": "21:59"}


def test_a_clock_that_is_put_right_moves_the_reminders(clinic: Clinic, early: Appointment) -> None:
    clinic.location.timezone = "Europe/London"
    clinic.location.save()
    quiet(clinic, 22, 8)
    replan_reminders_task()
    row = early.reminders.get(kind="24H")
    assert row.due_at.astimezone(zoneinfo.ZoneInfo("Europe/London")).hour == 8


def test_what_falls_into_quiet_hours_set_a_moment_ago_is_moved_by_the_sweep_itself(
    clinic: Clinic, early: Appointment
) -> None:
    quiet(clinic, 22, 8)
    row = early.reminders.get(kind="24H")
    with time_machine.travel(row.due_at, tick=False):
        assert send_due_reminders_task()["sent"] == 0
    assert due(early)["24H"] == "08:00"
    with time_machine.travel(early.reminders.get(kind="24H").due_at, tick=False):
        assert send_due_reminders_task()["sent"] == 1
    with time_machine.travel(early.reminders.get(kind="2H").due_at, tick=False):
        assert send_due_reminders_task() == {"sent": 0, "cancelled": 1, "expired": 0, "failed": 0}
    assert due(early)["2H"] == Reason.QUIET_DROPPED
    assert NotificationEvent.objects.filter(key__startswith="appointment.reminder").count() == 1


def test_a_rule_is_the_departments_else_the_clinics_else_the_houses(clinic: Clinic, ten_oclock: dt.datetime) -> None:
    house = rules.DEFAULTS[Kind.TWO_HOURS]
    rules.rule_set(actor=clinic.admin, kind=Kind.TWO_HOURS, rule=Rule(True, 3 * HOUR, HOUR, house.until))
    rules.rule_set(
        actor=clinic.admin,
        kind=Kind.TWO_HOURS,
        rule=Rule(False, 4 * HOUR, HOUR, house.until),
        department=clinic.department,
    )
    other = DepartmentFactory(tenant=clinic.tenant)
    book_of = rules.rulebook()
    assert book_of.rule(Kind.TWO_HOURS, other.pk).offset == 3 * HOUR
    assert not book_of.rule(Kind.TWO_HOURS, clinic.department.pk).is_on
    assert book_of.rule(Kind.DAY_BEFORE, other.pk) == rules.DEFAULTS[Kind.DAY_BEFORE]
    assert set(due(book(clinic, ten_oclock))) == {"24H"}
    rules.rule_clear(actor=clinic.admin, kind=Kind.TWO_HOURS, department=clinic.department)
    replan_reminders_task()
    visit = Appointment.objects.get()
    assert due(visit)["2H"] == "07:00"
    assert AuditEvent.objects.filter(action="reminder_rule.set").count() == 3


def test_a_reminder_days_before_can_be_switched_on_and_off_for_what_is_booked(
    clinic: Clinic, early: Appointment
) -> None:
    house = rules.DEFAULTS[Kind.EARLY]
    rules.rule_set(actor=clinic.admin, kind=Kind.EARLY, rule=Rule(True, 4 * DAY, house.lead, house.until))
    replan_reminders_task()
    row = early.reminders.get(kind="3D")
    assert (early.starts_at - row.due_at, row.status) == (4 * DAY, "PLANNED")
    with time_machine.travel(row.due_at, tick=False):
        assert send_due_reminders_task()["sent"] == 1
    assert NotificationEvent.objects.filter(key="appointment.reminder_3d").count() == 1
    rules.rule_set(actor=clinic.admin, kind=Kind.DAY_BEFORE, rule=Rule(False, DAY, 12 * HOUR, 3 * HOUR))
    replan_reminders_task()
    assert due(early)["24H"] == Reason.WITHDRAWN


def test_a_rule_that_is_new_says_nothing_of_what_was_booked_too_late_for_it(
    clinic: Clinic, ten_oclock: dt.datetime
) -> None:
    visit = book(clinic, ten_oclock)
    rules.rule_set(actor=clinic.admin, kind=Kind.EARLY, rule=Rule(True, 3 * DAY, 2 * DAY, DAY))
    replan_reminders_task()
    assert not visit.reminders.filter(kind="3D").exists()


def test_the_deadline_of_a_reminder_is_the_rules(clinic: Clinic, ten_oclock: dt.datetime) -> None:
    rules.rule_set(actor=clinic.admin, kind=Kind.TWO_HOURS, rule=Rule(True, 3 * HOUR, 2 * HOUR, HOUR))
    visit = book(clinic, ten_oclock)
    with time_machine.travel(ten_oclock - 2 * HOUR, tick=False):
        send_due_reminders_task()
    event = NotificationEvent.objects.get(key="appointment.reminder_2h")
    from notifications import registry

    assert registry.get(event.key).describe(event).useful_until == visit.starts_at - HOUR


@pytest.mark.parametrize(
    ("kind", "rule", "code"),
    [
        (Kind.DAY_BEFORE, Rule(True, 2 * DAY, HOUR, HOUR), "offset"),
        (Kind.EARLY, Rule(True, DAY, HOUR, HOUR), "offset"),
        (Kind.EARLY, Rule(True, 2 * DAY + HOUR, HOUR, HOUR), "offset"),
        (Kind.TWO_HOURS, Rule(True, 7 * HOUR, HOUR, MINUTE), "offset"),
        (Kind.TWO_HOURS, Rule(True, 2 * HOUR, 3 * HOUR, MINUTE), "lead"),
        (Kind.TWO_HOURS, Rule(True, 2 * HOUR, MINUTE, HOUR), "lead"),
    ],
)
def test_rules_that_make_no_sense_are_refused(clinic: Clinic, kind: str, rule: Rule, code: str) -> None:
    with pytest.raises(DomainError) as refused:
        rules.rule_set(actor=clinic.admin, kind=kind, rule=rule)
    assert refused.value.code == code
    assert not ReminderRule.objects.exists()


def test_only_who_may_change_settings_writes_rules(clinic: Clinic, other_clinic: Clinic) -> None:
    rule = rules.DEFAULTS[Kind.TWO_HOURS]
    writers: list[Callable[[], object]] = [
        lambda: rules.rule_set(actor=clinic.front_desk, kind=Kind.TWO_HOURS, rule=rule),
        lambda: rules.timing_set(actor=clinic.provider, undo_minutes=1, recent_hours=1, at_once_per_address=1),
        lambda: rules.rule_set(actor=clinic.admin, kind=Kind.TWO_HOURS, rule=rule, department=other_clinic.department),
    ]
    for write in writers:
        with pytest.raises(NotAllowed):
            write()


def test_the_timing_has_limits_and_is_audited(clinic: Clinic) -> None:
    with pytest.raises(DomainError):
        rules.timing_set(actor=clinic.admin, undo_minutes=16, recent_hours=1, at_once_per_address=1)
    rules.timing_set(actor=clinic.admin, undo_minutes=5, recent_hours=0, at_once_per_address=3)
    assert ReminderTiming.objects.get().undo_minutes == 5
    assert AuditEvent.objects.filter(action="reminder_timing.set").count() == 1


def test_what_is_entered_silently_says_why_nobody_is_reminded(clinic: Clinic, ten_oclock: dt.datetime) -> None:
    visit = book(clinic, ten_oclock, is_silent=True)
    assert set(visit.reminders.values_list("status", "reason")) == {("CANCELLED", Reason.IMPORT_SILENT)}
    reminders.plan(visit)
    with time_machine.travel(ten_oclock - HOUR, tick=False):
        assert send_due_reminders_task()["sent"] == 0


def test_many_visits_are_planned_with_as_many_statements_as_one(
    clinic: Clinic, ten_oclock: dt.datetime, django_assert_max_num_queries: Callable[[int], object]
) -> None:
    visits = [book(clinic, ten_oclock + number * HOUR) for number in range(6)]
    Reminder.objects.all().delete()
    with django_assert_max_num_queries(8):  # type: ignore[attr-defined]
        assert len(reminders.plan_many(visits)) == 12
