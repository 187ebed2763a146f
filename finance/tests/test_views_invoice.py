"""The invoice's own page, its payer, refunds, taking it back, and the reminders' days in the settings."""

from __future__ import annotations

import datetime as dt

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from appointments.models import Appointment
from appointments.tests.test_booking import book
from conftest import Clinic
from core.models import Guardian, Patient
from finance.forms import SOMEBODY_ELSE
from finance.models import BillingPolicy, Invoice, Refund
from finance.payment_reminders import policy_of
from finance.tests.test_services import issue, pay
from tests import factories

SETTINGS = reverse("finance:billing_settings")


@pytest.fixture
def visit(clinic: Clinic, ten_oclock: dt.datetime) -> Appointment:
    return book(clinic, ten_oclock)


@pytest.fixture
def invoice(clinic: Clinic, visit: Appointment) -> Invoice:
    return issue(clinic, appointment=visit, due_on=timezone.localdate() + dt.timedelta(days=14))


@pytest.fixture
def child(clinic: Clinic) -> Patient:
    made: Patient = factories.PatientFactory(
        tenant=clinic.tenant, birth_date=timezone.localdate() - dt.timedelta(days=365 * 6)
    )
    return made


@pytest.fixture
def mother(clinic: Clinic, child: Patient) -> Guardian:
    made: Guardian = factories.GuardianFactory(tenant=clinic.tenant)
    factories.GuardianshipFactory(tenant=clinic.tenant, patient=child, guardian=made, verified_at=timezone.now())
    return made


def of(name: str, invoice: Invoice) -> str:
    return reverse(f"finance:{name}", args=[invoice.pk])


def test_the_page_tells_all_that_became_of_the_bill(clinic: Clinic, invoice: Invoice) -> None:
    pay(clinic, invoice, 20_000)
    page = clinic.client(clinic.front_desk).get(of("invoice_detail", invoice)).content.decode()
    for words in (invoice.number, "450.00", "200.00", "250.00", "Reminders to come", "Record payment"):
        assert words in page, words
    assert "Record refund" not in page, "the desk does not give back"
    admin = clinic.client(clinic.admin).get(of("invoice_detail", invoice)).content.decode()
    assert "Record refund" in admin
    assert "Take the invoice back" not in admin, "money was received"


def test_the_page_costs_the_same_with_many_payments(clinic: Clinic, invoice: Invoice) -> None:
    client = clinic.client(clinic.front_desk)
    pay(clinic, invoice, 100)

    def queries() -> int:
        with CaptureQueriesContext(connection) as found:
            client.get(of("invoice_detail", invoice))
        return len(found)

    one = queries()
    for _more in range(4):
        pay(clinic, invoice, 100)
    assert queries() == one


def test_an_invoice_is_issued_to_a_guardian_or_to_somebody_by_name(
    clinic: Clinic, child: Patient, mother: Guardian
) -> None:
    client = clinic.client(clinic.front_desk)
    address = f"{reverse('finance:invoice_create')}?patient={child.pk}"
    assert mother.name in client.get(address).content.decode()
    sums = {"amount": "450", "due_on": timezone.localdate().isoformat()}
    client.post(address, {**sums, "payer": str(mother.pk)})
    assert Invoice.objects.get().payer_guardian == mother
    answer = client.post(address, {**sums, "payer": SOMEBODY_ELSE, "payer_name": "Uncle", "payer_phone": ""})
    assert answer.status_code == 422
    assert "mobile phone or an email" in answer.content.decode()
    client.post(
        address,
        {**sums, "payer": SOMEBODY_ELSE, "payer_name": "Uncle", "payer_phone": "050 123 4567", "payer_language": "ar"},
    )
    assert Invoice.objects.filter(payer_name="Uncle", payer_phone="+966501234567").count() == 1
    client.post(address, {**sums, "payer": "", "payer_name": "left over"})
    assert Invoice.objects.filter(payer_name="", payer_guardian=None).count() == 1


def test_somebody_else_has_a_name(clinic: Clinic, invoice: Invoice) -> None:
    answer = clinic.client(clinic.front_desk).post(of("invoice_payer", invoice), {"payer": SOMEBODY_ELSE})
    assert answer.status_code == 422
    assert "Write the payer" in answer.content.decode()


def test_the_payer_is_changed_on_a_page(clinic: Clinic, invoice: Invoice) -> None:
    client = clinic.client(clinic.front_desk)
    answer = client.post(
        of("invoice_payer", invoice),
        {
            "payer": SOMEBODY_ELSE,
            "payer_name": "Gulf Insurance",
            "payer_email": "claims@gulf.example",
            "payer_phone": "",
        },
        follow=True,
    )
    assert "Gulf Insurance" in answer.content.decode()
    assert 'value="Gulf Insurance"' in client.get(of("invoice_payer", invoice)).content.decode()


def test_an_admin_records_a_refund_once(clinic: Clinic, invoice: Invoice) -> None:
    pay(clinic, invoice, 45_000)
    client = clinic.client(clinic.admin)
    form = client.get(of("refund_create", invoice)).content.decode()
    key = form.split('name="refund_key" value="')[1].split('"')[0]
    for _click in range(2):
        client.post(of("refund_create", invoice), {"amount": "150", "reason": "Short", "refund_key": key})
    assert Refund.objects.get().amount_minor == 15_000
    too_much = client.post(of("refund_create", invoice), {"amount": "400"})
    assert too_much.status_code == 422
    assert "can be given back" in too_much.content.decode()


def test_an_admin_takes_an_unpaid_invoice_back(clinic: Clinic, invoice: Invoice) -> None:
    client = clinic.client(clinic.admin)
    assert "taken back" in client.post(of("invoice_void", invoice), follow=True).content.decode()
    invoice.refresh_from_db()
    assert invoice.status == Invoice.Status.VOID
    other = issue(clinic)
    pay(clinic, other, 100)
    assert "cannot be taken back" in client.post(of("invoice_void", other), follow=True).content.decode()


@pytest.mark.parametrize("name", ["invoice_detail", "invoice_payer", "refund_create", "invoice_void"])
def test_another_clinic_finds_nothing(clinic: Clinic, other_clinic: Clinic, invoice: Invoice, name: str) -> None:
    client = other_clinic.client(other_clinic.admin)
    assert client.post(of(name, invoice), {"amount": "1"}).status_code in (404, 405)
    assert client.get(of(name, invoice)).status_code in (404, 405)


@pytest.mark.parametrize("name", ["refund_create", "invoice_void"])
def test_the_desk_neither_gives_back_nor_takes_back(clinic: Clinic, invoice: Invoice, name: str) -> None:
    assert clinic.client(clinic.front_desk).post(of(name, invoice), {"amount": "1"}).status_code == 403


def test_the_days_are_set_in_the_settings(clinic: Clinic) -> None:
    client = clinic.client(clinic.admin)
    page = client.get(SETTINGS).content.decode()
    assert 'value="3"' in page
    assert 'value="1, 7"' in page
    client.post(SETTINGS, {"is_on": "on", "days_before": "", "days_after": "٠، 5, 10", "remind_at": "18:30"})
    policy = policy_of(clinic.tenant.pk)
    assert (policy.reminder_days, policy.remind_at) == ([0, 5, 10], dt.time(18, 30))
    assert "3 reminders for an open invoice" in client.get(reverse("core:settings")).content.decode()


@pytest.mark.parametrize("days", ["soon", "-1", "1.5", "1;2"])
def test_days_that_are_none_are_refused(clinic: Clinic, days: str) -> None:
    answer = clinic.client(clinic.admin).post(SETTINGS, {"is_on": "on", "days_after": days, "remind_at": "10:00"})
    assert answer.status_code == 422
    assert not BillingPolicy.objects.exists()


def test_only_an_admin_sets_them(clinic: Clinic) -> None:
    assert clinic.client(clinic.front_desk).get(SETTINGS).status_code == 403
