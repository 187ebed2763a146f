"""The file itself: open it, change it, restrict it.

Needs the tenant's scope open. Must never import anything of the other apps.
"""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from core.access import Can
from core.errors import DomainError
from core.models import Language, Patient, User
from core.models.reading import Numerals
from core.patients.numbers import note_dropped
from core.patients.rows import cleaned_fields, locked, note
from core.permissions import demand

EDITABLE = frozenset(
    {
        "name_en",
        "name_ar",
        "birth_date",
        "gender",
        "phone",
        "phone_alternative",
        "email",
        "language",
        "is_active",
        "deceased_at",
        "numerals",
        "show_hijri",
    }
)
REASON_LENGTH = 200


@transaction.atomic
def patient_create(
    *,
    actor: User,
    name_en: str,
    birth_date: dt.date,
    gender: str,
    name_ar: str = "",
    phone: str = "",
    phone_alternative: str = "",
    email: str = "",
    language: str = Language.ARABIC,
    numerals: str = Numerals.LATIN,
    show_hijri: bool = False,
    mrn: str = "",
) -> Patient:
    """Opens a file. Without ``mrn`` it gets the next free number; phones are stored as E.164."""
    demand(actor, Can.EDIT_PATIENTS)
    if actor.tenant_id is None:
        raise ValueError("demand lets nobody in without a tenant")
    number = mrn.strip()
    if number and Patient.objects.filter(mrn=number).exists():
        raise DomainError(_("There is already a patient with this file number."), code="mrn_taken")
    fields = cleaned_fields(
        {
            "name_en": name_en,
            "name_ar": name_ar,
            "birth_date": birth_date,
            "gender": gender,
            "phone": phone,
            "phone_alternative": phone_alternative,
            "email": email,
            "language": language,
            "numerals": numerals,
            "show_hijri": show_hijri,
        }
    )
    patient = Patient(tenant_id=actor.tenant_id, mrn=number, **fields)
    patient.save(force_insert=True)
    note(patient, actor, "patient.created", before={}, after={"mrn": patient.mrn})
    return patient


@transaction.atomic
def patient_update(*, actor: User, patient_id: uuid.UUID, **changes: Any) -> Patient:
    """Changes the given fields (see ``EDITABLE``). The audit names the changed fields and keeps no address."""
    unknown = set(changes) - EDITABLE
    if unknown:
        raise ValueError(f"not editable: {', '.join(sorted(unknown))}")
    patient = locked(patient_id)
    demand(actor, Can.EDIT_PATIENTS, patient)
    if patient.merged_into_id is not None:
        raise DomainError(_("This file was merged into another one and cannot be changed."), code="merged_away")
    cleaned = cleaned_fields(changes)
    changed = sorted(name for name, value in cleaned.items() if getattr(patient, name) != value)
    if not changed:
        return patient
    left = [getattr(patient, name) for name in changed if name in {"phone", "phone_alternative"}]
    for name in changed:
        setattr(patient, name, cleaned[name])
    if not patient.name_en and not patient.name_ar:
        raise DomainError(_("A patient needs a name."), code="name_missing")
    patient.save(update_fields=[*changed, "updated_at"])
    note(patient, actor, "patient.updated", before={}, after={"changed": changed})
    for number in left:
        note_dropped(number)
    return patient


@transaction.atomic
def patient_restrict(*, actor: User, patient_id: uuid.UUID, reason: str) -> Patient:
    """Nothing is sent about this patient any more, to nobody, until it is lifted. What waits is withdrawn at once."""
    patient = locked(patient_id)
    demand(actor, Can.EDIT_PATIENTS, patient)
    words = " ".join(reason.split())
    if not words:
        raise DomainError(_("Say why the file is restricted."), code="reason_missing")
    if len(words) > REASON_LENGTH:
        raise DomainError(_("Say it in fewer words."), code="reason_too_long")
    if not patient.is_restricted:
        patient.is_restricted, patient.restriction_reason = True, words
        patient.save(update_fields=["is_restricted", "restriction_reason", "updated_at"])
        note(patient, actor, "patient.restricted", before={}, after={"reason": words})
    return patient


@transaction.atomic
def patient_unrestrict(*, actor: User, patient_id: uuid.UUID) -> Patient:
    """Messages go again. What was withdrawn meanwhile stays withdrawn; reminders still ahead are planned again."""
    patient = locked(patient_id)
    demand(actor, Can.EDIT_PATIENTS, patient)
    if patient.is_restricted:
        before = {"reason": patient.restriction_reason}
        patient.is_restricted, patient.restriction_reason = False, ""
        patient.save(update_fields=["is_restricted", "restriction_reason", "updated_at"])
        note(patient, actor, "patient.unrestricted", before=before, after={})
    return patient
