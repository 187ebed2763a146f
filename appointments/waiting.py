"""The waiting list: who wants to come, or to come earlier. What is offered to them: ``free_slots.py``, ``offers.py``.

Keyword-only, atomic, audited; refusals are ``DomainError``. Needs the tenant's scope open.
"""

from __future__ import annotations

import datetime as dt
import uuid

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from appointments.models import Appointment, FreedSlot, SlotOffer, WaitlistEntry
from appointments.states import AWAITED
from core import audit
from core.access import Can
from core.errors import DomainError
from core.models import Department, Location, Patient, User
from core.permissions import demand

Entry, Slot, Offer = WaitlistEntry.State, FreedSlot.State, SlotOffer.State


@transaction.atomic
def entry_add(
    *,
    actor: User,
    patient: Patient,
    department: Department,
    first_day: dt.date,
    last_day: dt.date,
    provider: User | None = None,
    location: Location | None = None,
    appointment: Appointment | None = None,
    time_from: dt.time | None = None,
    time_until: dt.time | None = None,
    notice_minutes: int = 120,
    length_minutes: int = 30,
) -> WaitlistEntry:
    """Puts a patient on the list. With an ``appointment`` it is about coming earlier than that."""
    demand(actor, Can.MANAGE_APPOINTMENTS, patient, department, provider, location, appointment)
    if not patient.is_active or patient.deceased_at is not None or patient.merged_into_id is not None:
        raise DomainError(_("Nothing can be booked for this patient."), code="patient_inactive")
    if last_day < max(first_day, timezone.localdate()):
        raise DomainError(_("These days are over, or the last is before the first."), code="days_wrong")
    if (time_from is None) != (time_until is None) or (time_from and time_until and time_until <= time_from):
        raise DomainError(_("Give both times, the earlier one first, or neither."), code="hours_wrong")
    if appointment is not None and (appointment.patient_id != patient.pk or appointment.status not in AWAITED):
        raise DomainError(_("This visit is not one that can be moved."), code="not_awaited")
    same = WaitlistEntry.objects.filter(patient=patient, department=department, state=Entry.WAITING)
    if same.filter(provider=provider).exists():
        raise DomainError(_("This patient is on the list for this already."), code="twice")
    entry = WaitlistEntry.objects.create(
        tenant_id=patient.tenant_id,
        patient=patient,
        department=department,
        provider=provider,
        location=location,
        appointment=appointment,
        first_day=first_day,
        last_day=last_day,
        time_from=time_from,
        time_until=time_until,
        notice_minutes=notice_minutes,
        length_minutes=length_minutes,
        created_by=actor,
    )
    audit.record(tenant_id=entry.tenant_id, actor=actor, action="waitlist.added", obj=entry)
    # What is on offer now may be for them.
    FreedSlot.objects.filter(department=department, state=Slot.OPEN).update(due_at=timezone.now())
    return entry


@transaction.atomic
def entry_end(*, entry_id: uuid.UUID, actor: User | None) -> WaitlistEntry:
    """Takes somebody off the list; by their own link without an actor. What was offered to them is offered on."""
    entry = WaitlistEntry.objects.select_for_update(no_key=True).get(pk=entry_id)
    if actor is not None:
        demand(actor, Can.MANAGE_APPOINTMENTS, entry)
    if entry.state != Entry.WAITING:
        return entry
    now = timezone.now()
    entry.state, entry.ended_at = Entry.ENDED, now
    entry.save(update_fields=["state", "ended_at"])
    offers = SlotOffer.objects.filter(entry=entry, state=Offer.OPEN)
    FreedSlot.objects.filter(offers__in=offers, state=Slot.OPEN).update(due_at=now)
    offers.update(state=Offer.DECLINED, answered_at=now)
    audit.record(tenant_id=entry.tenant_id, actor=actor, action="waitlist.ended", obj=entry)
    return entry


def waiting() -> QuerySet[WaitlistEntry]:
    """The list in its order, with all that a page shows."""
    rows = WaitlistEntry.objects.filter(state=Entry.WAITING, last_day__gte=timezone.localdate())
    return rows.select_related("patient", "department", "provider", "location", "appointment__location").order_by(
        "created_at", "pk"
    )
