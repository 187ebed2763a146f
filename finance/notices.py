"""The notices of a bill: what is recorded when, and what is withdrawn when money comes."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from typing import Any

from django.db.models import Q
from django.utils import timezone

from core.ids import ordered_uuid
from core.models import Location, User
from finance.models import Invoice
from notifications import events, lifecycle
from notifications.models import Message, NotificationEvent
from notifications.states import CANCELLABLE, NEVER_LEFT, Reason, Status

ISSUED, DUE, OVERDUE = "billing.invoice_issued", "billing.payment_due", "billing.payment_overdue"
RECEIVED, REFUNDED, VOIDED = "billing.payment_received", "billing.refunded", "billing.invoice_voided"
# Both ask for money, and neither twice a day.
REMINDERS = (DUE, OVERDUE)


def today_of(invoice: Invoice) -> dt.date:
    """The day it is where the bill is paid."""
    return timezone.localdate(timezone=zone_of(invoice))


def zone_of(invoice: Invoice) -> dt.tzinfo:
    return zone_at(place_of(invoice))


def zone_at(location: Location | None) -> dt.tzinfo:
    return location.zone if location is not None else timezone.get_default_timezone()


def place_of(invoice: Invoice, main: Location | None = None) -> Location | None:
    """Where the visit was; an invoice without a visit speaks for the group's first location (``main``, if it is known)."""
    if invoice.appointment is not None:
        location: Location = invoice.appointment.location
        return location
    return main or main_place()


def main_place() -> Location | None:
    return Location.objects.order_by("name_en", "pk").first()


def was_reminded_on(invoice: Invoice, day: dt.date) -> bool:
    """By the clock or by the desk."""
    begins = dt.datetime.combine(day, dt.time(), zone_of(invoice))
    mine = NotificationEvent.objects.filter(object_id=invoice.pk, key__in=REMINDERS)
    return mine.filter(created_at__gte=begins, created_at__lt=begins + dt.timedelta(days=1)).exists()


def remind(invoice: Invoice, *, dedupe: str, actor: User | None = None, step: int | None = None) -> NotificationEvent:
    """Asks for what is open, in the words that fit the due day. The caller has the invoice's row locked.

    The sum goes along: if it is another one by the time of sending, this reminder is not sent any more.
    """
    payload: dict[str, Any] = {"open_minor": invoice.open_minor}
    if step is not None:
        payload["step"] = step
    return events.record(
        OVERDUE if today_of(invoice) > invoice.due_on else DUE,
        tenant_id=invoice.tenant_id,
        dedupe=dedupe,
        obj=invoice,
        actor=actor,
        payload=payload,
    )


def tell_new_payer(invoice: Invoice, *, actor: User) -> None:
    """The bill itself, to who pays it now. If its first notice is still to be written, that one reads the new payer."""
    waiting = NotificationEvent.objects.filter(object_id=invoice.pk, key=ISSUED, processed_at=None)
    if not waiting.exists():
        dedupe = f"{invoice.pk}:{ordered_uuid()}"
        events.record(ISSUED, tenant_id=invoice.tenant_id, dedupe=dedupe, obj=invoice, actor=actor)


def withdraw(invoice: Invoice, keys: Collection[str], reason: Reason) -> int:
    """What waits to be sent of these notices ends with the reason; how many. What is being handed over is checked again
    by the sender.
    """
    waiting = Message.objects.filter(object_id=invoice.pk, event__key__in=keys, status__in=CANCELLABLE).filter(
        Q(status=Status.QUEUED) | Q(next_attempt_at__isnull=False)
    )
    return len(lifecycle.refuse_many(dict.fromkeys(waiting.values_list("pk", flat=True), reason)))


def was_told(invoice: Invoice) -> bool:
    """Some notice of the bill has left, or may have."""
    left = Message.objects.filter(object_id=invoice.pk, object_type=Invoice._meta.label_lower)
    return left.exclude(status__in=NEVER_LEFT | {Status.QUEUED}).exists()
