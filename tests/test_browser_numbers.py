"""The dashboard and the analytics in a real browser: readable by everybody, charts that are tables too, any theme."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from conftest import Clinic
from notifications import rollups
from notifications.tests.test_views_numbers import busy
from tests.browser import PageFor, assert_accessible

pytestmark = pytest.mark.browser

DASHBOARD = "/notifications/"
ANALYTICS = "/notifications/analytics/?range=7"


@pytest.fixture
def full(clinic: Clinic) -> Clinic:
    busy(clinic)
    rollups.catch_up(clinic.tenant.pk)
    return clinic


def drawn(page: Page) -> int:
    """Charts that have painted something."""
    page.wait_for_function(
        "() => [...document.querySelectorAll('canvas[data-chart]')].every(one => Chart.getChart(one))"
    )
    return int(page.evaluate("() => document.querySelectorAll('canvas[data-chart]').length"))


@pytest.mark.parametrize("language", ["en", "ar"])
def test_the_pages_are_accessible_on_the_desk_and_on_a_phone(full: Clinic, page_for: PageFor, language: str) -> None:
    for address, charts in ((DASHBOARD, 1), (ANALYTICS, 2)):
        page = page_for(full.admin, language)
        page.goto(address)
        assert drawn(page) == charts
        assert_accessible(page)
        phone = page_for(full.admin, language, is_phone=True, is_dark=True)
        phone.goto(address)
        assert drawn(phone) == charts
        assert_accessible(phone)


def test_a_chart_is_drawn_anew_in_the_other_theme(full: Clinic, page_for: PageFor) -> None:
    page = page_for(full.admin)
    page.goto(DASHBOARD)
    drawn(page)
    colour = "() => Chart.getChart(document.querySelector('canvas[data-chart]')).data.datasets[0].backgroundColor"
    light = page.evaluate(colour)
    page.locator("[data-theme-toggle]").first.click()
    page.wait_for_function(f"light => ({colour})() !== light", arg=light)


def test_charts_run_from_right_to_left_in_arabic(full: Clinic, page_for: PageFor) -> None:
    for language, is_reversed in (("en", False), ("ar", True)):
        page = page_for(full.admin, language)
        page.goto(DASHBOARD)
        drawn(page)
        axis = "() => Chart.getChart(document.querySelector('canvas[data-chart]')).options.scales.x.reverse"
        assert page.evaluate(axis) is is_reversed


def test_without_scripts_the_numbers_stand_in_tables(full: Clinic, page_for: PageFor) -> None:
    page = page_for(full.admin, has_scripts=False)
    page.goto(DASHBOARD)
    expect(page.locator("canvas")).to_be_hidden()
    page.get_by_text("Show as a table").click()
    expect(page.get_by_role("columnheader", name="WhatsApp")).to_be_visible()
    page.goto(ANALYTICS)
    expect(page.get_by_role("heading", name="Channels compared")).to_be_visible()


def test_a_figure_leads_to_its_messages_and_back(full: Clinic, page_for: PageFor) -> None:
    page = page_for(full.admin)
    page.goto(ANALYTICS)
    page.get_by_role("link", name="The patient switched this channel off").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("The patient switched this channel off")
    expect(page.locator("table tbody tr")).to_have_count(1)
    assert_accessible(page)
    page.get_by_role("navigation", name="Breadcrumb").get_by_role("link", name="Analytics").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Analytics")
