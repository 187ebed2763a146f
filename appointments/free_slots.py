"""Times that become free, and who is asked whether they want them.

A time that becomes free with enough notice is offered in the order of the list, or to several at once, as the clinic
wishes, and held for each until a moment. Caps count people, not entries; nothing is offered in quiet hours; who is
somewhere else in the clinic group at that time is left out. Everything that waits is a row with a due time, and ``tend``
is safe to run twice at once. The answers: ``offers.py``. Needs the tenant's scope open.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterator

import structlog
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from appointments import policy, selectors
from appointments.codes import new_code
from appointments.models import Appointment, AppointmentEvent, FreedSlot, SlotOffer, VisitPolicy, WaitlistEntry
from appointments.states import AWAITED, OCCUPYING
from core.contacts import Contact, contacts_for
from core.tenancy import active_tenant_ids, tenant_scope
from notifications import desk_tasks, events, rest
from notifications.states import TaskKind

log = structlog.get_logger(__name__)

OFFERED, LOST = "waitlist.offered", "waitlist.lost"
# Nobody who fits now: somebody may be put on the list, or a cap may be over.
LOOK_AGAIN = dt.timedelta(minutes=15)
# No hold lasts longer than until so shortly before the visit.
NO_LATER = dt.timedelta(minutes=15)
# Offers that one entry ever gets; whoever never answers does not want one.
OFFERS_PER_ENTRY = 10
# One tick of one tenant.
BATCH = 200

By = Appointment.CancelledBy
Entry, Slot, Offer = WaitlistEntry.State, FreedSlot.State, SlotOffer.State


def on_cancelled(appointment: Appointment, move: AppointmentEvent) -> None:
    """Its time is free now, unless the provider is not there."""
    if move.details.get("told_together") != "absence":
        slot_freed(
            appointment,
            version=appointment.version,
            provider_id=appointment.provider_id,
            starts_at=appointment.starts_at,
            ends_at=appointment.ends_at,
        )


def on_moved(appointment: Appointment, move: AppointmentEvent) -> None:
    """The time that it has left is free now. Saved as moved without another time: it has left none."""
    if "old_provider_id" not in move.details:
        return
    slot_freed(
        appointment,
        version=appointment.version - 1,
        provider_id=uuid.UUID(move.details["old_provider_id"]),
        starts_at=dt.datetime.fromisoformat(move.details["old_starts_at"]),
        ends_at=dt.datetime.fromisoformat(move.details["old_ends_at"]),
    )


def slot_freed(
    appointment: Appointment, *, version: int, provider_id: uuid.UUID, starts_at: dt.datetime, ends_at: dt.datetime
) -> None:
    """Called in the transaction in which a visit leaves this time. Offers nothing yet: the sweep does, a moment later."""
    if (
        appointment.is_silent
        or not WaitlistEntry.objects.filter(department=appointment.department_id, state=Entry.WAITING).exists()
    ):
        return
    now = timezone.now()
    if starts_at - now < dt.timedelta(minutes=policy.of(appointment.tenant_id).offer_notice_minutes):
        if starts_at > now:
            # Too soon for a message with a hold: whoever waits can still be called.
            desk_tasks.open_task(
                TaskKind.WAITLIST,
                tenant_id=appointment.tenant_id,
                key=f"{appointment.pk}:{version}",
                obj=appointment,
                location=appointment.location,
                due_at=starts_at,
                details={"because": "short_notice"},
            )
        return
    FreedSlot.objects.get_or_create(
        appointment=appointment,
        version=version,
        defaults={
            "tenant_id": appointment.tenant_id,
            "provider_id": provider_id,
            "location_id": appointment.location_id,
            "department_id": appointment.department_id,
            "starts_at": starts_at,
            "ends_at": ends_at,
            "due_at": now,
        },
    )


def tend(now: dt.datetime | None = None) -> dict[str, int]:
    """Ends the holds that are over and offers what is free to the next. One bad row does not stop the others."""
    now = now or timezone.now()
    counts = {"offered": 0, "expired": 0, "closed": 0, "failed": 0}
    for tenant_id in active_tenant_ids():
        with tenant_scope(tenant_id):
            counts["expired"] += _expire(now)
            due = FreedSlot.objects.filter(state=Slot.OPEN, due_at__lte=now).order_by("starts_at", "pk")
            for pk in list(due.values_list("pk", flat=True)[:BATCH]):
                try:
                    outcome, number = _offer(pk, now)
                except Exception as error:  # noqa: BLE001  # logged and tried again; other people wait too
                    log.error("slot_failed", slot_id=str(pk), error=type(error).__name__)  # noqa: TRY400
                    counts["failed"] += 1
                else:
                    counts[outcome] += number
    return counts


def _expire(now: dt.datetime) -> int:
    """Holds that are over: their times are due to be offered to the next."""
    over = list(SlotOffer.objects.filter(state=Offer.OPEN, hold_until__lte=now).values_list("pk", "slot_id")[:BATCH])
    ended = 0
    for pk, slot_id in over:
        with transaction.atomic():
            # The slot first: who accepts locks in this order.
            FreedSlot.objects.select_for_update(no_key=True).get(pk=slot_id)
            mine = SlotOffer.objects.filter(pk=pk, state=Offer.OPEN, hold_until__lte=now)
            if mine.update(state=Offer.EXPIRED, answered_at=now):
                FreedSlot.objects.filter(pk=slot_id, state=Slot.OPEN).update(due_at=now)
                ended += 1
    return ended


@transaction.atomic
def _offer(slot_id: uuid.UUID, now: dt.datetime) -> tuple[str, int]:
    """What becomes of one free time now: offered to so many, or closed, or looked at again later."""
    slot = (
        FreedSlot.objects.select_for_update(of=("self",), no_key=True)
        .select_related("provider", "location", "department")
        .get(pk=slot_id)
    )
    if slot.state != Slot.OPEN or slot.due_at > now:
        return "offered", 0
    own = policy.of(slot.tenant_id)
    if not _is_free(slot, own, now):
        _close(slot)
        return "closed", 1
    quiet = rest.quiet_until(slot.tenant_id, now, zone=slot.location.timezone)
    if quiet is not None:
        return _later(slot, quiet)
    still_open = SlotOffer.objects.filter(slot=slot, state=Offer.OPEN)
    room = own.offers_at_once - still_open.count()
    hold_until = min(now + dt.timedelta(minutes=own.offer_hold_minutes), slot.starts_at - NO_LATER)
    made = 0
    for entry, person_key in _who_fits(slot, own, now) if room > 0 else ():
        offer, is_new = SlotOffer.objects.get_or_create(
            slot=slot,
            entry=entry,
            defaults={
                "tenant_id": slot.tenant_id,
                "person_key": person_key,
                "hold_until": hold_until,
                "code": new_code(),
            },
        )
        if is_new:
            events.record(OFFERED, tenant_id=slot.tenant_id, dedupe=str(offer.pk), obj=offer)
            made += 1
        if made >= room:
            break
    nearest = still_open.order_by("hold_until").values_list("hold_until", flat=True).first()
    _later(slot, min(nearest or now + LOOK_AGAIN, now + LOOK_AGAIN))
    return "offered", made


def _later(slot: FreedSlot, due_at: dt.datetime) -> tuple[str, int]:
    slot.due_at = due_at
    slot.save(update_fields=["due_at"])
    return "offered", 0


def _close(slot: FreedSlot) -> None:
    """Too late, or the time is taken: whoever was asked is told."""
    slot.state = Slot.CLOSED
    slot.save(update_fields=["state"])
    tell_losers(slot)


def _is_free(slot: FreedSlot, own: VisitPolicy, now: dt.datetime) -> bool:
    if slot.starts_at - now < dt.timedelta(minutes=own.offer_notice_minutes):
        return False
    return is_bookable(slot)


def is_bookable(slot: FreedSlot) -> bool:
    """The provider is there, the place is open, and nobody else has the time."""
    provider, location = slot.provider, slot.location
    if not provider.is_active or not location.is_active:
        return False
    if selectors.is_away(provider, location, slot.starts_at, slot.ends_at):
        return False
    day = timezone.localtime(slot.starts_at, location.zone).date()
    if (
        selectors.is_on_leave(provider, slot.starts_at, slot.ends_at)
        or selectors.holidays(location.pk, day, day).exists()
    ):
        return False
    return not selectors.overlapping(provider=provider, starts_at=slot.starts_at, ends_at=slot.ends_at).exists()


def _who_fits(slot: FreedSlot, own: VisitPolicy, now: dt.datetime) -> Iterator[tuple[WaitlistEntry, str]]:
    """Those who may be asked, in the order of the list, with the person whose phone would ring."""
    local = timezone.localtime(slot.starts_at, slot.location.zone)
    minutes = (slot.ends_at - slot.starts_at).total_seconds() // 60
    entries = list(
        WaitlistEntry.objects.filter(
            Q(provider=None) | Q(provider=slot.provider_id),
            Q(location=None) | Q(location=slot.location_id),
            Q(time_from=None) | Q(time_from__lte=local.time(), time_until__gt=local.time()),
            # They have nothing, or the clinic called it off; or this is earlier, at the place where they are expected.
            Q(appointment=None)
            | Q(appointment__status=Appointment.Status.CANCELLED, appointment__cancelled_by=By.CLINIC)
            | Q(
                appointment__status__in=AWAITED,
                appointment__starts_at__gt=slot.starts_at,
                appointment__location=slot.location_id,
            ),
            department=slot.department_id,
            state=Entry.WAITING,
            first_day__lte=local.date(),
            last_day__gte=local.date(),
            length_minutes__lte=minutes,
            notice_minutes__lte=(slot.starts_at - now).total_seconds() // 60,
        )
        .exclude(patient=slot.appointment.patient_id)
        .exclude(offers__slot=slot)
        .select_related("patient__tenant", "appointment")
        .order_by("created_at", "pk")
    )
    contacts = contacts_for([entry.patient for entry in entries])
    today = timezone.localtime(now, slot.location.zone).replace(hour=0, minute=0, second=0, microsecond=0)
    asked_now: set[str] = set()
    for entry in entries:
        contact = contacts[entry.patient_id]
        if not isinstance(contact, Contact) or contact.person_key in asked_now or not contact.phone:
            continue
        had = SlotOffer.objects.filter(person_key=contact.person_key)
        if had.filter(created_at__gte=today).count() >= own.offers_per_day:
            continue
        if SlotOffer.objects.filter(entry=entry).count() >= OFFERS_PER_ENTRY or had.filter(state=Offer.OPEN).exists():
            continue
        if _has_other_visit(entry, slot):
            continue
        asked_now.add(contact.person_key)
        yield entry, contact.person_key


def still_suits(entry: WaitlistEntry, slot: FreedSlot) -> bool:
    """Whether who was asked can still come then: the kept visit has not begun and is not earlier by now, and they are
    nowhere else.
    """
    kept = entry.appointment
    if kept is not None:
        is_earlier = kept.status in AWAITED and kept.starts_at <= slot.starts_at
        if is_earlier or kept.status not in AWAITED | {Appointment.Status.CANCELLED}:
            return False
    return not _has_other_visit(entry, slot)


def _has_other_visit(entry: WaitlistEntry, slot: FreedSlot) -> bool:
    """The patient is somewhere else in the clinic group at that time."""
    visits = Appointment.objects.filter(
        patient=entry.patient_id, status__in=OCCUPYING, starts_at__lt=slot.ends_at, ends_at__gt=slot.starts_at
    )
    if entry.appointment_id is not None:
        visits = visits.exclude(pk=entry.appointment_id)
    return visits.exists()


def tell_losers(slot: FreedSlot) -> None:
    """Whoever was asked and has not answered learns that the time is gone."""
    losers = list(SlotOffer.objects.filter(slot=slot, state=Offer.OPEN))
    SlotOffer.objects.filter(pk__in=[one.pk for one in losers], state=Offer.OPEN).update(
        state=Offer.LOST, answered_at=timezone.now()
    )
    for offer in losers:
        events.record(LOST, tenant_id=slot.tenant_id, dedupe=str(offer.pk), obj=offer)
