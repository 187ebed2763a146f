"""The settings in a real browser: readable by everybody, on a phone, by keyboard; a test's outcome comes by itself."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from conftest import Clinic
from core import tenant_settings
from core.models import Department, Location, User
from integrations import credentials, sms_providers
from notifications.models import Message
from notifications.states import Status
from tests.browser import PageFor, assert_accessible
from tests.factories import LocationFactory, UserFactory

pytestmark = pytest.mark.browser

PAGES = (
    "",
    "clinic/",
    "hours/",
    "retention/",
    "locations/",
    "locations/create/",
    "departments/",
    "senders/",
    "senders/twilio/",
    "senders/unifonic/",
    "senders/smtp/",
    "users/",
    "users/create/",
)


@pytest.fixture(autouse=True)
def own_account(clinic: Clinic, settings: Any) -> Iterator[None]:
    """Something in every card, with every warning."""
    credentials.forget()
    LocationFactory(tenant=clinic.tenant, name_en="Closed Branch", name_ar="فرع مغلق", is_active=False)
    UserFactory(tenant=clinic.tenant, name_en="Gone Person", name_ar="شخص غادر", is_active=False)
    fields = {"login": "AC" + "a" * 32, "secret": "0123456789abcdef", "sms_sender": "NOOR"}
    credentials.account_save(actor=clinic.admin, kind="twilio", fields=fields)
    yield
    credentials.forget()
    sms_providers.forget()


@pytest.mark.parametrize(
    ("language", "is_phone", "is_dark"), [("en", False, False), ("ar", True, True), ("ar", False, False)]
)
def test_the_pages_are_accessible(
    clinic: Clinic, page_for: PageFor, language: str, is_phone: bool, is_dark: bool
) -> None:
    page = page_for(clinic.admin, language, is_phone=is_phone, is_dark=is_dark)
    person, place = clinic.provider.pk, clinic.location.pk
    for path in (*PAGES, f"users/{person}/", f"locations/{place}/", f"departments/{clinic.department.pk}/"):
        page.goto(f"/settings/{path}")
        expect(page.locator("h1")).to_be_visible()
        assert_accessible(page)


def test_a_refused_form_takes_the_focus_and_says_why(clinic: Clinic, page_for: PageFor) -> None:
    page = page_for(clinic.admin)
    page.goto("/settings/locations/create/")
    page.get_by_role("textbox", name="Name in English", exact=True).fill("Malaz Branch")
    page.get_by_label("SMS sender").fill("TooLongForASender")
    page.get_by_role("button", name="Add the location").click()
    summary = page.locator("[data-error-summary]")
    expect(summary).to_be_focused()
    expect(summary).to_contain_text("at most 11 English letters")
    assert_accessible(page)
    page.get_by_label("SMS sender").fill("Malaz")
    page.get_by_label("Sunday: opens").first.fill("08:00")
    page.get_by_label("Sunday: closes").first.fill("16:00")
    page.get_by_role("button", name="Add the location").click()
    expect(page.locator("#toasts")).to_contain_text("The location was added.")
    assert Location.objects.get(name_en="Malaz Branch").opening_hours[6] == ["08:00", "16:00"]


def test_whoever_takes_something_out_of_use_is_asked_first(clinic: Clinic, page_for: PageFor) -> None:
    page = page_for(clinic.admin)
    page.goto("/settings/departments/")
    page.on("dialog", lambda dialog: dialog.dismiss())
    page.get_by_role("button", name=re.compile("Take out of use")).click()
    assert Department.objects.get().is_active


def test_a_colleague_is_added_and_leaves_without_scripts(clinic: Clinic, page_for: PageFor) -> None:
    page = page_for(clinic.admin, has_scripts=False)
    page.goto("/settings/users/create/")
    page.get_by_label("Name in English").fill("Reem Al-Otaibi")
    page.get_by_label("Email").fill("reem@noor.example")
    page.get_by_role("button", name="Add the user").click()
    person = User.objects.get(email="reem@noor.example")
    page.goto(f"/settings/users/{person.pk}/")
    page.get_by_role("button", name="Deactivate").click()
    person.refresh_from_db()
    assert not person.is_active


def test_what_became_of_a_test_comes_by_itself(clinic: Clinic, page_for: PageFor) -> None:
    page = page_for(clinic.admin)
    page.goto("/settings/senders/")
    page.locator("#trial_SMS_number").fill("0501234567")
    page.get_by_role("button", name=re.compile("Send a test.*Twilio")).click()
    verdict = page.locator("#trial-verdict")
    expect(verdict).to_contain_text("It is on its way.")
    assert_accessible(page)
    Message.objects.filter(user=clinic.admin).update(status=Status.DELIVERED, delivered_at=timezone.now())
    expect(verdict).to_contain_text("It arrived. This way works.")
    # And then it asks no more.
    expect(verdict).not_to_have_attribute("hx-trigger", "every 2s")


def test_quiet_hours_are_set_by_keyboard_on_a_phone(clinic: Clinic, page_for: PageFor) -> None:
    page = page_for(clinic.admin, is_phone=True)
    page.goto("/settings/hours/")
    page.locator("#quiet_quiet_from").fill("22:00")
    page.locator("#quiet_quiet_until").fill("08:00")
    page.keyboard.press("Enter")
    expect(page.locator("#toasts")).to_contain_text("Saved.")
    assert tenant_settings.of(clinic.tenant.pk).quiet_from is not None
