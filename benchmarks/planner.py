"""Reminders of 10,000 visits: planned as bookings do it, planned anew in bulk, and handed over when all are due at once.

No peer does all of it, so each has a floor in the same run: the bare rows that it writes, without any of the rules.
"""

from __future__ import annotations

import datetime as dt
import os
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import memory, ours
from benchmarks.measure import Goal, Measure

if TYPE_CHECKING:
    from appointments.models import Appointment

SIZE = 10_000
# Visits a minute: the busiest minute of a large group is a hundredth of it.
GOAL_PER_MINUTE = 10_000.0
GOAL_GROWTH_MB = 30.0
GOAL_PEAK_MB = 400.0
# Booked one by one, a sample of them.
_SAMPLE = 1000
# The first fifth of the time fills caches and pools.
_SETTLED = 0.2


def run(_folder: Path, size: int = SIZE) -> Iterator[Measure]:
    from appointments import reminders
    from appointments.models import Reminder
    from appointments.reminders import rules
    from core.tenancy import tenant_scope

    group = ours.found_group("bench", size)
    with tenant_scope(group.tenant_id):
        planning, rows_floor = _booked(found_visits(group, size))
        Reminder.objects.all().delete()
    with tenant_scope(group.tenant_id):
        rules.request_replan(group.tenant_id)
    with memory.watched(os.getpid()) as watch:
        bulk = _a_minute(size, reminders.replan)
        with tenant_scope(group.tenant_id):
            planned = Reminder.objects.filter(status="PLANNED")
            if planned.count() != 2 * size:
                raise RuntimeError(f"planned {planned.count()} reminders of {2 * size}")
            planned.filter(kind="24H").update(due_at=dt.datetime.now(dt.UTC) - dt.timedelta(seconds=1))
        ours.vacuum()
        handing = _a_minute(size, lambda: hand_over(size))
    with tenant_scope(group.tenant_id):
        events_floor = _a_minute(size, lambda: _bare_events(group.tenant_id, size))
    yield Measure("planner_booking", planning, "/min", None, GOAL_PER_MINUTE, Goal.AT_LEAST)
    yield Measure("planner_replan", bulk, "/min", rows_floor, GOAL_PER_MINUTE, Goal.AT_LEAST)
    yield Measure("planner_due", handing, "/min", events_floor, GOAL_PER_MINUTE, Goal.AT_LEAST)
    yield Measure("planner_memory_growth", watch.growth(_SETTLED), "MB", None, GOAL_GROWTH_MB)
    yield Measure("planner_memory_peak", watch.peak(), "MB", None, GOAL_PEAK_MB)


def _booked(visits: list[Appointment]) -> tuple[float, float]:
    """A minute: visits planned one by one, as their bookings do it, and bare rows."""
    from appointments import reminders

    sample = visits[:_SAMPLE]
    planning = _a_minute(len(sample), lambda: [reminders.plan(visit) for visit in sample])
    return planning, _a_minute(len(visits), lambda: _bare_rows(visits))


def found_visits(group: ours.Group, size: int) -> list[Appointment]:
    """One visit a patient, in two days, past the signals: nothing is planned yet."""
    from appointments.models import Appointment
    from core.models import Department, Location, Role, User

    location = Location.objects.create(tenant_id=group.tenant_id, name_en="Bench", name_ar="قياس")
    department = Department.objects.create(tenant_id=group.tenant_id, code="B", name_en="Bench")
    provider = User.objects.create(
        tenant_id=group.tenant_id, role=Role.PROVIDER, email="bench@clinic.example", name_en="Bench", location=location
    )
    first = dt.datetime.now(dt.UTC).replace(minute=0, second=0, microsecond=0) + dt.timedelta(days=2)
    rows = [
        Appointment(
            tenant_id=group.tenant_id,
            number=f"APT-{number:06d}",
            patient_id=patient_id,
            provider=provider,
            location=location,
            department=department,
            starts_at=first + dt.timedelta(minutes=number % 60),
            ends_at=first + dt.timedelta(minutes=number % 60 + 30),
        )
        for number, patient_id in enumerate(group.patient_ids[:size])
    ]
    return Appointment.objects.bulk_create(rows, batch_size=2000)


def hand_over(size: int) -> None:
    """The sweeps that beat would make, one after the other."""
    from appointments.reminders import send_due_reminders

    left = size
    while left > 0:
        sent = send_due_reminders()["sent"]
        if not sent:
            raise RuntimeError(f"{left} reminders did not leave")
        left -= sent


def _bare_rows(visits: list[Appointment]) -> None:
    from appointments.models import Reminder

    Reminder.objects.all().delete()
    moment = dt.datetime.now(dt.UTC)
    for first in range(0, len(visits), 500):
        Reminder.objects.bulk_create(
            Reminder(
                tenant_id=visit.tenant_id, appointment=visit, version=1, kind=kind, due_at=moment, expires_at=moment
            )
            for visit in visits[first : first + 500]
            for kind in ("24H", "2H")
        )


def _bare_events(tenant_id: uuid.UUID, size: int) -> None:
    from notifications.models import NotificationEvent

    for first in range(0, size, 500):
        NotificationEvent.objects.bulk_create(
            NotificationEvent(tenant_id=tenant_id, key="bench", dedupe_key=f"bench:{number}")
            for number in range(first, min(first + 500, size))
        )


def _a_minute(number: int, work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return 60 * number / (time.perf_counter() - began)
