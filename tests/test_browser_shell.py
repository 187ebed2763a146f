"""The frame of every page in a real browser: sign-in, drawer, theme, menus, messages."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from conftest import Clinic
from core.models import User
from tests.browser import PageFor, assert_accessible
from tests.factories import PASSWORD

pytestmark = pytest.mark.browser

PAGE = "/notifications/inbox/"


@pytest.mark.parametrize("language", ["en", "ar"])
def test_somebody_signs_in_by_hand_and_out_again(clinic: Clinic, page_for: PageFor, language):
    User.accounts.filter(pk=clinic.front_desk.pk).update(language=language)
    page = page_for(None, language)
    page.goto(PAGE)
    expect(page).to_have_url(re.compile("/sign-in/"))
    page.locator("#id_username").fill(clinic.front_desk.email)
    page.locator("#id_password").fill("wrong")
    page.locator("#sign-in").click()
    expect(page.locator("[data-error-summary]")).to_be_focused()
    assert_accessible(page)
    page.locator("#id_password").fill(PASSWORD)
    page.locator("[data-show-password]").click()
    expect(page.locator("#id_password")).to_have_attribute("type", "text")
    page.locator("[data-show-password]").click()
    expect(page.locator("#id_password")).to_have_attribute("type", "password")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(f"{PAGE}$"))
    expect(page.locator("html")).to_have_attribute("dir", "rtl" if language == "ar" else "ltr")
    page.locator("#account-menu summary").click()
    page.locator("#account-menu form").last.locator("button").click()
    expect(page).to_have_url(re.compile("/sign-in/$"))
    page.goto(PAGE)
    expect(page).to_have_url(re.compile("/sign-in/"))


def test_a_demo_account_is_one_click_away(clinic: Clinic, page_for: PageFor, settings, monkeypatch):
    settings.SANDBOX_ENABLED = True
    monkeypatch.setattr("core.views.account.DEMO_PASSWORD", PASSWORD)
    page = page_for(None)
    page.goto("/sign-in/")
    page.locator(".x-demo button", has_text="desk@noor.example").click()
    expect(page.locator("#sign-in")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main h1")).to_be_visible()
    expect(page).not_to_have_url(re.compile("sign-in"))


def test_the_theme_follows_the_system_until_somebody_chooses(clinic: Clinic, page_for: PageFor):
    page = page_for(clinic.front_desk, is_dark=True)
    page.goto(PAGE)
    root = page.locator("html")
    expect(root).to_have_attribute("data-bs-theme", "dark")
    page.emulate_media(color_scheme="light")
    expect(root).to_have_attribute("data-bs-theme", "light")
    page.get_by_role("button", name="Dark colours").click()
    expect(root).to_have_attribute("data-bs-theme", "dark")
    page.reload()
    expect(root).to_have_attribute("data-bs-theme", "dark")
    expect(page.get_by_role("button", name="Dark colours")).to_have_attribute("aria-pressed", "true")


@pytest.mark.parametrize("language", ["en", "ar"])
def test_the_menu_of_a_phone_is_a_drawer_that_keeps_the_focus(clinic: Clinic, page_for: PageFor, language):
    page = page_for(clinic.front_desk, language, is_phone=True)
    page.goto(PAGE)
    expect(page.locator("aside.side")).to_be_hidden()
    button, drawer = page.locator("[data-drawer]"), page.locator("#drawer")
    button.click()
    expect(drawer).to_be_visible()
    expect(button).to_have_attribute("aria-expanded", "true")
    assert_accessible(page)
    for _ in range(20):
        page.keyboard.press("Tab")
        # The browser's own bar may have its turn; the page below may not.
        assert page.evaluate(
            "document.activeElement === document.body || document.activeElement.closest('#drawer') !== null"
        )
    page.keyboard.press("Escape")
    expect(drawer).to_be_hidden()
    expect(button).to_be_focused()
    button.click()
    page.mouse.click(20 if language == "ar" else 370, 400)
    expect(drawer).to_be_hidden()
    button.click()
    drawer.locator("nav a").first.click()
    expect(page).not_to_have_url(re.compile(PAGE))


def test_the_language_switch_keeps_the_page(clinic: Clinic, page_for: PageFor):
    page = page_for(clinic.front_desk)
    page.goto(f"{PAGE}?show=unread")
    page.locator(".top .lang").click()
    expect(page.locator("html")).to_have_attribute("lang", "ar")
    expect(page).to_have_url(re.compile(r"inbox/\?show=unread$"))
    page.locator(".top .lang").click()
    expect(page.locator("html")).to_have_attribute("lang", "en")


def test_the_account_menu_closes_with_esc_and_with_a_click_elsewhere(clinic: Clinic, page_for: PageFor):
    page = page_for(clinic.front_desk)
    page.goto(PAGE)
    menu = page.locator("#account-menu")
    menu.locator("summary").click()
    expect(menu.locator(".pop")).to_be_visible()
    assert_accessible(page)
    page.keyboard.press("Escape")
    expect(menu.locator(".pop")).to_be_hidden()
    expect(menu.locator("summary")).to_be_focused()
    menu.locator("summary").click()
    page.locator("h1").click()
    expect(menu.locator(".pop")).to_be_hidden()


def test_the_slash_key_goes_to_the_search(clinic: Clinic, page_for: PageFor):
    page = page_for(clinic.front_desk)
    page.goto(PAGE)
    page.keyboard.press("/")
    expect(page.locator("#search")).to_be_focused()
    page.keyboard.type("Sara")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"/patients/\?q=Sara$"))


def test_good_news_leaves_by_itself_unless_somebody_reads_it(clinic: Clinic, page_for: PageFor):
    page = page_for(clinic.front_desk)
    page.clock.install()
    page.goto(PAGE)
    # Nothing is unread, so the button is hidden; the form is the same.
    page.evaluate("document.querySelector('main form[method=post]').submit()")
    toast = page.locator(".toast-x")
    expect(toast).to_contain_text("There was nothing unread.")
    toast.hover()
    page.clock.fast_forward(10_000)
    expect(toast).to_be_visible()
    page.mouse.move(5, 5)
    page.clock.fast_forward(5_000)
    expect(toast).to_be_visible()
    page.clock.fast_forward(2_000)
    expect(toast).to_have_count(0)


def test_a_click_that_fails_says_so_and_the_word_stays_until_it_is_closed(clinic: Clinic, page_for: PageFor):
    from notifications import inbox

    inbox.notify(user=clinic.front_desk, title="Waits")
    page = page_for(clinic.front_desk)
    page.goto(PAGE)
    page.route("**/read/", lambda route: route.fulfill(status=500))
    page.get_by_role("button", name="Mark as read: Waits").click()
    toast = page.locator(".toast-x[role=alert]")
    expect(toast).to_contain_text("That did not work")
    toast.get_by_role("button", name="Close this message").click()
    expect(toast).to_have_count(0)


@pytest.mark.parametrize("language", ["en", "ar"])
@pytest.mark.parametrize("is_phone", [False, True])
@pytest.mark.parametrize("is_dark", [False, True])
def test_sign_in_and_the_pages_that_say_no_are_accessible(
    clinic: Clinic, page_for: PageFor, language, is_phone, is_dark
):
    visitor = page_for(None, language, is_phone=is_phone, is_dark=is_dark)
    for address in ("/sign-in/", "/no/such/page/"):
        visitor.goto(address)
        assert_accessible(visitor)
    provider = page_for(clinic.provider, language, is_phone=is_phone, is_dark=is_dark)
    for address in ("/no/such/page/", "/patients/"):
        provider.goto(address)
        assert_accessible(provider)
