"""Reads of invoices and payments, with what their lists show joined."""

from __future__ import annotations

from django.db.models import QuerySet

from core.access import Can, allows
from core.models import Patient, User
from core.tenancy import TenantModel
from finance.models import Invoice, Payment, Refund
from finance.services import OPEN


def invoices_for(user: User) -> QuerySet[Invoice]:
    """What this user may see: those who take payments all, patients their own, others none."""
    rows = Invoice.objects.select_related("tenant", "patient__tenant", "appointment__location", "payer_guardian")
    if allows(user, Can.TAKE_PAYMENTS):
        return rows
    if allows(user, Can.SEE_OWN_CARE):
        return rows.filter(patient__user=user)
    return rows.none()


def invoices_of_patient(user: User, patient: Patient) -> QuerySet[Invoice]:
    return invoices_for(user).filter(patient=patient)


def invoices_of_appointment(user: User, appointment: TenantModel) -> QuerySet[Invoice]:
    return invoices_for(user).filter(appointment_id=appointment.pk)


def open_invoices(user: User) -> QuerySet[Invoice]:
    """What is still to be paid, the most urgent first."""
    return invoices_for(user).filter(status__in=OPEN).order_by("due_on", "pk")


def payments_of_invoice(invoice: Invoice) -> QuerySet[Payment]:
    return Payment.objects.filter(invoice=invoice).select_related("received_by")


def refunds_of_invoice(invoice: Invoice) -> QuerySet[Refund]:
    return Refund.objects.filter(invoice=invoice).select_related("refunded_by")
