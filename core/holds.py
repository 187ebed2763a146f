"""Legal holds: what a court, a claim or an inspection asks for is not thrown away. The only writer of ``LegalHold``.

Keyword-only, atomic, audited; refusals are ``DomainError``. Needs the tenant's scope open. Must never import anything of
the other apps.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from core import audit
from core.access import Can
from core.errors import DomainError
from core.models import LegalHold, Patient, User
from core.permissions import demand

REASON_LENGTH = 300


# --- reading ---------------------------------------------------------------------------------------------------------


def in_force(today: dt.date | None = None) -> QuerySet[LegalHold]:
    """Of the open tenant: those that hold today."""
    day = today or timezone.localdate()
    return LegalHold.objects.filter(Q(until=None) | Q(until__gte=day), lifted_at=None)


def held_patients() -> QuerySet[LegalHold, Any]:
    """For ``patient__in``: read anew by every statement, so a hold counts from the moment it is placed."""
    return in_force().order_by().values("patient_id")


def is_held(patient: Patient) -> bool:
    return in_force().filter(patient=patient).exists()


def of_tenant() -> QuerySet[LegalHold]:
    """All of them, those in force first, the latest first."""
    return LegalHold.objects.select_related("patient", "placed_by", "lifted_by").order_by(
        "settled_at", "-placed_at", "pk"
    )


# --- writing ---------------------------------------------------------------------------------------------------------


@transaction.atomic
def hold_place(*, actor: User, patient: Patient, reason: str, until: dt.date | None = None) -> LegalHold:
    """From now on nothing of the patient's is thrown away. Several may hold at once, for several reasons."""
    demand(actor, Can.MANAGE_SETTINGS, patient)
    text = " ".join(reason.split())
    if not text:
        raise DomainError(_("Write down why: a file number of the court, the claim, the inspection."), code="no_reason")
    if len(text) > REASON_LENGTH:
        raise DomainError(_("The reason is too long."), code="reason_too_long")
    if until is not None and until < timezone.localdate():
        raise DomainError(_("The last day is in the past."), code="hold_over")
    hold = LegalHold.objects.create(
        tenant_id=patient.tenant_id, patient=patient, reason=text, until=until, placed_by=actor
    )
    audit.record(
        tenant_id=patient.tenant_id,
        actor=actor,
        action="legal_hold.placed",
        obj=patient,
        after={"hold": str(hold.pk), "reason": text, "until": until.isoformat() if until else None},
    )
    return hold


@transaction.atomic
def hold_lift(*, actor: User, hold: LegalHold) -> LegalHold:
    """Ends it. What it had kept beyond its time goes in the next night."""
    demand(actor, Can.MANAGE_SETTINGS, hold)
    hold = LegalHold.objects.select_for_update().get(pk=hold.pk)
    if hold.lifted_at is not None:
        raise DomainError(_("This hold was lifted already."), code="hold_lifted")
    hold.lifted_at, hold.lifted_by = timezone.now(), actor
    hold.save(update_fields=["lifted_at", "lifted_by"])
    audit.record(
        tenant_id=hold.tenant_id,
        actor=actor,
        action="legal_hold.lifted",
        obj=hold.patient,
        after={"hold": str(hold.pk)},
    )
    return hold


def over_and_unsettled() -> list[LegalHold]:
    """Holds that have ended and whose patient nothing else holds: what they kept is still to be looked through."""
    ended = LegalHold.objects.filter(settled_at=None).exclude(pk__in=in_force().values("pk"))
    return list(ended.exclude(patient__in=held_patients()).order_by("placed_at"))


def settle(hold: LegalHold) -> None:
    """Noted when that is done, so that it is done once."""
    LegalHold.objects.filter(pk=hold.pk, settled_at=None).update(settled_at=timezone.now())
