"""The answer to an offered time, by the link in the message: under the slot's lock, so that of two one is first.

A visit that somebody has already stays theirs until they accept, and moves then. Whoever else was asked learns that the
time is gone.
"""

from __future__ import annotations

import datetime as dt
import uuid

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from appointments import free_slots, services
from appointments.models import Appointment, FreedSlot, SlotOffer, WaitlistEntry
from appointments.services.booking import locked_provider
from appointments.services.common import locked
from appointments.states import AWAITED
from appointments.waiting import entry_end
from core.errors import DomainError
from core.tenancy import system_scope, tenant_scope
from notifications import events

TAKEN = "waitlist.taken"
Entry, Slot, Offer = WaitlistEntry.State, FreedSlot.State, SlotOffer.State


def find(code: str) -> SlotOffer | None:
    """The offer of a link, whatever has become of it; None for an unknown code or a suspended clinic group."""
    with system_scope("the code tells the tenant: a patient opens the link without an account"):
        rows = SlotOffer.objects.select_related(
            "tenant",
            "slot__provider",
            "slot__location",
            "slot__department",
            "entry__patient__tenant",
            "entry__appointment",
        )
        return rows.filter(code=code.strip().lower(), tenant__is_active=True).first()


def refusal(offer: SlotOffer, now: dt.datetime | None = None) -> str:
    """Why the offer cannot be accepted: a code for the page; empty while it can. Makes no query."""
    now = now or timezone.now()
    if offer.state == Offer.ACCEPTED:
        return "accepted"
    if offer.state == Offer.DECLINED:
        return "declined"
    if offer.state == Offer.LOST or offer.slot.state != Slot.OPEN:
        return "lost"
    if offer.state == Offer.EXPIRED or offer.hold_until <= now or offer.slot.starts_at <= now:
        return "expired"
    return "" if offer.entry.state == Entry.WAITING else "lost"


def accept(code: str) -> Appointment:
    """The patient takes the time. Raises ``DomainError`` with a sentence for the patient when somebody was faster."""
    found = find(code)
    if found is None:
        raise DomainError(_("This link is not valid."), code="link_unknown")
    with tenant_scope(found.tenant_id):
        return _accept(found.pk, found.slot_id)


@transaction.atomic
def _accept(offer_id: uuid.UUID, slot_id: uuid.UUID) -> Appointment:
    """The slot's lock decides between two who press at once."""
    # Everybody locks the visit, then the provider, and only then what is about both.
    kept_id = SlotOffer.objects.values_list("entry__appointment", flat=True).get(pk=offer_id)
    if kept_id is not None:
        locked(kept_id)
    locked_provider(FreedSlot.objects.values_list("provider_id", flat=True).get(pk=slot_id))
    slot = (
        FreedSlot.objects.select_for_update(of=("self",), no_key=True)
        .select_related("provider", "location", "department")
        .get(pk=slot_id)
    )
    offer = SlotOffer.objects.select_related("entry__patient__tenant", "entry__appointment").get(pk=offer_id)
    offer.slot = slot
    refused = refusal(offer)
    if refused == "accepted" and offer.entry.appointment is not None:
        return offer.entry.appointment
    if refused or not free_slots.is_bookable(slot) or not free_slots.still_suits(offer.entry, slot):
        raise _gone()
    now = timezone.now()
    # Conditional, because SQLite knows no row locks.
    if not FreedSlot.objects.filter(pk=slot.pk, state=Slot.OPEN).update(state=Slot.TAKEN):
        raise _gone()
    SlotOffer.objects.filter(pk=offer.pk).update(state=Offer.ACCEPTED, answered_at=now)
    visit = _taken(offer.entry, slot)
    WaitlistEntry.objects.filter(pk=offer.entry_id).update(state=Entry.PLACED, ended_at=now, appointment=visit)
    free_slots.tell_losers(slot)
    events.record(TAKEN, tenant_id=slot.tenant_id, dedupe=str(offer.pk), obj=offer)
    return visit


def _taken(entry: WaitlistEntry, slot: FreedSlot) -> Appointment:
    """The visit that is there already moves, where it still stands; else a new one."""
    kept = entry.appointment
    if kept is not None and kept.status in AWAITED and kept.starts_at > timezone.now():
        return services.appointment_reschedule(
            appointment_id=kept.pk,
            actor=None,
            starts_at=slot.starts_at,
            duration=dt.timedelta(minutes=entry.length_minutes),
            provider=slot.provider,
        )
    return services.appointment_book(
        actor=None,
        patient=entry.patient,
        provider=slot.provider,
        location=slot.location,
        department=slot.department,
        starts_at=slot.starts_at,
        duration=dt.timedelta(minutes=entry.length_minutes),
    )


def decline(code: str, *, leave_list: bool = False) -> SlotOffer:
    """The patient leaves the time to others, or does not want to be asked any more at all."""
    found = find(code)
    if found is None:
        raise DomainError(_("This link is not valid."), code="link_unknown")
    with tenant_scope(found.tenant_id), transaction.atomic():
        now = timezone.now()
        FreedSlot.objects.select_for_update(no_key=True).get(pk=found.slot_id)
        if SlotOffer.objects.filter(pk=found.pk, state=Offer.OPEN).update(state=Offer.DECLINED, answered_at=now):
            FreedSlot.objects.filter(pk=found.slot_id, state=Slot.OPEN).update(due_at=now)
        if leave_list:
            entry_end(entry_id=found.entry_id, actor=None)
        found.refresh_from_db(fields=["state"])
        return found


def _gone() -> DomainError:
    return DomainError(_("This time is no longer available."), code="slot_gone")
