"""A number that belongs to somebody else: recycled, mistyped, given away.

Needs the tenant's scope open. Must never import anything of the other apps: what must stop listens to the signal.
"""

from __future__ import annotations

from django.db import transaction
from django.db.models import Q
from django.dispatch import Signal
from django.utils.translation import gettext as _

from core import audit
from core.access import Can
from core.errors import DomainError
from core.models import Patient, User
from core.permissions import demand
from core.tenancy import current_tenant_id

# Sent in the transaction, with ``phone`` and ``patients``, all whose file holds it, themselves or by a guardian.
number_was_wrong = Signal()
# Sent with ``phone`` when it stands in no file any more.
number_dropped = Signal()


@transaction.atomic
def number_is_wrong(*, phone: str, actor: User | None = None) -> list[Patient]:
    """Nobody is written to at that number any more until a person has checked it. Returns the patients who hold it.

    ``phone`` is E.164, as files have it. It is no identity: whoever's file it stands in is concerned. ``actor`` is None where its owner has said so in
    a reply. The signal's listeners stop the number, withdraw what waits for it and tell the desk.
    """
    tenant_id = actor.tenant_id if actor is not None else current_tenant_id()
    if tenant_id is None:
        raise ValueError("a number is wrong within one tenant")
    if actor is not None:
        demand(actor, Can.EDIT_PATIENTS)
    if not phone:
        raise DomainError(_("There is no number."), code="phone_missing")
    holders = holders_of(phone)
    for patient in holders:
        audit.record(tenant_id=tenant_id, actor=actor, action="patient.number_wrong", obj=patient)
    number_was_wrong.send(sender=Patient, tenant_id=tenant_id, phone=phone, patients=holders)
    return holders


def holders_of(number: str) -> list[Patient]:
    """All patients in whose file the number stands, as their own or as a guardian's."""
    own = Q(phone=number) | Q(phone_alternative=number)
    rows = Patient.objects.filter(own | Q(guardianships__guardian__phone=number), merged_into=None)
    return list(rows.distinct().order_by("mrn"))


def note_dropped(number: str) -> None:
    """A file has got another number, or lost one."""
    if number and not holders_of(number):
        number_dropped.send(sender=Patient, phone=number)
