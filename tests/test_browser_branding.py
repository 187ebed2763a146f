"""The brand's page and WhatsApp's approvals in a real browser: readable by everybody, alive, and whole without scripts."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import expect

from conftest import Clinic
from core.tenancy import tenant_scope
from notifications import branding, default_words
from notifications.branding import BrandWish
from notifications.models import Brand, MessageTemplate, WhatsAppApproval
from notifications.tests.test_branding import png
from tests.browser import PageFor, assert_accessible

pytestmark = pytest.mark.browser

BRAND = "/settings/brand/"


@pytest.fixture
def branded(clinic: Clinic, live_server: Any, settings: Any) -> Brand:
    settings.PUBLIC_BASE_URL = live_server.url
    settings.SHORT_LINK_HOSTS = ["go.noor.example"]
    wish = BrandWish(colour="#0f6b5c", footer_en="Olaya Street", footer_ar="شارع العليا", logo=png())
    return branding.brand_set(actor=clinic.admin, wish=wish)


@pytest.mark.parametrize("language", ["en", "ar"])
@pytest.mark.parametrize("is_phone", [False, True])
@pytest.mark.parametrize("is_dark", [False, True])
def test_the_pages_are_accessible(
    clinic: Clinic, branded: Brand, page_for: PageFor, language: str, is_phone: bool, is_dark: bool
) -> None:
    default_words.install(clinic.tenant.pk)
    template = MessageTemplate.objects.filter(channel="WHATSAPP", is_active=True).order_by("code")[0]
    for number, state in ((0, "REJECTED"), (1, "APPROVED")):
        WhatsAppApproval.objects.create(
            tenant=clinic.tenant,
            template=template,
            language=("en", "ar")[number],
            state=state,
            content_sid=f"HX{number:032x}",
            rejection_reason="Too vague.",
            version=template.version - number,
        )
    page = page_for(clinic.admin, language, is_phone=is_phone, is_dark=is_dark)
    page.goto(BRAND)
    expect(page.frame_locator("iframe[data-letter=ar]").locator("h1")).to_be_visible()
    assert_accessible(page)
    page.goto(f"/notifications/templates/{template.pk}/")
    expect(page.locator("#template-approvals li")).to_have_count(2)
    assert_accessible(page)
    page.goto(f"/notifications/templates/{template.pk}/approvals/ar/")
    assert_accessible(page)


def test_the_letters_follow_what_is_typed(clinic: Clinic, branded: Brand, page_for: PageFor) -> None:
    page = page_for(clinic.admin)
    page.goto(BRAND)
    english = page.frame_locator("iframe[data-letter=en]")
    expect(english.locator("img").first).to_be_visible()
    assert english.locator("img").first.evaluate("image => image.naturalWidth") == 480
    page.get_by_label("Footer in English").fill("Corner of King Fahd Road")
    expect(english.get_by_text("Corner of King Fahd Road")).to_be_visible()
    page.get_by_label("Colour", exact=True).fill("#8a2f5d")
    expect(english.locator(".e-card")).to_have_css("border-top-color", "rgb(138, 47, 93)")
    light = page.get_by_text("Too light")
    expect(light).to_be_hidden()
    page.get_by_label("Colour", exact=True).fill("#ffd000")
    expect(light).to_be_visible()
    expect(english.locator(".e-card")).to_have_css("border-top-color", re.compile("rgb"))


@pytest.mark.parametrize("has_scripts", [True, False])
def test_saving_and_being_refused(clinic: Clinic, branded: Brand, page_for: PageFor, has_scripts: bool) -> None:
    page = page_for(clinic.admin, has_scripts=has_scripts)
    page.goto(BRAND)
    page.get_by_label("Colour", exact=True).evaluate("field => field.value = '#ffd000'") if has_scripts else None
    page.get_by_label("Count who opens the link of a message").check()
    page.get_by_label("Address of short links").select_option("go.noor.example")
    if has_scripts:
        page.get_by_role("button", name="Save").click()
        expect(page.locator("[data-error-summary]")).to_be_focused()
        assert_accessible(page)
        page.get_by_label("Colour", exact=True).evaluate("field => field.value = '#8a2f5d'")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("It holds for emails from now on.")).to_be_visible()
    with tenant_scope(clinic.tenant.pk):
        branded.refresh_from_db()
    assert (branded.track_clicks, branded.link_host) == (True, "go.noor.example")
