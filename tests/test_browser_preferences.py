"""The preferences in a real browser: both languages, both themes, a phone, the keyboard alone, and no scripts."""

from __future__ import annotations

import datetime as dt
import re

import pytest
from django.urls import reverse
from playwright.sync_api import expect

from conftest import Clinic
from notifications.models import StaffPreference
from notifications.staff_preferences import effective_matrix, preference_of
from tests.browser import PageFor, assert_accessible, requests_to

pytestmark = pytest.mark.browser

PAGE = reverse("notifications:preferences")
LIVE = reverse("notifications:preferences_quiet")


def quiet(clinic: Clinic) -> None:
    StaffPreference.objects.create(
        tenant=clinic.tenant,
        user=clinic.front_desk,
        quiet_starts=dt.time(22),
        quiet_ends=dt.time(7),
        ramadan_quiet_starts=dt.time(3),
        ramadan_quiet_ends=dt.time(11),
        is_quiet_on_weekends=True,
        is_quiet_on_holidays=True,
        frequency="WEEKLY",
    )


@pytest.mark.parametrize("is_phone", [False, True], ids=["desk", "phone"])
@pytest.mark.parametrize("is_dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("language", ["en", "ar"])
def test_the_page_is_accessible(clinic: Clinic, page_for: PageFor, language, is_dark, is_phone):
    quiet(clinic)
    page = page_for(clinic.front_desk, language, is_dark=is_dark, is_phone=is_phone)
    page.goto(PAGE)
    assert_accessible(page)
    # Refused: the summary has the focus, and everything is still accessible.
    page.locator("#id_quiet_ends").fill("")
    page.locator("#preferences-form button.primary").click()
    expect(page.locator("[data-error-summary]")).to_be_focused()
    expect(page.locator("#id_quiet_ends")).to_have_attribute("aria-invalid", "true")
    assert_accessible(page)


def test_the_sentence_follows_what_is_typed_in_one_request(clinic: Clinic, page_for: PageFor):
    page = page_for(clinic.front_desk)
    page.goto(PAGE)
    sentence, asked = page.locator("#preferences-quiet"), requests_to(page, LIVE)
    expect(sentence).to_contain_text("Never quiet")
    page.locator("#id_quiet_starts").fill("00:00")
    expect(sentence).to_contain_text("Give both times")
    page.locator("#id_quiet_ends").fill("23:59")
    expect(sentence).to_contain_text(re.compile(r"Quiet now until 23:59 today|The next quiet time is from 00:00"))
    assert len(asked) == 2
    # Quickly one after the other: the page waits until the hand rests.
    page.evaluate("for (let n = 0; n < 4; n++) document.getElementById('id_is_quiet_on_weekends').click()")
    page.wait_for_timeout(900)
    assert len(asked) == 3
    page.locator("#id_is_quiet_on_weekends").check()
    expect(sentence).to_contain_text(re.compile("On weekends you hear nothing until|Quiet now until"))
    assert not StaffPreference.objects.exists(), "nothing is saved before it is said"


def test_the_fields_of_a_summary_are_there_when_there_is_one(clinic: Clinic, page_for: PageFor):
    page = page_for(clinic.front_desk)
    page.goto(PAGE)
    time, day = page.locator("#id_digest_time"), page.locator("#id_digest_weekday")
    expect(time).to_be_hidden()
    expect(day).to_be_hidden()
    page.locator("#id_frequency").select_option("DAILY")
    expect(time).to_be_visible()
    expect(day).to_be_hidden()
    expect(page.locator("#preferences-summary")).to_contain_text("The next summary goes at 08:00")
    page.locator("#id_frequency").select_option("WEEKLY")
    expect(day).to_be_visible()


def test_with_the_keyboard_alone(clinic: Clinic, page_for: PageFor):
    page = page_for(clinic.front_desk)
    page.goto(PAGE)
    box = page.get_by_role("checkbox", name="Arrivals: Email")
    page.get_by_role("checkbox", name="Arrivals: In-app").focus()
    page.keyboard.press("Tab")
    expect(box).to_be_focused()
    page.keyboard.press("Space")
    expect(box).to_be_checked()
    page.keyboard.press("Enter")
    expect(page.locator("#toasts")).to_contain_text("Your preferences are saved.")
    assert "EMAIL" in effective_matrix(preference_of(clinic.front_desk))["ARRIVAL"]


def test_what_has_the_focus_is_never_under_the_save_bar(clinic: Clinic, page_for: PageFor):
    page = page_for(clinic.front_desk)
    page.goto(PAGE)
    page.locator("#id_on_ARRIVAL_IN_APP").focus()
    for _ in range(45):
        page.keyboard.press("Tab")
        hidden = page.evaluate(
            """() => {
                const one = document.activeElement, bar = document.querySelector(".x-save");
                if (!one.closest("#preferences-form") || bar.contains(one)) return null;
                const box = one.getBoundingClientRect();
                return box.top >= bar.getBoundingClientRect().top ? one.id : null;
            }"""
        )
        assert hidden is None


def test_a_phone_shows_each_way_with_its_word(clinic: Clinic, page_for: PageFor):
    page = page_for(clinic.front_desk, is_phone=True)
    page.goto(PAGE)
    label = page.locator("label[for=id_on_SYSTEM_PUSH]")
    expect(label).to_be_visible()
    assert label.bounding_box()["height"] >= 36
    label.tap() if page.evaluate("navigator.maxTouchPoints") else label.click()
    expect(page.locator("#id_on_SYSTEM_PUSH")).not_to_be_checked()


def test_the_sound_is_tried_with_the_bells_own(clinic: Clinic, page_for: PageFor):
    page = page_for(clinic.front_desk)
    page.goto(PAGE)
    page.evaluate("void (bellSigns.sound = () => { window.rung = (window.rung ?? 0) + 1; })")
    page.get_by_role("button", name="Play the sound").click()
    assert page.evaluate("window.rung") == 1


def test_without_scripts_it_is_a_plain_form(clinic: Clinic, page_for: PageFor):
    page = page_for(clinic.front_desk, has_scripts=False)
    page.goto(PAGE)
    page.locator("#id_quiet_starts").fill("22:00")
    page.locator("#preferences-form button.primary").click()
    expect(page.locator("#id_quiet_ends")).to_have_attribute("aria-invalid", "true")
    expect(page.locator("#id_quiet_starts")).to_have_value("22:00")
    page.locator("#id_quiet_ends").fill("07:00")
    page.locator("#preferences-form button.primary").click()
    expect(page.locator("#toasts")).to_contain_text("Your preferences are saved.")
    expect(page.locator("#preferences-quiet")).to_contain_text("until")
    assert preference_of(clinic.front_desk).quiet_ends == dt.time(7)
