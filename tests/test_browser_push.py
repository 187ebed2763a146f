"""Push in a real browser: the worker runs under the policy and shows what comes; the card says how things stand.

A headless browser has no push service behind it: the message is handed to the worker by the browser's own test door, and
where a subscription is needed the page's ``pushManager`` gives a made one.
"""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from django.urls import reverse
from playwright.sync_api import Page, expect

from conftest import Clinic
from integrations.tests.push_service import SUBJECT, Browser
from notifications import push, push_keys
from notifications.models import PushSubscription
from tests.browser import PageFor, assert_accessible

pytestmark = pytest.mark.browser

NOTICE = {"title": "الوصول", "body": "1", "url": "/notifications/inbox/", "tag": "a", "lang": "ar", "dir": "rtl"}


@pytest.fixture(autouse=True)
def _push_is_set_up(settings: Any) -> None:
    settings.VAPID_PRIVATE_KEY, settings.VAPID_SUBJECT = push_keys.new_private_key(), SUBJECT


@pytest.fixture
def browser() -> Browser:
    return Browser("https://fcm.googleapis.com/fcm/send/one")


def preferences() -> str:
    return reverse("notifications:preferences")


def made_subscription(browser: Browser) -> str:
    """A script for the page: ``subscribe`` gives this one, and remembers it."""
    key = push.public_key()
    said = {"endpoint": browser.endpoint, "keys": {"p256dh": browser.p256dh, "auth": browser.auth}}
    return f"""
      const bytes = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
      const made = {{ endpoint: {json.dumps(browser.endpoint)}, options: {{ applicationServerKey: bytes("{key}").buffer }},
                      toJSON: () => ({json.dumps(said)}), unsubscribe: async () => localStorage.removeItem("made") }};
      PushManager.prototype.getSubscription = async () => localStorage.getItem("made") ? made : null;
      PushManager.prototype.subscribe = async () => {{ localStorage.setItem("made", "yes"); return made; }};
    """


def shown(page: Page) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = page.evaluate(
        """async () => (await (await navigator.serviceWorker.ready).getNotifications())
           .map(({title, body, tag, lang, dir, data}) => ({title, body, tag, lang, dir, url: data.url}))"""
    )
    return found


def test_the_worker_shows_what_comes_in_the_readers_language(clinic: Clinic, page_for: PageFor, live_server) -> None:
    page = page_for(clinic.provider)
    page.context.grant_permissions(["notifications"], origin=live_server.url)
    page.goto("/notifications/inbox/")
    registrations: list[str] = []
    session = page.context.new_cdp_session(page)
    session.on(
        "ServiceWorker.workerRegistrationUpdated",
        lambda event: registrations.extend(one["registrationId"] for one in event["registrations"]),
    )
    session.send("ServiceWorker.enable")
    page.evaluate(
        """(address) => navigator.serviceWorker.register(address, {scope: "/"})
           .then(() => navigator.serviceWorker.ready).then(() => true)""",
        reverse("notifications:push_worker"),
    )
    assert registrations
    push = {"origin": live_server.url, "registrationId": registrations[0], "data": json.dumps(NOTICE)}
    # Chromium's inspector drops a push that meets a worker between two states. The second of a tag takes the first's place.
    for _try in range(10):
        session.send("ServiceWorker.deliverPushMessage", push)
        page.wait_for_timeout(1000)
        if shown(page):
            break
    assert shown(page) == [NOTICE]


def test_it_is_turned_on_tested_and_off_for_this_device(
    clinic: Clinic, page_for: PageFor, live_server, browser: Browser
) -> None:
    page = page_for(clinic.provider)
    page.context.grant_permissions(["notifications"], origin=live_server.url)
    page.add_init_script(made_subscription(browser))
    page.goto(preferences())
    card = page.locator("#push-devices")
    expect(card.get_by_text("Off on this device")).to_be_visible()
    expect(card.get_by_role("button", name="Send a test")).to_be_hidden()
    card.get_by_role("button", name="Turn on for this device").click()
    expect(card.get_by_text("On for this device", exact=True)).to_be_visible()
    expect(card.get_by_text("(this device)")).to_be_visible()
    expect(card.get_by_role("button", name="Turn off")).to_be_focused()
    assert PushSubscription.objects.get().user == clinic.provider
    assert_accessible(page)
    page.reload()
    expect(card.get_by_text("On for this device", exact=True)).to_be_visible()
    card.get_by_role("button", name="Turn off").click()
    expect(card.get_by_text("Off on this device")).to_be_visible()
    assert not PushSubscription.objects.exists()


def test_a_refusal_is_said_in_the_card(clinic: Clinic, page_for: PageFor, live_server, browser: Browser) -> None:
    page = page_for(clinic.provider)
    page.context.grant_permissions(["notifications"], origin=live_server.url)
    page.add_init_script(made_subscription(Browser("https://unknown.example/push")))
    page.goto(preferences())
    page.get_by_role("button", name="Turn on for this device").click()
    expect(page.locator("#push-devices").get_by_role("alert")).to_have_text(
        "This browser's push service is not one we know."
    )


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("delete window.PushManager", "This browser cannot do it."),
        (
            'Object.defineProperty(Notification, "permission", {get: () => "denied"})',
            "Notifications of this site are blocked in this browser.",
        ),
    ],
)
def test_the_card_says_why_it_cannot(clinic: Clinic, page_for: PageFor, script: str, words: str) -> None:
    page = page_for(clinic.provider)
    page.add_init_script(script)
    page.goto(preferences())
    expect(page.locator("#push-devices")).to_contain_text(words)
    expect(page.get_by_role("button", name="Turn on for this device")).to_be_hidden()


def test_without_scripts_devices_can_still_be_removed(clinic: Clinic, page_for: PageFor, browser: Browser) -> None:
    push.subscribe(
        user=clinic.provider, endpoint=browser.endpoint, p256dh=browser.p256dh, auth=browser.auth, device="Ward tablet"
    )
    page = page_for(clinic.provider, has_scripts=False)
    page.goto(preferences())
    page.locator("#push-devices").get_by_role("button", name=re.compile("Remove.*Ward tablet")).click()
    expect(page.locator("#push-devices").get_by_text("Ward tablet")).to_have_count(0)
    assert not PushSubscription.objects.exists()
