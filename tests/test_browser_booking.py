"""Booking in a real browser, in both languages: from a free slot of the calendar to the visit standing in it."""

from __future__ import annotations

import datetime as dt
import re

import pytest
from django.urls import reverse
from playwright.sync_api import Page, Route, expect

from appointments import services
from appointments.models import Appointment, ConfirmationToken
from conftest import Clinic
from tests import factories
from tests.browser import PageFor, assert_accessible

pytestmark = pytest.mark.browser

CALENDAR = reverse("appointments:calendar")
CREATE = reverse("appointments:create")


@pytest.fixture
def visit(clinic: Clinic, ten_oclock: dt.datetime) -> Appointment:
    clinic.location.phone = "+966112345678"
    clinic.location.save()
    return services.appointment_book(
        actor=clinic.front_desk,
        patient=clinic.patient,
        provider=clinic.provider,
        location=clinic.location,
        department=clinic.department,
        starts_at=ten_oclock,
        duration=dt.timedelta(minutes=30),
    )


def week(moment: dt.datetime) -> str:
    return f"{CALENDAR}?date={moment.date().isoformat()}"


def block(page: Page, name: str):
    return page.locator("#calendar-grid a.x-ev", has_text=name)


@pytest.mark.parametrize(
    ("language", "typed", "name", "provider"),
    [("en", "mutairi", "Sara Al-Mutairi", "Dr. Layla"), ("ar", "المطيري", "سارة المطيري", "د.")],
)
def test_a_click_on_a_free_slot_ends_as_a_visit_in_the_calendar(
    clinic: Clinic, page_for: PageFor, ten_oclock: dt.datetime, language, typed, name, provider
):
    page = page_for(clinic.front_desk, language)
    page.goto(week(ten_oclock))
    expect(page.locator("html")).to_have_attribute("dir", "rtl" if language == "ar" else "ltr")
    assert_accessible(page)
    page.locator(f'a.x-slot[href*="date={ten_oclock.date().isoformat()}"][href*="time=10:00"]').click()

    expect(page.locator("#id_time")).to_have_value("10:00")
    expect(page.locator("#id_date")).to_have_value(ten_oclock.date().isoformat())
    page.locator("#id_patient_search").press_sequentially(typed, delay=20)
    page.locator("#booking-patients label", has_text=name).click()
    # Who is told, and in which language, stands there before anything is booked.
    expect(page.locator("#booking-hints")).to_contain_text(name)
    page.locator("#id_department").select_option(str(clinic.department.pk))
    page.locator("#id_provider").select_option(str(clinic.provider.pk))
    expect(page.locator("#booking-hints .c").last).to_contain_text(provider)
    assert_accessible(page)
    page.locator("#booking-form button.primary").click()

    expect(page).to_have_url(re.compile(r"/appointments/[0-9a-f-]{36}/$"))
    visit = Appointment.objects.select_related("location").get()
    expect(page.locator("main h1")).to_contain_text(name)
    expect(page.locator("#toasts")).to_contain_text(visit.number)
    assert visit.starts_at == ten_oclock
    assert visit.patient_id == clinic.patient.pk
    assert_accessible(page)

    page.goto(week(ten_oclock))
    expect(block(page, name)).to_be_visible()
    block(page, name).click()
    expect(page).to_have_url(re.compile(f"/appointments/{visit.pk}/$"))


@pytest.mark.parametrize("language", ["en", "ar"])
def test_a_taken_time_is_refused_where_it_was_typed_and_nothing_is_lost(
    clinic: Clinic, page_for: PageFor, visit: Appointment, language
):
    page = page_for(clinic.front_desk, language)
    local = visit.local_start
    page.goto(
        f"{CREATE}?patient={clinic.patient.pk}&provider={clinic.provider.pk}"
        f"&date={local.date().isoformat()}&time={local:%H:%M}"
    )
    page.locator("#id_notes").fill("لا تنسوا الأشعة")
    expect(page.locator("#booking-hints")).to_contain_text(f"{local:%H:%M}")
    page.locator("#booking-form button.primary").click()
    expect(page.locator("[data-error-summary]")).to_be_focused()
    expect(page.locator("#id_time_error")).to_be_visible()
    expect(page.locator("#id_notes")).to_have_value("لا تنسوا الأشعة")
    expect(page.locator("#booking-patients input")).to_be_checked()
    assert_accessible(page)
    page.locator("#id_time").fill("10:30")
    page.locator("#booking-form button.primary").click()
    expect(page).to_have_url(re.compile(r"/appointments/[0-9a-f-]{36}/$"))
    assert Appointment.objects.count() == 2


def test_the_department_narrows_the_providers_and_a_provider_brings_it_along(clinic: Clinic, page_for: PageFor):
    eyes = factories.DepartmentFactory(tenant=clinic.tenant, name_en="Eyes", name_ar="العيون")
    oculist = factories.UserFactory(
        tenant=clinic.tenant, role="PROVIDER", email="eye@noor.example", name_en="Eye", department=eyes
    )
    page = page_for(clinic.front_desk)
    page.goto(CREATE)
    provider, department = page.locator("#id_provider"), page.locator("#id_department")
    provider.select_option(str(oculist.pk))
    expect(department).to_have_value(str(eyes.pk))
    department.select_option(str(clinic.department.pk))
    expect(provider).to_have_value("")
    expect(provider.locator("optgroup[label=Eyes]")).to_be_disabled()
    provider.select_option(str(clinic.provider.pk))
    expect(department).to_have_value(str(clinic.department.pk))


def test_a_patient_picked_while_the_search_is_on_its_way_stays_picked(clinic: Clinic, page_for: PageFor):
    page = page_for(clinic.front_desk)
    page.goto(CREATE)
    search = page.locator("#id_patient_search")
    search.press_sequentially("sar", delay=20)
    page.locator("#booking-patients label").first.wait_for()
    held: list[Route] = []
    page.route("**/create/patients/**", lambda route: held.append(route))  # noqa: PLW0108  # the driver cannot wrap a builtin
    search.press_sequentially("a")
    page.wait_for_timeout(400)
    page.locator("#booking-patients input").first.check()
    assert held
    for route in held:
        route.fulfill(body='<fieldset id="booking-patients"></fieldset>', content_type="text/html")
    page.wait_for_timeout(200)
    expect(page.locator("#booking-patients input").first).to_be_checked()


def test_it_works_without_scripts(clinic: Clinic, page_for: PageFor, ten_oclock: dt.datetime):
    page = page_for(clinic.front_desk, has_scripts=False)
    page.goto(f"{CREATE}?date={ten_oclock.date().isoformat()}&time=10:00")
    page.locator("#id_notes").fill("Uses a wheelchair")
    page.locator("#id_patient_search").fill("sara")
    page.locator("button[name=find]").click()
    page.locator("#booking-patients input").check()
    page.locator("#id_department").select_option(str(clinic.department.pk))
    page.locator("#id_provider").select_option(str(clinic.provider.pk))
    page.locator("#booking-form button.primary").click()
    expect(page.locator("main h1")).to_contain_text("Sara Al-Mutairi")
    visit = Appointment.objects.get()
    assert (visit.notes, visit.starts_at) == ("Uses a wheelchair", ten_oclock)
    page.locator("main .x-verbs a", has_text="Cancel appointment").click()
    page.locator("#id_reason").fill("Flood")
    page.locator("#move-form button").click()
    expect(page.locator(".page-h .st")).to_have_text("Cancelled")


@pytest.mark.parametrize("language", ["en", "ar"])
def test_the_desk_confirms_and_moves_a_visit(clinic: Clinic, page_for: PageFor, visit: Appointment, language):
    page = page_for(clinic.front_desk, language)
    page.goto(reverse("appointments:detail", args=[visit.pk]))
    page.locator(".x-verbs button.primary").click()
    expect(page.locator(".page-h .st")).to_have_class("st ok")
    page.locator(f'.x-verbs a[href$="/{visit.pk}/reschedule/"]').click()
    assert_accessible(page)
    page.locator("#id_date").fill((visit.local_start.date() + dt.timedelta(days=1)).isoformat())
    page.locator("#id_provider").select_option(str(clinic.colleague.pk))
    expect(page.locator("#booking-hints .c").last.locator(".row-x")).to_be_visible()
    page.locator("#id_reason").fill("مؤتمر")
    page.locator("#move-form button.primary").click()
    expect(page.locator(".page-h .st")).to_have_class("st warn")
    expect(page.locator(".tl")).to_contain_text("مؤتمر")
    visit.refresh_from_db()
    assert (visit.version, visit.provider_id) == (2, clinic.colleague.pk)


def test_the_list_filters_while_one_types_and_the_address_follows(
    clinic: Clinic, page_for: PageFor, visit: Appointment
):
    page = page_for(clinic.front_desk)
    page.goto(reverse("appointments:list"))
    expect(page.locator("#appointment-table tbody a", has_text="Sara Al-Mutairi")).to_be_visible()
    page.locator("#id_q").press_sequentially("nobody", delay=20)
    expect(page.locator("#appointment-table .x-empty")).to_be_visible()
    expect(page).to_have_url(re.compile("q=nobody"))
    expect(page.locator("#id_q")).to_be_focused()
    page.locator("#id_q").fill("sara")
    expect(page.locator("#appointment-table tbody a", has_text="Sara Al-Mutairi")).to_be_visible()


def test_on_a_phone_the_calendar_is_an_agenda(clinic: Clinic, page_for: PageFor, visit: Appointment):
    page = page_for(clinic.front_desk, is_phone=True)
    page.goto(f"{CALENDAR}?view=day&date={visit.local_start.date().isoformat()}")
    expect(page.locator("#calendar-grid")).to_be_hidden()
    page.locator("#calendar-agenda a", has_text="Sara Al-Mutairi").click()
    expect(page.locator("main h1")).to_contain_text("Sara Al-Mutairi")


@pytest.mark.parametrize(("language", "is_dark"), [("ar", False), ("en", True)])
def test_the_patient_confirms_on_the_phone(clinic: Clinic, page_for: PageFor, visit: Appointment, language, is_dark):
    """A real browser sends ``Origin: null`` from a page that tells no referrer; the answer must count all the same."""
    code = ConfirmationToken.objects.get(appointment=visit).code
    page = page_for(None, language, is_phone=True, is_dark=is_dark)
    page.goto(f"/c/{code}/")
    # The reader's own language, whatever the browser's.
    expect(page.locator("html")).to_have_attribute("lang", "ar")
    page.goto(f"/c/{code}/?lang={language}")
    assert_accessible(page)
    page.locator("button[value=confirm]").click()
    expect(page.locator(".x-hero .tile.ok")).to_be_visible()
    expect(page.locator("html")).to_have_attribute("lang", language)
    assert_accessible(page)
    visit.refresh_from_db()
    assert visit.status == Appointment.Status.CONFIRMED


def test_the_patient_calls_off_on_the_phone(clinic: Clinic, page_for: PageFor, visit: Appointment):
    code = ConfirmationToken.objects.get(appointment=visit).code
    page = page_for(None, "en", is_phone=True)
    page.goto(f"/c/{code}/?lang=en")
    page.locator(".x-cannot summary").click()
    page.locator("#id_reason").fill("Travelling")
    assert_accessible(page)
    page.locator("button[value=cancel]").click()
    expect(page.locator("h1")).to_have_text("Thank you for telling us")
    assert_accessible(page)
    visit.refresh_from_db()
    assert (visit.status, visit.reason) == (Appointment.Status.CANCELLED, "Travelling")


@pytest.mark.parametrize("is_phone", [False, True], ids=["desk", "phone"])
@pytest.mark.parametrize(("language", "is_dark"), [("en", False), ("ar", False), ("en", True), ("ar", True)])
def test_every_page_is_accessible_and_fits(
    clinic: Clinic, page_for: PageFor, visit: Appointment, language, is_dark, is_phone
):
    desk = page_for(clinic.front_desk, language, is_phone=is_phone, is_dark=is_dark)
    detail = reverse("appointments:detail", args=[visit.pk])
    date = visit.local_start.date().isoformat()
    for address in (
        f"{reverse('appointments:list')}?first={date}",
        f"{CALENDAR}?date={date}",
        f"{CALENDAR}?date={date}&view=day",
        f"{CREATE}?patient={clinic.patient.pk}&provider={clinic.provider.pk}&date={date}",
        detail,
        f"{detail}cancel/",
        f"{detail}consent/",
        f"{reverse('finance:invoice_create')}?appointment={visit.pk}",
    ):
        desk.goto(address)
        assert_accessible(desk)
    services.appointment_arrive(appointment_id=visit.pk, actor=clinic.front_desk)
    provider = page_for(clinic.provider, language, is_phone=is_phone, is_dark=is_dark)
    for address in (reverse("appointments:day"), detail):
        provider.goto(address)
        assert_accessible(provider)
