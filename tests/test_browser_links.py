"""The patient's pages behind a link in a real browser on a phone: other times, the second question, with and without scripts."""

from __future__ import annotations

import datetime as dt

import pytest
from playwright.sync_api import expect

from appointments.models import Appointment, ConfirmationToken
from appointments.tests.test_booking import book
from conftest import Clinic
from core.models import TenantSettings
from notifications.models import DeskTask
from tests.browser import PageFor, assert_accessible

pytestmark = pytest.mark.browser


@pytest.fixture
def visit(clinic: Clinic, ten_oclock: dt.datetime) -> Appointment:
    clinic.location.opening_hours = [["09:00", "12:00"]] * 7
    clinic.location.phone = "+966112345678"
    clinic.location.save()
    return book(clinic, ten_oclock)


def code_of(visit: Appointment) -> str:
    return ConfirmationToken.objects.filter(appointment=visit).latest("version").code


@pytest.mark.parametrize(("language", "is_dark"), [("ar", False), ("en", True)])
def test_the_patient_takes_another_time_without_scripts(
    clinic: Clinic, page_for: PageFor, visit: Appointment, language, is_dark
):
    TenantSettings.objects.create(tenant=clinic.tenant, patients_may_move=True)
    page = page_for(None, language, is_phone=True, is_dark=is_dark, has_scripts=False)
    page.goto(f"/c/{code_of(visit)}?lang={language}")
    page.locator('a[href*="/times"]').click()
    page.locator("details.x-day").nth(1).locator("summary").click()
    wanted = visit.local_start + dt.timedelta(days=1, hours=1)
    times = page.locator(f'input[value="{wanted.isoformat()}"]')
    if not times.is_visible():
        page.locator("details.x-day", has=times).locator("summary").click()
    times.check()
    page.locator("button[value=move]").click()
    expect(page.locator(".x-hero .tile.ok")).to_be_visible()
    expect(page.locator(".x-when-t")).to_have_text("11:00")
    visit.refresh_from_db()
    assert (visit.starts_at, visit.status) == (wanted, Appointment.Status.CONFIRMED)


@pytest.mark.parametrize("language", ["ar", "en"])
def test_the_patient_asks_for_another_time(clinic: Clinic, page_for: PageFor, visit: Appointment, language):
    page = page_for(None, language, is_phone=True)
    page.goto(f"/c/{code_of(visit)}/times?lang={language}")
    assert_accessible(page)
    page.locator("input[type=checkbox]:visible").first.check()
    page.locator("button[value=ask]").click()
    expect(page.locator(".x-note")).to_be_visible()
    assert_accessible(page)
    assert len(DeskTask.objects.get().details["times"]) == 1


@pytest.mark.parametrize(("language", "is_dark"), [("ar", True), ("en", False)])
def test_a_sensitive_place_asks_first_and_stays_discreet(
    clinic: Clinic, page_for: PageFor, visit: Appointment, language, is_dark
):
    clinic.location.is_sensitive = True
    clinic.location.save()
    born = clinic.patient.birth_date
    page = page_for(None, language, is_phone=True, is_dark=is_dark)
    page.goto(f"/c/{code_of(visit)}?lang={language}")
    assert_accessible(page)
    assert clinic.tenant.name_in(language) not in page.content()
    page.locator("#id_birth_day").fill("1")
    page.locator("#id_birth_month").fill("1")
    page.locator("#id_birth_year").fill("1900")
    page.locator("button[type=submit]").click()
    expect(page.locator("[role=alert], [data-error-summary]").first).to_be_visible()
    assert_accessible(page)
    page.locator("#id_birth_day").fill(str(born.day))
    page.locator("#id_birth_month").fill(str(born.month))
    page.locator("#id_birth_year").fill(str(born.year))
    page.locator("button[type=submit]").click()
    expect(page.locator(".x-when-t")).to_have_text("10:00")
    assert_accessible(page)
    assert clinic.tenant.name_in(language) not in page.content()
    assert clinic.location.name_in(language) not in page.content()
