"""The notification page in a real browser: by keys alone, with undo, snooze and filters, for everybody."""

from __future__ import annotations

import contextlib
import datetime as dt
import re

import pytest
from django.utils import timezone
from playwright.sync_api import Error, Page, Route, expect

from conftest import Clinic
from core.models import User
from notifications import inbox, undoing
from notifications.inbox_writing import Note, Recipient
from notifications.models import Notification
from tests.browser import PageFor, assert_accessible

pytestmark = pytest.mark.browser

PAGE = "/notifications/inbox/"
EVERY = 250  # ms


@pytest.fixture(autouse=True)
def _quick_bell(settings) -> None:
    settings.BELL_POLL_MS = EVERY


def ring(user: User, title: str, title_ar: str = "موعد جديد", **fields) -> Notification:
    """Each is a minute younger than the one before."""
    row = inbox.notify(user=user, title=title, title_ar=title_ar, **fields)
    Notification.objects.filter(pk=row.pk).update(
        activity_at=timezone.now() - dt.timedelta(hours=1) + dt.timedelta(minutes=Notification.objects.count())
    )
    return row


def fold(user: User, count: int, group: str = "replies") -> Notification:
    for number in range(count):
        note = Note(
            title=f"Reply {number}",
            title_ar=f"رد {number}",
            message="Yes, I will come.",
            dedupe_key=f"{group}:{number}",
            group=group,
            fold_within=dt.timedelta(hours=1),
        )
        inbox.notify_many(tenant_id=user.tenant_id, note=note, recipients=[Recipient(user.pk)])
    return Notification.objects.get(group_count=count)


def make_critical(row: Notification) -> Notification:
    Notification.objects.filter(pk=row.pk).update(is_critical=True)
    return row


def row_of(page: Page, row: Notification):
    return page.locator(f"#row-{row.pk}")


def opener(page: Page, row: Notification):
    return page.locator(f"#row-open-{row.pk}")


def toast(page: Page):
    return page.locator("#toasts .toast-x").last


@pytest.fixture
def three(clinic: Clinic) -> list[Notification]:
    """The latest first, as the page shows them."""
    return [ring(clinic.provider, title) for title in ("Third", "Second", "First")][::-1]


# --- keys alone ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", ["en", "ar"])
def test_j_and_k_move_and_enter_opens(clinic: Clinic, page_for: PageFor, three, language):
    page = page_for(clinic.provider, language)
    page.goto(PAGE)
    page.keyboard.press("j")
    expect(opener(page, three[0])).to_be_focused()
    page.keyboard.press("j")
    page.keyboard.press("j")
    expect(opener(page, three[2])).to_be_focused()
    page.keyboard.press("j")
    expect(opener(page, three[2])).to_be_focused()
    page.keyboard.press("k")
    expect(opener(page, three[1])).to_be_focused()
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid", "seen, not only felt"
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/notifications/{three[1].pk}/open/")
    three[1].refresh_from_db()
    assert three[1].is_read


def test_the_same_keys_work_on_an_arabic_keyboard(clinic: Clinic, page_for: PageFor, three):
    page = page_for(clinic.provider, "ar")
    page.goto(PAGE)
    press = (
        "([key, code]) => document.activeElement.dispatchEvent("
        "new KeyboardEvent('keydown', {key, code, bubbles: true, cancelable: true}))"
    )
    page.evaluate(press, ["ت", "KeyJ"])
    expect(opener(page, three[0])).to_be_focused()
    page.evaluate(press, ["ث", "KeyE"])
    expect(row_of(page, three[0])).to_have_count(0)
    page.evaluate(press, ["؟", "Slash"])
    expect(page.locator("#keys-dialog")).to_be_visible()


def test_archiving_moves_the_focus_to_the_next_row_and_says_so(clinic: Clinic, page_for: PageFor, three):
    page = page_for(clinic.provider)
    page.goto(PAGE)
    page.keyboard.press("j")
    page.keyboard.press("e")
    expect(row_of(page, three[0])).to_have_count(0)
    expect(opener(page, three[1])).to_be_focused()
    expect(page.locator("#toasts")).to_have_attribute("aria-live", "polite")
    expect(toast(page)).to_contain_text("Archived. Press z to undo.")
    expect(page.locator(".bell-n")).to_have_text("2")
    # The last row leaves: the focus goes up; then to the words that say that nothing is left.
    page.keyboard.press("j")
    page.keyboard.press("e")
    expect(opener(page, three[1])).to_be_focused()
    page.keyboard.press("e")
    expect(page.locator("#inbox-empty")).to_be_focused()
    assert Notification.objects.filter(archived_at=None).count() == 0


def test_u_toggles_and_the_focus_stays(clinic: Clinic, page_for: PageFor, three):
    page = page_for(clinic.provider)
    page.goto(PAGE)
    page.keyboard.press("j")
    for is_unread in (False, True, False):
        page.keyboard.press("u")
        expect(page.locator(f"#row-{three[0].pk}.unread")).to_have_count(int(is_unread))
        expect(opener(page, three[0])).to_be_focused()


def test_the_button_itself_keeps_the_focus_when_it_becomes_its_opposite(clinic: Clinic, page_for: PageFor, three):
    page = page_for(clinic.provider)
    page.goto(PAGE)
    page.get_by_role("button", name="Mark as read: First").press("Enter")
    expect(page.get_by_role("button", name="Mark as unread: First")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Mark as read: First")).to_be_focused()


def test_in_the_unread_view_a_read_row_leaves(clinic: Clinic, page_for: PageFor, three):
    page = page_for(clinic.provider)
    page.goto(f"{PAGE}?show=unread")
    page.keyboard.press("j")
    page.keyboard.press("u")
    expect(row_of(page, three[0])).to_have_count(0)
    expect(opener(page, three[1])).to_be_focused()


def test_a_acknowledges_and_e_does_not_put_away_what_waits(clinic: Clinic, page_for: PageFor):
    row = make_critical(ring(clinic.provider, "Patient waits"))
    page = page_for(clinic.provider)
    page.goto(PAGE)
    page.keyboard.press("j")
    page.keyboard.press("e")
    page.keyboard.press("s")
    expect(page.locator("#snooze-dialog")).to_be_hidden()
    page.keyboard.press("a")
    expect(row_of(page, row)).to_contain_text("Acknowledged by Dr. Layla")
    expect(toast(page)).to_contain_text("You are taking care of it.")
    expect(opener(page, row)).to_be_focused()
    row.refresh_from_db()
    assert row.acknowledged_by == clinic.provider


def test_the_keys_are_listed_and_can_be_switched_off(clinic: Clinic, page_for: PageFor, three):
    page = page_for(clinic.provider)
    page.goto(PAGE)
    page.keyboard.press("j")
    page.keyboard.press("?")
    dialog = page.locator("#keys-dialog")
    expect(dialog).to_be_visible()
    page.keyboard.press("j")
    page.keyboard.press("e")
    page.get_by_label("Use these keys on this computer").uncheck()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(opener(page, three[0])).to_be_focused()
    page.keyboard.press("e")
    page.keyboard.press("j")
    expect(opener(page, three[0])).to_be_focused()
    page.reload()
    page.keyboard.press("j")
    expect(opener(page, three[0])).not_to_be_focused()
    assert Notification.objects.filter(archived_at=None).count() == 3


def test_letters_typed_into_a_field_are_letters(clinic: Clinic, page_for: PageFor, three):
    page = page_for(clinic.provider)
    page.goto(PAGE)
    page.keyboard.press("j")
    page.locator("#id_q").focus()
    page.keyboard.type("juez?")
    expect(page.locator("#id_q")).to_have_value("juez?")
    expect(page.locator("#keys-dialog")).to_be_hidden()
    expect(page.locator("#inbox-empty")).to_contain_text("No notification fits these filters.")
    assert Notification.objects.filter(archived_at=None, is_read=False).count() == 3


# --- undo ------------------------------------------------------------------------------------------------------------


def test_z_undoes_within_ten_seconds(clinic: Clinic, page_for: PageFor, three):
    page = page_for(clinic.provider)
    page.goto(PAGE)
    page.keyboard.press("j")
    page.keyboard.press("e")
    expect(row_of(page, three[0])).to_have_count(0)
    page.keyboard.press("z")
    expect(row_of(page, three[0])).to_have_count(1)
    expect(page.locator(".bell-n")).to_have_text("3")
    expect(toast(page)).to_contain_text("Undone.")


def test_the_undo_button_goes_after_its_ten_seconds(clinic: Clinic, page_for: PageFor, three):
    page = page_for(clinic.provider)
    page.clock.install()
    page.goto(PAGE)
    page.locator(f"#row-archive-{three[0].pk}").click()
    undo = page.get_by_role("button", name="Undo")
    expect(undo).to_be_visible()
    page.mouse.move(0, 0)
    page.clock.run_for(9_000)
    expect(undo).to_be_visible()
    page.clock.run_for(1_500)
    expect(undo).to_have_count(0)


def test_the_undo_button_waits_under_the_pointer_but_not_longer_than_the_server(
    clinic: Clinic, page_for: PageFor, three
):
    page = page_for(clinic.provider)
    page.clock.install()
    page.goto(PAGE)
    page.locator(f"#row-archive-{three[0].pk}").click()
    undo = page.get_by_role("button", name="Undo")
    undo.hover()
    page.clock.run_for(20_000)
    expect(undo).to_be_visible()
    page.clock.run_for(11_000)
    expect(undo).to_have_count(0)
    assert undoing.ACCEPTED_FOR.total_seconds() > 31


def test_all_are_read_and_all_come_back(clinic: Clinic, page_for: PageFor, three):
    page = page_for(clinic.provider)
    page.goto(PAGE)
    page.locator("main").get_by_role("button", name="Mark all as read").click()
    expect(page.locator("#inbox-list .unread")).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    expect(page.locator("#inbox-list [data-row].unread")).to_have_count(3)
    expect(page.locator(".bell-n")).to_have_text("3")


# --- snooze ----------------------------------------------------------------------------------------------------------


def test_a_row_is_snoozed_by_keys_and_comes_back_by_itself(clinic: Clinic, page_for: PageFor, three):
    page = page_for(clinic.provider)
    page.goto(PAGE)
    page.keyboard.press("j")
    page.keyboard.press("s")
    dialog = page.locator("#snooze-dialog")
    expect(dialog.get_by_role("button", name=re.compile("In one hour"))).to_be_focused()
    page.keyboard.press("Enter")
    expect(dialog).to_be_hidden()
    expect(row_of(page, three[0])).to_have_count(0)
    expect(opener(page, three[1])).to_be_focused()
    expect(toast(page)).to_contain_text("Snoozed until")
    Notification.objects.filter(pk=three[0].pk).update(snoozed_until=timezone.now() - dt.timedelta(days=2))
    inbox.wake_due(clinic.tenant.pk)
    expect(row_of(page, three[0])).to_have_count(1)
    expect(page.locator(".bell-n")).to_have_text("3")
    expect(opener(page, three[1])).to_be_focused()


def test_escape_leaves_everything_as_it_was(clinic: Clinic, page_for: PageFor, three):
    page = page_for(clinic.provider)
    page.goto(PAGE)
    page.keyboard.press("j")
    page.keyboard.press("s")
    expect(page.locator("#snooze-dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#snooze-dialog")).to_be_hidden()
    expect(opener(page, three[0])).to_be_focused()
    page.keyboard.press("s")
    expect(page.locator("#snooze-dialog")).to_be_visible()


def test_a_time_that_cannot_be_is_said_in_the_dialog(clinic: Clinic, page_for: PageFor, three):
    page = page_for(clinic.provider)
    page.goto(PAGE)
    page.locator(f"#row-snooze-{three[0].pk}").click()
    dialog = page.locator("#snooze-dialog")
    field = dialog.get_by_label("Another time")
    field.evaluate("field => { field.removeAttribute('min'); field.value = '2020-01-01T10:00'; }")
    dialog.get_by_role("button", name="Snooze until then").click()
    expect(dialog.locator(".errorlist")).to_contain_text("Choose a time between now and 60 days from now.")
    expect(dialog.locator("[data-error-summary]")).to_be_focused()
    expect(field).to_have_value("2020-01-01T10:00")
    assert_accessible(page)
    later = timezone.localtime(timezone.now() + dt.timedelta(days=3))
    field.fill(f"{later:%Y-%m-%dT%H:%M}")
    dialog.get_by_role("button", name="Snooze until then").click()
    expect(dialog).to_be_hidden()
    expect(row_of(page, three[0])).to_have_count(0)


# --- the list while somebody works in it -----------------------------------------------------------------------------


def test_what_arrives_disturbs_nothing(clinic: Clinic, page_for: PageFor, three):
    folded = fold(clinic.provider, 4)
    page = page_for(clinic.provider)
    page.goto(PAGE)
    page.locator(f"#row-fold-{folded.pk} summary").click()
    page.locator("#id_since").focus()
    page.keyboard.type("11")
    typed = page.locator("#id_since")
    ring(clinic.provider, "Fourth")
    expect(page.locator("#inbox-list [data-row]")).to_have_count(5)
    expect(typed).to_be_focused()
    expect(page.locator(f"#row-fold-{folded.pk}")).to_have_attribute("open", "")
    page.locator(f"#row-snooze-{three[0].pk}").click()
    expect(page.locator("#snooze-dialog")).to_be_visible()
    ring(clinic.provider, "Fifth")
    expect(page.locator("#inbox-list [data-row]")).to_have_count(6)
    expect(page.locator("#snooze-dialog")).to_be_visible()
    expect(page.locator("#snooze-dialog .x-choice").first).to_be_focused()


def test_a_focused_row_keeps_the_focus_when_the_list_grows(clinic: Clinic, page_for: PageFor, three):
    page = page_for(clinic.provider)
    page.goto(PAGE)
    page.keyboard.press("j")
    ring(clinic.provider, "Fourth")
    expect(page.locator("#inbox-list [data-row]")).to_have_count(4)
    expect(opener(page, three[0])).to_be_focused()
    page.keyboard.press("k")
    expect(page.locator("#inbox-list [data-open]").first).to_be_focused()


def test_a_list_that_was_asked_for_before_a_filter_does_not_come_back_over_it(
    clinic: Clinic, page_for: PageFor, three: object
) -> None:
    """The bell had it made a moment earlier, and it was slow."""
    page = page_for(clinic.provider)
    page.goto(PAGE)
    held: list[Route] = []

    def hold_the_first(route: Route) -> None:
        held.append(route) if not held else route.continue_()

    page.route(re.compile(r"/inbox/(\?|$)"), hold_the_first)
    ring(clinic.provider, "Fourth")
    expect(page.locator(".bell-n")).to_have_text("4")
    page.get_by_label("Search", exact=True).fill("second")
    expect(page.locator("#inbox-list [data-row]")).to_have_count(1)
    assert held, "the bell asked for the list"
    with contextlib.suppress(Error):  # the page no longer waits for it
        held[0].continue_()
    page.wait_for_timeout(500)
    expect(page.locator("#inbox-list [data-row]")).to_have_count(1)


def test_filters_apply_themselves_and_stay_in_the_address(clinic: Clinic, page_for: PageFor, three):
    page = page_for(clinic.provider)
    page.goto(PAGE)
    page.evaluate("window.isTheSamePage = true")
    page.get_by_label("Search", exact=True).fill("second")
    expect(page.locator("#inbox-list [data-row]")).to_have_count(1)
    expect(page).to_have_url(re.compile("q=second"))
    expect(page.locator("#inbox-views a").nth(1)).to_have_attribute("href", re.compile("q=second"))
    # What arrives does not fit: the filtered list stays as it is, and so does what is typed.
    ring(clinic.provider, "Fourth")
    expect(page.locator(".bell-n")).to_have_text("4")
    expect(page.locator("#inbox-list [data-row]")).to_have_count(1)
    expect(page.get_by_label("Search", exact=True)).to_be_focused()
    page.locator("#id_since").fill("2026-11-20")
    page.locator("#id_until").fill("2026-11-01")
    expect(page.locator("#inbox-list [role=alert]")).to_contain_text("The last day is before the first one.")
    expect(page.get_by_label("Search", exact=True)).to_have_value("second")
    assert page.evaluate("window.isTheSamePage")
    assert_accessible(page)
    page.get_by_role("link", name="Clear").click()
    expect(page.locator("#inbox-list [data-row]")).to_have_count(4)
    page.go_back()
    expect(page.locator("h1")).to_have_text("Notifications")


def test_older_pages_are_reached_by_keys_too(clinic: Clinic, page_for: PageFor):
    for number in range(27):
        ring(clinic.provider, f"Visit {number:02}")
    page = page_for(clinic.provider)
    page.goto(PAGE)
    page.locator("#inbox-list [data-open]").last.focus()
    page.keyboard.press("j")
    expect(page.get_by_role("link", name="Older")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#inbox-list [data-row]")).to_have_count(2)
    page.get_by_role("link", name="Newer").click()
    expect(page.locator("#inbox-list [data-row]")).to_have_count(25)


# --- for everybody ---------------------------------------------------------------------------------------------------


def test_without_scripts_everything_can_be_done(clinic: Clinic, page_for: PageFor, three):
    folded = fold(clinic.provider, 4)
    critical = make_critical(ring(clinic.provider, "Patient waits"))
    page = page_for(clinic.provider, has_scripts=False)
    page.goto(f"{PAGE}?show=unread")
    page.get_by_role("button", name=re.compile("^Acknowledge.*Patient waits")).click()
    expect(toast(page)).to_contain_text("You are taking care of it.")
    expect(page).to_have_url(re.compile(r"show=unread"))
    page.get_by_role("button", name="Archive: First").click()
    expect(row_of(page, three[0])).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    expect(row_of(page, three[0])).to_have_count(1)
    page.get_by_role("link", name="Snooze: First").click()
    page.get_by_role("button", name="Snooze until then").click()
    expect(page.locator(".errorlist")).to_contain_text("Choose a day and a time.")
    page.get_by_role("button", name=re.compile("Tomorrow morning")).click()
    expect(page).to_have_url(re.compile(r"show=unread"))
    expect(row_of(page, three[0])).to_have_count(0)
    page.get_by_label("Search", exact=True).fill("second")
    page.get_by_role("button", name="Filter").click()
    expect(page.locator("#inbox-list [data-row]")).to_have_count(1)
    page.goto(PAGE)
    page.locator(f"#row-fold-{folded.pk} summary").click()
    page.get_by_role("link", name="See all 4").click()
    expect(page.locator(".x-items li")).to_have_count(4)
    page.get_by_role("button", name="Mark as read").click()
    expect(toast(page)).to_contain_text("Marked as read.")
    page.goto(f"{PAGE}?show=snoozed")
    page.get_by_role("button", name="Back to the inbox now: First").click()
    expect(page.locator("#inbox-empty")).to_contain_text("Nothing is snoozed")
    critical.refresh_from_db()
    assert critical.acknowledged_by == clinic.provider


@pytest.mark.parametrize("language", ["en", "ar"])
@pytest.mark.parametrize("is_phone", [False, True])
@pytest.mark.parametrize("is_dark", [False, True])
def test_the_pages_are_accessible(clinic: Clinic, page_for: PageFor, three, language, is_phone, is_dark):
    folded = fold(clinic.provider, 4)
    critical = make_critical(ring(clinic.provider, "Patient waits", message="With a text.", level="ERROR"))
    Notification.objects.filter(pk=critical.pk).update(override="quiet", instead_of=clinic.colleague)
    over = make_critical(ring(clinic.provider, "Provider down", level="WARNING"))
    now = timezone.now()
    Notification.objects.filter(pk=over.pk).update(
        resolved_at=now, acknowledged_at=now, acknowledged_by=clinic.admin, override="muted"
    )
    page = page_for(clinic.provider, language, is_phone=is_phone, is_dark=is_dark)
    page.goto(PAGE)
    page.locator(f"#row-fold-{folded.pk} summary").click()
    page.locator(f"#row-archive-{three[0].pk}").click()
    expect(page.locator("[data-undo]")).to_be_visible()
    assert_accessible(page)
    page.locator(f"#row-snooze-{three[1].pk}").click()
    expect(page.locator("#snooze-dialog .x-choice").first).to_be_visible()
    assert_accessible(page)
    page.keyboard.press("Escape")
    for address in (
        f"{PAGE}?show=archived",
        f"{PAGE}?show=history&since=2026-11-20&until=2026-11-01",
        f"{PAGE}?q=nothing",
        f"/notifications/{folded.pk}/",
        f"/notifications/{three[1].pk}/snooze/",
    ):
        page.goto(address)
        assert_accessible(page)
