"""A real browser for tests: one Chromium a test file, a window of its own for each person.

``page_for(user, language)`` is signed in; a console error, a script error or a breach of the content policy fails the
test at its end. Tests carry ``@pytest.mark.browser``; ``tests/parts.py`` skips them, or fails them, without Chromium.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest
from django.conf import settings
from django.test import Client
from playwright.sync_api import Browser, BrowserContext, Page, Request, sync_playwright

from core.models import User
from tests.parts import find_chromium

AXE = Path(__file__).parent / "vendor" / "axe.min.js"
DESK = {"width": 1440, "height": 900}
PHONE = {"width": 390, "height": 844}
# Chromium's own line about an answer that a test provokes (401, 404, 422); a script's or the policy's has other words.
_ANSWER_LINE = "Failed to load resource"


class PageFor(Protocol):
    def __call__(
        self,
        user: User | None,
        language: str = "en",
        *,
        is_phone: bool = False,
        is_dark: bool = False,
        has_scripts: bool = True,
    ) -> Page: ...


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """The system's Chromium, one a test file: its start costs more than most tests.

    Its driver keeps an event loop in this thread; the tests use the database beside it.
    """
    with pytest.MonkeyPatch.context() as patch, sync_playwright() as driver:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        browser = driver.chromium.launch(
            executable_path=find_chromium().address,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        yield browser
        browser.close()


@pytest.fixture
def page_for(live_server: Any, chromium: Browser) -> Iterator[PageFor]:
    """Opens a window for a user (None: a visitor). Addresses may be written without the server's: ``goto("/")``."""
    complaints: list[str] = []
    contexts: list[BrowserContext] = []

    def open_page(
        user: User | None,
        language: str = "en",
        *,
        is_phone: bool = False,
        is_dark: bool = False,
        has_scripts: bool = True,
    ) -> Page:
        context = chromium.new_context(
            base_url=live_server.url,
            viewport=PHONE if is_phone else DESK,  # type: ignore[arg-type]
            color_scheme="dark" if is_dark else "light",
            locale=language,
            reduced_motion="reduce",
            java_script_enabled=has_scripts,
        )
        context.set_default_timeout(10_000)
        contexts.append(context)
        cookies = {settings.LANGUAGE_COOKIE_NAME: language}
        if user is not None:
            client = Client()
            client.force_login(user, backend="core.auth.AccountBackend")
            cookies[settings.SESSION_COOKIE_NAME] = client.cookies[settings.SESSION_COOKIE_NAME].value
        context.add_cookies([{"name": name, "value": value, "url": live_server.url} for name, value in cookies.items()])
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(f"{page.url}: {error}"))
        page.on(
            "console",
            lambda line: (
                complaints.append(f"{page.url}: {line.text}")
                if line.type in ("error", "warning") and not line.text.startswith(_ANSWER_LINE)
                else None
            ),
        )
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not complaints, "the browser complained:\n" + "\n".join(complaints)


def assert_accessible(page: Page) -> None:
    """axe-core's default rules find nothing, and nothing sticks out sideways."""
    page.evaluate(AXE.read_text())
    found = page.evaluate(
        "axe.run({resultTypes: ['violations']}).then(result => result.violations.map("
        "rule => ({id: rule.id, impact: rule.impact, at: rule.nodes.map(node => node.target.join(' '))})))"
    )
    assert not found, f"axe on {page.url}:\n" + "\n".join(json.dumps(rule) for rule in found)
    sideways = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert sideways <= 0, f"{page.url} is {sideways} px too wide"


def requests_to(page: Page, path: str) -> list[Request]:
    """A list that grows with every request to that path from now on."""
    seen: list[Request] = []
    page.on("request", lambda request: seen.append(request) if request.url.split("?")[0].endswith(path) else None)
    return seen
