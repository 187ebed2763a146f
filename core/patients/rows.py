"""What the services of the patient's file share: the locked row, tidy fields, the line in the trail."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.utils import timezone
from django.utils.translation import gettext as _

from core import audit
from core.errors import DomainError
from core.models import Language, Patient, User
from core.models.patient import Gender
from core.models.reading import Numerals
from core.phone import to_e164

# Nobody is older; the century was typed wrong.
OLDEST_YEARS = 130


def locked(patient_id: uuid.UUID) -> Patient:
    try:
        return Patient.objects.select_for_update(of=("self",), no_key=True).select_related("tenant").get(pk=patient_id)
    except Patient.DoesNotExist as error:
        raise DomainError(_("This patient does not exist."), code="not_found") from error


def cleaned_fields(fields: dict[str, Any]) -> dict[str, Any]:
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
    if result.get("numerals", Numerals.LATIN) not in Numerals.values:
        raise DomainError(_("Choose one of the two kinds of digits."), code="numerals_invalid")
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


def note(patient: Patient, actor: User, action: str, *, before: dict[str, Any], after: dict[str, Any]) -> None:
    audit.record(tenant_id=patient.tenant_id, actor=actor, action=action, obj=patient, before=before, after=after)
