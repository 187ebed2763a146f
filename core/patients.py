"""The patient's file: open and change it, and who speaks for the patient.

Keyword-only, atomic, audited; refusals are ``DomainError`` with a sentence for the person at the desk. Needs the
tenant's scope open. Must never import anything of the other apps.
"""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from core import audit
from core.access import Can
from core.errors import DomainError
from core.models import Guardian, Guardianship, Language, Patient, User
from core.models.patient import Gender
from core.permissions import demand
from core.phone import to_e164

# Nobody is older; the century was typed wrong.
OLDEST_YEARS = 130
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
    }
)


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
    mrn: str = "",
) -> Patient:
    """Opens a file. Without ``mrn`` it gets the next free number; phones are stored as E.164."""
    demand(actor, Can.EDIT_PATIENTS)
    if actor.tenant_id is None:
        raise ValueError("demand lets nobody in without a tenant")
    number = mrn.strip()
    if number and Patient.objects.filter(mrn=number).exists():
        raise DomainError(_("There is already a patient with this file number."), code="mrn_taken")
    fields = _cleaned(
        {
            "name_en": name_en,
            "name_ar": name_ar,
            "birth_date": birth_date,
            "gender": gender,
            "phone": phone,
            "phone_alternative": phone_alternative,
            "email": email,
            "language": language,
        }
    )
    patient = Patient(tenant_id=actor.tenant_id, mrn=number, **fields)
    patient.save(force_insert=True)
    _audit(patient, actor, "patient.created", before={}, after={"mrn": patient.mrn})
    return patient


@transaction.atomic
def patient_update(*, actor: User, patient_id: uuid.UUID, **changes: Any) -> Patient:
    """Changes the given fields (see ``EDITABLE``). The audit names the changed fields and keeps no address."""
    unknown = set(changes) - EDITABLE
    if unknown:
        raise ValueError(f"not editable: {', '.join(sorted(unknown))}")
    patient = _locked(patient_id)
    demand(actor, Can.EDIT_PATIENTS, patient)
    if patient.merged_into_id is not None:
        raise DomainError(_("This file was merged into another one and cannot be changed."), code="merged_away")
    cleaned = _cleaned(changes)
    changed = sorted(name for name, value in cleaned.items() if getattr(patient, name) != value)
    if not changed:
        return patient
    for name in changed:
        setattr(patient, name, cleaned[name])
    if not patient.name_en and not patient.name_ar:
        raise DomainError(_("A patient needs a name."), code="name_missing")
    patient.save(update_fields=[*changed, "updated_at"])
    _audit(patient, actor, "patient.updated", before={}, after={"changed": changed})
    return patient


@transaction.atomic
def guardian_add(
    *,
    actor: User,
    patient: Patient,
    kind: str,
    guardian: Guardian | None = None,
    name_en: str = "",
    name_ar: str = "",
    phone: str = "",
    email: str = "",
    language: str = Language.ARABIC,
    is_primary: bool = False,
    receives_messages: bool = True,
) -> Guardianship:
    """Links a guardian, a new one or one who already speaks for a sibling. Not verified yet: nothing is sent."""
    demand(actor, Can.EDIT_PATIENTS, patient, guardian)
    if guardian is None:
        fields = _cleaned(
            {"name_en": name_en, "name_ar": name_ar, "phone": phone, "email": email, "language": language}
        )
        guardian = Guardian.objects.create(tenant_id=patient.tenant_id, **fields)
    elif Guardianship.objects.filter(patient=patient, guardian=guardian).exists():
        raise DomainError(_("This guardian is already in the patient's file."), code="guardian_there")
    if is_primary:
        Guardianship.objects.filter(patient=patient, is_primary=True).update(is_primary=False)
    guardianship = Guardianship.objects.create(
        tenant_id=patient.tenant_id,
        patient=patient,
        guardian=guardian,
        kind=Guardianship.Kind(kind),
        is_primary=is_primary,
        receives_messages=receives_messages,
    )
    _audit(patient, actor, "guardian.added", before={}, after={"guardian_id": str(guardian.pk), "kind": kind})
    return guardianship


@transaction.atomic
def guardian_update(*, actor: User, guardian_id: uuid.UUID, **changes: Any) -> Guardian:
    """Changes a guardian's name, addresses or language, for all the patients they speak for."""
    unknown = set(changes) - {"name_en", "name_ar", "phone", "email", "language"}
    if unknown:
        raise ValueError(f"not editable: {', '.join(sorted(unknown))}")
    try:
        guardian = Guardian.objects.select_for_update(of=("self",), no_key=True).get(pk=guardian_id)
    except Guardian.DoesNotExist as error:
        raise DomainError(_("This guardian does not exist."), code="not_found") from error
    demand(actor, Can.EDIT_PATIENTS, guardian)
    cleaned = _cleaned(changes)
    changed = sorted(name for name, value in cleaned.items() if getattr(guardian, name) != value)
    if changed:
        for name in changed:
            setattr(guardian, name, cleaned[name])
        guardian.save(update_fields=changed)
        audit.record(
            tenant_id=guardian.tenant_id,
            actor=actor,
            action="guardian.updated",
            obj=guardian,
            after={"changed": changed},
        )
    return guardian


@transaction.atomic
def guardian_verify(*, actor: User, guardianship_id: uuid.UUID) -> Guardianship:
    """The guardianship was checked against a document; from now on the guardian may be told (PDPL IR Art. 13)."""
    guardianship = _guardianship(guardianship_id, actor)
    if guardianship.verified_at is None:
        guardianship.verified_at = timezone.now()
        guardianship.save(update_fields=["verified_at"])
        _audit_guardianship(guardianship, actor, "guardian.verified", {"verified": True})
    return guardianship


@transaction.atomic
def guardian_make_primary(*, actor: User, guardianship_id: uuid.UUID) -> Guardianship:
    """Makes this guardian the first contact."""
    guardianship = _guardianship(guardianship_id, actor)
    if not guardianship.is_primary:
        Guardianship.objects.filter(patient_id=guardianship.patient_id, is_primary=True).update(is_primary=False)
        guardianship.is_primary = True
        guardianship.save(update_fields=["is_primary"])
        _audit_guardianship(guardianship, actor, "guardian.made_primary", {"is_primary": True})
    return guardianship


@transaction.atomic
def guardian_set_messages(*, actor: User, guardianship_id: uuid.UUID, receives_messages: bool) -> Guardianship:
    """Whether this guardian gets the patient's messages."""
    guardianship = _guardianship(guardianship_id, actor)
    if guardianship.receives_messages != receives_messages:
        guardianship.receives_messages = receives_messages
        guardianship.save(update_fields=["receives_messages"])
        _audit_guardianship(guardianship, actor, "guardian.messages", {"receives_messages": receives_messages})
    return guardianship


@transaction.atomic
def guardian_remove(*, actor: User, guardianship_id: uuid.UUID) -> None:
    """Ends the guardianship. The guardian's own row stays: messages that went there point at it."""
    guardianship = _guardianship(guardianship_id, actor)
    patient, was_primary = guardianship.patient, guardianship.is_primary
    _audit_guardianship(guardianship, actor, "guardian.removed", {})
    guardianship.delete()
    heir = Guardianship.objects.filter(patient=patient).order_by("pk").first() if was_primary else None
    if heir is not None:
        heir.is_primary = True
        heir.save(update_fields=["is_primary"])


def _locked(patient_id: uuid.UUID) -> Patient:
    try:
        return Patient.objects.select_for_update(of=("self",), no_key=True).select_related("tenant").get(pk=patient_id)
    except Patient.DoesNotExist as error:
        raise DomainError(_("This patient does not exist."), code="not_found") from error


def _guardianship(guardianship_id: uuid.UUID, actor: User) -> Guardianship:
    """The row; its patient is locked, so that there is one first contact at any moment."""
    guardianship = Guardianship.objects.filter(pk=guardianship_id).first()
    if guardianship is None:
        raise DomainError(_("This guardian is not in the patient's file."), code="not_found")
    demand(actor, Can.EDIT_PATIENTS, guardianship)
    guardianship.patient = _locked(guardianship.patient_id)
    return guardianship


def _cleaned(fields: dict[str, Any]) -> dict[str, Any]:
    """Names without stray spaces, phones as E.164, lower-case email. Raises ``DomainError``."""
    result = dict(fields)
    for name in ("name_en", "name_ar"):
        if name in result:
            result[name] = " ".join(str(result[name]).split())
    if {"name_en", "name_ar"} <= set(result) and not (result["name_en"] or result["name_ar"]):
        raise DomainError(_("A name is needed, in English or in Arabic."), code="name_missing")
    for name in ("phone", "phone_alternative"):
        if result.get(name):
            result[name] = _phone(str(result[name]))
    if result.get("email"):
        result["email"] = _email(str(result["email"]))
    if "birth_date" in result:
        _check_birth_date(result["birth_date"])
    if result.get("deceased_at") is not None and result["deceased_at"] > timezone.localdate():
        raise DomainError(_("The date of death is in the future."), code="deceased_invalid")
    if "gender" in result and result["gender"] not in Gender.values:
        raise DomainError(_("Choose female or male."), code="gender_invalid")
    if "language" in result and result["language"] not in Language.values:
        raise DomainError(_("Choose English or Arabic."), code="language_invalid")
    return result


def _phone(typed: str) -> str:
    try:
        return to_e164(typed)
    except ValidationError as error:
        raise DomainError(" ".join(error.messages), code=error.code or "phone_invalid") from error


def _email(typed: str) -> str:
    address = typed.strip().lower()
    try:
        validate_email(address)
    except ValidationError as error:
        raise DomainError(_("This is not an email address."), code="email_invalid") from error
    return address


def _check_birth_date(day: dt.date) -> None:
    today = timezone.localdate()
    if day > today:
        raise DomainError(_("The date of birth is in the future."), code="birth_date_invalid")
    if day.year < today.year - OLDEST_YEARS:
        raise DomainError(_("Please check the year of birth."), code="birth_date_invalid")


def _audit(patient: Patient, actor: User, action: str, *, before: dict[str, Any], after: dict[str, Any]) -> None:
    audit.record(tenant_id=patient.tenant_id, actor=actor, action=action, obj=patient, before=before, after=after)


def _audit_guardianship(guardianship: Guardianship, actor: User, action: str, after: dict[str, Any]) -> None:
    _audit(
        guardianship.patient, actor, action, before={}, after={"guardian_id": str(guardianship.guardian_id), **after}
    )
