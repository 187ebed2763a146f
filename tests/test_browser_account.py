"""The pages of the account in a real browser: signing in by two steps, links by mail, devices; readable by everybody."""

from __future__ import annotations

import re
import time

import pytest
from django.core import mail
from django_otp.oath import TOTP
from playwright.sync_api import Page, expect

from conftest import Clinic
from core import account_letters, second_factor
from core.models import AccountLetter, Authenticator, User
from tests.browser import PageFor, assert_accessible
from tests.factories import PASSWORD

pytestmark = pytest.mark.browser

ACCOUNT = "/account/"
SET_UP = "/account/second-step/"


def code_of(secret: bytes, steps: int = 0) -> str:
    totp = TOTP(secret, 30, 0, 6, 0)
    totp.time = time.time() + 30 * steps
    return f"{totp.token():06d}"


def turn_on(user: User) -> list[str]:
    enrolment = second_factor.enrolment_begin(user)
    codes = second_factor.enable(user=user, enrolment=enrolment, code=code_of(enrolment.secret), session_key=None)
    # The next code may come at once.
    Authenticator.objects.filter(user=user).update(last_t=0)
    return codes


def sign_in(page: Page, user: User) -> None:
    page.goto("/sign-in/")
    page.locator("#id_username").fill(user.email)
    page.locator("#id_password").fill(PASSWORD)
    page.locator("#sign-in").click()


@pytest.mark.parametrize("language", ["en", "ar"])
@pytest.mark.parametrize("is_phone", [False, True])
@pytest.mark.parametrize("is_dark", [False, True])
def test_the_pages_are_accessible_empty_and_refused(
    clinic: Clinic, page_for: PageFor, language: str, is_phone: bool, is_dark: bool
):
    turn_on(clinic.admin)
    look = {"is_phone": is_phone, "is_dark": is_dark}
    page = page_for(clinic.admin, language, **look)
    for address in (ACCOUNT, "/account/password/", "/account/second-step/off/", "/account/second-step/codes/"):
        page.goto(address)
        assert_accessible(page)
    page.locator("main form button[type=submit]").first.click()
    expect(page.locator("[data-error-summary]")).to_be_focused()
    assert_accessible(page)
    page = page_for(clinic.front_desk, language, **look)
    page.goto(SET_UP)
    assert_accessible(page)
    page = page_for(None, language, **look)
    for address in ("/sign-in/forgot/", "/sign-in/password/a/b/"):
        page.goto(address)
        assert_accessible(page)
    User.accounts.filter(pk=clinic.admin.pk).update(language=language)
    sign_in(page, clinic.admin)
    expect(page.locator("#id_code")).to_be_focused()
    assert_accessible(page)
    page.locator("main .x-aside a").click()
    expect(page).to_have_url(re.compile("with=recovery"))
    assert_accessible(page)


@pytest.mark.parametrize("has_scripts", [True, False])
def test_an_admin_who_must_sets_it_up_signs_out_and_comes_back_by_code(
    clinic: Clinic, page_for: PageFor, has_scripts: bool
):
    clinic.tenant.requires_second_factor = True
    clinic.tenant.save()
    page = page_for(None, has_scripts=has_scripts)
    page.goto("/patients/")
    sign_in(page, clinic.admin)
    expect(page).to_have_url(re.compile(SET_UP))
    if has_scripts:
        assert_accessible(page)
    sealed = page.locator("[name=sealed]").input_value()
    enrolment = second_factor.enrolment_of(clinic.admin, sealed)
    assert enrolment is not None
    assert page.locator(".x-key").inner_text() == enrolment.typed
    page.locator("#id_password").fill(PASSWORD)
    page.locator("#id_code").fill(code_of(enrolment.secret))
    page.get_by_role("button", name="Turn it on").click()
    expect(page.locator(".x-codes li")).to_have_count(10)
    if has_scripts:
        assert_accessible(page)
    codes = page.locator(".x-codes li").all_inner_texts()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download as a text file").click()
    text = download.value.path().read_text()
    assert all(code in text for code in codes)
    page.get_by_role("link", name="I have kept them").click()
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    page.goto("/patients/")
    expect(page.get_by_role("heading", level=1)).to_have_text("Patients")
    page.locator("aside form[action='/sign-out/'] button").click()
    sign_in(page, clinic.admin)
    page.locator("#id_code").fill("000000")
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator("[data-error-summary]")).to_contain_text("This code is wrong")
    page.locator("main .x-aside a").click()
    page.locator("#id_code").fill(codes[0])
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator("#toasts")).to_contain_text("9 are left")


def test_a_forgotten_password_is_chosen_anew_by_mail(clinic: Clinic, page_for: PageFor):
    page = page_for(None)
    page.goto("/sign-in/")
    page.get_by_role("link", name="Forgotten your password?").click()
    page.locator("#id_email").fill(clinic.front_desk.email)
    page.get_by_role("button", name="Send the link").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Look in your mailbox")
    assert_accessible(page)
    account_letters.letter_send(AccountLetter.objects.get().pk)
    page.goto(re.search(r"https?://[^/]+(/sign-in/password/\S+)", str(mail.outbox[-1].body))[1])
    expect(page).to_have_url(re.compile("/set-password/"))
    assert_accessible(page)
    page.locator("#id_new_password1").fill("a-password-nobody-else-has")
    page.locator("#id_new_password2").fill("a-password-nobody-else-has")
    page.get_by_role("button", name="Save the password").click()
    expect(page.locator("#toasts")).to_contain_text("Your new password is saved")
    page.locator("#id_username").fill(clinic.front_desk.email)
    page.locator("#id_password").fill("a-password-nobody-else-has")
    page.locator("#sign-in").click()
    expect(page.locator("#account-menu")).to_be_visible()


def test_a_device_that_is_signed_out_elsewhere_says_so_at_its_next_poll(clinic: Clinic, page_for: PageFor):
    there = page_for(clinic.front_desk)
    there.goto("/patients/")
    here = page_for(clinic.front_desk)
    here.goto("/")
    here.locator("#account-menu summary").click()
    here.get_by_role("link", name="My account").click()
    rows = here.locator("#account-sessions .lr")
    expect(rows).to_have_count(2)
    rows.nth(1).get_by_role("button", name="Sign out").click()
    expect(here.locator("#toasts")).to_contain_text("signed out")
    expect(rows).to_have_count(1)
    expect(there.locator("#session-bar")).to_be_visible(timeout=15_000)
