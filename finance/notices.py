"""The notices of a bill: what is recorded when, and what is withdrawn when money comes."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence
from typing import Any

from django.db.models import Q, QuerySet
from django.utils import timezone

from core.contacts import Contact
from core.ids import ordered_uuid
from core.models import Location, User
from finance import payers
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
    """Some notice of the bill has left, or may have; where somebody is named who pays: to them."""
    left = _left(invoice)
    payer = payers.reader_of(invoice)
    if isinstance(payer, Contact):
        left = left.filter(recipient__in=payers.addresses_of(payer))
    return left.exists()


def tell_former_payers(invoice: Invoice, former: Sequence[Contact], *, actor: User) -> None:
    """To who has the bill in hand and need not pay it any more: for them it is cancelled. Once for each time they were
    asked. Of a bill that is paid in part that would not be true. The caller has the row locked.
    """
    if invoice.paid_minor:
        return
    staying = payers.readers_of(invoice)
    for reader in former:
        told = _asked_last(invoice, reader)
        if told is None or any(payers.is_same(reader, one) for one in staying) or _is_taken_back(told):
            continue
        events.record(
            VOIDED,
            tenant_id=invoice.tenant_id,
            dedupe=f"{invoice.pk}:{ordered_uuid()}",
            obj=invoice,
            actor=actor,
            # Ids alone: their address stands on that message.
            payload={"told": str(told.pk), "person": reader.person_key},
        )


def former_payer(invoice: Invoice, event: NotificationEvent) -> Contact | str | None:
    """Whom this event tells that the bill is no longer theirs, or why not; None: it is about the bill itself."""
    if "told" not in event.payload:
        return None
    told = Message.objects.select_related("guardian").get(pk=event.payload["told"])
    reader = payers.former_reader(invoice, event.payload["person"], told)
    if isinstance(reader, str):
        return reader
    if any(payers.is_same(reader, one) for one in payers.readers_of(invoice)):
        # The bill has come back to them.
        return str(Reason.STALE_VERSION)
    last = _asked_last(invoice, reader)
    # Asked once more meanwhile, and told of that one.
    return str(Reason.STALE_VERSION) if last is not None and last != told else reader


def _left(invoice: Invoice) -> QuerySet[Message]:
    about = Message.objects.filter(object_id=invoice.pk, object_type=Invoice._meta.label_lower)
    return about.exclude(status__in=NEVER_LEFT | {Status.QUEUED})


def _asked_last(invoice: Invoice, reader: Contact) -> Message | None:
    """The last notice that asked this reader to pay."""
    to_them = Q(recipient__in=payers.addresses_of(reader))
    if reader.guardian is not None:
        to_them |= Q(guardian=reader.guardian)
    return _left(invoice).filter(to_them, event__key__in=(ISSUED, *REMINDERS)).order_by("-created_at", "-pk").first()


def _is_taken_back(told: Message) -> bool:
    """Its reader was told that it is over, or will be."""
    told_so = NotificationEvent.objects.filter(object_id=told.object_id, key=VOIDED, payload__told=str(told.pk))
    went = Message.objects.filter(event__in=told_so).exclude(status__in=NEVER_LEFT)
    return told_so.filter(processed_at=None).exists() or went.exists()
