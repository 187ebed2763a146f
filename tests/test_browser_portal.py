"""The patient's own view and the staff's pages of requests in a real browser, readable by everybody."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from conftest import Clinic
from core import holds, rights
from core.models import PortalRequest
from core.tasks import send_portal_code_task
from integrations import delivery
from integrations.tests.fakes import FakeProvider, provider
from notifications import default_words
from notifications.states import Lane
from tests import factories
from tests.browser import PageFor, assert_accessible

__all__ = ["provider"]
pytestmark = pytest.mark.browser


def enter(page: Page, clinic: Clinic, provider: FakeProvider) -> None:
    page.goto("/me/")
    assert_accessible(page)
    page.locator("#id_address").fill(clinic.patient.phone)
    page.locator("main form button[type=submit]").click()
    expect(page.locator("#id_code")).to_be_focused()
    assert_accessible(page)
    send_portal_code_task(str(PortalRequest.objects.latest("created_at").pk))
    delivery.drain(Lane.URGENT)
    (code,) = re.findall(r"\d{6}", provider.calls[-1].body)
    page.locator("#id_code").fill(code)
    page.locator("main form button[type=submit]").click()


@pytest.mark.parametrize("language", ["en", "ar"])
def test_a_patient_signs_in_by_phone_looks_around_and_asks_for_a_copy(
    clinic: Clinic, page_for: PageFor, provider: FakeProvider, language: str
) -> None:
    default_words.install(clinic.tenant.pk)
    factories.AppointmentFactory(
        tenant=clinic.tenant, patient=clinic.patient, provider=clinic.provider, location=clinic.location,
        department=clinic.department,
    )  # fmt: skip
    page = page_for(None, language, is_phone=True)
    enter(page, clinic, provider)
    expect(page.locator("#visits")).to_be_visible()
    for name in ("messages", "consents", "requests"):
        page.locator(f".x-me-nav a[href='/me/{name}/']").click()
        expect(page.locator(f".x-me-nav a[href='/me/{name}/']")).to_have_attribute("aria-current", "page")
        assert_accessible(page)
        width = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert width == 0, f"{name} scrolls sideways"
    page.locator("input[name=kind][value=EXPORT]").check()
    page.locator("form:has(input[name=kind]) button[type=submit]").click()
    expect(page.locator(".st.info")).to_be_visible()
    assert_accessible(page)
    page.goto("/me/choose/")
    assert_accessible(page)
    page.locator("form[action='/me/sign-out/'] button").click()
    expect(page.locator("#id_address")).to_be_visible()


@pytest.mark.parametrize("is_phone", [False, True], ids=["desk", "phone"])
@pytest.mark.parametrize("language", ["en", "ar"])
def test_the_staffs_pages_of_requests_are_accessible_and_fit(
    clinic: Clinic, page_for: PageFor, language: str, is_phone: bool
) -> None:
    request = rights.rights_open(
        patient=clinic.patient, kind="ERASURE", asked_by=f"patient:{clinic.patient.pk}", details="All of it"
    )
    holds.hold_place(actor=clinic.admin, patient=clinic.patient, reason="Case 4711")
    page = page_for(clinic.admin, language, is_phone=is_phone)
    for address in ("/rights/", "/rights/?over=1", f"/rights/{request.pk}/", f"/patients/{clinic.patient.pk}/rights/"):
        page.goto(address)
        assert_accessible(page)
    page.goto(f"/rights/{request.pk}/")
    page.locator("button.danger").click()
    expect(page.locator("[data-error-summary]")).to_be_focused()
    assert_accessible(page)
