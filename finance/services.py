"""Every verb of the money: issue an invoice, name who pays, void it, take a payment, give back, remind.

Keyword-only, atomic, the invoice's row locked; refusals are ``DomainError``. Amounts are minor units (halalas). The
patient's messages hang on the saves in ``finance/signals.py``. Needs the tenant's scope open; knows no appointment
beyond the invoice's link to it.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from core import audit
from core.access import Can
from core.errors import DomainError
from core.models import Patient, User
from core.permissions import demand
from core.tenancy import TenantModel
from finance import notices, payers
from finance.models import Invoice, Payment, Refund
from finance.payers import Payer
from notifications import events
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
    payer: Payer | None = None,
) -> Invoice:
    """Issues an invoice; the payer is told once: who reads the patient's messages, unless another is named."""
    demand(actor, Can.TAKE_PAYMENTS, patient, appointment)
    _check_amount(amount_minor)
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
        **payers.checked(patient, payer or Payer()).values(),
    )
    if invoice.appointment is not None and invoice.appointment.patient_id != patient.pk:
        raise DomainError(_("This appointment belongs to another patient."), code="other_patient")
    # Where it is paid: there it may still be yesterday, or tomorrow already.
    if due_on < notices.today_of(invoice):
        raise DomainError(_("The due date is in the past."), code="due_past")
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
    notices.withdraw(invoice, (notices.ISSUED, *notices.REMINDERS), Reason.WITHDRAWN)
    if notices.was_told(invoice):
        # Who has the bill in hand would pay it.
        events.record(notices.VOIDED, tenant_id=invoice.tenant_id, dedupe=str(invoice.pk), obj=invoice, actor=actor)
    _audit(invoice, actor, "invoice.voided", before=before)
    return invoice


@transaction.atomic
def invoice_payer_set(*, actor: User, invoice_id: uuid.UUID, payer: Payer) -> Invoice:
    """From now on the notices of an open bill go to this payer. What waits for the former one is withdrawn; if the bill
    has reached them, they are told that it is no longer theirs.
    """
    invoice = _locked(invoice_id)
    demand(actor, Can.TAKE_PAYMENTS, invoice)
    if invoice.status not in OPEN:
        raise DomainError(_("This invoice is not open: there is nothing to pay."), code="not_open")
    values = payers.checked(invoice.patient, payer).values()
    changed = [name for name, value in values.items() if getattr(invoice, name) != value]
    if not changed:
        return invoice
    former = payers.readers_of(invoice)
    for name in changed:
        setattr(invoice, name, values[name])
    invoice.save(update_fields=changed)
    notices.withdraw(invoice, (notices.ISSUED, *notices.REMINDERS), Reason.WITHDRAWN)
    notices.tell_new_payer(invoice, actor=actor)
    notices.tell_former_payers(invoice, former, actor=actor)
    # A name and a number are personal data: the trail learns that they changed.
    kind = "guardian" if invoice.payer_guardian_id else "other" if invoice.payer_name else "patient"
    audit.record(
        tenant_id=invoice.tenant_id,
        actor=actor,
        action="invoice.payer_set",
        obj=invoice,
        before={},
        after={"payer": kind},
    )
    return invoice


@transaction.atomic
def payment_record(
    *, actor: User, invoice_id: uuid.UUID, amount_minor: int, payment_key: uuid.UUID | None = None
) -> Payment:
    """Takes money for an invoice. The same ``payment_key`` again returns the payment that is there; for another sum or
    another bill it is refused.
    """
    invoice = _locked(invoice_id)
    demand(actor, Can.TAKE_PAYMENTS, invoice)
    if payment_key is not None:
        taken = Payment.objects.filter(payment_key=payment_key).select_related("invoice").first()
        if taken is not None:
            _check_same(taken, invoice, amount_minor)
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
    # In the same transaction: nobody is asked for what they have just paid, nor for a sum that is no longer true.
    if invoice.status == Status.PAID:
        notices.withdraw(invoice, (notices.ISSUED, *notices.REMINDERS), Reason.STATUS_NOT_ELIGIBLE)
    else:
        notices.withdraw(invoice, notices.REMINDERS, Reason.STALE_VERSION)
    with _one_form(Payment, payment_key=payment_key):
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
def refund_record(
    *, actor: User, invoice_id: uuid.UUID, amount_minor: int, reason: str = "", refund_key: uuid.UUID | None = None
) -> Refund:
    """Notes that money went back to the payer. All of it back closes the bill; a part of it changes nothing else.

    The same ``refund_key`` again returns the refund that is there; for another sum or another bill it is refused.
    """
    invoice = _locked(invoice_id)
    demand(actor, Can.ADMINISTER, invoice)
    if refund_key is not None:
        given = Refund.objects.filter(refund_key=refund_key).select_related("invoice").first()
        if given is not None:
            _check_same(given, invoice, amount_minor)
            return given
    _check_amount(amount_minor)
    if amount_minor > invoice.kept_minor:
        raise DomainError(
            _("Only %(amount)s %(currency)s of this invoice can be given back.")
            % {"amount": f"{invoice.kept_minor / 100:,.2f}", "currency": invoice.currency},
            code="overrefunded",
        )
    before = _snapshot(invoice)
    invoice.refunded_minor += amount_minor
    if invoice.kept_minor == 0:
        invoice.status = Status.REFUNDED
        notices.withdraw(invoice, (notices.ISSUED, *notices.REMINDERS), Reason.STATUS_NOT_ELIGIBLE)
    invoice.save(update_fields=["refunded_minor", "status"])
    with _one_form(Refund, refund_key=refund_key):
        refund = Refund.objects.create(
            tenant_id=invoice.tenant_id,
            invoice=invoice,
            amount_minor=amount_minor,
            reason=reason.strip(),
            refunded_by=actor,
            refund_key=refund_key,
        )
    _audit(invoice, actor, "invoice.refunded", before=before)
    return refund


@transaction.atomic
def payment_remind(*, actor: User, invoice_id: uuid.UUID) -> NotificationEvent:
    """Reminds the payer of an open invoice, at most once a day."""
    invoice = _locked(invoice_id)
    demand(actor, Can.TAKE_PAYMENTS, invoice)
    if invoice.status not in OPEN:
        raise DomainError(_("This invoice is not open: there is nothing to remind of."), code="not_open")
    today = notices.today_of(invoice)
    if notices.was_reminded_on(invoice, today):
        raise DomainError(_("The payer was already reminded today."), code="already_reminded")
    event = notices.remind(invoice, dedupe=f"{invoice.pk}:{today.isoformat()}", actor=actor)
    _audit(invoice, actor, "payment.reminded", before=_snapshot(invoice))
    return event


def _locked(invoice_id: uuid.UUID) -> Invoice:
    try:
        return (
            Invoice.objects.select_related("tenant", "patient__tenant", "payer_guardian", "appointment__location")
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


def _check_same(made: Payment | Refund, invoice: Invoice, amount_minor: int) -> None:
    """A form that is sent twice is one act. Gone back to and filled in anew it is another, which must not look recorded."""
    if (made.invoice_id, made.amount_minor) != (invoice.pk, amount_minor):
        raise _form_used()


@contextmanager
def _one_form(model: type[Payment | Refund], **key: uuid.UUID | None) -> Iterator[None]:
    """Two bills do not wait for each other's lock; of one key that both use at once the database lets one in."""
    try:
        with transaction.atomic():
            yield
    except IntegrityError as error:
        if None in key.values() or not model.objects.filter(**key).exists():
            raise
        raise _form_used() from error


def _form_used() -> DomainError:
    return DomainError(
        _("This form was used before for something else. Check what is recorded, then send it again."),
        code="form_used",
    )


def _snapshot(invoice: Invoice) -> dict[str, object]:
    return {
        "status": str(invoice.status),
        "amount_minor": invoice.amount_minor,
        "paid_minor": invoice.paid_minor,
        "refunded_minor": invoice.refunded_minor,
    }


def _audit(invoice: Invoice, actor: User, action: str, *, before: dict[str, object]) -> None:
    audit.record(
        tenant_id=invoice.tenant_id,
        actor=actor,
        action=action,
        obj=invoice,
        before=before,
        after=_snapshot(invoice),
    )
