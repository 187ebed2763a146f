"""The only writer of the desk's tasks: opened once for one thing, ended by a person or by what it was about.

Needs the tenant's scope open. Its page is the desk's work list.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Collection, Mapping
from typing import Any

from django.db import transaction
from django.db.models import F, Model, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from core import audit
from core.access import Can
from core.errors import DomainError
from core.models import Location, Patient, Role, User
from core.permissions import demand
from notifications.models import DeskTask
from notifications.states import TaskKind, TaskState

NOTE_LENGTH = 300


def open_task(
    kind: TaskKind,
    *,
    tenant_id: uuid.UUID,
    key: str,
    patient: Patient | None = None,
    obj: Model | None = None,
    location: Location | None = None,
    role: Role = Role.FRONT_DESK,
    due_at: dt.datetime | None = None,
    is_urgent: bool = False,
    details: Mapping[str, Any] | None = None,
) -> DeskTask:
    """Opens it, or returns the open one with the same ``kind`` and ``key``: nobody has to do the same thing twice."""
    task, _is_new = DeskTask.objects.get_or_create(
        tenant_id=tenant_id,
        key=f"{kind.value}:{key}",
        state=TaskState.OPEN,
        defaults={
            "kind": kind,
            "role": role,
            "patient": patient,
            "location": location,
            "object_type": obj._meta.label_lower if obj is not None else "",
            "object_id": obj.pk if obj is not None else None,
            "due_at": due_at,
            "is_urgent": is_urgent,
            "details": dict(details or {}),
        },
    )
    return task


def open_for_patients(kind: TaskKind, *, tenant_id: uuid.UUID, objects: Mapping[uuid.UUID, Model]) -> None:
    """``open_task`` for many, one a patient, in two statements. ``objects``: patient id → what it is about."""
    keys = {patient_id: f"{kind.value}:{patient_id}" for patient_id in objects}
    there = DeskTask.objects.filter(key__in=keys.values(), state=TaskState.OPEN)
    known = set(there.values_list("patient_id", flat=True))
    DeskTask.objects.bulk_create(
        [
            DeskTask(
                tenant_id=tenant_id,
                kind=kind,
                key=keys[patient_id],
                patient_id=patient_id,
                object_type=obj._meta.label_lower,
                object_id=obj.pk,
            )
            for patient_id, obj in objects.items()
            if patient_id not in known
        ],
        ignore_conflicts=True,
    )


def add_details(task: DeskTask, details: Mapping[str, Any]) -> None:
    """Somebody has said more about it meanwhile. Ids, dates and codes only, like the details it was opened with."""
    task.details = {**task.details, **details}
    DeskTask.objects.filter(pk=task.pk, state=TaskState.OPEN).update(details=task.details)


def replace_details(task: DeskTask, details: Mapping[str, Any]) -> None:
    """The same, where something is to be forgotten."""
    task.details = dict(details)
    DeskTask.objects.filter(pk=task.pk, state=TaskState.OPEN).update(details=task.details)


@transaction.atomic
def complete(*, task: DeskTask, actor: User, note: str = "") -> bool:
    """A person has done it. False when somebody, or the thing itself, was faster."""
    demand(actor, Can.SEND_MESSAGES, task)
    text = " ".join(note.split())
    if len(text) > NOTE_LENGTH:
        raise DomainError(_("The note is too long."), code="note_too_long")
    ended = _end(DeskTask.objects.filter(pk=task.pk), TaskState.DONE, actor=actor, note=text)
    if ended:
        audit.record(
            tenant_id=task.tenant_id, actor=actor, action="desk_task.done", obj=task, after={"kind": task.kind}
        )
    return bool(ended)


def listed(*, kind: str = "", is_ended: bool = False) -> QuerySet[DeskTask]:
    """The page's rows: what is open, the most urgent and the oldest first; or what has ended, the latest first."""
    rows = DeskTask.objects.select_related("patient", "location", "ended_by")
    if kind:
        rows = rows.filter(kind=kind)
    if is_ended:
        return rows.exclude(state=TaskState.OPEN).order_by("-ended_at", "-pk")
    return rows.filter(state=TaskState.OPEN).order_by(
        "-is_urgent", F("due_at").asc(nulls_last=True), "created_at", "pk"
    )


def open_about(object_id: uuid.UUID, kinds: Collection[TaskKind]) -> QuerySet[DeskTask]:
    """What is still to do about a thing."""
    return DeskTask.objects.filter(object_id=object_id, kind__in=kinds, state=TaskState.OPEN)


def end_for_object(object_id: uuid.UUID, kinds: Collection[TaskKind]) -> int:
    """What these were about has changed: nobody need do them any more."""
    return _end(DeskTask.objects.filter(object_id=object_id, kind__in=kinds), TaskState.OVER)


def end_by_key(kind: TaskKind, key: str) -> int:
    """The same by the key with which it was opened."""
    return _end(DeskTask.objects.filter(key=f"{kind.value}:{key}"), TaskState.OVER)


def _end(rows: QuerySet[DeskTask], state: TaskState, *, actor: User | None = None, note: str = "") -> int:
    return rows.filter(state=TaskState.OPEN).update(state=state, ended_at=timezone.now(), ended_by=actor, note=note)
