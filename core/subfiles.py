"""A patient's file in a department, opened with the first appointment there."""

from __future__ import annotations

import uuid
from collections.abc import Iterable

from core.models import Department, Patient, SubFile


def subfile_ensure(*, patient: Patient, department: Department) -> SubFile:
    """The sub-file of that department, opened if there is none. Its number is ``<file number>-<department code>``."""
    subfile, _is_new = SubFile.objects.get_or_create(
        patient=patient,
        department=department,
        defaults={"tenant_id": patient.tenant_id, "number": f"{patient.mrn}-{department.code}"},
    )
    return subfile


def subfile_of(patient: Patient, department: Department) -> SubFile | None:
    return SubFile.objects.filter(patient=patient, department=department).first()


def subfiles_of(pairs: Iterable[tuple[Patient, Department]]) -> dict[tuple[uuid.UUID, uuid.UUID], SubFile]:
    """(patient id, department id) → the sub-file, where there is one. One query; more rows than asked for may come."""
    wanted = list(pairs)
    rows = SubFile.objects.filter(
        patient__in={patient.pk for patient, _ in wanted}, department__in={department.pk for _, department in wanted}
    )
    return {(row.patient_id, row.department_id): row for row in rows}
