"""The message pages in a real browser: filters without a reload, kept filters, exports, cancelling; readable by everybody."""

from __future__ import annotations

import re
import uuid
from typing import Any

import pytest
from playwright.sync_api import expect

from conftest import Clinic
from core.tenancy import tenant_scope
from notifications import exports, saved_filters
from notifications.message_filters import MessageFilterForm
from notifications.models import Message, MessageExport, ProviderReceipt, SavedFilter
from notifications.states import Status
from notifications.tests.test_message_list import write
from tests.browser import PageFor, assert_accessible

pytestmark = pytest.mark.browser

LIST = "/notifications/messages/"
EXPORTS = "/notifications/messages/exports/"


@pytest.fixture
def sent(transactional_db: None, clinic: Clinic) -> list[Message]:
    """Some messages of every kind, a kept filter, and a ready file."""
    rows = [write(clinic, status=status, provider="twilio") for status in (Status.DELIVERED, Status.FAILED)]
    rows += [write(clinic) for _number in range(26)]
    ProviderReceipt.objects.create(
        tenant=clinic.tenant, message=rows[0], provider="twilio", status="delivered", payload={"a": 1}, dedupe_key="r"
    )
    saved_filters.save(user=clinic.admin, name="Needs attention", query={"status": "problem"}, is_shared=True)
    return rows


def make_export(clinic: Clinic) -> MessageExport:

    form = MessageFilterForm({})
    assert form.is_valid()
    export = exports.ask(user=clinic.admin, key=uuid.uuid4(), form=form, file_format="CSV", with_text=False)
    exports.make(clinic.tenant.pk, export.pk)
    return export


@pytest.mark.parametrize("language", ["en", "ar"])
@pytest.mark.parametrize("is_phone", [False, True])
def test_the_pages_are_accessible_and_fit(
    clinic: Clinic, sent: list[Message], page_for: PageFor, language: str, is_phone: bool
) -> None:
    make_export(clinic)
    page = page_for(clinic.admin, language, is_phone=is_phone, is_dark=is_phone)
    for address in (
        LIST,
        f"{LIST}?status=problem&provider=twilio",
        f"{LIST}?q=zzzz",
        f"{LIST}{sent[0].pk}/",
        f"{LIST}{sent[0].pk}/receipts/",
        f"{LIST}send/?patient={clinic.patient.pk}",
        EXPORTS,
    ):
        page.goto(address)
        assert_accessible(page)
    page.goto(f"{LIST}?status=problem")
    for menu in page.locator(".x-list-h summary").all():
        menu.click()
        assert_accessible(page)


def test_filters_change_the_table_alone_and_a_filter_is_kept(
    clinic: Clinic, sent: list[Message], page_for: PageFor
) -> None:
    page = page_for(clinic.admin)
    page.goto(LIST)
    expect(page.locator("#message-list-partial tbody tr")).to_have_count(25)
    page.evaluate("window.stays = true")
    page.locator("#id_status").select_option("FAILED")
    expect(page.locator("#message-list-partial tbody tr")).to_have_count(1)
    assert page.evaluate("window.stays") is True
    assert "status=FAILED" in page.url
    page.get_by_text("Keep this filter").click()
    page.locator("#filter-name").fill("Failed ones")
    page.get_by_role("button", name="Keep", exact=True).click()
    page.get_by_role("link", name="Failed ones").click()
    expect(page.locator("#message-list-partial tbody tr")).to_have_count(1)
    page.get_by_role("button", name="Remove the filter “Failed ones”").click()
    expect(page.get_by_role("link", name="Failed ones")).to_have_count(0)
    with tenant_scope(clinic.tenant.pk):
        assert [row.name for row in SavedFilter.objects.all()] == ["Needs attention"]


def test_an_export_is_downloaded_from_the_menu(clinic: Clinic, sent: list[Message], page_for: PageFor) -> None:
    page = page_for(clinic.admin)
    page.goto(f"{LIST}?status=FAILED")
    page.locator(".x-list-h summary", has_text="Export").click()
    with page.expect_download() as waiting:
        page.locator(".x-list-h .pop").get_by_role("button", name="Export").click()
    assert re.fullmatch(r"messages-\d{4}-\d\d-\d\d\.csv", waiting.value.suggested_filename)
    assert waiting.value.path().read_text(encoding="utf-8-sig").count("\n") == 2


def test_a_ready_file_shows_itself_without_a_reload(clinic: Clinic, sent: list[Message], page_for: PageFor) -> None:

    form = MessageFilterForm({})
    assert form.is_valid()
    export = exports.ask(user=clinic.admin, key=uuid.uuid4(), form=form, file_format="XLSX", with_text=False)
    page = page_for(clinic.admin)
    page.goto(EXPORTS)
    expect(page.locator(".st")).to_have_text("Waiting")
    exports.make(clinic.tenant.pk, export.pk)
    expect(page.get_by_role("link", name="Download")).to_be_visible(timeout=15_000)


def test_without_scripts_pages_filters_and_cancelling_work(
    clinic: Clinic, sent: list[Message], page_for: PageFor
) -> None:
    page: Any = page_for(clinic.front_desk, has_scripts=False)
    page.goto(f"{LIST}?channel=SMS")
    page.get_by_role("link", name="Older").click()
    expect(page.locator("#message-list-partial tbody tr")).to_have_count(3)
    page.goto(f"{LIST}{sent[-1].pk}/")
    page.get_by_role("button", name="Cancel message").click()
    expect(page.locator("#message-status")).to_contain_text("Cancelled")
