"""The bulk pages in a real browser: readable by everybody, alive while a send runs, complete without scripts."""

from __future__ import annotations

import datetime as dt
import re

import pytest
from playwright.sync_api import Page, expect

from conftest import Clinic
from core.tenancy import tenant_scope
from integrations.bulk import control, run
from integrations.tests.bulk_rows import TEXTS, checked, draft, patients, running
from notifications import message_classes
from notifications.models import BulkSend, Message, NotificationPreference
from notifications.states import Status
from tests.browser import PageFor, assert_accessible
from tests.factories import agree

pytestmark = pytest.mark.browser

BULK = "/notifications/bulk/"
RULES = "/settings/classes/"


def busy(clinic: Clinic) -> list[str]:
    """A send in every kind of state; returns their addresses."""
    off, *people = patients(clinic, 4, language="en")
    NotificationPreference.objects.create(tenant=clinic.tenant, patient=off, sms_enabled=False)
    everybody = [off, *people]
    for one in people:
        agree(one, "awareness")
    message_classes.rule_set(
        actor=clinic.admin, message_class="AWARENESS", opens_at=dt.time(9), closes_at=dt.time(21), approval_above=1
    )
    waiting = checked(clinic, everybody, message_class="AWARENESS")
    control.submit(actor=clinic.admin, bulk=waiting)
    paused = running(clinic, everybody)
    control.pause(actor=clinic.admin, bulk=paused)
    over = running(clinic, everybody)
    Message.objects.filter(bulk=over).update(status=Status.DELIVERED, next_attempt_at=None)
    Message.objects.filter(bulk=over, patient=people[0]).update(status=Status.BOUNCED)
    run.advance(clinic.tenant.pk, over.pk)
    sends = [checked(clinic, everybody), waiting, paused, running(clinic, everybody), over]
    written = draft(clinic, everybody)
    return [f"{BULK}{written.pk}/message/", *(f"{BULK}{one.pk}/" for one in sends)]


@pytest.mark.parametrize(
    ("language", "is_phone", "is_dark"),
    [("en", False, False), ("ar", False, True), ("ar", True, False), ("en", True, True)],
)
def test_the_pages_are_accessible(
    clinic: Clinic, page_for: PageFor, language: str, is_phone: bool, is_dark: bool
) -> None:
    page = page_for(clinic.admin, language, is_phone=is_phone, is_dark=is_dark)
    page.goto(BULK)
    assert_accessible(page)
    for address in [*busy(clinic), BULK, f"{BULK}create/", f"{BULK}closed/", RULES]:
        page.goto(address)
        assert_accessible(page)
    page.goto(f"{BULK}create/")
    page.locator("button[value=FILTERS]").click()
    expect(page.locator("[data-error-summary]")).to_be_focused()
    assert_accessible(page)


@pytest.mark.parametrize("has_scripts", [True, False])
def test_a_send_goes_from_the_choice_to_its_progress(clinic: Clinic, page_for: PageFor, has_scripts: bool) -> None:
    patients(clinic, 2, language="en")
    page = page_for(clinic.admin, has_scripts=has_scripts)
    page.goto(BULK)
    page.locator(".page-h").get_by_role("link", name="New send").click()
    page.get_by_label("Name of this send").fill("Closed on Sunday")
    page.get_by_label("Language of the patient").select_option("en")
    page.get_by_role("button", name="Continue with these patients").click()
    page.get_by_label("Text in English").fill(TEXTS["body_en"])
    page.get_by_label("Text in Arabic").fill(TEXTS["body_ar"])
    page.get_by_label("Urgent: send at any hour").check()
    page.get_by_role("button", name="Check the send").click()
    expect(page.locator(".bubble").first).to_contain_text("Noor Clinics is closed on Sunday")
    page.get_by_role("button", name="Send to 2 people").click()
    expect(page.locator("#bulk-live .st")).to_have_text("Scheduled")


def test_the_progress_moves_by_itself_and_comes_to_rest(clinic: Clinic, page_for: PageFor) -> None:
    bulk = running(clinic, patients(clinic, 4))
    page: Page = page_for(clinic.admin)
    page.goto(f"{BULK}{bulk.pk}/")
    expect(page.locator("#bulk-live")).to_contain_text("0 of 4")
    with tenant_scope(clinic.tenant.pk):
        Message.objects.filter(bulk=bulk).update(status=Status.DELIVERED, next_attempt_at=None)
    expect(page.locator("#bulk-live")).to_contain_text("4 of 4")
    run.advance(clinic.tenant.pk, bulk.pk)
    expect(page.locator("#bulk-live .st")).to_have_text("Done")
    expect(page.locator("#bulk-live")).not_to_have_attribute("data-refresh-ms", re.compile("."))


def test_a_send_is_paused_and_stopped_by_its_buttons(clinic: Clinic, page_for: PageFor) -> None:
    bulk = running(clinic, patients(clinic, 2))
    page = page_for(clinic.admin)
    page.on("dialog", lambda dialog: dialog.accept())
    page.goto(f"{BULK}{bulk.pk}/")
    page.get_by_role("button", name="Pause").click()
    expect(page.locator("#bulk-live .st")).to_have_text("Paused")
    page.get_by_role("button", name="Resume").click()
    page.get_by_role("button", name="Stop for good").click()
    expect(page.locator("#bulk-live .st")).to_have_text("Stopped")
    assert BulkSend.objects.get(pk=bulk.pk).state == "STOPPED"
