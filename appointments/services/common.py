"""What the verbs share: the locked row, the cleaned reason, the save with its audit row."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _

from appointments.models import Act, Appointment
from core import audit
from core.errors import DomainError

REASON_LENGTH = 300


def locked(appointment_id: uuid.UUID) -> Appointment:
    """The row, held until the transaction ends. Two moves of one visit happen one after the other."""
    rows = Appointment.objects.select_related("tenant", "patient__tenant", "provider", "location", "department")
    try:
        # no_key: rows that merely point at the visit (its history, its reminders) need not wait.
        return rows.select_for_update(of=("self",), no_key=True).get(pk=appointment_id)
    except Appointment.DoesNotExist as error:
        raise DomainError(_("This appointment does not exist."), code="not_found") from error


def clean_reason(reason: str, *, required: bool) -> str:
    """Raises ``DomainError`` for a missing or too long reason."""
    text = " ".join(reason.split())
    if required and not text:
        raise DomainError(_("Please give a reason."), code="reason_missing")
    if len(text) > REASON_LENGTH:
        raise DomainError(
            _("The reason is too long; use at most %(count)d letters.") % {"count": REASON_LENGTH},
            code="reason_too_long",
        )
    return text


def snapshot(appointment: Appointment) -> dict[str, Any]:
    """What the audit keeps of a visit before and after: ids, status and time, no names."""
    return {
        "status": str(appointment.status),
        "version": appointment.version,
        "starts_at": appointment.starts_at.isoformat(),
        "ends_at": appointment.ends_at.isoformat(),
        "provider_id": str(appointment.provider_id),
        "reason": appointment.reason,
    }


def apply(
    appointment: Appointment, act: Act, changes: Mapping[str, Any], *, audited_as: str | None = None
) -> Appointment:
    """Writes the changes with their act; ``audited_as`` adds the audit row of an administrative move."""
    before = snapshot(appointment)
    for name, value in changes.items():
        setattr(appointment, name, value)
    appointment.act = act
    appointment.save(update_fields=[*changes, "updated_at"])
    if audited_as is not None and act.actor is not None:
        audit.record(
            tenant_id=appointment.tenant_id,
            actor=act.actor,
            action=audited_as,
            obj=appointment,
            before=before,
            after=snapshot(appointment),
        )
    return appointment
