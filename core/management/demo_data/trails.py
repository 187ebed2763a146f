"""Who looked at what was written to patients, and who signed in: the logs of the last days."""

from __future__ import annotations

import datetime as dt

from core.management.demo_data.build import Build, save
from core.models import AuditEvent, Look, Role, User
from notifications.models import Message

LOOKS = 60
DAYS = 6


def build_trails(build: Build) -> None:
    """The desk and the admins open messages, files and visits in working hours; each day begins with a sign-in."""
    people = [*build.staff(Role.ADMIN), *build.staff(Role.FRONT_DESK)]
    save(_looks(build, people), _sign_ins(build, people))


def _working_hour(build: Build, days_ago: int) -> dt.datetime:
    day = build.today - dt.timedelta(days=days_ago)
    return min(build.between(build.at(day, dt.time(8)), build.at(day, dt.time(17))), build.now)


def _looks(build: Build, people: list[User]) -> list[Look]:
    recent = list(
        Message.objects.filter(patient__isnull=False, created_at__lt=build.now - dt.timedelta(hours=36))
        .order_by("-created_at", "pk")
        .values_list("pk", "patient_id", "created_at")[:400]
    )
    rows = []
    for pk, patient_id, written_at in build.rng.sample(recent, min(LOOKS, len(recent))):
        page = build.rng.choice([Look.Page.MESSAGE, Look.Page.MESSAGE, Look.Page.PATIENT, Look.Page.APPOINTMENT])
        rows.append(
            Look(
                id=build.new_id(),
                tenant=build.tenant,
                user=build.rng.choice(people),
                patient_id=patient_id,
                message=pk if page == Look.Page.MESSAGE else None,
                page=page,
                seen_at=build.after(written_at, 60, 36 * 3600),
            )
        )
    return rows


def _sign_ins(build: Build, people: list[User]) -> list[AuditEvent]:
    rows = []
    for days_ago in range(DAYS):
        for person in people:
            if build.chance(0.2):
                continue
            at = _working_hour(build, days_ago)
            actions = ["sign_in.failed", "sign_in.done"] if build.chance(0.15) else ["sign_in.done"]
            for number, action in enumerate(actions):
                rows.append(
                    AuditEvent(
                        id=build.new_id(),
                        tenant=build.tenant,
                        actor=person if action == "sign_in.done" else None,
                        action=action,
                        object_type=User._meta.label_lower,
                        object_id=person.pk,
                        created_at=at - dt.timedelta(seconds=20 * (len(actions) - 1 - number)),
                    )
                )
    return rows
