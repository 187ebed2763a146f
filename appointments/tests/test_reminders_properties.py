"""Whatever happens to a visit, on whatever clock: no reminder in a quiet time, none lost without a word, none too many."""

from __future__ import annotations

import datetime as dt
import random
import zoneinfo
from dataclasses import dataclass, field

import pytest
import time_machine
from django.utils import timezone
from hypothesis import example, given, settings
from hypothesis import strategies as st

from appointments import services
from appointments.models import Appointment, Reminder, ReminderTiming
from appointments.reminders import clock, rules
from appointments.tasks import replan_reminders_task, send_due_reminders_task
from appointments.tests.test_booking import book
from conftest import Clinic
from core import tenant_settings
from notifications.models import NotificationEvent, NotificationPreference
from notifications.quiet import Schedule
from notifications.states import Reason

MINUTE, HOUR, DAY = dt.timedelta(minutes=1), dt.timedelta(hours=1), dt.timedelta(days=1)
Kind = Reminder.Kind
FIRST = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
TWO_YEARS = 2 * 365 * 24 * 60
ZONES = sorted(zone for zone in zoneinfo.available_timezones() if not zone.startswith(("Etc/", "SystemV/")))
Window = tuple[dt.time, dt.time]


def is_quiet(moment: dt.datetime, zone: zoneinfo.ZoneInfo, window: Window) -> bool:
    """As somebody reads it from the clock on the wall."""
    now, (start, end) = moment.astimezone(zone).time(), window
    return start <= now < end if start < end else now >= start or now < end


def check_slot(zone_name: str, start: dt.datetime, lead: dt.timedelta, windows: list[Window]) -> None:
    """What must be true of every reminder of a visit that was booked so long before."""
    zone, booked = zoneinfo.ZoneInfo(zone_name), start - lead
    for kind, rule in rules.DEFAULTS.items():
        quiet = [Schedule(zone, window) for window in windows]
        found = clock.slot(rule, start=start, zone=zone, quiet=quiet, booked_at=booked)
        plain = clock.offset_before(start, zone, rule.offset)
        if found.reason is not None:
            late = plain <= booked
            assert found.reason is (Reason.BOOKED_INSIDE_WINDOW if late else Reason.QUIET_DROPPED), kind
            continue
        assert not any(is_quiet(found.due_at, zone, window) for window in windows), (kind, found)
        assert booked <= found.due_at < found.expires_at < start
        if found.due_at > plain:
            assert start - found.due_at >= rule.lead, "put off no further than this"
        if not windows:
            assert found.due_at == plain


times = st.times().map(lambda moment: moment.replace(second=0, microsecond=0))
# A window that leaves an hour of the day, so that there is a time to write at all.
windows_of_a_day = st.tuples(times, st.integers(1, 23 * 60)).map(
    lambda pair: (pair[0], (dt.datetime.combine(dt.date(2026, 1, 1), pair[0]) + pair[1] * MINUTE).time())
)


@settings(max_examples=400, deadline=None)
@given(
    zone=st.sampled_from(ZONES),
    start=st.integers(0, TWO_YEARS),
    lead=st.integers(1, 10 * 24 * 60),
    windows=st.lists(windows_of_a_day, max_size=2),
)
@example(zone="Asia/Riyadh", start=330 * 24 * 60 + 210, lead=5 * 24 * 60, windows=[(dt.time(22), dt.time(8))])
# The night in which the clock goes back: the hour of the reminder comes twice.
@example(zone="Europe/London", start=297 * 24 * 60 + 90, lead=5 * 24 * 60, windows=[(dt.time(1), dt.time(1, 30))])
def test_no_reminder_is_planned_into_a_quiet_time_or_past_its_use_on_any_clock(
    zone: str, start: int, lead: int, windows: list[Window]
) -> None:
    check_slot(zone, FIRST + start * MINUTE, lead * MINUTE, windows)


def test_every_clock_of_the_world_through_two_years() -> None:
    dice = random.Random(20261129)  # no secret
    night = (dt.time(22), dt.time(8))
    for zone in ZONES:
        for _visit in range(8):
            check_slot(zone, FIRST + dice.randrange(TWO_YEARS) * MINUTE, dice.randrange(1, 9 * 1440) * MINUTE, [night])


# --- what happens to visits ------------------------------------------------------------------------------------------

NIGHT: Window = (dt.time(22), dt.time(8))


@dataclass
class Expected:
    """A visit as somebody with a calendar and a pencil keeps it."""

    version: int = 1
    start: dt.datetime = FIRST
    is_awaited: bool = True
    # Kind → when it is to go, of the present version. What has gone or fallen away is not here.
    to_go: dict[str, dt.datetime] = field(default_factory=dict)


class Model:
    """The rules of the clinic's messages as plainly as they can be said, minute by minute."""

    lead = {Kind.DAY_BEFORE: 12 * HOUR, Kind.TWO_HOURS: 45 * MINUTE}
    useless = {Kind.DAY_BEFORE: 3 * HOUR, Kind.TWO_HOURS: 15 * MINUTE}

    def __init__(self, zone: zoneinfo.ZoneInfo) -> None:
        self.zone = zone
        self.visits: dict[object, Expected] = {}
        self.sent: set[tuple[object, int, str]] = set()

    def plan(self, visit: Expected, now: dt.datetime) -> None:
        visit.to_go = {}
        wall = visit.start.astimezone(self.zone).replace(tzinfo=None) - DAY
        for kind, due in (
            (Kind.DAY_BEFORE, wall.replace(tzinfo=self.zone).astimezone(dt.UTC)),
            (Kind.TWO_HOURS, visit.start - 2 * HOUR),
        ):
            moved = self.moved(kind, visit, due, now) if due > now else None
            if moved is not None:
                visit.to_go[kind] = moved

    def moved(self, kind: Kind, visit: Expected, due: dt.datetime, not_before: dt.datetime) -> dt.datetime | None:
        later = earlier = due
        while is_quiet(later, self.zone, NIGHT):
            later = later.replace(second=0, microsecond=0) + MINUTE
        if later == due or visit.start - later >= self.lead[kind]:
            return later
        while is_quiet(earlier, self.zone, NIGHT):
            earlier -= MINUTE
        return earlier if earlier >= not_before else None

    def sweep(self, now: dt.datetime) -> None:
        for key, visit in self.visits.items():
            for kind, due in list(visit.to_go.items()):
                if due > now:
                    continue
                del visit.to_go[kind]
                if not visit.is_awaited or now >= visit.start - self.useless[Kind(kind)]:
                    continue
                moved = self.moved(Kind(kind), visit, now, now)
                if moved == now:
                    self.sent.add((key, visit.version, kind))
                elif moved is not None:
                    visit.to_go[kind] = moved


class World:
    """The clinic and the model side by side."""

    def __init__(self, clinic: Clinic, clock_: time_machine.Coordinates, seed: int) -> None:
        self.clinic, self.clock, self.dice = clinic, clock_, random.Random(seed)  # no secret
        self.model = Model(clinic.location.zone)
        self.taken = 0

    @property
    def now(self) -> dt.datetime:
        return timezone.now()

    def free_start(self) -> dt.datetime:
        """No two at one time: who is free is not the question here."""
        self.taken += 1
        ahead = self.dice.randrange(5, 4 * 24 * 60)
        start = self.now + ahead * MINUTE
        return start.replace(second=0, microsecond=0) + MINUTE

    def step(self) -> None:
        """Something happens, or only time goes by."""
        visits = list(self.model.visits)
        act = self.dice.choice([*("book", "move") * 3, "cancel", "arrive", "confirm", "reinstate", *("wait",) * 10])
        if act == "book" or not visits:
            self.book()
        elif act != "wait":
            self.change(act, self.dice.choice(visits))
        self.clock.shift(self.dice.choice([10 * MINUTE, *(40 * MINUTE,) * 5, 3 * HOUR, 9 * HOUR]))
        self.model.sweep(self.now)
        send_due_reminders_task()

    def book(self) -> None:
        visit = book(self.clinic, self.free_start(), duration=MINUTE)
        expected = Expected(start=visit.starts_at.astimezone(dt.UTC))
        self.model.visits[visit.pk] = expected
        self.model.plan(expected, self.now)

    def change(self, act: str, key: object) -> None:
        expected, row = self.model.visits[key], Appointment.objects.get(pk=key)
        desk = self.clinic.front_desk
        is_ahead = row.starts_at > self.now
        if act == "reinstate":
            if row.status == Appointment.Status.CANCELLED and is_ahead:
                services.appointment_reinstate(appointment_id=row.pk, actor=desk)
                expected.version, expected.is_awaited = expected.version + 1, True
                self.model.plan(expected, self.now)
            return
        if not expected.is_awaited:
            return
        if act == "move":
            start = self.free_start()
            services.appointment_reschedule(appointment_id=row.pk, actor=desk, starts_at=start)
            expected.version, expected.start = expected.version + 1, start.astimezone(dt.UTC)
            self.model.plan(expected, self.now)
        elif act == "cancel":
            services.appointment_cancel(appointment_id=row.pk, actor=desk, reason="x")
            expected.is_awaited, expected.to_go = False, {}
        elif act == "arrive":
            services.appointment_arrive(appointment_id=row.pk, actor=desk)
            expected.is_awaited, expected.to_go = False, {}
        elif act == "confirm" and is_ahead:
            services.appointment_confirm(appointment_id=row.pk, actor=desk)

    def sent(self) -> set[tuple[object, int, str]]:
        kinds = {key: kind for kind, key in rules.EVENT_KEYS.items()}
        rows = NotificationEvent.objects.filter(key__in=kinds)
        return {
            (pk, version, kinds[key]) for pk, version, key in rows.values_list("object_id", "object_version", "key")
        }


@pytest.mark.parametrize("zone", ["Asia/Riyadh", "America/New_York"])
@pytest.mark.parametrize("seed", range(3))
def test_whatever_happens_the_reminders_that_leave_are_those_of_a_simple_model(
    clinic: Clinic, seed: int, zone: str
) -> None:
    clinic.location.timezone = zone
    clinic.location.save()
    tenant_settings.quiet_hours_set(actor=clinic.admin, quiet_from=NIGHT[0], quiet_until=NIGHT[1])
    # Each for itself: what is said together, or was just said, has tests of its own.
    ReminderTiming.objects.update(recent_hours=0, at_once_per_address=10)
    NotificationPreference.objects.create(tenant=clinic.tenant, patient=clinic.patient, combine_family=False)
    replan_reminders_task()
    # In the week in which the clock of New York goes back.
    with time_machine.travel(dt.datetime(2026, 10, 29, 9, 17, tzinfo=dt.UTC), tick=False) as clock_:
        world = World(clinic, clock_, seed)
        for _step in range(60):
            world.step()
            assert world.sent() == world.model.sent
        clock_.shift(8 * DAY)
        world.model.sweep(world.now)
        send_due_reminders_task()
        assert world.sent() == world.model.sent
    assert world.model.sent, "a world without reminders proves nothing"
    left = Reminder.objects.values_list("status", "reason")
    assert not [row for row in left if row[0] == "PLANNED"], "each has gone or says why not"
    assert all(reason for status, reason in left if status != "SENT")
    for row in NotificationEvent.objects.filter(key__startswith="appointment.reminder"):
        assert not is_quiet(row.created_at, world.model.zone, NIGHT)
