"""What must be clear when a patient arrives: a register of checks, one answer each.

Apps register their check from ``AppConfig.ready()``: core the consent, finance the clearance. The arrival alert and the
appointment's page ask here, so that appointments and finance need not know each other.
Must never import anything of the other apps.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

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


CheckFunction = Callable[[Visit], Check]
_CHECKS: dict[str, CheckFunction] = {}


def register_check(name: str, function: CheckFunction) -> None:
    """Adds a check. A name that comes twice fails at start."""
    if name in _CHECKS:
        raise DuplicateCheck(name)
    _CHECKS[name] = function


def open_points(appointment: Visit) -> list[Check]:
    """The answer of every check, clear or not, in the order of registration; read afresh each time."""
    return [check(appointment) for check in _CHECKS.values()]
