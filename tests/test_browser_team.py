"""The pages of the team and of announcements in a real browser: readable by everybody, by keyboard, without scripts."""

from __future__ import annotations

import datetime as dt
import re
import zoneinfo

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from conftest import Clinic
from core import roster
from core.models import Absence, DutyShift, User
from core.tenancy import tenant_scope
from integrations import fanout
from notifications import announcements, inbox
from notifications.models import Announcement, Notification, NotificationEvent
from notifications.tests.test_announcements import WORDS, announce
from tests.browser import PageFor, assert_accessible
from tests.factories import LocationFactory

pytestmark = pytest.mark.browser

TEAM = "/notifications/team/"
OWN = "/notifications/absences/"
ANNOUNCEMENTS = "/notifications/announcements/"
HOUR = dt.timedelta(hours=1)
DAY = dt.timedelta(days=1)


def busy(clinic: Clinic) -> None:
    """Something in every card, with every warning."""
    now, today = timezone.now(), timezone.localdate()
    LocationFactory(tenant=clinic.tenant, name_en="Malaz Branch", name_ar="فرع الملز")
    for user, cover, starts in (
        (clinic.provider, clinic.colleague, -HOUR),
        (clinic.colleague, clinic.admin, 12 * HOUR),
        (clinic.front_desk, None, 20 * DAY),
    ):
        roster.absence_create(
            actor=clinic.admin, user=user, cover=cover, starts_at=now + starts, ends_at=now + starts + DAY
        )
    for location, starts in ((None, -HOUR), (clinic.location, 2 * DAY)):
        roster.shift_create(
            actor=clinic.admin,
            user=clinic.front_desk,
            location=location,
            starts_at=now + starts,
            ends_at=now + starts + 8 * HOUR,
        )
    roster.holiday_create(
        actor=clinic.admin, name_en="National Day", name_ar="اليوم الوطني", first_day=today, last_day=today + DAY
    )


def tell() -> None:
    for event in NotificationEvent.objects.filter(key=announcements.EVENT):
        fanout.process_event(event.tenant_id, event.pk)


def typed(moment: dt.datetime) -> str:
    return f"{moment.astimezone(zoneinfo.ZoneInfo('Asia/Riyadh')):%Y-%m-%dT%H:%M}"


def fill_span(page: Page, name: str, starts: dt.timedelta = DAY) -> None:
    start = timezone.now() + starts
    page.locator(f"#{name}_starts_at").fill(typed(start))
    page.locator(f"#{name}_ends_at").fill(typed(start + DAY))


@pytest.mark.parametrize("language", ["en", "ar"])
@pytest.mark.parametrize("is_phone", [False, True])
@pytest.mark.parametrize("is_dark", [False, True])
def test_the_pages_are_accessible_empty_full_and_refused(
    clinic: Clinic, page_for: PageFor, language: str, is_phone: bool, is_dark: bool
):
    page = page_for(clinic.admin, language, is_phone=is_phone, is_dark=is_dark)
    page.goto(TEAM)
    assert_accessible(page)
    busy(clinic)
    page.reload()
    for card in ("absence", "shift", "holiday"):
        page.locator(f"#team-{card} .x-add > summary").click()
    expect(page.locator(".x-span")).to_have_count(6)
    assert_accessible(page)
    page.locator("#team-shift .x-add button[type=submit]").click()
    expect(page.locator("[data-error-summary]")).to_be_focused()
    expect(page.locator("#team-shift .x-field.bad")).to_have_count(3)
    assert_accessible(page)
    page.goto(OWN)
    assert_accessible(page)


@pytest.mark.parametrize("language", ["en", "ar"])
@pytest.mark.parametrize("is_phone", [False, True])
@pytest.mark.parametrize("is_dark", [False, True])
def test_an_announcement_is_accessible_from_the_first_word_to_the_last_reader(
    clinic: Clinic, page_for: PageFor, language: str, is_phone: bool, is_dark: bool
):
    page = page_for(clinic.admin, language, is_phone=is_phone, is_dark=is_dark)
    page.goto(ANNOUNCEMENTS)
    assert_accessible(page)
    page.locator("button[value=review]").click()
    expect(page.locator("[data-error-summary]")).to_be_focused()
    assert_accessible(page)
    for name, text in WORDS.items():
        page.locator(f"#id_{name}").fill(text)
    page.locator("button[value=review]").click()
    expect(page.locator(".n.unread")).to_have_count(2)
    expect(page.locator(".n[dir=rtl] .t")).to_have_text(WORDS["title_ar"])
    assert_accessible(page)
    page.locator("button[value=post]").click()
    expect(page.locator("#announcement-list .lr")).to_have_count(1)
    tell()
    inbox.mark_read(clinic.provider, Notification.objects.get(user=clinic.provider).pk)
    page.reload()
    expect(page.locator(".x-reached progress")).to_have_attribute("value", "1")
    assert_accessible(page)


def test_an_announcement_is_written_and_posted_without_a_mouse(clinic: Clinic, page_for: PageFor):
    page = page_for(clinic.admin)
    page.goto(ANNOUNCEMENTS)
    page.locator("#id_title_en").focus()
    page.keyboard.type("Fire drill")
    page.keyboard.press("Tab")
    page.keyboard.type("At ten.")
    for _step in range(3):
        page.keyboard.press("Tab")
    expect(page.locator("#id_role_all")).to_be_focused()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(page.locator("#id_role_provider")).to_be_checked()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Post to 2 people")).to_be_visible()
    # Back to the form: everything is as it was.
    page.get_by_role("button", name="Change it").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#id_body_en")).to_have_value("At ten.")
    expect(page.locator("#id_role_provider")).to_be_checked()
    page.get_by_role("button", name="Look at it before posting").focus()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Post to 2 people").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#announcement-list .lr")).to_have_count(1)
    assert Announcement.objects.get().role == "PROVIDER"


def test_a_double_click_posts_once(clinic: Clinic, page_for: PageFor):
    page = page_for(clinic.admin)
    page.goto(ANNOUNCEMENTS)
    for name, text in WORDS.items():
        page.locator(f"#id_{name}").fill(text)
    page.locator("button[value=review]").click()
    page.locator("button[value=post]").dblclick()
    expect(page.locator("#announcement-list .lr")).to_have_count(1)
    assert Announcement.objects.count() == 1


@pytest.mark.parametrize("has_scripts", [True, False])
def test_an_admin_adds_and_ends_an_absence(clinic: Clinic, page_for: PageFor, has_scripts: bool):
    page = page_for(clinic.admin, has_scripts=has_scripts)
    page.on("dialog", lambda dialog: dialog.accept())
    page.goto(TEAM)
    page.locator("#team-absence .x-add > summary").click()
    page.locator("#absence_user").select_option(str(clinic.provider.pk))
    page.locator("#absence_cover").select_option(str(clinic.front_desk.pk))
    fill_span(page, "absence", -HOUR)
    page.locator("#team-absence .x-add button[type=submit]").click()
    # The desk cannot do what a provider does: the form stays as it was typed, at the field that is wrong.
    expect(page.locator("#team-absence .x-field.bad #absence_cover")).to_have_value(str(clinic.front_desk.pk))
    expect(page.locator("#absence_user")).to_have_value(str(clinic.provider.pk))
    page.locator("#absence_cover").select_option(str(clinic.colleague.pk))
    page.locator("#team-absence .x-add button[type=submit]").click()
    expect(page).to_have_url(re.compile("#team-absence$"))
    expect(page.locator("#team-absence .st")).to_have_text("Away now")
    page.get_by_role("button", name=re.compile("^End now")).click()
    expect(page.locator("#team-absence .x-span")).to_have_count(0)
    assert Absence.objects.get().ends_at <= timezone.now()


def test_a_duty_is_added_by_keyboard(clinic: Clinic, page_for: PageFor):
    page = page_for(clinic.admin)
    page.goto(TEAM)
    page.locator("#team-shift .x-add > summary").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.locator("#shift_user")).to_be_focused()
    page.keyboard.type("Desk")
    fill_span(page, "shift", -HOUR)
    page.locator("#shift_ends_at").press("Enter")
    expect(page.locator("#team-shift .st")).to_have_text("On duty now")
    assert DutyShift.objects.get().user == clinic.front_desk


@pytest.mark.parametrize("has_scripts", [True, False])
def test_somebody_writes_down_when_they_are_away_and_is_back(clinic: Clinic, page_for: PageFor, has_scripts: bool):
    page = page_for(clinic.provider, has_scripts=has_scripts)
    page.goto(OWN)
    fill_span(page, "absence", -HOUR)
    page.locator("#absence_cover").select_option(str(clinic.colleague.pk))
    page.locator("#absence-mine .x-add button[type=submit]").click()
    expect(page.locator("#absence-mine .x-span")).to_contain_text("Covered by Dr. Nasser")
    page.get_by_role("button", name=re.compile("^I am back")).click()
    expect(page.locator("#absence-mine .x-span")).to_have_count(0)


def test_a_colleague_who_leaves_while_the_form_is_open_is_refused_at_the_field(clinic: Clinic, page_for: PageFor):
    page = page_for(clinic.provider)
    page.goto(OWN)
    fill_span(page, "absence")
    page.locator("#absence_cover").select_option(str(clinic.colleague.pk))
    with tenant_scope(clinic.tenant.pk):
        User.objects.filter(pk=clinic.colleague.pk).update(is_active=False)
    page.locator("#absence-mine .x-add button[type=submit]").click()
    expect(page.locator(".x-field.bad")).to_contain_text("does not work here")
    expect(page.locator("#absence_starts_at")).not_to_have_value("")


def test_the_same_announcement_stands_in_both_languages(clinic: Clinic, page_for: PageFor):
    announce(clinic)
    for language, key in (("en", "title_en"), ("ar", "title_ar")):
        page = page_for(clinic.admin, language)
        page.goto(ANNOUNCEMENTS)
        expect(page.locator("#announcement-list .lr")).to_contain_text(WORDS[key])
