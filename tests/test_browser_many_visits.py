"""Several visits at once in a real browser, in both languages: an absence called off, the waiting list, an offered time."""

from __future__ import annotations

import datetime as dt

import pytest
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import expect

from appointments import free_slots, services, waiting
from appointments.models import Appointment, SlotOffer
from conftest import Clinic
from tests import factories
from tests.browser import PageFor, assert_accessible

pytestmark = pytest.mark.browser


def visit(clinic: Clinic, start: dt.datetime, **fields: object) -> Appointment:
    wishes: dict[str, object] = {
        "actor": clinic.front_desk,
        "patient": clinic.patient,
        "provider": clinic.provider,
        "location": clinic.location,
        "department": clinic.department,
        "starts_at": start,
        "duration": dt.timedelta(minutes=30),
    }
    return services.appointment_book(**(wishes | fields))  # type: ignore[arg-type]


@pytest.mark.parametrize("language", ["en", "ar"])
def test_a_providers_day_is_looked_at_and_called_off(
    clinic: Clinic, page_for: PageFor, ten_oclock: dt.datetime, language: str
) -> None:
    booked = visit(clinic, ten_oclock)
    page = page_for(clinic.front_desk, language)
    day = timezone.localtime(ten_oclock)
    page.goto(f"{reverse('appointments:absences')}?provider={clinic.provider.pk}&date={day:%Y-%m-%d}")
    page.locator("#id_reason").fill("x")
    assert_accessible(page)
    page.locator("form[data-once] button.primary").click()
    expect(page.locator("#absence-preview")).to_be_visible()
    assert_accessible(page)
    page.locator('button[name="confirm"]').click()
    expect(page.locator("#absence-visits")).to_be_visible()
    assert_accessible(page)
    booked.refresh_from_db()
    assert booked.status == Appointment.Status.CANCELLED


@pytest.mark.parametrize("language", ["en", "ar"])
def test_who_waits_takes_the_time_that_is_offered(
    clinic: Clinic, page_for: PageFor, ten_oclock: dt.datetime, language: str
) -> None:
    person = factories.PatientFactory(tenant=clinic.tenant)
    waiting.entry_add(
        actor=clinic.front_desk,
        patient=person,
        department=clinic.department,
        first_day=timezone.localdate(),
        last_day=timezone.localdate() + dt.timedelta(days=30),
    )
    freed = visit(clinic, ten_oclock)
    services.appointment_cancel(appointment_id=freed.pk, actor=clinic.front_desk, reason="x")
    free_slots.tend()
    page = page_for(clinic.front_desk, language)
    page.goto(reverse("appointments:waiting"))
    expect(page.locator("#waiting-people")).to_be_visible()
    assert_accessible(page)
    page.goto(f"{reverse('appointments:offer', args=[SlotOffer.objects.get().code])}?lang={language}")
    assert_accessible(page)
    page.locator('button[value="accept"]').click()
    expect(page.locator(".x-hero .tile.ok")).to_be_visible()
    assert_accessible(page)
    assert Appointment.objects.filter(patient=person, starts_at=ten_oclock).exists()
