"""The bell in a real browser: it rises by itself, opens, marks read, and keeps quiet when nobody looks."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, Route, expect

from conftest import Clinic
from core.models import User
from notifications import inbox
from notifications.models import BellState, Notification
from tests import factories
from tests.browser import PageFor, assert_accessible, requests_to

pytestmark = pytest.mark.browser

PAGE = "/notifications/inbox/"
POLL = "/notifications/bell/"
EVERY = 250  # ms


@pytest.fixture(autouse=True)
def _quick_bell(settings) -> None:
    settings.BELL_POLL_MS = EVERY


def ring(user: User, title: str = "New appointment", title_ar: str = "موعد جديد", **fields) -> Notification:
    return inbox.notify(user=user, title=title, title_ar=title_ar, **fields)


def open_panel(page: Page) -> None:
    page.locator("#bell").click()
    expect(page.locator("#bell-panel")).to_be_visible()
    expect(page.locator("#bell-list .x-skel")).to_have_count(0)


# --- it rises --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("language", "title", "name"),
    [("en", "New appointment", "Notifications, 1 unread"), ("ar", "موعد جديد", "الإشعارات")],
)
def test_the_count_rises_without_a_reload_for_the_right_person_only(
    clinic: Clinic, page_for: PageFor, language, title, name
):
    provider, desk = page_for(clinic.provider, language), page_for(clinic.front_desk)
    for page in (provider, desk):
        page.goto(PAGE)
        page.evaluate("window.isTheSamePage = true")
    plain_title = provider.title()
    expect(provider.locator(".bell-n")).to_have_count(0)

    ring(clinic.provider)

    expect(provider.locator(".bell-n")).to_have_text("1")
    expect(provider.locator("#bell")).to_have_accessible_name(re.compile(re.escape(name)))
    expect(provider).to_have_title(f"(1) {plain_title}")
    expect(provider.locator("#favicon")).to_have_attribute("href", re.compile("^data:image/png"))
    expect(provider.locator("#bell-live")).not_to_be_empty()
    # The page that lists them shows it too.
    expect(provider.locator("#inbox-list")).to_contain_text(title)
    assert provider.evaluate("window.isTheSamePage")
    desk.wait_for_timeout(3 * EVERY)
    expect(desk.locator(".bell-n")).to_have_count(0)


def test_nobody_is_named_in_the_spoken_sentence(clinic: Clinic, page_for: PageFor):
    page = page_for(clinic.provider)
    page.goto(PAGE)
    ring(clinic.provider, "Sara Al-Mutairi has arrived")
    expect(page.locator("#bell-live")).to_have_text("You have 1 unread notification.")


def test_a_page_loaded_with_unread_ones_starts_with_the_count(clinic: Clinic, page_for: PageFor):
    ring(clinic.provider)
    BellState.objects.filter(user=clinic.provider).update(unread=120)
    page = page_for(clinic.provider)
    page.goto(PAGE)
    expect(page.locator(".bell-n")).to_have_text("99+")
    expect(page).to_have_title(re.compile(r"^\(99\+\) "))
    expect(page.locator("#bell-live")).to_be_empty()


# --- the panel -------------------------------------------------------------------------------------------------------


def test_the_panel_opens_with_the_keyboard_and_esc_gives_the_focus_back(clinic: Clinic, page_for: PageFor):
    ring(clinic.provider)
    page = page_for(clinic.provider)
    page.goto(PAGE)
    bell = page.locator("#bell")
    for key in ("Enter", "Space"):
        bell.focus()
        page.keyboard.press(key)
        expect(page.locator("#bell-panel")).to_be_visible()
        expect(bell).to_have_attribute("aria-expanded", "true")
        expect(page.locator("#bell-panel :focus")).to_have_count(1)
        page.keyboard.press("Escape")
        expect(page.locator("#bell-panel")).to_be_hidden()
        expect(bell).to_have_attribute("aria-expanded", "false")
        expect(bell).to_be_focused()
    open_panel(page)
    page.locator("h1").click()
    expect(page.locator("#bell-panel")).to_be_hidden()
    assert page.url.endswith(PAGE)


def test_leaving_the_panel_with_tab_closes_it(clinic: Clinic, page_for: PageFor):
    page = page_for(clinic.provider)
    page.goto(PAGE)
    open_panel(page)
    page.locator("#bell-panel .pop-f a").last.focus()
    page.keyboard.press("Tab")
    expect(page.locator("#bell-panel")).to_be_hidden()
    expect(page.locator("#account-menu summary")).to_be_focused()


def test_the_open_panel_shows_what_arrives_and_keeps_the_focus(clinic: Clinic, page_for: PageFor):
    first = ring(clinic.provider, "First")
    page = page_for(clinic.provider)
    page.goto("/notifications/inbox/?show=unread")
    open_panel(page)
    row = page.locator(f"#bell-list #notification-{first.pk} button.n")
    row.focus()
    ring(clinic.provider, "Second")
    expect(page.locator("#bell-list button.n")).to_have_count(2)
    expect(page.locator("#bell-list button.n").first).to_contain_text("Second")
    expect(row).to_be_focused()
    expect(page.locator("#bell-panel")).to_be_visible()


def test_one_is_marked_read_in_the_panel(clinic: Clinic, page_for: PageFor):
    ring(clinic.provider, "Kept")
    row = ring(clinic.provider, "Read")
    page = page_for(clinic.provider)
    page.goto(PAGE)
    open_panel(page)
    page.locator("#bell-list").get_by_role("button", name="Mark as read: Read").click()
    expect(page.locator(".bell-n")).to_have_text("1")
    expect(page.locator("#bell-list .x-read")).to_have_count(1)
    # The page below follows; the focus did not fall out of the panel with the button that went.
    expect(page.locator("#inbox-list .x-read")).to_have_count(1)
    expect(page.locator("#bell-panel")).to_be_visible()
    assert page.evaluate("document.getElementById('bell-panel').contains(document.activeElement)")
    row.refresh_from_db()
    assert row.is_read


@pytest.mark.parametrize("language", ["en", "ar"])
def test_all_are_marked_read_without_a_reload(clinic: Clinic, page_for: PageFor, language):
    for _ in range(3):
        ring(clinic.provider)
    page = page_for(clinic.provider, language)
    page.goto(PAGE)
    page.evaluate("window.isTheSamePage = true")
    open_panel(page)
    page.locator("#bell-panel .pop-h button").click()
    expect(page.locator(".bell-n")).to_have_count(0)
    expect(page.locator("#bell-list .x-read")).to_have_count(0)
    expect(page.locator("#inbox-list .x-read")).to_have_count(0)
    expect(page.locator("#bell-panel .pop-h form")).to_be_hidden()
    assert not page.title().startswith("(")
    assert page.evaluate("window.isTheSamePage")
    assert not Notification.objects.filter(is_read=False).exists()


def test_a_notification_leads_to_its_visit(clinic: Clinic, page_for: PageFor):
    visit = factories.AppointmentFactory(
        tenant=clinic.tenant,
        patient=clinic.patient,
        provider=clinic.provider,
        location=clinic.location,
        department=clinic.department,
        number="A-77",
    )
    ring(clinic.provider, related_object_type="appointments.appointment", related_object_id=visit.pk)
    page = page_for(clinic.provider)
    page.goto(PAGE)
    open_panel(page)
    page.locator("#bell-list button.n").click()
    page.wait_for_url(f"**/appointments/{visit.pk}/")
    expect(page.locator(".bell-n")).to_have_count(0)


# --- it keeps quiet --------------------------------------------------------------------------------------------------


def test_an_unchanged_bell_touches_nothing(clinic: Clinic, page_for: PageFor):
    ring(clinic.provider)
    page = page_for(clinic.provider)
    page.goto(PAGE)
    page.evaluate(
        "window.changes = 0; new MutationObserver(list => window.changes += list.length)"
        ".observe(document.getElementById('bell'), {childList: true, subtree: true, attributes: true})"
    )
    lists = requests_to(page, "/bell/list/")
    answers = []
    page.on("response", lambda answer: answers.append(answer.status) if answer.url.endswith(POLL) else None)
    page.wait_for_timeout(6 * EVERY)
    assert len(answers) >= 3
    assert set(answers) == {304}
    assert page.evaluate("window.changes") == 0
    assert lists == []


def test_a_broken_server_is_asked_less_and_less(clinic: Clinic, page_for: PageFor):
    ring(clinic.provider)
    page = page_for(clinic.provider)
    page.goto(PAGE)
    polls = requests_to(page, POLL)

    def broken(route: Route) -> None:
        route.fulfill(status=503)

    page.route(f"**{POLL}", broken)
    page.wait_for_timeout(12 * EVERY)
    # 250, 500, 1000, 2000 ms: four at most in three seconds, where twelve would be due.
    assert 1 <= len(polls) <= 4
    expect(page.locator(".bell-n")).to_have_text("1")
    page.unroute(f"**{POLL}", broken)
    ring(clinic.provider)
    expect(page.locator(".bell-n")).to_have_text("2")


def test_a_session_that_ended_stops_the_bell_and_offers_to_sign_in(clinic: Clinic, page_for: PageFor):
    page = page_for(clinic.provider)
    page.goto(PAGE)
    expect(page.locator("#session-bar")).to_be_hidden()
    User.accounts.filter(pk=clinic.provider.pk).update(is_active=False)
    expect(page.locator("#session-bar")).to_be_visible()
    polls = requests_to(page, POLL)
    page.wait_for_timeout(4 * EVERY)
    assert polls == []
    assert_accessible(page)
    page.locator("#session-bar a").click()
    expect(page).to_have_url(re.compile(r"/sign-in/\?next=/notifications/inbox/$"))


# --- for everybody ---------------------------------------------------------------------------------------------------


def test_without_scripts_the_bell_is_a_link_and_everything_can_be_read(clinic: Clinic, page_for: PageFor):
    ring(clinic.provider, "First")
    ring(clinic.provider, "Second")
    page = page_for(clinic.provider, has_scripts=False)
    page.goto("/notifications/inbox/?show=unread")
    page.locator("#bell").click()
    expect(page).to_have_url(re.compile(rf"{PAGE}$"))
    page.get_by_role("button", name="Mark as read: Second").click()
    expect(page.locator(".x-read")).to_have_count(1)
    page.locator("main").get_by_role("button", name="Mark all as read").click()
    expect(page.locator(".x-read")).to_have_count(0)
    expect(page.locator(".toast-x")).to_contain_text("1 notification is marked as read.")


@pytest.mark.parametrize("language", ["en", "ar"])
@pytest.mark.parametrize("is_phone", [False, True])
@pytest.mark.parametrize("is_dark", [False, True])
def test_page_and_panel_are_accessible(clinic: Clinic, page_for: PageFor, language, is_phone, is_dark):
    for level in ("INFO", "SUCCESS", "WARNING", "ERROR"):
        row = ring(clinic.provider, message="With a text that says more about it.", message_ar="نص أطول.", level=level)
    inbox.mark_read(clinic.provider, row.pk)
    page = page_for(clinic.provider, language, is_phone=is_phone, is_dark=is_dark)
    page.goto(PAGE)
    assert_accessible(page)
    open_panel(page)
    assert_accessible(page)
    page.keyboard.press("Escape")
    page.goto(f"/notifications/{row.pk}/open/")
    assert_accessible(page)
