"""The audit trail, the log of looks and the patient's own messages in a real browser, in both languages, on a phone too."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from conftest import Clinic
from core import audit, looks
from core.models import Look
from notifications.models import Message
from tests.browser import PageFor, assert_accessible

pytestmark = pytest.mark.browser

TRAIL, LOOKS, MINE = "/audit/", "/audit/looks/", "/my-messages/"


def busy(clinic: Clinic) -> None:
    """Acts with many, few and no changes; looks; a message to the patient."""
    note = {"tenant_id": clinic.tenant.pk, "actor": clinic.admin}
    audit.record(**note, action="holiday.removed")
    audit.record(
        **note,
        action="user.updated",
        obj=clinic.colleague,
        before={"role": "PROVIDER", "is_active": True, "language": "en", "title_en": "Dr."},
        after={"role": "ADMIN", "is_active": False, "language": "ar", "title_en": "Mr."},
    )
    audit.record(**note, action="patient.updated", obj=clinic.patient, after={"changed": ["phone", "email"]})
    looks.record_look(user=clinic.front_desk, patient=clinic.patient, page=Look.Page.PATIENT)
    Message.objects.create(
        tenant=clinic.tenant,
        patient=clinic.patient,
        channel="SMS",
        notification_type="REMINDER",
        recipient="+966501234567",
        language="en",
        body="Your visit is tomorrow at 10:00.",
        status="DELIVERED",
        dedupe_key="x",
    )


@pytest.mark.parametrize(("language", "is_phone", "is_dark"), [("en", False, True), ("ar", True, False)])
def test_the_pages_are_accessible_empty_and_full(
    clinic: Clinic, page_for: PageFor, language: str, is_phone: bool, is_dark: bool
) -> None:
    page = page_for(clinic.admin, language, is_phone=is_phone, is_dark=is_dark)
    page.goto(LOOKS)
    assert_accessible(page)
    busy(clinic)
    for address in (TRAIL, LOOKS):
        page.goto(address)
        for summary in page.locator("summary").all():
            summary.click()
        assert_accessible(page)
    patient = page_for(clinic.patient_user, language, is_phone=is_phone, is_dark=is_dark)
    patient.goto(MINE)
    assert_accessible(patient)


def test_a_filter_changes_the_list_and_the_address_alone(clinic: Clinic, page_for: PageFor) -> None:
    busy(clinic)
    page = page_for(clinic.admin)
    page.goto(TRAIL)
    expect(page.locator("#audit-list tbody tr")).to_have_count(3)
    page.get_by_label("What", exact=True).select_option("user.updated")
    expect(page.locator("#audit-list tbody tr")).to_have_count(1)
    expect(page).to_have_url(re.compile("action=user.updated"))
    with page.expect_download() as download:
        page.get_by_role("button", name="Export as CSV").click()
    assert "Role: Provider → Admin" in download.value.path().read_text()


def test_the_pages_work_without_scripts(clinic: Clinic, page_for: PageFor) -> None:
    busy(clinic)
    page = page_for(clinic.admin, has_scripts=False)
    page.goto(TRAIL)
    page.get_by_label("What", exact=True).select_option("patient.updated")
    page.get_by_role("button", name="Filter").click()
    expect(page.locator("#audit-list tbody tr")).to_have_count(1)
    page.get_by_role("link", name=re.compile("history")).click()
    expect(page.get_by_role("heading", name="All that was done to one object")).to_be_visible()
