"""Invoices and payments: amounts that add up, doubles that are one, refusals with a sentence."""

from __future__ import annotations

import datetime as dt
import uuid

import pytest
from django.utils import timezone

from appointments.tests.test_booking import book
from conftest import Clinic
from core.errors import DomainError
from core.models import AuditEvent
from core.tenancy import tenant_scope
from finance import selectors, services
from finance.models import Invoice, Payment
from notifications.models import NotificationEvent
from tests.factories import PatientFactory

Status = Invoice.Status
TODAY = timezone.localdate


def issue(clinic: Clinic, **fields: object) -> Invoice:
    wish = {"actor": clinic.front_desk, "patient": clinic.patient, "amount_minor": 45000, "due_on": TODAY()}
    return services.invoice_issue(**{**wish, **fields})  # type: ignore[arg-type]


def pay(clinic: Clinic, invoice: Invoice, amount: int, **fields: object) -> Payment:
    return services.payment_record(actor=clinic.front_desk, invoice_id=invoice.pk, amount_minor=amount, **fields)  # type: ignore[arg-type]


def events(key: str) -> int:
    return NotificationEvent.objects.filter(key=key).count()


def test_an_invoice_has_number_currency_event_and_audit(clinic: Clinic, ten_oclock: dt.datetime) -> None:
    visit = book(clinic, ten_oclock)
    invoice = issue(clinic, appointment=visit, description=" Consultation ")
    assert invoice.number == f"INV-{timezone.localtime().year}-000001"
    assert (invoice.status, invoice.currency, invoice.open_minor) == (Status.ISSUED, "SAR", 45000)
    assert (invoice.appointment, invoice.description) == (visit, "Consultation")
    event = NotificationEvent.objects.get(key="billing.invoice_issued")
    assert (event.object_id, event.actor) == (invoice.pk, clinic.front_desk)
    assert AuditEvent.objects.get(object_id=invoice.pk).action == "invoice.issued"


def test_numbers_count_up_within_each_tenant(clinic: Clinic, other_clinic: Clinic) -> None:
    assert [issue(clinic).number[-1] for _ in range(2)] == ["1", "2"]
    with tenant_scope(other_clinic.tenant.pk):
        assert issue(other_clinic).number[-1] == "1"


def test_an_invoice_is_paid_in_parts(clinic: Clinic) -> None:
    invoice = issue(clinic)
    pay(clinic, invoice, 20000)
    invoice.refresh_from_db()
    assert (invoice.status, invoice.open_minor) == (Status.PART_PAID, 25000)
    pay(clinic, invoice, 25000)
    invoice.refresh_from_db()
    assert (invoice.status, invoice.open_minor) == (Status.PAID, 0)
    assert events("billing.payment_received") == 2
    assert sum(Payment.objects.values_list("amount_minor", flat=True)) == invoice.paid_minor


def test_the_form_sent_twice_is_one_payment(clinic: Clinic) -> None:
    invoice, key = issue(clinic), uuid.uuid4()
    first = pay(clinic, invoice, 45000, payment_key=key)
    assert pay(clinic, invoice, 45000, payment_key=key).pk == first.pk
    invoice.refresh_from_db()
    assert invoice.paid_minor == 45000
    assert events("billing.payment_received") == 1


@pytest.mark.parametrize("amount", [45001, 100_000_000])
def test_nobody_pays_too_much(clinic: Clinic, amount: int) -> None:
    invoice = issue(clinic)
    with pytest.raises(DomainError) as refusal:
        pay(clinic, invoice, amount)
    assert refusal.value.code == "overpaid"
    assert "450.00 SAR" in str(refusal.value)
    assert not Payment.objects.exists()


@pytest.mark.parametrize("amount", [0, -100, 100_000_001])
def test_amounts_make_sense(clinic: Clinic, amount: int) -> None:
    invoice = issue(clinic)
    with pytest.raises(DomainError) as refusal:
        pay(clinic, invoice, amount)
    assert refusal.value.code == "amount_invalid"
    with pytest.raises(DomainError) as refusal:
        issue(clinic, amount_minor=amount)
    assert refusal.value.code == "amount_invalid"


def test_a_paid_or_void_invoice_takes_no_money(clinic: Clinic) -> None:
    paid, void = issue(clinic), issue(clinic)
    pay(clinic, paid, 45000)
    services.invoice_void(actor=clinic.admin, invoice_id=void.pk)
    for invoice in (paid, void):
        with pytest.raises(DomainError) as refusal:
            pay(clinic, invoice, 1)
        assert refusal.value.code == "not_open"
        with pytest.raises(DomainError) as refusal:
            services.payment_remind(actor=clinic.front_desk, invoice_id=invoice.pk)
        assert refusal.value.code == "not_open"


def test_only_an_admin_takes_back_an_invoice_and_only_an_unpaid_one(clinic: Clinic) -> None:
    invoice = issue(clinic)
    with pytest.raises(DomainError) as refusal:
        services.invoice_void(actor=clinic.front_desk, invoice_id=invoice.pk)
    assert refusal.value.code == "not_allowed"
    pay(clinic, invoice, 1)
    with pytest.raises(DomainError) as refusal:
        services.invoice_void(actor=clinic.admin, invoice_id=invoice.pk)
    assert refusal.value.code == "paid"


def test_the_payer_is_reminded_once_a_day(clinic: Clinic) -> None:
    invoice = issue(clinic)
    services.payment_remind(actor=clinic.front_desk, invoice_id=invoice.pk)
    with pytest.raises(DomainError) as refusal:
        services.payment_remind(actor=clinic.front_desk, invoice_id=invoice.pk)
    assert refusal.value.code == "already_reminded"
    assert events("billing.payment_due") == 1


def test_an_invoice_is_due_in_the_future_and_for_the_right_patient(clinic: Clinic, ten_oclock: dt.datetime) -> None:
    with pytest.raises(DomainError) as refusal:
        issue(clinic, due_on=TODAY() - dt.timedelta(days=1))
    assert refusal.value.code == "due_past"
    visit = book(clinic, ten_oclock)
    with pytest.raises(DomainError) as refusal:
        issue(clinic, patient=PatientFactory(tenant=clinic.tenant), appointment=visit)
    assert refusal.value.code == "other_patient"


def test_only_those_who_take_payments_may(clinic: Clinic, other_clinic: Clinic) -> None:
    invoice = issue(clinic)
    for actor in (clinic.provider, clinic.patient_user, other_clinic.admin):
        for act in (
            lambda actor=actor: issue(clinic, actor=actor),
            lambda actor=actor: services.payment_record(actor=actor, invoice_id=invoice.pk, amount_minor=1),
            lambda actor=actor: services.payment_remind(actor=actor, invoice_id=invoice.pk),
        ):
            with pytest.raises(DomainError) as refusal:
                act()
            assert refusal.value.code == "not_allowed"


def test_another_tenants_invoice_is_not_there(clinic: Clinic, other_clinic: Clinic) -> None:
    with tenant_scope(other_clinic.tenant.pk):
        foreign = issue(other_clinic)
    with pytest.raises(DomainError) as refusal:
        pay(clinic, foreign, 1)
    assert refusal.value.code == "not_found"


def test_everybody_sees_the_invoices_they_may(clinic: Clinic) -> None:
    own, other = issue(clinic), issue(clinic, patient=PatientFactory(tenant=clinic.tenant))
    assert set(selectors.invoices_for(clinic.front_desk)) == {own, other}
    assert set(selectors.invoices_for(clinic.patient_user)) == {own}
    assert not selectors.invoices_for(clinic.provider)
    pay(clinic, own, 45000)
    assert list(selectors.open_invoices(clinic.admin)) == [other]
    assert selectors.payments_of_invoice(own).count() == 1
