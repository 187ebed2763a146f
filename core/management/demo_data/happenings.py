"""What happened, as events with their placeholders: one for every move and reminder of a visit.

The same keys, versions, payloads and contexts that ``appointments.signals`` and ``appointments.events`` would have
made, read from the rows in memory: asking the database for each of ten thousand messages would take minutes.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from appointments import reminders, tokens
from appointments.arrival_card import describe_checks
from appointments.events import ASK, NO_NEXT_STEPS, NO_REASON, PATIENTS_WISH, SHOW
from appointments.models import Appointment, Reminder
from core import phone
from core.arrival import open_points
from core.management.demo_data.build import Build
from core.management.demo_data.lives import Life, Step
from core.management.demo_data.people import People
from core.management.demo_data.visits import History
from core.models import Guardian, Location, Patient, Role, User
from notifications import address, rendering
from notifications.registry import Audience
from notifications.rendering import Code, Link, LocalDate, LocalTime

S = Appointment.Status
# The bells of staff hold the last days; the messages and their events a month.
BELL_DAYS = 4
MESSAGE_DAYS = 30
KEYS = {
    S.RESCHEDULED: "appointment.rescheduled",
    S.CONFIRMED: "appointment.confirmed",
    S.ARRIVED: "appointment.arrived",
    S.IN_PROGRESS: "appointment.in_progress",
    S.COMPLETED: "appointment.completed",
    S.CANCELLED: "appointment.cancelled",
    S.NO_SHOW: "appointment.no_show",
}


@dataclass(frozen=True, slots=True)
class Happening:
    """One business event and what its messages may say."""

    key: str
    at: dt.datetime
    dedupe: str
    context: Mapping[str, Any]
    object_type: str
    object_id: uuid.UUID | None
    version: int = 0
    actor: User | None = None
    payload: Mapping[str, Any] = field(default_factory=dict)
    patient: Patient | None = None
    users: Mapping[Audience, Sequence[User]] = field(default_factory=dict)
    location: Location | None = None
    useful_until: dt.datetime | None = None


def is_minor_on(build: Build, patient: Patient, day: dt.date) -> bool:
    return patient.age_on(day) < build.tenant.age_of_majority


def reader_of(build: Build, people: People, patient: Patient) -> Patient | Guardian | None:
    """Who reads about this patient: themselves, the verified guardian, or nobody."""
    if not is_minor_on(build, patient, build.today):
        return patient
    bond = people.speakers.get(patient.pk)
    return bond.guardian if bond is not None and bond.verified_at is not None else None


def base_context(build: Build, people: People, patient: Patient, location: Location, number: str) -> dict[str, Any]:
    """The placeholders that every message of a clinic may use."""
    reader = reader_of(build, people, patient)
    return {
        **rendering.for_reader(address.values_for(patient), reader),
        "patient_name": patient,
        "recipient_name": reader or patient,
        "clinic_name": build.tenant,
        "location_name": location,
        "number": Code(number),
        "phone": Code(phone.display(location.phone)),
    }


def of_visits(build: Build, people: People, history: History) -> Iterator[Happening]:
    """Everything that happened to the visits since a month ago, in no particular order."""
    since = build.now - dt.timedelta(days=MESSAGE_DAYS)
    for life in history.lives:
        teller = _Teller(build, people, history, life)
        for step in life.steps:
            if step.at >= since:
                yield from teller.of_step(step)
    for life, reminder in history.reminders:
        if reminder.status == Reminder.Status.SENT and reminder.updated_at >= since:
            yield _Teller(build, people, history, life).of_reminder(reminder)


class _Teller:
    """Reads one visit as it stood at each of its steps."""

    def __init__(self, build: Build, people: People, history: History, life: Life) -> None:
        self.build = build
        self.people = people
        self.history = history
        self.life = life
        self.visit = life.visit

    def of_step(self, step: Step) -> Iterator[Happening]:
        move = self.history.moves[id(step)]
        payload = {"reason": step.reason, **step.details}
        if step.to == S.BOOKED:
            yield self._happening("appointment.new", step, str(move.pk), payload)
            yield self._happening("appointment.booked", step, str(move.pk), payload)
            return
        yield self._happening(KEYS[S(step.to)], step, str(move.pk), payload)
        if step.to == S.CONFIRMED and step.actor is None:
            token = self.history.codes[self.visit.pk, step.version]
            yield self._happening("appointment.confirmed_by_patient", step, str(token.pk), {})

    def of_reminder(self, reminder: Reminder) -> Happening:
        began = self.life.version_began(reminder.version)
        at = reminder.updated_at
        context = self._context(began)
        context["link_note"] = SHOW if self.life.status_at(at) == S.CONFIRMED else ASK
        return Happening(
            key=reminders.EVENT_KEYS[Reminder.Kind(reminder.kind)],
            at=at,
            dedupe=f"{self.visit.pk}:{reminder.version}:{reminder.kind}",
            context=context,
            object_type="appointments.appointment",
            object_id=self.visit.pk,
            version=reminder.version,
            patient=self.visit.patient,
            location=self.visit.location,
            useful_until=reminder.expires_at,
        )

    def _happening(self, key: str, step: Step, dedupe: str, payload: Mapping[str, Any]) -> Happening:
        return Happening(
            key=key,
            at=step.at,
            dedupe=dedupe,
            context=self._context(step),
            object_type="appointments.appointment",
            object_id=self.visit.pk,
            version=step.version,
            actor=step.actor,
            payload=payload,
            patient=self.visit.patient,
            users=self._users(step),
            location=self.visit.location,
            useful_until=self._useful_until(key, step),
        )

    def _users(self, step: Step) -> Mapping[Audience, Sequence[User]]:
        """Nobody is told what he did himself; the desk only what the patient did."""
        provider = self.visit.provider
        desk = [
            user
            for user in self.build.staff(Role.FRONT_DESK)
            if user.location is None or user.location == self.visit.location
        ]
        return {
            Audience.PROVIDER: [] if step.actor is provider else [provider],
            Audience.FRONT_DESK: desk if step.actor is None else [],
        }

    def _useful_until(self, key: str, step: Step) -> dt.datetime | None:
        if key in ("appointment.completed", "appointment.no_show"):
            return step.at + dt.timedelta(days=3)
        if key in ("appointment.arrived", "appointment.in_progress", "appointment.confirmed_by_patient"):
            return None
        return step.starts_at

    def _context(self, step: Step) -> dict[str, Any]:
        visit = self.visit
        local = step.starts_at.astimezone(visit.location.zone)
        by_patient = step.details.get("by") == Appointment.CancelledBy.PATIENT
        context = base_context(self.build, self.people, visit.patient, visit.location, visit.number) | {
            "provider_name": visit.provider,
            "date": LocalDate(local.date()),
            "time": LocalTime(local.time()),
            "link": Link(tokens.address(self.history.codes[visit.pk, step.version])),
            "reason": step.reason.rstrip(" .،؛") or (PATIENTS_WISH if by_patient else NO_REASON),
            "next_steps": step.details.get("next_steps") or NO_NEXT_STEPS,
        }
        if "old_starts_at" in step.details:
            old = dt.datetime.fromisoformat(step.details["old_starts_at"]).astimezone(visit.location.zone)
            context |= {"old_date": LocalDate(old.date()), "old_time": LocalTime(old.time())}
        if step.to == S.ARRIVED and step.at >= self.build.now - dt.timedelta(days=BELL_DAYS):
            context["open_points"] = describe_checks(open_points(visit))
        return context
