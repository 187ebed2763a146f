"""What must be clear when a patient arrives: a register of checks, one answer each.

Apps register their check from ``AppConfig.ready()``: core the consent, finance the clearance. The arrival alert and the
appointment's page ask here, so that appointments and finance need not know each other. Whoever changes what a check would
answer says so with ``checks_changed``, in the transaction of the change: the cards that show it are drawn anew.
Must never import anything of the other apps.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from django.dispatch import Signal

from core.models import Department, Location, Patient
from core.models.tenant import in_language


class Visit(Protocol):
    """As much of an appointment as a check may need."""

    @property
    def pk(self) -> uuid.UUID: ...
    @property
    def starts_at(self) -> dt.datetime: ...
    @property
    def patient(self) -> Patient: ...
    @property
    def department(self) -> Department: ...
    @property
    def location(self) -> Location: ...


@dataclass(frozen=True, slots=True)
class Check:
    """One answer: “Consent: missing”."""

    name_en: str
    name_ar: str
    status_en: str
    status_ar: str
    is_clear: bool

    @property
    def name(self) -> str:
        return in_language(self.name_en, self.name_ar)

    @property
    def status(self) -> str:
        return in_language(self.status_en, self.status_ar)


class DuplicateCheck(Exception):
    """Two checks with one name."""


# Visit id → the answer, for any number of visits: a list of arrivals asks once.
CheckFunction = Callable[[Sequence[Visit]], Mapping[uuid.UUID, Check]]
_CHECKS: dict[str, CheckFunction] = {}


# What a check would answer has changed. Sent with ``patient_id``, and ``appointment_id`` where it is one visit's.
checks_changed = Signal()


def register_check(name: str, function: CheckFunction) -> None:
    """Adds a check. A name that comes twice fails at start."""
    if name in _CHECKS:
        raise DuplicateCheck(name)
    _CHECKS[name] = function


def open_points(appointment: Visit) -> list[Check]:
    """The answer of every check, clear or not, in the order of registration; read afresh each time."""
    return open_points_of([appointment])[appointment.pk]


def open_points_of(visits: Sequence[Visit]) -> dict[uuid.UUID, list[Check]]:
    """``open_points`` of many: visit id → its answers. A handful of queries, however many there are."""
    answers = [check(visits) for check in _CHECKS.values()] if visits else []
    return {visit.pk: [answer[visit.pk] for answer in answers] for visit in visits}
