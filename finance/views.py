"""The desk's money pages: a bill with all that became of it, issue, take a payment, give back, remind; and the reminders' days."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from core.access import Can, allows, get_or_404, require
from core.errors import DomainError
from core.models import Patient
from core.permissions import NotAllowed
from core.views.settings.pages import save
from finance import notices, payment_reminders, selectors, services
from finance.forms import BillingPolicyForm, InvoiceForm, PayerForm, PaymentForm, RefundForm, show_refusal
from finance.models import Invoice


@require(Can.TAKE_PAYMENTS)
@require_http_methods(["GET", "HEAD", "POST"])
def invoice_create(request: HttpRequest) -> HttpResponse:
    """For a visit (``?appointment=``) or, without one, for a patient (``?patient=``)."""
    patient, appointment = _billed(request)
    form = InvoiceForm(request.POST or None, patient=patient)
    if request.method == "POST" and form.is_valid():
        try:
            invoice = services.invoice_issue(
                actor=request.user,
                patient=patient,
                appointment=appointment,
                amount_minor=form.cleaned_data["amount"],
                description=form.cleaned_data["description"],
                due_on=form.cleaned_data["due_on"],
                payer=form.payer_wish(),
            )
        except NotAllowed as error:
            raise PermissionDenied(str(error)) from error
        except DomainError as error:
            show_refusal(form, error)
        else:
            messages.success(request, _("Invoice %(number)s is issued.") % {"number": invoice.number})
            return _back(invoice)
    context = {"form": form, "patient": patient, "appointment": appointment}
    return render(request, "finance/invoice_create.html", context, status=422 if form.errors else 200)


@require(Can.TAKE_PAYMENTS)
@require_http_methods(["GET", "HEAD", "POST"])
def payment_create(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    invoice = get_or_404(selectors.invoices_for(request.user), pk)
    form = PaymentForm(request.POST or None, invoice=invoice)
    if request.method == "POST" and form.is_valid():
        try:
            services.payment_record(
                actor=request.user,
                invoice_id=invoice.pk,
                amount_minor=form.cleaned_data["amount"],
                payment_key=form.cleaned_data["payment_key"],
            )
        except NotAllowed as error:
            raise PermissionDenied(str(error)) from error
        except DomainError as error:
            show_refusal(form, error)
        else:
            messages.success(request, _("The payment is recorded."))
            return _back(invoice)
    context = {"form": form, "invoice": invoice}
    return render(request, "finance/payment_create.html", context, status=422 if form.errors else 200)


@require(Can.TAKE_PAYMENTS)
@require_safe
def invoice_detail(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """One bill: who pays, what was paid and given back, which reminders are still to come."""
    invoice = get_or_404(selectors.invoices_for(request.user), pk)
    is_open = invoice.status in services.OPEN
    may_decide = allows(request.user, Can.ADMINISTER)
    context = {
        "invoice": invoice,
        "place": notices.place_of(invoice),
        "payments": list(selectors.payments_of_invoice(invoice)),
        "refunds": list(selectors.refunds_of_invoice(invoice)),
        "steps": payment_reminders.open_steps(invoice, payment_reminders.policy_of(invoice.tenant_id)),
        "is_open": is_open,
        "may_refund": may_decide and invoice.kept_minor > 0,
        "may_void": may_decide and is_open and not invoice.paid_minor,
    }
    return render(request, "finance/invoice_detail.html", context)


@require(Can.TAKE_PAYMENTS)
@require_http_methods(["GET", "HEAD", "POST"])
def invoice_payer(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Who gets the notices of this bill from now on."""
    invoice = get_or_404(selectors.invoices_for(request.user), pk)
    form = PayerForm(request.POST or None, patient=invoice.patient, invoice=invoice)
    if request.method == "POST" and form.is_valid():
        try:
            services.invoice_payer_set(actor=request.user, invoice_id=invoice.pk, payer=form.payer_wish())
        except DomainError as error:
            show_refusal(form, error)
        else:
            messages.success(request, _("The notices of this invoice go to the payer from now on."))
            return redirect("finance:invoice_detail", invoice.pk)
    context = {"form": form, "invoice": invoice}
    return render(request, "finance/invoice_payer.html", context, status=422 if form.errors else 200)


@require(Can.ADMINISTER)
@require_http_methods(["GET", "HEAD", "POST"])
def refund_create(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    invoice = get_or_404(selectors.invoices_for(request.user), pk)
    form = RefundForm(request.POST or None, invoice=invoice)
    if request.method == "POST" and form.is_valid():
        try:
            services.refund_record(
                actor=request.user,
                invoice_id=invoice.pk,
                amount_minor=form.cleaned_data["amount"],
                reason=form.cleaned_data["reason"],
                refund_key=form.cleaned_data["refund_key"],
            )
        except DomainError as error:
            show_refusal(form, error)
        else:
            messages.success(request, _("The refund is recorded. The payer is told."))
            return redirect("finance:invoice_detail", invoice.pk)
    context = {"form": form, "invoice": invoice}
    return render(request, "finance/refund_create.html", context, status=422 if form.errors else 200)


@require(Can.ADMINISTER)
@require_POST
def invoice_void(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    invoice = get_or_404(selectors.invoices_for(request.user), pk)
    try:
        services.invoice_void(actor=request.user, invoice_id=invoice.pk)
    except DomainError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, _("Invoice %(number)s is taken back.") % {"number": invoice.number})
    return redirect("finance:invoice_detail", invoice.pk)


@require(Can.MANAGE_SETTINGS)
@require_http_methods(["GET", "HEAD", "POST"])
def billing_settings(request: HttpRequest) -> HttpResponse:
    """When open bills are reminded of."""
    policy = payment_reminders.policy_of(request.user.tenant_id)
    form = BillingPolicyForm(request.POST or None, initial=BillingPolicyForm.initial_of(policy))
    if request.method == "POST" and save(request, form, payment_reminders.policy_set) is not None:
        return redirect("core:settings")
    return render(request, "finance/billing_settings.html", {"form": form}, status=422 if form.errors else 200)


@require(Can.TAKE_PAYMENTS)
@require_POST
def payment_remind(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    invoice = get_or_404(selectors.invoices_for(request.user), pk)
    try:
        services.payment_remind(actor=request.user, invoice_id=invoice.pk)
    except DomainError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, _("The payer is being reminded."))
    return _back(invoice)


def _billed(request: HttpRequest) -> tuple[Patient, Any]:
    """The patient and the visit the address names; 404 when there is neither."""
    appointment_id, patient_id = request.GET.get("appointment"), request.GET.get("patient")
    if appointment_id:
        appointment = get_or_404(_appointments(), appointment_id)
        return appointment.patient, appointment
    if patient_id:
        return get_or_404(Patient.objects.select_related("tenant"), patient_id), None
    raise Http404


def _appointments() -> QuerySet[Any]:
    """The visits an invoice may point to, by the invoice's own link: finance does not import appointments."""
    model: Any = Invoice._meta.get_field("appointment").related_model
    return model.objects.select_related("patient__tenant", "provider", "location", "department")


def _back(invoice: Invoice) -> HttpResponse:
    if invoice.appointment_id is not None:
        return redirect("appointments:detail", invoice.appointment_id)
    return redirect("core:patient_detail", invoice.patient_id)
