"""The desk's money pages: amounts as people type them, doubles, roles, and the reminder."""

from __future__ import annotations

import datetime as dt
import uuid

import pytest
from django.core.exceptions import ValidationError
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from appointments.models import Appointment
from conftest import Clinic
from core.models import Patient
from finance import services
from finance.forms import to_minor, to_typed
from finance.links import invoice_address
from finance.models import Invoice, Payment
from notifications.models import NotificationEvent
from tests import factories

CREATE = reverse("finance:invoice_create")

# Fixed: parallel test processes must collect the same names.
NOBODYS_ID = uuid.UUID(int=7)


@pytest.fixture
def visit(clinic: Clinic) -> Appointment:
    return factories.AppointmentFactory(
        tenant=clinic.tenant,
        patient=clinic.patient,
        provider=clinic.provider,
        location=clinic.location,
        department=clinic.department,
    )


def due() -> dt.date:
    return timezone.localdate() + dt.timedelta(days=10)


@pytest.fixture
def invoice(clinic: Clinic, visit: Appointment) -> Invoice:
    return services.invoice_issue(
        actor=clinic.front_desk,
        patient=clinic.patient,
        appointment=visit,
        amount_minor=15050,
        description="Visit",
        due_on=due(),
    )


def pay(invoice: Invoice) -> str:
    return reverse("finance:payment_create", args=[invoice.pk])


def remind(invoice: Invoice) -> str:
    return reverse("finance:payment_remind", args=[invoice.pk])


@pytest.mark.parametrize(
    ("typed", "minor"),
    [
        ("150", 15000),
        ("150.5", 15050),
        ("150.50", 15050),
        (" 1,250.00 ", 125000),
        ("١٥٠٫٥٠", 15050),
        ("١٬٢٥٠", 125000),
        ("0.05", 5),
    ],
)
def test_amounts_are_read_as_people_type_them(typed: str, minor: int) -> None:
    assert to_minor(typed) == minor


@pytest.mark.parametrize("typed", ["", "abc", "-5", "1.234", "1,50", "150 SAR", "1e3", "٫5", "12,34,567"])
def test_what_is_no_amount_is_refused(typed: str) -> None:
    with pytest.raises(ValidationError):
        to_minor(typed)


def test_amounts_are_written_as_people_type_them() -> None:
    assert [to_typed(minor) for minor in (15000, 15050, 5)] == ["150", "150.50", "0.05"]


# --- who enters ------------------------------------------------------------------------------------------------------


def test_only_those_who_take_payments_enter(clinic: Clinic, visit: Appointment, invoice: Invoice) -> None:
    create = f"{CREATE}?appointment={visit.pk}"
    for address in (create, pay(invoice), remind(invoice)):
        assert Client().post(address).status_code == 302
        for person in (clinic.provider, clinic.patient_user):
            assert clinic.client(person).get(address).status_code == 403
            assert clinic.client(person).post(address, {"amount": "1"}).status_code == 403
    assert not Payment.objects.exists()


def test_an_outsider_finds_nothing(clinic: Clinic, other_clinic: Clinic, visit: Appointment, invoice: Invoice) -> None:
    client = other_clinic.client(other_clinic.front_desk)
    addresses = (f"{CREATE}?appointment={visit.pk}", f"{CREATE}?patient={clinic.patient.pk}", pay(invoice))
    for address in addresses:
        assert client.get(address).status_code == 404
        assert client.post(address, {"amount": "1", "due_on": due().isoformat()}).status_code == 404
    assert client.post(remind(invoice)).status_code == 404
    assert Invoice.objects.count() == 1


@pytest.mark.parametrize("query", ["", "?appointment=x", "?patient=x", f"?appointment={NOBODYS_ID}"])
def test_an_invoice_needs_somebody_to_pay_it(clinic: Clinic, query: str) -> None:
    assert clinic.client(clinic.front_desk).get(f"{CREATE}{query}").status_code == 404


# --- invoices --------------------------------------------------------------------------------------------------------


def test_an_invoice_for_a_visit_leads_back_to_it(clinic: Clinic, visit: Appointment) -> None:
    client = clinic.client(clinic.front_desk)
    address = f"{CREATE}?appointment={visit.pk}"
    assert "Sara Al-Mutairi" in client.get(address).content.decode()
    response = client.post(address, {"amount": "1,150.50", "description": "Visit", "due_on": due().isoformat()})
    made = Invoice.objects.get()
    assert response["Location"] == reverse("appointments:detail", args=[visit.pk])
    assert (made.amount_minor, made.appointment_id, made.patient) == (115050, visit.pk, clinic.patient)
    assert NotificationEvent.objects.filter(key="billing.invoice_issued", object_id=made.pk).exists()
    page = client.get(response["Location"]).content.decode()
    assert "1,150.50" in page
    assert pay(made) in page
    assert remind(made) in page


def test_an_invoice_for_a_patient_leads_back_to_the_patient(clinic: Clinic) -> None:
    response = clinic.client(clinic.admin).post(
        f"{CREATE}?patient={clinic.patient.pk}", {"amount": "20", "due_on": due().isoformat()}
    )
    assert response["Location"] == reverse("core:patient_detail", args=[clinic.patient.pk])
    assert Invoice.objects.get().appointment is None


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"amount": ""}, "amount"),
        ({"amount": "many"}, "amount"),
        ({"amount": "0"}, "amount"),
        ({"amount": "99999999"}, "amount"),
        ({"due_on": ""}, "due_on"),
        ({"due_on": "2020-01-01"}, "due_on"),
    ],
)
def test_a_refused_invoice_says_why_at_its_field(
    clinic: Clinic, visit: Appointment, changes: dict[str, str], field: str
) -> None:
    data = {"amount": "150", "description": "Long talk", "due_on": due().isoformat(), **changes}
    response = clinic.client(clinic.front_desk).post(f"{CREATE}?appointment={visit.pk}", data)
    assert response.status_code == 422
    assert field in response.context["form"].errors
    assert "Long talk" in response.content.decode()
    assert not Invoice.objects.exists()


def test_a_merged_file_is_refused_above_the_form(clinic: Clinic, visit: Appointment) -> None:
    other = factories.PatientFactory(tenant=clinic.tenant)
    Patient.objects.filter(pk=clinic.patient.pk).update(merged_into=other)
    response = clinic.client(clinic.front_desk).post(
        f"{CREATE}?appointment={visit.pk}", {"amount": "150", "due_on": due().isoformat()}
    )
    assert response.status_code == 422
    assert "merged" in response.content.decode()


# --- payments --------------------------------------------------------------------------------------------------------


def test_the_form_offers_what_is_open_and_a_part_may_be_paid(clinic: Clinic, invoice: Invoice) -> None:
    client = clinic.client(clinic.front_desk)
    assert 'value="150.50"' in client.get(pay(invoice)).content.decode()
    response = client.post(pay(invoice), {"amount": "100", "payment_key": str(uuid.uuid4())})
    assert response["Location"] == reverse("appointments:detail", args=[invoice.appointment_id])
    invoice.refresh_from_db()
    assert (invoice.status, invoice.paid_minor) == (Invoice.Status.PART_PAID, 10000)
    assert 'value="50.50"' in client.get(pay(invoice)).content.decode()


def test_the_same_form_twice_is_one_payment(clinic: Clinic, invoice: Invoice) -> None:
    client = clinic.client(clinic.front_desk)
    form = {"amount": "100", "payment_key": str(uuid.uuid4())}
    assert client.post(pay(invoice), form).status_code == 302
    assert client.post(pay(invoice), form).status_code == 302
    assert Payment.objects.count() == 1


@pytest.mark.parametrize("amount", ["", "x", "0", "150.51"])
def test_a_refused_payment_says_why(clinic: Clinic, invoice: Invoice, amount: str) -> None:
    response = clinic.client(clinic.front_desk).post(pay(invoice), {"amount": amount})
    assert response.status_code == 422
    assert "amount" in response.context["form"].errors
    assert not Payment.objects.exists()


def test_a_paid_invoice_takes_no_more(clinic: Clinic, invoice: Invoice) -> None:
    client = clinic.client(clinic.front_desk)
    client.post(pay(invoice), {"amount": "150.50"})
    response = client.post(pay(invoice), {"amount": "1"})
    assert response.status_code == 422
    assert "not open" in response.content.decode()


# --- the reminder ----------------------------------------------------------------------------------------------------


def test_the_payer_is_reminded_once_a_day_and_only_by_post(clinic: Clinic, invoice: Invoice) -> None:
    client = clinic.client(clinic.front_desk)
    assert client.get(remind(invoice)).status_code == 405
    assert "is being reminded" in client.post(remind(invoice), follow=True).content.decode()
    assert "already reminded today" in client.post(remind(invoice), follow=True).content.decode()
    assert NotificationEvent.objects.filter(key="billing.payment_due").count() == 1


def test_a_notification_about_money_leads_to_the_invoice(clinic: Clinic, invoice: Invoice) -> None:
    page = reverse("finance:invoice_detail", args=[invoice.pk])
    assert invoice_address(clinic.front_desk, invoice.pk) == page
    assert invoice_address(clinic.patient_user, invoice.pk) == reverse("core:home")
    assert invoice_address(clinic.provider, invoice.pk) is None
    Invoice.objects.update(appointment=None)
    assert invoice_address(clinic.admin, invoice.pk) == page
