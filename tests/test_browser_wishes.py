"""The page of preferences on a phone, with and without scripts; the staff's pages of consent. Readable by everybody."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import expect

from conftest import Clinic
from core.tenancy import tenant_scope
from notifications import gate, opt_outs, preference_links
from notifications.consent_states import OptSource
from notifications.states import Reason
from tests.browser import PageFor, assert_accessible
from tests.factories import agree

pytestmark = pytest.mark.browser


@pytest.fixture
def path(clinic: Clinic, live_server: Any) -> str:
    agree(clinic.patient, "awareness")
    opt_outs.stop(
        tenant_id=clinic.tenant.pk,
        channel="WHATSAPP",
        sender="",
        address=clinic.patient.phone,
        raw="إيقاف",
        source=OptSource.REPLY,
        patient=clinic.patient,
    )
    return "/p/" + preference_links.link_for(clinic.patient).rpartition("/")[2]


@pytest.mark.parametrize("language", ["en", "ar"])
def test_the_pages_are_accessible(clinic: Clinic, path: str, page_for: PageFor, language: str) -> None:
    phone = page_for(None, language, is_phone=True, is_dark=language == "ar")
    for address in (
        f"{path}?lang={language}",
        f"{path}/stop/billing?lang={language}",
        f"/p/{'x' * 67}?lang={language}",
    ):
        phone.goto(address)
        assert_accessible(phone)
    desk = page_for(clinic.admin, language)
    for address in (f"/notifications/patients/{clinic.patient.pk}/wishes/", "/settings/consents/"):
        desk.goto(address)
        assert_accessible(desk)


def test_a_patient_switches_bills_by_sms_off_on_a_phone_without_scripts(
    clinic: Clinic, path: str, page_for: PageFor
) -> None:
    phone = page_for(None, is_phone=True, has_scripts=False)
    phone.goto(f"{path}?lang=en")
    bills = phone.get_by_role("group", name="Bills and payments")
    bills.get_by_label("SMS").uncheck()
    phone.get_by_role("button", name="Save").click()
    expect(phone.get_by_role("status")).to_contain_text("Saved")
    expect(phone.get_by_role("group", name="Bills and payments").get_by_label("SMS")).not_to_be_checked()
    with tenant_scope(clinic.tenant.pk):
        assert gate.preference_of(clinic.patient).refusal("SMS", "BILLING") == Reason.OPT_OUT_TYPE
    phone.get_by_role("button", name="Start again").click()
    expect(phone.get_by_text("told us to stop")).to_have_count(0)
