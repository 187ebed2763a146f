"""The page about sending in a real browser: readable by everybody, and it follows what happens by itself."""

from __future__ import annotations

import datetime as dt

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from conftest import Clinic
from core import health as life
from integrations.models import Incident, ProviderState, RateBucket
from integrations.tests.test_health import call, incident, message
from notifications.models import SuppressedAddress
from notifications.states import Channel, Outcome, Reason, Status
from tests.browser import PageFor, assert_accessible, requests_to

pytestmark = pytest.mark.browser

PAGE = "/notifications/operations/"
MINUTE = dt.timedelta(minutes=1)


def trouble(clinic: Clinic) -> ProviderState:
    now = timezone.now()
    incident(provider="sandbox", started_at=now - MINUTE)
    incident(kind=Incident.Kind.EXPIRED, provider="", channel="", tenant=clinic.tenant, detail="3", ended_at=now)
    RateBucket.objects.create(
        tenant=clinic.tenant, provider="sandbox", channel=Channel.SMS, sender="CLINIC", paused_until=now + MINUTE
    )
    call(message(clinic, Status.UNCONFIRMED, next_check_at=now), Outcome.AMBIGUOUS, provider="sandbox")
    message(clinic, Status.QUEUED, next_attempt_at=now - 9 * MINUTE)
    return ProviderState.objects.create(
        provider="sandbox", channel=Channel.SMS, state="open", opened_at=now, retry_at=now + MINUTE
    )


@pytest.mark.parametrize("language", ["en", "ar"])
@pytest.mark.parametrize("is_phone", [False, True])
@pytest.mark.parametrize("is_dark", [False, True])
def test_the_page_is_accessible_in_calm_and_in_trouble(
    clinic: Clinic, page_for: PageFor, language: str, is_phone: bool, is_dark: bool
):
    life.sign_of_life("worker")
    life.sign_of_life("beat")
    page = page_for(clinic.admin, language, is_phone=is_phone, is_dark=is_dark)
    page.goto(PAGE)
    expect(page.locator(".x-calm")).to_be_visible()
    assert_accessible(page)
    trouble(clinic)
    page.reload()
    expect(page.locator(".x-troubles .note")).to_have_count(1)
    assert_accessible(page)


@pytest.mark.parametrize("language", ["en", "ar"])
@pytest.mark.parametrize("is_phone", [False, True])
def test_attempts_and_stopped_addresses_are_accessible(
    clinic: Clinic, page_for: PageFor, language: str, is_phone: bool
):
    row = message(clinic, Status.UNCONFIRMED, recipient=clinic.patient.phone, provider="twilio")
    call(row, Outcome.TRANSIENT, error_code="20429")
    call(row, Outcome.ACCEPTED, provider_message_id=f"SM{row.pk.hex}", segments=2, cost="0.031", currency="USD")
    SuppressedAddress.objects.create(
        tenant=clinic.tenant,
        channel="SMS",
        address=clinic.patient.phone,
        reason=Reason.OPTED_OUT,
        code="21610",
        message=row,
    )
    page = page_for(clinic.front_desk, language, is_phone=is_phone, is_dark=is_phone)
    page.goto(f"/notifications/messages/{row.pk}/")
    expect(page.locator(".x-try")).to_have_count(2)
    assert_accessible(page)
    page.goto(f"/patients/{clinic.patient.pk}/")
    expect(page.locator(".x-stopped")).to_have_count(1)
    assert_accessible(page)


def test_an_address_is_used_again_only_when_the_question_is_answered(clinic: Clinic, page_for: PageFor):
    SuppressedAddress.objects.create(
        tenant=clinic.tenant, channel="SMS", address=clinic.patient.phone, reason=Reason.OPTED_OUT
    )
    page = page_for(clinic.front_desk)
    page.goto(f"/patients/{clinic.patient.pk}/")
    button = page.get_by_role("button", name="Use this address again")
    page.once("dialog", lambda dialog: dialog.dismiss())
    button.click()
    assert SuppressedAddress.objects.filter(lifted_at=None).exists()
    page.once("dialog", lambda dialog: dialog.accept())
    button.click()
    expect(page.locator(".toast-x")).to_contain_text("The address is used again from now on.")
    expect(page.locator(".x-stopped")).to_have_count(0)


def test_it_follows_what_happens_and_keeps_the_focus(clinic: Clinic, page_for: PageFor):
    life.sign_of_life("worker")
    life.sign_of_life("beat")
    page = page_for(clinic.admin)
    page.clock.install()
    page.goto(PAGE)
    asked = requests_to(page, PAGE)
    page.clock.run_for(11_000)
    expect(page.locator(".x-calm")).to_be_visible()
    assert len(asked) == 1
    trouble(clinic)
    page.clock.run_for(11_000)
    button = page.get_by_role("button", name="Try again now")
    expect(button).to_be_visible()
    expect(page.get_by_role("heading", name="Speed limits")).to_be_visible()
    button.focus()
    ProviderState.objects.update(state="stopped", code="20003")
    page.clock.run_for(11_000)
    expect(page.locator(".x-troubles")).to_contain_text("refuses our account or settings for SMS")
    expect(button).to_be_focused()
    tags = [request.url.split("seen=")[1] for request in asked]
    # The first two differ too when a minute of the page's clock times ended between them.
    assert len(tags) == 3
    assert tags[2] not in tags[:2], "each look says what it has seen"
    ProviderState.objects.update(state="closed")
    page.clock.run_for(11_000)
    expect(page.locator(".x-calm")).to_be_hidden()


def test_the_button_works_without_scripts(clinic: Clinic, page_for: PageFor):
    state = trouble(clinic)
    page = page_for(clinic.admin, has_scripts=False)
    page.goto(PAGE)
    page.get_by_role("button", name="Try again now").click()
    expect(page.locator(".toast-x")).to_contain_text("is tried again with the next message")
    state.refresh_from_db()
    assert state.retry_at <= timezone.now()
    page.get_by_role("link", name="Refresh").click()
    expect(page.locator("h1")).to_have_text("Sending")
