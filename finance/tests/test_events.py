"""What the billing events say, and when they no longer hold; the clearance of an arrival."""

from __future__ import annotations

import datetime as dt

import pytest
from django.utils import timezone

from appointments.tests.test_booking import book
from conftest import Clinic
from finance import services
from finance.clearance import Clearance, check_clearance, clearance_for
from finance.events import ENTRIES
from finance.models import Invoice
from finance.tests.test_services import issue, pay
from integrations.fanout import process_event
from notifications import default_words, registry
from notifications.models import Message, NotificationEvent
from notifications.registry import Audience, Slot, Subject
from notifications.rendering import Code, LocalDate, Money
from notifications.states import NotificationType, Reason, Status


def subject(key: str) -> Subject:
    return registry.get(key).describe(NotificationEvent.objects.filter(key=key).latest("created_at"))


def test_billing_goes_to_the_patient_by_the_preferred_channel_and_can_be_switched_off() -> None:
    assert {entry.key for entry in ENTRIES} == {
        "billing.invoice_issued",
        "billing.payment_due",
        "billing.payment_overdue",
        "billing.payment_received",
        "billing.refunded",
        "billing.invoice_voided",
    }
    for entry in ENTRIES:
        assert entry.notification_type == NotificationType.BILLING
        assert [(d.audience, d.slots) for d in entry.deliveries] == [(Audience.PATIENT, (Slot.PREFERRED,))]


def test_the_invoice_tells_amounts_and_never_what_was_treated(clinic: Clinic) -> None:
    invoice = issue(clinic, description="Root canal")
    pay(clinic, invoice, 20000)
    services.payment_remind(actor=clinic.front_desk, invoice_id=invoice.pk)
    for entry in ENTRIES:
        if entry.key not in ("billing.invoice_issued", "billing.payment_due", "billing.payment_received"):
            continue
        read = subject(entry.key)
        assert set(read.context) == set(entry.example)
        assert read.context["number"] == Code(invoice.number)
        assert read.context["open_amount"] == Money(25000, "SAR")
        assert read.context["due_date"] == LocalDate(invoice.due_on)
        assert "Root canal" not in str(read.context)
    assert subject("billing.payment_received").context["paid_amount"] == Money(20000, "SAR")


def test_who_has_paid_is_not_asked_to(clinic: Clinic) -> None:
    invoice = issue(clinic)
    services.payment_remind(actor=clinic.front_desk, invoice_id=invoice.pk)
    pay(clinic, invoice, 45000)
    assert subject("billing.invoice_issued").refusal is Reason.STATUS_NOT_ELIGIBLE
    assert subject("billing.payment_due").refusal is Reason.STATUS_NOT_ELIGIBLE
    assert subject("billing.payment_received").refusal is None


def test_an_invoice_that_is_gone_is_refused(clinic: Clinic) -> None:
    for entry in ENTRIES:
        event = NotificationEvent(key=entry.key, object_id=clinic.patient.pk, created_at=timezone.now())
        assert entry.describe(event).refusal is Reason.STATUS_NOT_ELIGIBLE
        event.object_id = None
        assert entry.describe(event).refusal is Reason.STATUS_NOT_ELIGIBLE


def test_a_void_invoice_withdraws_what_waits(clinic: Clinic) -> None:
    default_words.install(clinic.tenant.pk)
    invoice = issue(clinic)
    event = NotificationEvent.objects.get(key="billing.invoice_issued")
    process_event(event.tenant_id, event.pk)
    message = Message.objects.get(event=event)
    assert (message.status, invoice.number in message.body) == (Status.QUEUED, True)
    services.invoice_void(actor=clinic.admin, invoice_id=invoice.pk)
    message.refresh_from_db()
    assert (message.status, message.reason) == (Status.CANCELLED, Reason.WITHDRAWN)


@pytest.mark.parametrize(
    ("paid", "expected"), [(0, Clearance.PENDING), (100, Clearance.PENDING), (45000, Clearance.CLEARED)]
)
def test_a_visit_is_cleared_when_its_invoices_are_paid(
    clinic: Clinic, ten_oclock: dt.datetime, paid: int, expected: Clearance
) -> None:
    visit = book(clinic, ten_oclock)
    assert clearance_for(visit) is Clearance.NOT_REQUIRED
    invoice = issue(clinic, appointment=visit)
    # Another visit's bill does not count.
    issue(clinic)
    if paid:
        pay(clinic, invoice, paid)
    assert clearance_for(visit) is expected
    assert check_clearance(visit).is_clear == (expected is Clearance.CLEARED)


def test_a_void_invoice_is_no_bill(clinic: Clinic, ten_oclock: dt.datetime) -> None:
    visit = book(clinic, ten_oclock)
    invoice = issue(clinic, appointment=visit)
    Invoice.objects.filter(pk=invoice.pk).update(status="VOID")
    assert clearance_for(visit) is Clearance.NOT_REQUIRED
    assert check_clearance(visit).is_clear
