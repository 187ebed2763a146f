"""The life of one visit: booked, perhaps moved, confirmed, and how it ended; each step with its time and its actor.

Makes rows in memory only; ``visits`` saves them with what hangs on them.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import Any

from appointments.models import Appointment
from core.management.demo_data import names
from core.management.demo_data.build import Build
from core.management.demo_data.calendar import FIRST_VISIT, LAST_END, Slot, is_open
from core.management.demo_data.names import Pair
from core.models import Language, Role, User

S = Appointment.Status
By = Appointment.CancelledBy
DAY = dt.timedelta(days=1)
HOUR = dt.timedelta(hours=1)
MINUTE = dt.timedelta(minutes=1)

# Shares of visits, after the experience of Saudi outpatient clinics that remind by message.
MOVED = 0.08
CANCELLED = 0.09
CANCELLED_BY_PATIENT = 0.6
NO_SHOW = 0.07
SAME_DAY = 0.1


@dataclass(frozen=True, slots=True)
class Step:
    """One accepted move, and where the visit stood after it."""

    at: dt.datetime
    to: str
    version: int
    starts_at: dt.datetime
    actor: User | None
    reason: str = ""
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Life:
    """A visit and its steps, in order."""

    visit: Appointment
    steps: list[Step]

    def step(self, status: str, version: int | None = None) -> Step | None:
        """The first step to that status."""
        return next((s for s in self.steps if s.to == status and version in (None, s.version)), None)

    def version_began(self, version: int) -> Step:
        return next(s for s in self.steps if s.version == version)

    def status_at(self, moment: dt.datetime) -> str:
        """The status at that moment; empty before the booking."""
        status = ""
        for step in self.steps:
            if step.at <= moment:
                status = step.to
        return status


def live(build: Build, slot: Slot) -> Life:
    """Rolls the dice for one visit up to the present moment."""
    visit = Appointment(
        id=build.new_id(),
        tenant=build.tenant,
        patient=slot.patient,
        provider=build.users[slot.plan.email],
        location=slot.location,
        department=build.departments[slot.department],
        starts_at=slot.starts_at,
        ends_at=slot.ends_at,
        notes=build.rng.choice(names.NOTES) if build.chance(0.3) else "",
        booked_by=build.rng.choice(build.staff(Role.FRONT_DESK)),
    )
    return _Roll(build, visit, is_reached=slot.is_reached).life()


def finish(build: Build, visit: Appointment) -> Life:
    """Rolls on for a visit whose time has passed; the life holds the new steps only."""
    roll = _Roll(build, visit)
    roll.steps.append(Step(visit.updated_at, visit.status, visit.version, visit.starts_at, None))
    roll.happen()
    life = roll.done()
    return Life(visit, life.steps[1:])


class _Roll:
    def __init__(self, build: Build, visit: Appointment, *, is_reached: bool = True) -> None:
        self.build = build
        self.is_reached = is_reached
        self.visit = visit
        self.steps: list[Step] = []

    def life(self) -> Life:
        self._book()
        if self._died_before():
            self._cancel_for_good()
            return self.done()
        if self.build.chance(MOVED):
            self._move()
        if self.build.chance(CANCELLED) and self._cancel():
            return self.done()
        self._confirm()
        self.happen()
        return self.done()

    # --- before the visit -------------------------------------------------------------------------------------------

    def _book(self) -> None:
        start = self.visit.starts_at
        latest = min(start - 2 * HOUR, self.build.now - 10 * MINUTE)
        if self._died_before():
            assert self.visit.patient.deceased_at is not None
            latest = self.build.at(self.visit.patient.deceased_at, dt.time()) - 6 * HOUR
        earliest = min(start - 12 * DAY, self.build.now - 8 * DAY)
        if start - 20 * HOUR < latest and self.build.chance(SAME_DAY):
            earliest = start - 20 * HOUR
        at = self._office_time(min(earliest, latest - HOUR), latest)
        self._step(at, S.BOOKED, self.visit.booked_by)

    def _move(self) -> None:
        """The visit was first planned for another day; it moved here some time before both."""
        booked = self.steps[0]
        original = self.visit.starts_at + self.build.rng.choice((-2, -1, 1, 2, 3)) * DAY
        if not is_open(self.build, original.astimezone(self.build.zone).date()):
            return
        latest = min(original - 3 * HOUR, self.visit.starts_at - 3 * HOUR, self.build.now - 5 * MINUTE)
        if latest <= booked.at + HOUR:
            return
        self.steps[0] = Step(booked.at, S.BOOKED, 1, original, booked.actor)
        self.visit.version = 2
        at = self._office_time(booked.at + HOUR, latest)
        reason = self._words(self.build.rng.choice(names.RESCHEDULE_REASONS))
        details = {"old_starts_at": original.isoformat(), "old_provider_id": str(self.visit.provider.pk)}
        self._step(at, S.RESCHEDULED, self.visit.booked_by, reason, details)

    def _cancel(self) -> bool:
        latest = min(self.visit.starts_at - HOUR, self.build.now - 5 * MINUTE)
        if latest <= self.steps[-1].at + 30 * MINUTE:
            return False
        if self.is_reached and self.build.chance(CANCELLED_BY_PATIENT):
            at = self.build.between(max(self.steps[-1].at + 20 * MINUTE, latest - 2 * DAY), latest)
            reason = self._words(self.build.rng.choice(names.PATIENT_CANCELS)) if self.build.chance(0.5) else ""
            self.visit.cancelled_by = By.PATIENT
            self._step(at, S.CANCELLED, None, reason, {"by": By.PATIENT.value})
        else:
            at = self._office_time(max(self.steps[-1].at + 20 * MINUTE, latest - 2 * DAY), latest)
            reason = self._words(self.build.rng.choice(names.CLINIC_CANCELS))
            self.visit.cancelled_by = By.CLINIC
            self._step(at, S.CANCELLED, self.visit.booked_by, reason, {"by": By.CLINIC.value})
        self.visit.reason = self.steps[-1].reason or self.visit.reason
        return True

    def _died_before(self) -> bool:
        died = self.visit.patient.deceased_at
        return died is not None and self.visit.starts_at.astimezone(self.build.zone).date() >= died

    def _cancel_for_good(self) -> None:
        """The family called the clinic on the day."""
        died = self.visit.patient.deceased_at
        assert died is not None
        at = self.build.between(self.build.at(died, dt.time(9, 5)), self.visit.starts_at - 10 * MINUTE)
        self.visit.cancelled_by = By.CLINIC
        at = min(at, self.build.at(died, dt.time(16, 30)))
        self._step(at, S.CANCELLED, self.visit.booked_by, self._words(names.DEATH), {"by": By.CLINIC.value})

    def _confirm(self) -> None:
        """Most answer the link within hours, some after the reminder of the day before, some at the desk."""
        begun = self.steps[-1]
        start = self.visit.starts_at
        latest = min(start - 30 * MINUTE, self.build.now - 2 * MINUTE)
        far = start > self.build.now + 3 * DAY
        if latest <= begun.at + 3 * MINUTE or not self.build.chance(0.5 if far else 0.86):
            return
        by_patient = self.is_reached and self.build.chance(0.75)
        reminder = start - DAY
        if by_patient and self.build.chance(0.35) and begun.at < reminder and reminder + 2 * HOUR < latest:
            at = self.build.after(reminder, 120, 7000)
        elif by_patient:
            at = self.build.between(begun.at + 2 * MINUTE, min(begun.at + 6 * HOUR, latest))
        else:
            at = self._office_time(begun.at + 2 * MINUTE, latest)
        by = By.PATIENT if by_patient else By.CLINIC
        self.visit.confirmed_at = at
        self.visit.reason = ""
        self._step(at, S.CONFIRMED, None if by_patient else self.visit.booked_by, "", {"by": by.value})

    # --- the visit itself -------------------------------------------------------------------------------------------

    def happen(self) -> None:
        """Stays away, or comes, is seen and goes; as far as that lies before now."""
        build, visit, now = self.build, self.visit, self.build.now
        if visit.arrived_at is None:
            if build.chance(NO_SHOW):
                self._stay_away()
                return
            self._arrive()
        if visit.arrived_at is not None and visit.started_at is None:
            started = max(build.after(visit.starts_at, 0, 5 * 60), visit.arrived_at + MINUTE)
            if started < now:
                visit.started_at = started
                self._step(started, S.IN_PROGRESS, visit.provider)
        if visit.started_at is None:
            return
        completed = max(build.after(visit.ends_at, -6 * 60, -10), visit.started_at + 5 * MINUTE)
        if completed >= now:
            return
        visit.completed_at = completed
        steps = {"next_steps": self._words(build.rng.choice(names.NEXT_STEPS))} if build.chance(0.8) else {}
        self._step(completed, S.COMPLETED, visit.provider, "", steps)

    def _stay_away(self) -> None:
        at = self.build.after(self.visit.starts_at, 16 * 60, 40 * 60)
        if at < self.build.now:
            self.visit.no_show_at = at
            self._step(at, S.NO_SHOW, self.visit.booked_by)

    def _arrive(self) -> None:
        build, visit, now = self.build, self.visit, self.build.now
        arrived = max(build.after(visit.starts_at, -18 * 60, 3 * 60), self.steps[-1].at + MINUTE)
        if now <= arrived and visit.starts_at < now + 50 * MINUTE and build.chance(0.7):
            # Early birds, so that the waiting room is never empty when somebody looks.
            arrived = max(build.after(now, -15 * 60, -2 * 60), self.steps[-1].at + MINUTE)
        if arrived < now:
            visit.arrived_at = arrived
            self._step(arrived, S.ARRIVED, visit.booked_by)

    # --- helpers ----------------------------------------------------------------------------------------------------

    def done(self) -> Life:
        first, last = self.steps[0], self.steps[-1]
        self.visit.status = last.to
        self.visit.created_at = self.visit.created_at or first.at
        self.visit.updated_at = last.at
        return Life(self.visit, self.steps)

    def _step(
        self, at: dt.datetime, to: str, actor: User | None, reason: str = "", details: dict[str, Any] | None = None
    ) -> None:
        if reason:
            self.visit.reason = reason
        self.steps.append(Step(at, to, self.visit.version, self.visit.starts_at, actor, reason, details or {}))

    def _words(self, pair: Pair) -> str:
        """The desk writes the reason in the language of the patient."""
        return pair.ar if self.visit.patient.language == Language.ARABIC else pair.en

    def _office_time(self, low: dt.datetime, high: dt.datetime) -> dt.datetime:
        """A moment between the two when somebody is at the desk, if there is one."""
        for _ in range(8):
            at = self.build.between(low, high)
            local = at.astimezone(self.build.zone)
            if is_open(self.build, local.date()) and FIRST_VISIT <= local.time() < LAST_END:
                return at
        return self.build.between(low, high)
