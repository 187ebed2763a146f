"""Saves the visits and what hangs on them: numbers, history, links, reminders, sub-files, consents, audit."""

from __future__ import annotations

import datetime as dt
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field

from appointments import reminders, tokens
from appointments.models import Appointment, AppointmentEvent, ConfirmationToken, Reminder
from appointments.states import AWAITED
from core.management.demo_data import build as building
from core.management.demo_data.build import Build
from core.management.demo_data.calendar import Slot
from core.management.demo_data.lives import Life, Step, live
from core.models import AuditEvent, ConsentVerification, NumberSequence, Patient, Role, SubFile
from notifications.states import Reason

S = Appointment.Status
Consent = ConsentVerification.Status
# The moves that the services audit, and under which name.
AUDITED = {
    S.BOOKED: "appointment.booked",
    S.RESCHEDULED: "appointment.rescheduled",
    S.CANCELLED: "appointment.cancelled",
    S.NO_SHOW: "appointment.no_show",
}


@dataclass(slots=True)
class History:
    """The visits with their rows, for the builders that come after."""

    lives: list[Life]
    # step → its row in the visit's history (``Step`` objects are unique, so their id is the key)
    moves: dict[int, AppointmentEvent] = field(default_factory=dict)
    codes: dict[tuple[object, int], ConfirmationToken] = field(default_factory=dict)
    reminders: list[tuple[Life, Reminder]] = field(default_factory=list)


def build_visits(build: Build, slots: Sequence[Slot]) -> History:
    """Rolls a life for each slot and saves it."""
    history = History([live(build, slot) for slot in slots])
    history.lives.sort(key=lambda life: life.steps[0].at)
    _number(build, history.lives)
    for life in history.lives:
        _history_rows(build, history, life)
        _links(build, history, life)
        _reminders(build, history, life)
    building.save(
        [life.visit for life in history.lives],
        sorted(history.moves.values(), key=lambda move: move.created_at),
        list(history.codes.values()),
        [reminder for _life, reminder in history.reminders],
    )
    _subfiles(build, history)
    _audit(build, history)
    return history


def _number(build: Build, lives: Sequence[Life]) -> None:
    """APT-2026-000001 and so on, in the order of booking; the counters stand where the next booking goes on."""
    counters: dict[int, NumberSequence] = {}
    for life in lives:
        year = life.visit.created_at.astimezone(build.zone).year
        if year not in counters:
            counters[year] = build.counter(f"appointment:{year}")
        counters[year].value += 1
        life.visit.number = f"APT-{year}-{counters[year].value:06d}"
    for counter in counters.values():
        counter.save()


def _history_rows(build: Build, history: History, life: Life) -> None:
    was = ""
    for step in life.steps:
        history.moves[id(step)] = AppointmentEvent(
            id=build.new_id(),
            tenant_id=build.tenant.pk,
            appointment_id=life.visit.pk,
            version=step.version,
            from_status=was,
            to_status=step.to,
            actor=step.actor,
            reason=step.reason,
            details=step.details,
            created_at=step.at,
        )
        was = step.to


def _links(build: Build, history: History, life: Life) -> None:
    """One code a version; dead when used, when the visit moved, and from the arrival on."""
    for version in range(1, life.visit.version + 1):
        began = life.version_began(version)
        used = next((s for s in life.steps if s.version == version and s.at > began.at and s.actor is None), None)
        ended = next((s for s in life.steps if s.at > began.at and (s.version > version or s.to not in AWAITED)), None)
        history.codes[life.visit.pk, version] = ConfirmationToken(
            id=build.new_id(),
            tenant=build.tenant,
            appointment=life.visit,
            version=version,
            # The one thing that is not from the dice: a link that can be guessed would be no secret.
            code="".join(secrets.choice(tokens.ALPHABET) for _letter in range(tokens.CODE_LENGTH)),
            expires_at=began.starts_at,
            used_at=used.at if used else None,
            revoked_at=ended.at if ended else None,
            created_at=began.at,
        )


def _reminders(build: Build, history: History, life: Life) -> None:
    """What ``appointments.reminders.plan`` would have planned, and what became of it by now."""
    for version in range(1, life.visit.version + 1):
        began = life.version_began(version)
        for kind, due_at, expires_at in _planned(life.visit, began):
            if due_at <= began.at:
                continue
            status, reason, changed_at = _outcome(build, life, version, due_at, began.at)
            row = Reminder(
                id=build.new_id(),
                tenant=build.tenant,
                appointment=life.visit,
                version=version,
                kind=kind,
                due_at=due_at,
                expires_at=expires_at,
                status=status,
                reason=reason,
                created_at=began.at,
                updated_at=changed_at,
            )
            history.reminders.append((life, row))


def _planned(visit: Appointment, began: Step) -> list[tuple[Reminder.Kind, dt.datetime, dt.datetime]]:
    """Kind, due time and deadline of both reminders, for the start the visit had in that version."""
    as_it_was = Appointment(starts_at=began.starts_at, location=visit.location)
    return [
        (kind, due_at, reminders.useful_until(as_it_was, kind))
        for kind, due_at in reminders.due_times(as_it_was).items()
    ]


def _outcome(
    build: Build, life: Life, version: int, due_at: dt.datetime, began: dt.datetime
) -> tuple[str, str, dt.datetime]:
    """Status, reason and time of the last change."""
    ended = next((s for s in life.steps if s.at > began and (s.version > version or s.to not in AWAITED)), None)
    if ended is not None and ended.at <= due_at:
        reason = Reason.STALE_VERSION if ended.version > version else Reason.STATUS_NOT_ELIGIBLE
        return Reminder.Status.CANCELLED, reason, ended.at
    if due_at > build.now:
        return Reminder.Status.PLANNED, "", began
    return Reminder.Status.SENT, "", build.after(due_at, 1, 19)


def _subfiles(build: Build, history: History) -> None:
    """A file with the first visit in a department, and the outcome of the consent check in it."""
    there = set(SubFile.objects.values_list("patient_id", "department_id"))
    files: list[SubFile] = []
    consents: list[ConsentVerification] = []
    for life in history.lives:
        visit = life.visit
        key = (visit.patient.pk, visit.department.pk)
        if key in there:
            continue
        there.add(key)
        opened_at = life.steps[0].at
        file = SubFile(
            id=build.new_id(),
            tenant=build.tenant,
            patient=visit.patient,
            department=visit.department,
            number=f"{visit.patient.mrn}-{visit.department.code}",
            opened_at=opened_at,
        )
        files.append(file)
        consent = _consent(build, file, visit.patient)
        if consent is not None:
            consents.append(consent)
    building.save(files, consents)


def _consent(build: Build, file: SubFile, patient: Patient) -> ConsentVerification | None:
    """Mostly verified; some ran out, some were never signed, a few withdrawn."""
    dice = build.rng.random()
    today = build.today
    status, valid_until = Consent.VERIFIED, today + dt.timedelta(days=build.rng.randint(60, 330))
    if patient.user is None:
        if dice < 0.08:
            return None
        if dice < 0.14:
            status, valid_until = Consent.MISSING, None
        elif dice < 0.24:
            valid_until = today - dt.timedelta(days=build.rng.randint(1, 20))
        elif dice < 0.26:
            status, valid_until = Consent.WITHDRAWN, None
    return ConsentVerification(
        id=build.new_id(),
        tenant=build.tenant,
        subfile=file,
        status=status,
        verified_by=build.rng.choice(build.staff(Role.FRONT_DESK)),
        valid_until=valid_until,
        created_at=build.after(file.opened_at, 60, 1200),
    )


def _audit(build: Build, history: History) -> None:
    rows = []
    for life in history.lives:
        was: dict[str, object] = {}
        for step in life.steps:
            now = {
                "status": str(step.to),
                "version": step.version,
                "starts_at": step.starts_at.isoformat(),
                "provider_id": str(life.visit.provider.pk),
                "reason": step.reason,
            }
            action = AUDITED.get(S(step.to))
            if action is not None and step.actor is not None:
                rows.append(
                    AuditEvent(
                        id=build.new_id(),
                        tenant=build.tenant,
                        actor=step.actor,
                        action=action,
                        object_type="appointments.appointment",
                        object_id=life.visit.pk,
                        before=was,
                        after=now,
                        created_at=step.at,
                    )
                )
            was = now
    building.save(rows)
