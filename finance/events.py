"""The billing events as data: who is told, in which words, and how each reads its invoice.

What was treated is never named: an amount and a number are enough. Registered from ``AppConfig.ready()``.
"""

from __future__ import annotations

import datetime as dt
import functools
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from core import phone
from core.contacts import Contact, contact_for
from core.models import Location
from finance.models import Invoice, Payment
from finance.services import OPEN
from notifications.models import NotificationEvent
from notifications.registry import Audience, Delivery, EventType, Slot, Subject
from notifications.registry import Words as Text
from notifications.rendering import Code, LocalDate, Money, Words
from notifications.states import Channel, NotificationType, Reason

Status = Invoice.Status
Extras = Callable[[Invoice, NotificationEvent], dict[str, Any]]

# A bill is not urgent, but after a week its news is stale: the patient may have paid by then.
USEFUL_FOR = dt.timedelta(days=7)
_NO_PHONE = Words("the clinic", "العيادة")


def _no_extras(_invoice: Invoice, _event: NotificationEvent) -> dict[str, Any]:
    return {}


def _received(invoice: Invoice, event: NotificationEvent) -> dict[str, Any]:
    """What was paid just now, and what is left."""
    payment = Payment.objects.get(pk=uuid.UUID(event.payload["payment_id"]))
    return {"paid_amount": Money(payment.amount_minor, invoice.currency)}


def _describe(holds_in: frozenset[str], extras: Extras, event: NotificationEvent) -> Subject:
    invoice = (
        Invoice.objects.select_related("tenant", "patient__tenant", "patient__user", "appointment__location")
        .filter(pk=event.object_id)
        .first()
        if event.object_id is not None
        else None
    )
    if invoice is None:
        return Subject(context={}, refusal=Reason.STATUS_NOT_ELIGIBLE)
    location = invoice.appointment.location if invoice.appointment is not None else _main_location()
    contact = contact_for(invoice.patient)
    number = phone.display(location.phone) if location is not None else ""
    context = {
        "patient_name": invoice.patient,
        "recipient_name": contact if isinstance(contact, Contact) else invoice.patient,
        "clinic_name": invoice.tenant,
        "number": Code(invoice.number),
        "amount": Money(invoice.amount_minor, invoice.currency),
        "open_amount": Money(invoice.open_minor, invoice.currency),
        "due_date": LocalDate(invoice.due_on),
        "phone": Code(number) if number else _NO_PHONE,
    }
    return Subject(
        context=context | extras(invoice, event),
        patient=invoice.patient,
        location=location,
        useful_until=event.created_at + USEFUL_FOR,
        refusal=None if invoice.status in holds_in else Reason.STATUS_NOT_ELIGIBLE,
    )


def _main_location() -> Location | None:
    """An invoice without a visit speaks for the group's first location."""
    return Location.objects.order_by("name_en", "pk").first()


def _letter(subject_en: str, subject_ar: str, en: str, ar: str) -> Text:
    return Text(
        Channel.EMAIL,
        subject_en=subject_en,
        subject_ar=subject_ar,
        body_en=f"Dear {{recipient_name}},\n\n{en}\n\nWarm regards,\n{{clinic_name}}",
        body_ar=f"مرحبًا {{recipient_name}}،\n\n{ar}\n\nمع أطيب التحيات،\n{{clinic_name}}",
    )


_ISSUED = (
    Text(
        Channel.SMS,
        body_en="{clinic_name}: invoice {number} of {amount} for {patient_name}, due on {due_date}. Questions: {phone}",
        body_ar="{clinic_name}: صدرت الفاتورة {number} باسم {patient_name} بمبلغ {amount}، وتستحق يوم {due_date}."
        " للاستفسار: {phone}",
    ),
    Text(
        Channel.WHATSAPP,
        body_en="Hello {recipient_name},\na new invoice for {patient_name}:\n\nNumber {number}\n*{amount}*\n"
        "Due on {due_date}\n\nQuestions? Call {phone}.\n{clinic_name}",
        body_ar="مرحبًا {recipient_name}،\nفاتورة جديدة باسم {patient_name}:\n\nرقم {number}\n*{amount}*\n"
        "تستحق يوم {due_date}\n\nللاستفسار: {phone}\n{clinic_name}",
    ),
    _letter(
        "Invoice {number}",
        "فاتورة {number}",
        "A new invoice has been issued for {patient_name}:\n\nNumber: {number}\nAmount: {amount}\nDue on: {due_date}\n\n"
        "You can pay at the reception desk. Questions? Call us on {phone}.",
        "صدرت فاتورة جديدة باسم {patient_name}:\n\nالرقم: {number}\nالمبلغ: {amount}\nتاريخ الاستحقاق: {due_date}\n\n"
        "يمكن السداد لدى مكتب الاستقبال. للاستفسار: {phone}",
    ),
)
_DUE = (
    Text(
        Channel.SMS,
        body_en="{clinic_name}: a reminder that {open_amount} of invoice {number} for {patient_name} is open, due on"
        " {due_date}. Questions: {phone}",
        body_ar="{clinic_name}: نذكّركم بسداد {open_amount} من الفاتورة {number} باسم {patient_name}، وتستحق يوم {due_date}."
        " للاستفسار: {phone}",
    ),
    Text(
        Channel.WHATSAPP,
        body_en="Hello {recipient_name},\na friendly reminder of invoice {number} for {patient_name}:\n\n"
        "Still open: *{open_amount}*\nDue on {due_date}\n\nIf you have just paid, please ignore this."
        " Questions? Call {phone}.\n{clinic_name}",
        body_ar="مرحبًا {recipient_name}،\nتذكير ودّي بالفاتورة {number} باسم {patient_name}:\n\n"
        "المبلغ المتبقي: *{open_amount}*\nتستحق يوم {due_date}\n\nإن تم السداد فنرجو تجاهل هذه الرسالة."
        " للاستفسار: {phone}\n{clinic_name}",
    ),
    _letter(
        "Payment reminder: invoice {number}",
        "تذكير بالسداد: فاتورة {number}",
        "A friendly reminder of this invoice for {patient_name}:\n\nNumber: {number}\nStill open: {open_amount}\n"
        "Due on: {due_date}\n\nIf you have just paid, please ignore this. Questions? Call us on {phone}.",
        "تذكير ودّي بهذه الفاتورة باسم {patient_name}:\n\nالرقم: {number}\nالمبلغ المتبقي: {open_amount}\n"
        "تاريخ الاستحقاق: {due_date}\n\nإن تم السداد فنرجو تجاهل هذه الرسالة. للاستفسار: {phone}",
    ),
)
_PAID = (
    Text(
        Channel.SMS,
        body_en="{clinic_name}: thank you, we have received {paid_amount} for invoice {number}. Still open: {open_amount}.",
        body_ar="{clinic_name}: شكرًا لكم، استلمنا {paid_amount} للفاتورة {number}. المتبقي: {open_amount}.",
    ),
    Text(
        Channel.WHATSAPP,
        body_en="Hello {recipient_name},\nthank you, we have received *{paid_amount}* for invoice {number}.\n\n"
        "Still open: {open_amount}\n{clinic_name}",
        body_ar="مرحبًا {recipient_name}،\nشكرًا لكم، استلمنا *{paid_amount}* للفاتورة {number}.\n\n"
        "المتبقي: {open_amount}\n{clinic_name}",
    ),
    _letter(
        "Payment received: invoice {number}",
        "تم استلام الدفعة: فاتورة {number}",
        "Thank you. We have received your payment:\n\nInvoice: {number}\nReceived: {paid_amount}\n"
        "Still open: {open_amount}\n\nQuestions? Call us on {phone}.",
        "شكرًا لكم. استلمنا دفعتكم:\n\nالفاتورة: {number}\nالمبلغ المستلم: {paid_amount}\n"
        "المتبقي: {open_amount}\n\nللاستفسار: {phone}",
    ),
)

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
    holds_in: frozenset[str],
    words: tuple[Text, ...],
    *,
    extras: Extras = _no_extras,
    example: Mapping[str, Any] | None = None,
) -> EventType:
    return EventType(
        key=key,
        name_en=names[0],
        name_ar=names[1],
        notification_type=NotificationType.BILLING,
        deliveries=(Delivery(Audience.PATIENT, (Slot.PREFERRED,), words),),
        describe=functools.partial(_describe, holds_in, extras),
        example={**_EXAMPLE, **(example or {})},
    )


ENTRIES = (
    _entry("billing.invoice_issued", ("Invoice issued", "إصدار فاتورة"), OPEN, _ISSUED),
    _entry("billing.payment_due", ("Payment reminder", "تذكير بالسداد"), OPEN, _DUE),
    _entry(
        "billing.payment_received",
        ("Payment received", "استلام دفعة"),
        OPEN | {Status.PAID},
        _PAID,
        extras=_received,
        example={"paid_amount": Money(20000, "SAR")},
    ),
)
