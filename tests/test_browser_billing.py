"""The arrival card that changes under the provider's eyes, and the pages of the money: usable and accessible."""

from __future__ import annotations

import datetime as dt

import pytest
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import expect

from appointments import services as visits
from conftest import Clinic
from core.consent import consent_verify
from core.subfiles import subfile_ensure
from finance.models import Invoice
from finance.services import invoice_issue, payment_record
from integrations import fanout
from notifications.models import NotificationEvent
from tests import factories
from tests.browser import PageFor, assert_accessible

pytestmark = pytest.mark.browser
EVERY = 250  # ms


@pytest.fixture(autouse=True)
def _quick_bell(settings) -> None:
    settings.BELL_POLL_MS = EVERY


@pytest.fixture
def bill(clinic: Clinic) -> Invoice:
    """Of a visit in ten minutes whose consent is verified."""
    visit = factories.AppointmentFactory(
        tenant=clinic.tenant,
        patient=clinic.patient,
        provider=clinic.provider,
        location=clinic.location,
        department=clinic.department,
        starts_at=timezone.now() + dt.timedelta(minutes=10),
        is_silent=False,
    )
    subfile = subfile_ensure(patient=clinic.patient, department=clinic.department)
    consent_verify(actor=clinic.front_desk, subfile=subfile, status="VERIFIED")
    return invoice_issue(
        actor=clinic.front_desk,
        patient=clinic.patient,
        appointment=visit,
        amount_minor=30_000,
        due_on=timezone.localdate() + dt.timedelta(days=14),
    )


@pytest.mark.parametrize(
    ("language", "pending", "clear"),
    [
        ("en", "Open: financial clearance (pending)", "All clear: consent (verified), financial clearance (cleared)"),
        ("ar", "نقاط معلقة: التسوية المالية (معلّقة)", "لا توجد نقاط معلقة"),
    ],
)
def test_scenario_13_the_open_card_is_updated_and_nothing_rings(
    clinic: Clinic, bill: Invoice, page_for: PageFor, language: str, pending: str, clear: str
) -> None:
    visits.appointment_arrive(appointment_id=bill.appointment_id, actor=clinic.front_desk)
    fanout.process_event(clinic.tenant.pk, NotificationEvent.objects.get(key="appointment.arrived").pk)
    page = page_for(clinic.provider, language)
    page.goto("/notifications/inbox/")
    page.locator("#bell").click()
    card = page.locator("#bell-list .x-n-row").first
    expect(card).to_contain_text(pending)
    expect(page.locator(".bell-n")).to_have_text("1")
    page.evaluate("window.isTheSamePage = true")

    payment_record(actor=clinic.front_desk, invoice_id=bill.pk, amount_minor=30_000)

    expect(card).to_contain_text(clear)
    expect(page.locator("#inbox-list")).to_contain_text(clear)
    expect(page.locator(".bell-n")).to_have_text("1")
    expect(page.locator("#bell-live")).to_be_empty()
    expect(page.locator("#toasts > *")).to_have_count(0)
    assert page.evaluate("window.isTheSamePage")


@pytest.mark.parametrize("language", ["en", "ar"])
def test_the_pages_of_a_bill_are_accessible(clinic: Clinic, bill: Invoice, page_for: PageFor, language: str) -> None:
    payment_record(actor=clinic.front_desk, invoice_id=bill.pk, amount_minor=10_000)
    page = page_for(clinic.admin, language, is_phone=language == "ar")
    for name in ("invoice_detail", "invoice_payer", "refund_create"):
        page.goto(reverse(f"finance:{name}", args=[bill.pk]))
        assert_accessible(page)
    for address in (
        reverse("finance:billing_settings"),
        f"{reverse('finance:invoice_create')}?patient={clinic.patient.pk}",
    ):
        page.goto(address)
        assert_accessible(page)
        width = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert width <= 0, "nothing scrolls sideways"


def test_a_refund_from_the_page_without_scripts(clinic: Clinic, bill: Invoice, page_for: PageFor) -> None:
    payment_record(actor=clinic.front_desk, invoice_id=bill.pk, amount_minor=30_000)
    page = page_for(clinic.admin, has_scripts=False)
    page.goto(reverse("finance:invoice_detail", args=[bill.pk]))
    page.get_by_role("link", name="Record refund").click()
    page.get_by_label("Amount given back in riyals").fill("120")
    page.get_by_role("button", name="Record refund").click()
    expect(page.get_by_role("main")).to_contain_text("120.00")
    bill.refresh_from_db()
    assert bill.refunded_minor == 12_000
