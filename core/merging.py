"""Two files of one person become one: the survivor holds everything, the other one leads to it.

``core`` knows the files only. Every app registers, from its ``AppConfig.ready()``, a step that re-points its rows and,
where both files have an opinion, keeps the stricter one. A table that no step covers is a defect that a test finds.
What was append-only stays where it was written, under the file that has gone: ``file_ids`` finds both.

Needs the tenant's scope open. Must never import anything of the other apps.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection
from dataclasses import dataclass

from django.db import transaction
from django.utils.translation import gettext as _

from core import audit
from core.access import Can
from core.errors import DomainError
from core.models import Guardianship, Patient, PatientTagging, SubFile, User
from core.permissions import demand

Step = Callable[[Patient, Patient], None]


@dataclass(frozen=True, slots=True)
class _Registered:
    run: Step
    covers: frozenset[str]


class DuplicateStep(Exception):
    """Two steps with one name."""


_STEPS: dict[str, _Registered] = {}


def register_step(name: str, step: Step, *, covers: Collection[str] = ()) -> None:
    """``step(survivor, merged)`` runs in the merge's transaction, both rows locked. Once per name, in order.

    ``covers`` names the models (``app_label.modelname``) whose link to a patient the step looks after, be it that it
    leaves them alone on purpose.
    """
    if name in _STEPS:
        raise DuplicateStep(name)
    _STEPS[name] = _Registered(step, frozenset(label.lower() for label in covers))


def covered() -> frozenset[str]:
    """The models that some step looks after."""
    return frozenset().union(*(step.covers for step in _STEPS.values()))


@transaction.atomic
def patient_merge(*, actor: User, survivor: Patient, merged: Patient) -> Patient:
    """Moves all of ``merged`` to ``survivor``, for good. Returns the survivor as it is now. Raises ``DomainError``."""
    if survivor.pk == merged.pk:
        raise DomainError(_("These are one and the same file."), code="same_file")
    # In one order, so that two merges of the same files wait for each other instead of for ever.
    rows = Patient.objects.select_for_update(of=("self",), no_key=True).select_related("tenant")
    found = {row.pk: row for row in rows.filter(pk__in=[survivor.pk, merged.pk]).order_by("pk")}
    if len(found) != 2:
        raise DomainError(_("This patient does not exist."), code="not_found")
    stays, goes = found[survivor.pk], found[merged.pk]
    demand(actor, Can.ADMINISTER, stays, goes)
    if stays.merged_into_id is not None or goes.merged_into_id is not None:
        raise DomainError(_("One of these files was merged already."), code="merged_away")
    if (stays.deceased_at is None) != (goes.deceased_at is None):
        raise DomainError(
            _("One of the files says that the patient has died, the other does not. Put that right first."),
            code="deceased_differs",
        )
    for step in _STEPS.values():
        step.run(stays, goes)
    goes.merged_into = stays
    goes.save(update_fields=["merged_into", "updated_at"])
    # Those whose guardian the survivor has too. Only now: while the file's messages waited there, its readers had to stay.
    Guardianship.objects.filter(patient=goes).delete()
    # One step from any old file to the one that holds everything.
    Patient.objects.filter(merged_into=goes).update(merged_into=stays)
    audit.record(
        tenant_id=stays.tenant_id,
        actor=actor,
        action="patient.merged",
        obj=stays,
        after={"merged_id": str(goes.pk), "mrn": goes.mrn},
    )
    stays.refresh_from_db()
    return stays


def survivor_of(patient: Patient) -> Patient:
    """The file that holds everything of this patient now; itself where it was never merged."""
    return patient if patient.merged_into is None else patient.merged_into


def file_ids(patient: Patient) -> list[uuid.UUID]:
    """The file and those that were merged into it: where rows that are never changed may still stand."""
    return [patient.pk, *Patient.objects.filter(merged_into=patient).values_list("pk", flat=True)]


# --- what core itself holds ------------------------------------------------------------------------------------------

# Taken from the file that goes where the survivor has nothing.
_FILLED = ("name_en", "name_ar", "phone", "phone_alternative", "email")


def register() -> None:
    register_step("file", _merge_file, covers=["core.Patient"])
    register_step("guardianships", _merge_guardianships, covers=["core.Guardianship"])
    register_step("subfiles", _merge_subfiles, covers=["core.SubFile"])
    register_step("tags", _merge_tags, covers=["core.PatientTagging"])
    # Who looked at which file is never rewritten.
    register_step("looks", _leave, covers=["core.Look"])


def _leave(survivor: Patient, merged: Patient) -> None:
    """Append-only: found by ``file_ids``."""


def _merge_file(survivor: Patient, merged: Patient) -> None:
    """What the survivor lacks is filled in, the stricter restriction holds, the account goes along."""
    numbers = {survivor.phone, survivor.phone_alternative}
    for name in _FILLED:
        if not getattr(survivor, name):
            setattr(survivor, name, getattr(merged, name))
    if merged.phone and merged.phone not in numbers and not survivor.phone_alternative:
        survivor.phone_alternative = merged.phone
    if merged.is_restricted:
        reasons = [one for one in (survivor.restriction_reason, merged.restriction_reason) if one]
        survivor.is_restricted = True
        survivor.restriction_reason = "; ".join(dict.fromkeys(reasons))[:200]
    # Who is treated under one of the two has not left.
    survivor.is_active = survivor.is_active or merged.is_active
    account = merged.user if survivor.user_id is None else None
    if account is not None:
        # One account has one file, so it leaves the one before it enters the other.
        merged.user = None
        merged.save(update_fields=["user", "updated_at"])
        survivor.user = account
    survivor.save()


def _merge_guardianships(survivor: Patient, merged: Patient) -> None:
    """The same guardian in both files keeps the narrower right; the others move. The survivor's first contact stays."""
    kept = {row.guardian_id: row for row in Guardianship.objects.filter(patient=survivor)}
    for row in Guardianship.objects.filter(patient=merged):
        twin = kept.get(row.guardian_id)
        if twin is None:
            row.patient, row.is_primary = survivor, row.is_primary and not any(one.is_primary for one in kept.values())
            kept[row.guardian_id] = row
            row.save(update_fields=["patient", "is_primary"])
            continue
        if twin.verified_at is None and row.verified_at is not None:
            # That somebody looked at the document is as true for the one file as for the other.
            twin.verified_at, twin.verified_by, twin.evidence = row.verified_at, row.verified_by, row.evidence
        twin.receives_messages = twin.receives_messages and row.receives_messages
        twin.not_for = sorted({*twin.not_for, *row.not_for})
        twin.blocked_reason = twin.blocked_reason or row.blocked_reason
        twin.valid_from = max((day for day in (twin.valid_from, row.valid_from) if day), default=None)
        twin.valid_until = min((day for day in (twin.valid_until, row.valid_until) if day), default=None)
        twin.save()


def _merge_subfiles(survivor: Patient, merged: Patient) -> None:
    """A department has one sub-file a patient: its checks join the survivor's, its number lives on in the trail."""
    kept = {row.department_id: row for row in SubFile.objects.filter(patient=survivor)}
    for row in SubFile.objects.filter(patient=merged):
        twin = kept.get(row.department_id)
        if twin is None:
            SubFile.objects.filter(pk=row.pk).update(patient=survivor)
        else:
            row.consents.update(subfile=twin)
            row.delete()


def _merge_tags(survivor: Patient, merged: Patient) -> None:
    """The survivor has the tags of both."""
    kept = set(PatientTagging.objects.filter(patient=survivor).values_list("tag_id", flat=True))
    rows = PatientTagging.objects.filter(patient=merged)
    rows.exclude(tag__in=kept).update(patient=survivor)
    rows.delete()
