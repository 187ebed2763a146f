"""What billing tells in a copy of a patient's data, and what it says before it is erased. Registered at start."""

from __future__ import annotations

from collections.abc import Iterator

from django.utils.translation import gettext as _text
from django.utils.translation import gettext_lazy as _

from core import subject_data
from core.models import Patient
from core.subject_data import Copy, Row, Section
from finance.models import Invoice, Payment
from finance.services import OPEN
from notifications.subject_erasing import erase_news
from notifications.wording import format_money


def _invoices(copy: Copy) -> Iterator[Row]:
    """Who pays in the patient's stead is that person's own data, and is not told."""
    for row in Invoice.objects.filter(patient=copy.patient).order_by("created_at", "pk"):
        yield {
            "number": row.number,
            "time": row.created_at,
            "for": copy.text(row.description),
            "amount": format_money(row.amount_minor, row.currency, copy.language),
            "paid": format_money(row.paid_minor, row.currency, copy.language),
            "due": row.due_on,
            "status": row.get_status_display(),
        }


def _payments(copy: Copy) -> Iterator[Row]:
    rows = Payment.objects.filter(invoice__patient=copy.patient).select_related("invoice", "received_by")
    for row in rows.order_by("created_at", "pk"):
        yield {
            "time": row.created_at,
            "number": row.invoice.number,
            "amount": format_money(row.amount_minor, row.invoice.currency, copy.language),
            "by": copy.staff(row.received_by),
        }


def _unpaid(patient: Patient) -> str:
    """An obstacle: a claim needs an address."""
    if Invoice.objects.filter(patient=patient, status__in=OPEN).exists():
        return _text("There are open bills. Settle or void them first.")
    return ""


def _erase(patient: Patient) -> int:
    """Where the payers were reached, and what the staff was told about the bills. The bills themselves must be kept by law."""
    bills = Invoice.objects.filter(patient=patient)
    erased = bills.exclude(payer_phone="", payer_email="").update(payer_phone="", payer_email="")
    return erased + erase_news(list(bills.values_list("pk", flat=True)))


def _payers(patient: Patient) -> list[str]:
    return list(Invoice.objects.filter(patient=patient).exclude(payer_name="").values_list("payer_name", flat=True))


def register() -> None:
    for section in _SECTIONS:
        subject_data.register_section(section)
    subject_data.register_obstacle("bills", _unpaid)
    subject_data.register_eraser("finance", _erase)
    subject_data.register_names(_payers)


_SECTIONS = (
    Section(
        "invoices",
        _("Your bills"),
        {
            "number": _("Number"),
            "time": _("Issued"),
            "for": _("For"),
            "amount": _("Amount"),
            "paid": _("Paid"),
            "due": _("Due"),
            "status": _("Status"),
        },
        _invoices,
        ("finance.Invoice",),
    ),
    Section(
        "payments",
        _("Payments"),
        {"time": _("Time"), "number": _("Bill"), "amount": _("Amount"), "by": _("Received by")},
        _payments,
        ("finance.Payment",),
    ),
)
