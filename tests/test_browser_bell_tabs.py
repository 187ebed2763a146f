"""The bell in many tabs of one browser: one of them asks, all of them know, the one that is seen tells.

All tabs of a headless browser say that they are seen, so the tests say which one is.
"""

from __future__ import annotations

import re
import uuid
from collections import Counter
from collections.abc import Callable

import pytest
from django.conf import settings as django_settings
from django.test import Client
from playwright.sync_api import Page, Response, Route, expect

from conftest import Clinic
from core.models import User
from notifications import inbox
from notifications.inbox_writing import Note, Recipient, notify_many
from notifications.models import BellState, StaffPreference
from notifications.states import Category
from tests.browser import PageFor, assert_accessible

pytestmark = pytest.mark.browser

PAGE = "/notifications/inbox/"
POLL = "/notifications/bell/"
EVERY = 250  # ms

CAN_HIDE = """
    window.isHidden = false;
    Object.defineProperty(document, 'hidden', {get: () => window.isHidden, configurable: true});
    Object.defineProperty(document, 'visibilityState', {get: () => window.isHidden ? 'hidden' : 'visible', configurable: true});
"""
# The driver's own doings count as gestures; so the test says when somebody has touched the page.
HEARS = """
    window.heard = [];
    Object.defineProperty(navigator, 'userActivation', {get: () => ({hasBeenActive: window.isTouched})});
    class Part { constructor() { this.gain = this; this.frequency = {}; }
      setValueAtTime() {} linearRampToValueAtTime() {} connect(to) { return to; } stop() {} addEventListener() {}
      start() { window.heard.push(this.frequency.value); } }
    window.AudioContext = class { currentTime = 0; destination = new Part();
      createOscillator() { return new Part(); } createGain() { return new Part(); } close() {} };
"""
NO_LOCKS = "Object.defineProperty(navigator, 'locks', {value: undefined})"


@pytest.fixture(autouse=True)
def _quick_bell(settings) -> None:
    settings.BELL_POLL_MS = EVERY


def tell(user: User, *, is_silent: bool = False, is_critical: bool = False, category: Category = Category.ARRIVAL):
    """As the fan-out writes it."""
    note = Note(
        title="Sara Al-Mutairi has arrived", category=category, is_critical=is_critical, dedupe_key=str(uuid.uuid4())
    )
    notify_many(tenant_id=user.tenant_id, note=note, recipients=[Recipient(user.pk, is_silent=is_silent)])


class Tabs:
    """The tabs of one browser. ``polls`` counts the requests of each by its place."""

    def __init__(self, first: Page) -> None:
        self.context = first.context
        self.context.add_init_script(CAN_HIDE)
        self.all: list[Page] = []
        self.polls: Counter[int] = Counter()
        self.statuses: list[int] = []
        self.add(first)

    def add(self, page: Page | None = None, address: str = PAGE) -> Page:
        """A new tab in front: the others are hidden by it."""
        page = page or self.context.new_page()
        place = len(self.all)
        for other in self.all:
            self.hide(other)
        self.all.append(page)

        def count(answer: Response) -> None:
            if answer.url.endswith(POLL):
                self.polls[place] += 1
                self.statuses.append(answer.status)

        page.on("response", count)
        page.goto(address)
        return page

    def hide(self, page: Page) -> None:
        page.evaluate("window.isHidden = true; document.dispatchEvent(new Event('visibilitychange'))")

    def look_at(self, page: Page) -> None:
        for other in self.all:
            if other is not page and not other.is_closed():
                self.hide(other)
        page.evaluate("window.isHidden = false; document.dispatchEvent(new Event('visibilitychange'))")

    def set(self, **milliseconds: int) -> None:
        for page in self.all:
            page.evaluate("ms => Object.assign(document.getElementById('bell-feed').dataset, ms)", milliseconds)

    def polls_within(self, ms: int) -> Counter[int]:
        """Who asked, and how often, in the time from now."""
        self.polls.clear()
        next(page for page in self.all if not page.is_closed()).wait_for_timeout(ms)
        return Counter(self.polls)


@pytest.fixture
def three(clinic: Clinic, page_for: PageFor) -> Tabs:
    """Three tabs of one person; the last is seen."""
    tabs = Tabs(page_for(clinic.provider))
    tabs.add()
    tabs.add()
    tabs.all[0].wait_for_timeout(EVERY)
    return tabs


def toasts(page: Page):
    return page.locator("#toasts .x-bell-toast")


# --- one asks --------------------------------------------------------------------------------------------------------


def test_of_three_tabs_the_one_that_is_seen_asks_and_all_know(clinic: Clinic, three: Tabs):
    asked = three.polls_within(8 * EVERY)
    assert set(asked) == {2}
    assert 3 <= asked[2] <= 10
    tell(clinic.provider)
    for page in three.all:
        expect(page.locator(".bell-n")).to_have_text("1")
        expect(page).to_have_title(re.compile(r"^\(1\) "))
        expect(page.locator("#bell")).to_have_accessible_name("Notifications, 1 unread")
        expect(page.locator("#favicon")).to_have_attribute("data-shows", "1")
    expect(toasts(three.all[2])).to_have_count(1)
    expect(three.all[2].locator("#bell-live")).to_have_text("You have 1 unread notification.")
    for page in three.all[:2]:
        expect(toasts(page)).to_have_count(0)
        expect(page.locator("#bell-live")).to_be_empty()
    assert set(three.polls_within(3 * EVERY)) == {2}


def test_who_is_looked_at_takes_the_lead_and_knows_what_the_others_knew(clinic: Clinic, three: Tabs):
    tell(clinic.provider)
    for page in three.all:
        expect(page.locator(".bell-n")).to_have_text("1")
    expect(toasts(three.all[2])).to_have_count(1)
    for place in (0, 1, 2, 0):
        three.look_at(three.all[place])
        three.all[place].wait_for_timeout(EVERY)
        three.statuses.clear()
        asked = three.polls_within(5 * EVERY)
        assert set(asked) == {place}
        assert asked[place] >= 2
        assert set(three.statuses) == {304}
        # What was told is not told again by the next one who leads.
        if place != 2:
            expect(toasts(three.all[place])).to_have_count(0)


def test_switching_to_and_fro_is_still_one_stream(three: Tabs):
    three.set(every=1000)
    three.polls.clear()
    for place in (0, 1, 2) * 4:
        three.look_at(three.all[place])
        three.all[place].wait_for_timeout(100)
    # A poll a second and the one that was due, however often somebody switches.
    assert sum(three.polls.values()) <= 5


def test_a_leader_that_closes_or_hides_hands_over(clinic: Clinic, three: Tabs):
    first, second, third = three.all
    third.close()
    three.look_at(second)
    assert set(three.polls_within(4 * EVERY)) == {1}
    # Two windows side by side: both are seen, one of them asks; when it is hidden the other does.
    first.evaluate("window.isHidden = false; document.dispatchEvent(new Event('visibilitychange'))")
    first.wait_for_timeout(EVERY)
    assert set(three.polls_within(4 * EVERY)) == {0}
    three.hide(first)
    first.wait_for_timeout(EVERY)
    assert set(three.polls_within(4 * EVERY)) == {1}
    first.close()
    second.close()


def test_when_no_tab_is_seen_it_asks_rarely_but_does(clinic: Clinic, three: Tabs):
    three.set(everyHidden=900)
    three.hide(three.all[2])
    three.all[0].wait_for_timeout(1000)
    asked = three.polls_within(4000)
    assert len(asked) == 1
    assert 3 <= sum(asked.values()) <= 6
    tell(clinic.provider)
    for page in three.all:
        expect(page.locator(".bell-n")).to_have_text("1")
        expect(toasts(page)).to_have_count(0)
    # The leader among the hidden closes: the next in line asks.
    three.all[asked.most_common(1)[0][0]].close()
    left = three.polls_within(3000)
    assert len(left) == 1
    assert 2 <= sum(left.values()) <= 5


def test_only_what_is_critical_waits_for_somebody_to_look(clinic: Clinic, three: Tabs):
    three.set(everyHidden=EVERY)
    three.hide(three.all[2])
    tell(clinic.provider, is_critical=True)
    tell(clinic.provider, category=Category.SYSTEM)
    for page in three.all:
        expect(page.locator(".bell-n")).to_have_text("2")
        expect(toasts(page)).to_have_count(0)
    three.look_at(three.all[1])
    expect(toasts(three.all[1])).to_have_count(1)
    expect(toasts(three.all[1]).locator(".x-t")).to_have_text("Arrivals")
    three.look_at(three.all[0])
    three.all[0].wait_for_timeout(EVERY)
    expect(toasts(three.all[0])).to_have_count(0)


def test_the_bells_own_pace_when_hidden_is_a_minute(three: Tabs):
    assert three.all[0].locator("#bell-feed").get_attribute("data-every-hidden") == "60000"
    three.hide(three.all[2])
    assert sum(three.polls_within(6 * EVERY).values()) <= 1


def test_without_web_locks_each_tab_asks_for_itself(clinic: Clinic, page_for: PageFor):
    page = page_for(clinic.provider)
    page.context.add_init_script(NO_LOCKS)
    tabs = Tabs(page)
    tabs.add()
    tabs.set(everyHidden=500)
    tabs.all[0].evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    asked = tabs.polls_within(8 * EVERY)
    assert asked[0] >= 2
    assert asked[1] > asked[0]
    tell(clinic.provider)
    for page in tabs.all:
        expect(page.locator(".bell-n")).to_have_text("1")
    expect(toasts(tabs.all[0])).to_have_count(0)
    expect(toasts(tabs.all[1])).to_have_count(1)


# --- trouble ---------------------------------------------------------------------------------------------------------


def test_off_the_net_nothing_is_asked_and_back_on_it_once(clinic: Clinic, three: Tabs):
    three.set(every=2500, reconnect=300)
    sent: list[str] = []
    three.context.on("request", lambda request: sent.append(request.url) if request.url.endswith(POLL) else None)
    three.context.set_offline(True)
    three.all[2].wait_for_timeout(3 * EVERY)
    sent.clear()
    three.all[2].wait_for_timeout(3000)
    assert sent == []
    tell(clinic.provider)
    three.context.set_offline(False)
    three.all[2].wait_for_timeout(1500)
    assert len(sent) == 1
    for page in three.all:
        expect(page.locator(".bell-n")).to_have_text("1")


def test_a_broken_server_is_not_asked_more_by_switching_tabs(three: Tabs):
    three.context.route(f"**{POLL}", lambda route: route.fulfill(status=503))
    three.all[2].wait_for_timeout(8 * EVERY)
    three.polls.clear()
    for place in (0, 1, 2, 0, 1, 2):
        three.look_at(three.all[place])
        three.all[place].wait_for_timeout(EVERY)
    assert sum(three.polls.values()) <= 2


def test_a_session_that_ended_is_over_in_every_tab(clinic: Clinic, three: Tabs):
    User.accounts.filter(pk=clinic.provider.pk).update(is_active=False)
    for page in three.all:
        expect(page.locator("#session-bar")).to_be_visible()
    assert not three.polls_within(4 * EVERY)


def test_the_next_person_at_this_browser_is_not_shown_to_the_one_before(clinic: Clinic, three: Tabs, live_server):
    tell(clinic.provider)
    for page in three.all:
        expect(page.locator(".bell-n")).to_have_text("1")
    for _ in range(3):
        tell(clinic.colleague)
    client = Client()
    client.force_login(clinic.colleague, backend="core.auth.AccountBackend")
    name = django_settings.SESSION_COOKIE_NAME
    three.context.add_cookies([{"name": name, "value": client.cookies[name].value, "url": live_server.url}])
    theirs = three.add()
    for page in three.all[:3]:
        page.evaluate("window.isHidden = false; document.dispatchEvent(new Event('visibilitychange'))")
        expect(page.locator("#session-bar")).to_be_visible()
        expect(page.locator(".bell-n")).to_have_text("1")
    expect(theirs.locator(".bell-n")).to_have_text("3")
    expect(theirs.locator("#session-bar")).to_be_hidden()
    assert set(three.polls_within(4 * EVERY)) == {3}


# --- what is seen and heard ------------------------------------------------------------------------------------------


def test_what_is_done_in_one_tab_shows_in_all(clinic: Clinic, three: Tabs):
    for _ in range(2):
        tell(clinic.provider)
    for page in three.all:
        expect(page.locator(".bell-n")).to_have_text("2")
    three.context.route(f"**{POLL}", lambda route: route.fulfill(status=304))
    front = three.all[2]
    front.locator("#bell").click()
    front.locator("#bell-panel .x-read").first.click()
    for page in three.all:
        expect(page.locator(".bell-n")).to_have_text("1")
    front.locator("#bell-panel .pop-h button").click()
    for page in three.all:
        expect(page.locator(".bell-n")).to_have_count(0)
        expect(page).not_to_have_title(re.compile(r"^\("))
        expect(page.locator("#favicon")).to_have_attribute("href", re.compile(r"favicon\.svg$"))
    # What the hidden ones list is fetched when somebody looks.
    expect(three.all[0].locator("#inbox-list [data-row]")).to_have_count(0)
    three.look_at(three.all[0])
    expect(three.all[0].locator("#inbox-list [data-row]")).to_have_count(2)


def test_what_came_while_another_was_read_is_told_of(clinic: Clinic, three: Tabs):
    tell(clinic.provider)
    front = three.all[2]
    toasts(front).locator("[data-show]").click()
    expect(front.locator("#bell-panel .x-read")).to_have_count(1)

    def during(route: Route) -> None:
        tell(clinic.provider, is_critical=True, category=Category.SYSTEM)
        route.continue_()

    front.route("**/read/", during)
    front.locator("#bell-panel .x-read").click()
    expect(toasts(front)).to_contain_text("System alerts")


@pytest.mark.parametrize(("unread", "shown"), [(5, "5"), (99, "99"), (100, "99+")])
def test_badge_title_and_icon_say_the_same(clinic: Clinic, page_for: PageFor, unread, shown):
    tell(clinic.provider)
    BellState.objects.filter(user=clinic.provider).update(unread=unread)
    page = page_for(clinic.provider)
    page.add_init_script("navigator.setAppBadge = async (count) => { window.onApp = count; }")
    page.goto(PAGE)
    expect(page.locator(".bell-n")).to_have_text(shown)
    expect(page).to_have_title(re.compile(rf"^\({re.escape(shown)}\) "))
    expect(page.locator("#bell")).to_have_accessible_name(f"Notifications, {unread} unread")
    icon = page.locator("#favicon")
    expect(icon).to_have_attribute("data-shows", shown)
    expect(icon).to_have_attribute("href", re.compile("^data:image/png"))
    assert page.evaluate("window.onApp") == unread
    # Another number is another picture, above 99 the same; and it gets there without a reload.
    before = icon.get_attribute("href")
    tell(clinic.provider)
    expect(page.locator("#bell")).to_have_accessible_name(f"Notifications, {unread + 1} unread")
    expect(page.locator(".bell-n")).to_have_text("99+" if unread > 98 else str(unread + 1))
    page.wait_for_timeout(100)
    assert (icon.get_attribute("href") == before) == (unread > 99)


def test_a_browser_that_cannot_draw_gets_the_dot(clinic: Clinic, page_for: PageFor):
    tell(clinic.provider)
    page = page_for(clinic.provider)
    page.add_init_script("HTMLCanvasElement.prototype.getContext = () => null")
    page.goto(PAGE)
    page.wait_for_timeout(EVERY)
    assert page.locator("#favicon").get_attribute("href").endswith("favicon-dot.svg")


def test_a_toast_says_the_kind_of_thing_opens_the_panel_and_leaves(clinic: Clinic, page_for: PageFor):
    page = page_for(clinic.provider)
    page.goto(PAGE)
    tell(clinic.provider)
    toast = toasts(page)
    expect(toast.locator(".x-t")).to_have_text("Arrivals")
    assert "Sara" not in page.locator("#toasts").inner_text()
    expect(toast).to_have_count(0, timeout=8_000)
    tell(clinic.provider, category=Category.SYSTEM)
    toast.get_by_role("button", name=re.compile("Show.*System alerts")).click()
    expect(page.locator("#bell-panel")).to_be_visible()
    expect(toast).to_have_count(0)
    # The panel shows the next one itself.
    tell(clinic.provider)
    expect(page.locator("#bell-panel button.n")).to_have_count(3)
    expect(toast).to_have_count(0)


def test_a_critical_toast_stays_until_it_is_closed_and_speaks_up(clinic: Clinic, page_for: PageFor):
    page = page_for(clinic.provider)
    page.goto(PAGE)
    for number in (1, 2):
        tell(clinic.provider, is_critical=True)
        expect(page.locator(".bell-n")).to_have_text(str(number))
        # One a kind, however many come.
        expect(page.get_by_role("alert").filter(has_text="Arrivals")).to_have_count(1)
    page.wait_for_timeout(6_500)
    expect(toasts(page)).to_have_count(1)
    toasts(page).get_by_role("button", name="Close this message").click()
    expect(toasts(page)).to_have_count(0)


def test_a_critical_one_is_acknowledged_in_the_panel(clinic: Clinic, page_for: PageFor):
    page = page_for(clinic.provider)
    page.goto(PAGE)
    tell(clinic.provider, is_critical=True)
    toasts(page).locator("[data-show]").click()
    page.locator("#bell-panel").get_by_role("button", name=re.compile("Acknowledge.*Sara")).click()
    expect(page.locator(".bell-n")).to_have_count(0)
    expect(page.locator("#bell-panel .x-ack")).to_have_count(0)
    assert inbox.latest(clinic.provider)[0].acknowledged_by == clinic.provider


@pytest.mark.parametrize("has_sound", [False, True])
def test_the_sound_is_off_unless_wanted_and_comes_after_a_gesture(clinic: Clinic, page_for: PageFor, has_sound):
    if has_sound:
        StaffPreference.objects.create(tenant_id=clinic.tenant.pk, user=clinic.provider, has_sound=True)
    page = page_for(clinic.provider)
    page.context.add_init_script(HEARS)
    tabs = Tabs(page)
    front = tabs.add()
    heard: Callable[[Page], list[int]] = lambda one: one.evaluate("window.heard")  # noqa: E731
    tell(clinic.provider)
    expect(front.locator(".bell-n")).to_have_text("1")
    assert heard(front) == []
    for one in tabs.all:
        one.evaluate("window.isTouched = true")
    tell(clinic.provider)
    expect(front.locator(".bell-n")).to_have_text("2")
    expect(page.locator(".bell-n")).to_have_text("2")
    assert heard(front) == ([660, 880] if has_sound else [])
    assert heard(page) == []
    tell(clinic.provider, is_silent=True)
    expect(front.locator(".bell-n")).to_have_text("3")
    assert len(heard(front)) == (2 if has_sound else 0)


def test_the_real_sound_breaks_no_rule_of_the_browser(clinic: Clinic, page_for: PageFor):
    StaffPreference.objects.create(tenant_id=clinic.tenant.pk, user=clinic.provider, has_sound=True)
    page = page_for(clinic.provider)
    page.goto(PAGE)
    for number in (1, 2):
        tell(clinic.provider)
        expect(page.locator(".bell-n")).to_have_text(str(number))
        page.locator("h1").click()
    page.wait_for_timeout(500)  # what the browser complains of fails the test


def test_what_came_in_the_quiet_time_or_is_not_wanted_shows_no_toast(clinic: Clinic, page_for: PageFor):
    page = page_for(clinic.provider)
    page.goto(PAGE)
    tell(clinic.provider, is_silent=True)
    expect(page.locator(".bell-n")).to_have_text("1")
    expect(page.locator("#bell-live")).to_be_empty()
    StaffPreference.objects.create(tenant_id=clinic.tenant.pk, user=clinic.provider, has_toasts=False)
    tell(clinic.provider)
    expect(page.locator("#bell-live")).to_have_text("You have 2 unread notifications.")
    expect(toasts(page)).to_have_count(0)


def test_everything_is_done_by_the_keyboard(clinic: Clinic, page_for: PageFor):
    page = page_for(clinic.provider)
    page.goto(PAGE)
    tell(clinic.provider, is_critical=True)
    expect(toasts(page)).to_have_count(1)
    # The toast is the last thing on the page.
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Shift+Tab")
    expect(toasts(page).locator("[data-show]")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#bell-panel :focus")).to_have_count(1)
    acknowledge = page.locator("#bell-panel .x-ack")
    expect(acknowledge).to_have_count(1)
    for _ in range(6):
        if acknowledge.evaluate("button => button === document.activeElement"):
            break
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator(".bell-n")).to_have_count(0)
    expect(acknowledge).to_have_count(0)
    expect(page.locator("#bell-panel :focus")).to_have_count(1)
    page.keyboard.press("Escape")
    expect(page.locator("#bell")).to_be_focused()


def test_closing_a_toast_by_the_keyboard_leaves_the_focus_on_the_bell(clinic: Clinic, page_for: PageFor):
    page = page_for(clinic.provider)
    page.goto(PAGE)
    tell(clinic.provider, is_critical=True)
    toasts(page).locator("[data-close]").focus()
    page.keyboard.press("Enter")
    expect(toasts(page)).to_have_count(0)
    expect(page.locator("#bell")).to_be_focused()


@pytest.mark.parametrize("language", ["en", "ar"])
@pytest.mark.parametrize("is_dark", [False, True])
@pytest.mark.parametrize("is_phone", [False, True])
def test_toasts_and_critical_rows_are_accessible(clinic: Clinic, page_for: PageFor, language, is_dark, is_phone):
    page = page_for(clinic.provider, language, is_dark=is_dark, is_phone=is_phone)
    page.goto(PAGE)
    tell(clinic.provider, is_critical=True)
    tell(clinic.provider, category=Category.SYSTEM)
    expect(toasts(page).first).to_be_visible()
    assert_accessible(page)
    page.locator("#bell").click()
    expect(page.locator("#bell-panel .x-ack")).to_have_count(1)
    assert_accessible(page)
