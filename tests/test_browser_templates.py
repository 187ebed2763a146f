"""The pages of templates in a real browser: readable by everybody, alive while one writes, usable without scripts."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from conftest import Clinic
from core.models import Role, User
from core.tenancy import tenant_scope
from notifications import default_words, template_versions
from notifications.models import MessageTemplate, TemplateVersion
from notifications.tests.test_template_versions import WORDS, make, published
from tests import factories
from tests.browser import PageFor, assert_accessible

pytestmark = pytest.mark.browser

LIST = "/notifications/templates/"
EMAIL = {**WORDS, "subject_en": "Opening hours", "subject_ar": "ساعات العمل"}


@pytest.fixture
def second(clinic: Clinic) -> User:
    return factories.UserFactory(
        tenant=clinic.tenant, role=Role.ADMIN, email="second@noor.example", location=clinic.location
    )


def assert_fits(page: Page) -> None:
    """Nothing to scroll sideways."""
    width = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert page.evaluate(width) <= 0, page.url


@pytest.mark.parametrize("language", ["en", "ar"])
@pytest.mark.parametrize(("is_phone", "is_dark"), [(False, False), (True, True)])
def test_every_page_is_accessible_and_fits(
    clinic: Clinic, second: User, page_for: PageFor, language: str, is_phone: bool, is_dark: bool
) -> None:
    default_words.install(clinic.tenant.pk)
    first = published(clinic, second)
    letter = make(clinic, name="Letter", channel="EMAIL", words=EMAIL)
    template_versions.submit(actor=clinic.admin, version=letter, revision=1)
    draft = template_versions.save_draft(
        actor=second,
        template=first.template,
        words={**WORDS, "body_en": "Hello – {patient_name} {surname}"},
        variables=[],
        revision=0,
    )
    hours, mail = f"{LIST}{first.template_id}/", f"{LIST}{letter.template_id}/"
    page = page_for(clinic.admin, language, is_phone=is_phone, is_dark=is_dark)
    for address in (
        LIST,
        f"{LIST}?q=nothing",
        f"{LIST}create/",
        hours,
        f"{hours}edit/",
        f"{hours}test/",
        f"{hours}delete/",
        f"{hours}versions/{draft.number}/",
        mail,
    ):
        page.goto(address)
        assert_accessible(page)
        assert_fits(page)
    page.goto(f"{hours}edit/")
    page.locator("button[value=submit]").click()
    expect(page.locator("[data-error-summary]")).to_be_focused()
    assert_accessible(page)


def test_the_preview_follows_the_writer_and_a_chip_lands_at_the_cursor(clinic: Clinic, page_for: PageFor) -> None:
    version = make(clinic)
    page = page_for(clinic.admin)
    page.goto(f"{LIST}{version.template_id}/edit/")
    preview = page.locator("#template-preview")
    body = page.locator("#id_body_en")
    body.fill("Good day")
    expect(preview.locator(".pb")).to_have_text("Good day")
    expect(preview).to_contain_text("stands in the Arabic words and not in the English ones")
    page.locator("[data-insert='{patient_name}']").click()
    expect(body).to_have_value("Good day {patient_name}")
    expect(body).to_be_focused()
    expect(preview.locator(".pb")).to_have_text("Good day Sara Al-Mutairi")
    expect(preview).to_contain_text("GSM-7 · 24/160")
    body.press_sequentially(" – hello")
    expect(preview).to_contain_text("These characters make the English SMS more expensive: –.")
    expect(preview).to_contain_text("UCS-2 · 32/70")
    preview.get_by_text("Arabic", exact=True).first.click()
    expect(preview.locator(".phone-b")).to_have_attribute("dir", "rtl")
    expect(preview.locator(".pb")).to_contain_text("سارة المطيري")


def test_a_patients_data_is_chosen_without_losing_what_is_typed(clinic: Clinic, page_for: PageFor) -> None:
    version = make(clinic)
    page = page_for(clinic.admin)
    page.goto(f"{LIST}{version.template_id}/edit/")
    search = page.locator("#patient-search")
    search.press_sequentially(clinic.patient.name_en[:4], delay=60)
    choice = page.locator(f"#with-{clinic.patient.pk}")
    expect(choice).to_be_visible()
    expect(search).to_be_focused()
    expect(search).to_have_value(clinic.patient.name_en[:4])
    choice.check()
    expect(page.locator("#template-preview .pb")).to_contain_text(clinic.patient.name_en)
    expect(page.locator(f"#with-{clinic.patient.pk}")).to_be_checked()
    page.locator("#with-example").check()
    expect(page.locator("#template-preview .pb")).to_contain_text("Sara Al-Mutairi")


def test_subjects_belong_to_email_only(clinic: Clinic, page_for: PageFor) -> None:
    page = page_for(clinic.admin)
    page.goto(f"{LIST}create/")
    expect(page.locator("#id_subject_en")).to_be_hidden()
    page.get_by_text("Email", exact=True).click()
    expect(page.locator("#id_subject_en")).to_be_visible()
    page.locator("#id_subject_en").fill("Holidays")
    expect(page.locator("#template-preview .x-mail-subject")).to_have_text("Holidays")


def test_an_email_stands_on_the_clinics_paper(clinic: Clinic, page_for: PageFor) -> None:
    letter = make(clinic, name="Letter", channel="EMAIL", words=EMAIL)
    page = page_for(clinic.admin)
    page.goto(f"{LIST}{letter.template_id}/")
    paper = page.frame_locator("iframe.x-letter-frame").first
    expect(paper.locator("body")).to_contain_text("Hello Sara Al-Mutairi")


def test_an_email_is_written_on_the_clinics_paper_and_fills_no_history(clinic: Clinic, page_for: PageFor) -> None:
    letter = make(clinic, name="Letter", channel="EMAIL", words=EMAIL)
    page = page_for(clinic.admin)
    page.goto(f"{LIST}{letter.template_id}/edit/")
    paper = page.frame_locator("iframe.x-letter-frame").last
    expect(paper.locator("h1")).to_have_text("Opening hours")
    length = page.evaluate("history.length")
    for subject in ("Closed on Friday", "Closed on Sunday"):
        page.locator("#id_subject_en").fill(subject)
        expect(paper.locator("h1")).to_have_text(subject)
    expect(page.locator("iframe.x-letter-frame")).to_have_count(1)
    assert page.evaluate("history.length") == length
    assert "Sunday" not in page.locator("iframe.x-letter-frame").evaluate("frame => frame.contentWindow.location.href")
    page.locator("#template-preview").get_by_text("Arabic", exact=True).first.click()
    expect(paper.locator("html")).to_have_attribute("dir", "rtl")
    assert_accessible(page)


@pytest.mark.parametrize("has_scripts", [True, False])
def test_two_people_bring_a_template_out(clinic: Clinic, second: User, page_for: PageFor, has_scripts: bool) -> None:
    page = page_for(clinic.admin, has_scripts=has_scripts)
    page.goto(f"{LIST}create/")
    page.locator("#id_name").fill("Eid hours")
    page.locator("#id_body_en").fill("{clinic_name} is closed for Eid, {patient_name}.")
    page.locator("#id_body_ar").fill("{clinic_name} مغلقة في العيد، {patient_name}.")
    if not has_scripts:
        page.get_by_role("button", name="Preview").click()
        expect(page.locator("#template-preview .pb")).to_have_text("Noor Clinics is closed for Eid, Sara Al-Mutairi.")
    page.get_by_role("button", name="Save and ask for review").click()
    expect(page.locator("main")).to_contain_text("another admin has to look at it")
    expect(page.get_by_role("button", name="Publish")).to_have_count(0)
    other = page_for(second, has_scripts=has_scripts)
    other.goto(page.url)
    other.get_by_role("button", name="Publish").click()
    expect(other.locator("#published-title + p")).to_have_text(re.compile(r"Version 1, with example data"))
    with tenant_scope(clinic.tenant.pk):
        assert MessageTemplate.objects.get(name="Eid hours").is_active
        assert TemplateVersion.objects.get().reviewer == second


def test_the_list_is_filtered_as_one_types(clinic: Clinic, page_for: PageFor) -> None:
    default_words.install(clinic.tenant.pk)
    page = page_for(clinic.admin)
    page.goto(LIST)
    page.locator("#id_q").press_sequentially("reminder 24", delay=30)
    expect(page.locator("#template-list-partial tbody tr")).to_have_count(3)
    expect(page).to_have_url(re.compile("q=reminder"))
    page.locator("#id_channel").select_option("SMS")
    expect(page.locator("#template-list-partial tbody tr")).to_have_count(1)
