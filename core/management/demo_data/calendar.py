"""Who is seen when: working days, the providers' slots, and a patient for each. No row is written here."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from core.management.demo_data.build import Build
from core.management.demo_data.clinics import ProviderPlan
from core.management.demo_data.people import People
from core.models import Location, Patient

PAST_DAYS = 30
FUTURE_DAYS = 14
# Three providers: fifteen to twenty-one visits on a working day, fewer towards the end of the second week.
VISITS_A_PROVIDER = (5, 7)
FIRST_VISIT = dt.time(9)
LAST_END = dt.time(17)
BREAK = (dt.time(12, 30), dt.time(13, 30))
# The story patient came on every fifth working day: a history, but no visit that is still to come.
STORY_EVERY = 5
MOURNED = dt.timedelta(days=9)

# What stands on the calendar already: (provider's email, patient's id, start, end)
Taken = Sequence[tuple[str, object, dt.datetime, dt.datetime]]


@dataclass(frozen=True, slots=True)
class Slot:
    """One visit on the calendar."""

    plan: ProviderPlan
    patient: Patient
    location: Location
    starts_at: dt.datetime
    # Who gets no message cannot answer one.
    is_reached: bool

    @property
    def ends_at(self) -> dt.datetime:
        return self.starts_at + dt.timedelta(minutes=self.plan.minutes)

    @property
    def department(self) -> str:
        return self.plan.children if self.patient.is_minor else self.plan.adults


def is_open(build: Build, day: dt.date) -> bool:
    return day.weekday() not in build.plan.weekend


def working_days(build: Build, first: dt.date, last: dt.date) -> list[dt.date]:
    """The clinic's working days, both ends included."""
    days = [first + dt.timedelta(days=n) for n in range((last - first).days + 1)]
    return [day for day in days if is_open(build, day)]


def fill(build: Build, people: People, days: Sequence[dt.date], taken: Taken = ()) -> list[Slot]:
    """Slots for those days, in the order of time, around what is ``taken``."""
    slots: list[Slot] = []
    story_days = [day for day in days if day < build.today][-STORY_EVERY::-STORY_EVERY]
    for day in days:
        there = [row for row in taken if row[2].astimezone(build.zone).date() == day]
        seen = {patient_id for _email, patient_id, _start, _end in there}
        for plan in build.plan.providers:
            low, high = VISITS_A_PROVIDER
            if (day - build.today).days > 7:
                low, high = low - 1, high - 1
            busy = [(start, end) for email, _patient, start, end in there if email == plan.email]
            free = [start for start in _starts(build, day, plan.minutes) if _is_free(start, plan.minutes, busy)]
            wanted = min(build.rng.randint(low, high), len(free))
            for start in sorted(build.rng.sample(free, wanted)):
                is_story = plan is build.plan.providers[0] and day in story_days and people.story.pk not in seen
                patient = people.story if is_story else _pick(build, people, plan, day, seen)
                seen.add(patient.pk)
                place = _location(build, plan, day)
                slots.append(Slot(plan, patient, place, start, not people.is_hard_to_reach(patient)))
    return sorted(slots, key=lambda slot: (slot.starts_at, slot.plan.email))


def _starts(build: Build, day: dt.date, minutes: int) -> list[dt.datetime]:
    """The starts of a provider's day, around the break."""
    starts = []
    for opens, closes in ((FIRST_VISIT, BREAK[0]), (BREAK[1], LAST_END)):
        start = build.at(day, opens)
        while start + dt.timedelta(minutes=minutes) <= build.at(day, closes):
            starts.append(start)
            start += dt.timedelta(minutes=minutes)
    return starts


def _is_free(start: dt.datetime, minutes: int, busy: Sequence[tuple[dt.datetime, dt.datetime]]) -> bool:
    end = start + dt.timedelta(minutes=minutes)
    return all(end <= other_start or start >= other_end for other_start, other_end in busy)


def _location(build: Build, plan: ProviderPlan, day: dt.date) -> Location:
    """Each provider spends Tuesdays at the other location."""
    return build.locations[1 - plan.place if day.weekday() == 1 else plan.place]


def _pick(build: Build, people: People, plan: ProviderPlan, day: dt.date, seen: set[object]) -> Patient:
    """Somebody who was not here today yet; children mostly with the speech therapist, adults with the others."""
    candidates = [
        patient
        for patient in people.patients
        if patient.pk not in seen
        and patient is not people.story
        # Somebody died with visits still on the calendar: they were called off, and nobody was written to.
        and (patient.deceased_at is None or day <= patient.deceased_at + MOURNED)
    ]
    likes_children = {"SPE": 4.0, "PED": 2.5}.get(plan.children, 0.5)
    weights = []
    for patient in candidates:
        weight = likes_children if patient.is_minor else 1.0
        if people.is_hard_to_reach(patient):
            weight *= 0.3
        elif patient.deceased_at is not None or int(patient.mrn) % 3 == 0:
            weight *= 2
        weights.append(weight)
    return build.rng.choices(candidates, weights=weights)[0]
