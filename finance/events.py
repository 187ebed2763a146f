"""The billing events as data: who is told, until when each holds, and how it reads its invoice.

Registered from ``AppConfig.ready()``. The words are in ``finance/words.py``.
"""

from __future__ import annotations

import datetime as dt
import functools
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from core import phone
from core.contacts import Contact, contact_for
from core.discretion import is_discreet
from finance import notices, payers, words
from finance.models import Invoice, Payment, Refund
from finance.services import OPEN
from notifications.models import NotificationEvent
from notifications.registry import Audience, Delivery, EventType, Slot, Subject
from notifications.registry import Words as Text
from notifications.rendering import Code, LocalDate, Money, Words
from notifications.states import NotificationType, Reason

Status = Invoice.Status
Extras = Callable[[Invoice, NotificationEvent], dict[str, Any]]
Deadline = Callable[[Invoice, NotificationEvent], dt.datetime]

# A bill is not urgent, but after a week its news is stale: the patient may have paid by then.
USEFUL_FOR = dt.timedelta(days=7)
# A reminder of what is overdue: the next one says it better.
OVERDUE_FOR = dt.timedelta(days=3)
_NO_PHONE = Words("the clinic", "العيادة")
# At a sensitive place a sum can tell what it is for: the desk tells it to who asks.
_UNSAID = Words("the amount that we tell you on the phone", "المبلغ الذي نوضحه لكم عند الاتصال")
# Nothing was ever asked for, or nothing is any more.
_ANY = frozenset(Status.values)


def _money(minor: int, invoice: Invoice) -> Money | Words:
    return _UNSAID if is_discreet(notices.place_of(invoice)) else Money(minor, invoice.currency)


def _no_extras(_invoice: Invoice, _event: NotificationEvent) -> dict[str, Any]:
    return {}


def _received(invoice: Invoice, event: NotificationEvent) -> dict[str, Any]:
    """What was paid just now, and what is left."""
    payment = Payment.objects.get(pk=uuid.UUID(event.payload["payment_id"]))
    return {"paid_amount": _money(payment.amount_minor, invoice)}


def _given_back(invoice: Invoice, event: NotificationEvent) -> dict[str, Any]:
    refund = Refund.objects.get(pk=uuid.UUID(event.payload["refund_id"]))
    return {"refunded_amount": _money(refund.amount_minor, invoice)}


def _for_a_week(_invoice: Invoice, event: NotificationEvent) -> dt.datetime:
    return event.created_at + USEFUL_FOR


def _until_the_due_day_is_over(invoice: Invoice, event: NotificationEvent) -> dt.datetime:
    """On the wall clock of the place. A reminder by hand on the last evening still gets its day."""
    ends = dt.datetime.combine(invoice.due_on + dt.timedelta(days=1), dt.time(), notices.zone_of(invoice))
    return max(ends, event.created_at + dt.timedelta(hours=12))


def _for_some_days(_invoice: Invoice, event: NotificationEvent) -> dt.datetime:
    return event.created_at + OVERDUE_FOR


@dataclass(frozen=True, slots=True)
class _Rule:
    """In which states an event still holds, until when, and what more it says."""

    holds_in: frozenset[str]
    until: Deadline = _for_a_week
    extras: Extras = _no_extras


def _invoice(event: NotificationEvent) -> Invoice | None:
    if event.object_id is None:
        return None
    rows = Invoice.objects.select_related(
        "tenant", "patient__tenant", "patient__user", "appointment__location", "payer_guardian"
    )
    return rows.filter(pk=event.object_id).first()


def _describe(rule: _Rule, event: NotificationEvent) -> Subject:
    invoice = _invoice(event)
    if invoice is None:
        return Subject(context={}, refusal=Reason.STATUS_NOT_ELIGIBLE)
    location = notices.place_of(invoice)
    payer = _reader(invoice, event)
    contact = payer if payer is not None else contact_for(invoice.patient, notification_type=NotificationType.BILLING)
    number = phone.display(location.phone) if location is not None else ""
    context = {
        "patient_name": invoice.patient,
        "recipient_name": contact if isinstance(contact, Contact) else invoice.patient,
        "clinic_name": invoice.tenant,
        "number": Code(invoice.number),
        "amount": _money(invoice.amount_minor, invoice),
        "open_amount": _money(invoice.open_minor, invoice),
        "due_date": LocalDate(invoice.due_on),
        "phone": Code(number) if number else _NO_PHONE,
    }
    return Subject(
        context=context | rule.extras(invoice, event),
        patient=invoice.patient,
        location=location,
        useful_until=rule.until(invoice, event),
        refusal=_refusal(rule, invoice, event),
        reader=payer,
    )


def _refusal_now(rule: _Rule, event: NotificationEvent) -> Reason | None:
    invoice = _invoice(event)
    return Reason.STATUS_NOT_ELIGIBLE if invoice is None else _refusal(rule, invoice, event)


def _refusal(rule: _Rule, invoice: Invoice, event: NotificationEvent) -> Reason | None:
    # Whoever pays it now: for a former payer it is over.
    if invoice.status not in rule.holds_in and "told" not in event.payload:
        return Reason.STATUS_NOT_ELIGIBLE
    # A part was paid since the reminder was written down: it would ask for too much.
    asked: int | None = event.payload.get("open_minor")
    return Reason.STALE_VERSION if asked is not None and asked != invoice.open_minor else None


def _payer(event: NotificationEvent) -> Contact | str | None:
    """Who reads about the bill, where it names somebody; asked again before each send."""
    invoice = _invoice(event)
    return _reader(invoice, event) if invoice is not None else None


def _reader(invoice: Invoice, event: NotificationEvent) -> Contact | str | None:
    return notices.former_payer(invoice, event) or payers.reader_of(invoice)


_EXAMPLE: Mapping[str, Any] = {
    "patient_name": Words("Sara Al-Mutairi", "سارة المطيري"),
    "recipient_name": Words("Huda Al-Rashid", "هدى الراشد"),
    "clinic_name": Words("Noor Clinics", "عيادات النور"),
    "number": Code("INV-2026-000042"),
    "amount": Money(45000, "SAR"),
    "open_amount": Money(25000, "SAR"),
    "due_date": LocalDate(dt.date(2026, 12, 1)),
    "phone": Code("+966 11 234 5678"),
}


def _entry(
    key: str,
    names: tuple[str, str],
    rule: _Rule,
    texts: tuple[Text, ...],
    *,
    example: Mapping[str, Any] | None = None,
) -> EventType:
    return EventType(
        key=key,
        name_en=names[0],
        name_ar=names[1],
        notification_type=NotificationType.BILLING,
        deliveries=(Delivery(Audience.PATIENT, (Slot.PREFERRED,), texts),),
        describe=functools.partial(_describe, rule),
        refusal=functools.partial(_refusal_now, rule),
        reader=_payer,
        example={**_EXAMPLE, **(example or {})},
    )


ENTRIES = (
    _entry(notices.ISSUED, ("Invoice issued", "إصدار فاتورة"), _Rule(OPEN), words.ISSUED),
    _entry(notices.DUE, ("Payment reminder", "تذكير بالسداد"), _Rule(OPEN, _until_the_due_day_is_over), words.DUE),
    _entry(notices.OVERDUE, ("Payment overdue", "تأخر السداد"), _Rule(OPEN, _for_some_days), words.OVERDUE),
    _entry(
        notices.RECEIVED,
        ("Payment received", "استلام دفعة"),
        _Rule(OPEN | {Status.PAID}, extras=_received),
        words.PAID,
        example={"paid_amount": Money(20000, "SAR")},
    ),
    _entry(
        notices.REFUNDED,
        ("Refund", "استرداد مبلغ"),
        _Rule(_ANY, extras=_given_back),
        words.REFUNDED,
        example={"refunded_amount": Money(20000, "SAR")},
    ),
    _entry(notices.VOIDED, ("Invoice cancelled", "إلغاء فاتورة"), _Rule(frozenset({Status.VOID})), words.VOIDED),
)
