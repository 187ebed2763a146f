"""The work list, the inbox of replies and the rules for them in a real browser: readable by everybody, in both languages."""

from __future__ import annotations

import datetime as dt

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from conftest import Clinic
from notifications import desk_tasks
from notifications.models import Conversation
from notifications.states import TaskKind
from notifications.tests.test_views_replies import conversation
from tests.browser import PageFor, assert_accessible

__all__ = ["conversation"]
pytestmark = pytest.mark.browser


@pytest.mark.parametrize("language", ["en", "ar"])
@pytest.mark.parametrize("is_phone", [False, True])
def test_the_pages_of_replies_are_accessible_and_fit(
    transactional_db: None,
    clinic: Clinic,
    conversation: Conversation,
    page_for: PageFor,
    language: str,
    is_phone: bool,
) -> None:
    desk_tasks.open_task(
        TaskKind.EMERGENCY,
        tenant_id=clinic.tenant.pk,
        key="e",
        patient=clinic.patient,
        is_urgent=True,
        due_at=timezone.now() + dt.timedelta(hours=1),
    )
    page = page_for(clinic.admin, language, is_phone=is_phone, is_dark=is_phone)
    for address in (
        "/notifications/tasks/",
        "/notifications/tasks/?show=ended",
        "/notifications/replies/",
        f"/notifications/replies/{conversation.pk}/",
        "/settings/replies/",
    ):
        page.goto(address)
        expect(page.locator("h1")).to_be_visible()
        assert_accessible(page)


def test_a_reply_is_answered_and_done_from_the_page(
    transactional_db: None, clinic: Clinic, conversation: Conversation, page_for: PageFor
) -> None:
    page = page_for(clinic.front_desk, "en")
    page.goto("/notifications/replies/")
    page.get_by_role("link", name=clinic.patient.name_en).click()
    page.get_by_label("Your answer").fill("نعم، أمام المدخل.")
    page.get_by_role("button", name="Send message").click()
    expect(page.get_by_text("نعم، أمام المدخل.")).to_be_visible()
    page.get_by_role("button", name="Done").click()
    expect(page.get_by_role("heading", name="No reply waits")).to_be_visible()


def test_what_was_written_stands_within_its_line(clinic: Clinic, conversation: Conversation, page_for: PageFor) -> None:
    """A line that took the height of a field laid the next one over the patient's words."""
    page = page_for(clinic.admin, is_phone=True)
    page.goto(f"/notifications/replies/{conversation.pk}/")
    expect(page.locator(".x-thread .theirs .bubble").first).to_be_visible()
    sticks_out = "lines => lines.filter(line => line.scrollHeight > line.clientHeight + 1).length"
    assert page.locator(".x-thread li").evaluate_all(sticks_out) == 0
