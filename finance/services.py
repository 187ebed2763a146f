"""Every verb of the money: issue an invoice, void it, take a payment, remind.

Keyword-only, atomic, the invoice's row locked; refusals are ``DomainError``. Amounts are minor units (halalas). The
patient's messages hang on the saves in ``finance/signals.py``. Needs the tenant's scope open; knows no appointment
beyond the invoice's link to it.
"""

from __future__ import annotations

import datetime as dt
import uuid

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from core import audit
from core.access import Can
from core.errors import DomainError
from core.models import Patient, User
from core.permissions import demand
from core.tenancy import TenantModel
from finance.models import Invoice, Payment
from notifications import events, lifecycle
from notifications.models import NotificationEvent
from notifications.states import Reason

Status = Invoice.Status
OPEN = frozenset({Status.ISSUED, Status.PART_PAID})

# One million riyals: above it somebody forgot the decimal point.
LARGEST_AMOUNT = 100_000_000


@transaction.atomic
def invoice_issue(
    *,
    actor: User,
    patient: Patient,
    appointment: TenantModel | None = None,
    amount_minor: int,
    description: str = "",
    due_on: dt.date,
) -> Invoice:
    """Issues an invoice; the patient is told once."""
    demand(actor, Can.TAKE_PAYMENTS, patient, appointment)
    _check_amount(amount_minor)
    if due_on < timezone.localdate():
        raise DomainError(_("The due date is in the past."), code="due_past")
    if patient.merged_into_id is not None:
        raise DomainError(_("This file was merged into another one. Bill that patient."), code="merged_away")
    invoice = Invoice(
        tenant_id=patient.tenant_id,
        patient=patient,
        appointment_id=appointment.pk if appointment is not None else None,
        amount_minor=amount_minor,
        currency=patient.tenant.currency,
        description=description.strip(),
        due_on=due_on,
    )
    if invoice.appointment is not None and invoice.appointment.patient_id != patient.pk:
        raise DomainError(_("This appointment belongs to another patient."), code="other_patient")
    invoice.issued_by = actor
    invoice.save(force_insert=True)
    _audit(invoice, actor, "invoice.issued", before={})
    return invoice


@transaction.atomic
def invoice_void(*, actor: User, invoice_id: uuid.UUID) -> Invoice:
    """Takes an unpaid invoice back. What waits to be sent about it is withdrawn."""
    invoice = _locked(invoice_id)
    demand(actor, Can.ADMINISTER, invoice)
    if invoice.status == Status.VOID:
        return invoice
    if invoice.paid_minor:
        raise DomainError(_("Money was received for this invoice, so it cannot be taken back."), code="paid")
    before = _snapshot(invoice)
    invoice.status = Status.VOID
    invoice.save(update_fields=["status"])
    lifecycle.cancel_for_object(invoice.pk, 1, Reason.WITHDRAWN)
    _audit(invoice, actor, "invoice.voided", before=before)
    return invoice


@transaction.atomic
def payment_record(
    *, actor: User, invoice_id: uuid.UUID, amount_minor: int, payment_key: uuid.UUID | None = None
) -> Payment:
    """Takes money for an invoice. The same ``payment_key`` again returns the payment that is there."""
    invoice = _locked(invoice_id)
    demand(actor, Can.TAKE_PAYMENTS, invoice)
    if payment_key is not None:
        taken = Payment.objects.filter(payment_key=payment_key).select_related("invoice").first()
        if taken is not None:
            return taken
    _check_amount(amount_minor)
    if invoice.status not in OPEN:
        raise DomainError(_("This invoice is not open: there is nothing to pay."), code="not_open")
    if amount_minor > invoice.open_minor:
        raise DomainError(
            _("Only %(amount)s %(currency)s are still open on this invoice.")
            % {"amount": f"{invoice.open_minor / 100:,.2f}", "currency": invoice.currency},
            code="overpaid",
        )
    before = _snapshot(invoice)
    invoice.paid_minor += amount_minor
    invoice.status = Status.PAID if invoice.open_minor == 0 else Status.PART_PAID
    invoice.save(update_fields=["paid_minor", "status"])
    payment = Payment.objects.create(
        tenant_id=invoice.tenant_id,
        invoice=invoice,
        amount_minor=amount_minor,
        received_by=actor,
        payment_key=payment_key,
    )
    _audit(invoice, actor, "payment.recorded", before=before)
    return payment


@transaction.atomic
def payment_remind(*, actor: User, invoice_id: uuid.UUID) -> NotificationEvent:
    """Reminds the payer of an open invoice, at most once a day."""
    invoice = _locked(invoice_id)
    demand(actor, Can.TAKE_PAYMENTS, invoice)
    if invoice.status not in OPEN:
        raise DomainError(_("This invoice is not open: there is nothing to remind of."), code="not_open")
    dedupe = f"{invoice.pk}:{timezone.localdate().isoformat()}"
    if NotificationEvent.objects.filter(dedupe_key=f"billing.payment_due:{dedupe}").exists():
        raise DomainError(_("The payer was already reminded today."), code="already_reminded")
    event = events.record("billing.payment_due", tenant_id=invoice.tenant_id, dedupe=dedupe, obj=invoice, actor=actor)
    _audit(invoice, actor, "payment.reminded", before=_snapshot(invoice))
    return event


def _locked(invoice_id: uuid.UUID) -> Invoice:
    try:
        return (
            Invoice.objects.select_related("tenant", "patient__tenant")
            .select_for_update(of=("self",), no_key=True)
            .get(pk=invoice_id)
        )
    except Invoice.DoesNotExist as error:
        raise DomainError(_("This invoice does not exist."), code="not_found") from error


def _check_amount(amount_minor: int) -> None:
    if amount_minor <= 0:
        raise DomainError(_("The amount must be more than zero."), code="amount_invalid")
    if amount_minor > LARGEST_AMOUNT:
        raise DomainError(_("This amount is too large. Please check the decimal point."), code="amount_invalid")


def _snapshot(invoice: Invoice) -> dict[str, object]:
    return {"status": str(invoice.status), "amount_minor": invoice.amount_minor, "paid_minor": invoice.paid_minor}


def _audit(invoice: Invoice, actor: User, action: str, *, before: dict[str, object]) -> None:
    audit.record(
        tenant_id=invoice.tenant_id,
        actor=actor,
        action=action,
        obj=invoice,
        before=before,
        after=_snapshot(invoice),
    )
