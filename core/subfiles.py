"""A patient's file in a department, opened with the first appointment there."""

from __future__ import annotations

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
