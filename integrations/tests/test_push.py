from __future__ import annotations

import datetime as dt
import time

import pytest
from django.utils import timezone

from integrations import push
from integrations.push import Device, Notice, Result
from integrations.tests.http_double import Answer, Double, double
from integrations.tests.push_service import SUBJECT, Browser, browser, push_service, signed_claims
from notifications import push as browsers

__all__ = ["browser", "double", "push_service"]

NOTICE = Notice(title="Arrivals", body="1 new notification", url="/notifications/", tag="a" * 32, lang="en", dir="ltr")


def send(browser: Browser, **wishes: object) -> Result:
    device = Device(str(wishes.pop("endpoint", browser.endpoint)), browser.p256dh, browser.auth)
    return push.send(device, NOTICE, **{"is_urgent": False, "useful_until": None, **wishes})


def test_only_the_browser_can_read_it(push_service: Double, browser: Browser) -> None:
    assert send(browser) is Result.ACCEPTED
    (request,) = push_service.requests
    assert b"Arrivals" not in request.data
    assert browser.read(request) == {
        "title": "Arrivals",
        "body": "1 new notification",
        "url": "/notifications/",
        "tag": "a" * 32,
        "lang": "en",
        "dir": "ltr",
    }


def test_the_service_knows_who_sends_and_for_how_long(push_service: Double, browser: Browser) -> None:
    send(browser)
    claims = signed_claims(push_service.requests[0], browsers.public_key())
    assert claims["sub"] == SUBJECT
    assert claims["aud"] == push_service.url
    assert time.time() < claims["exp"] <= time.time() + 24 * 3600


def test_it_waits_at_the_service_only_while_it_is_useful(push_service: Double, browser: Browser) -> None:
    send(browser, is_urgent=True, useful_until=timezone.now() + dt.timedelta(minutes=10))
    headers = push_service.requests[0].headers
    assert 590 <= int(headers["ttl"]) <= 600
    assert headers["urgency"] == "high"
    assert headers["topic"] == NOTICE.tag


def test_what_is_too_late_is_not_sent(push_service: Double, browser: Browser) -> None:
    assert send(browser, useful_until=timezone.now()) is Result.REFUSED
    assert not push_service.requests


@pytest.mark.parametrize(
    ("status", "result"),
    [
        (201, Result.ACCEPTED),
        (404, Result.GONE),
        (410, Result.GONE),
        (429, Result.TRANSIENT),
        (500, Result.TRANSIENT),
        (503, Result.TRANSIENT),
        (400, Result.REFUSED),
        (403, Result.REFUSED),
        (413, Result.REFUSED),
    ],
)
def test_what_an_answer_means(push_service: Double, browser: Browser, status: int, result: Result) -> None:
    push_service.answer = Answer(status, b"")
    assert send(browser) is result


def test_no_answer_may_pass(push_service: Double, browser: Browser) -> None:
    push_service.answer = Answer(resets=True)
    assert send(browser) is Result.TRANSIENT


def test_a_redirect_is_not_followed(push_service: Double, browser: Browser) -> None:
    push_service.answer = Answer(307, b"", headers={"Location": f"{push_service.url}/elsewhere"})
    assert send(browser) is Result.REFUSED
    assert [request.path for request in push_service.requests] == ["/send/one"]


@pytest.mark.parametrize(
    "endpoint",
    [
        "https://10.0.0.1/send",
        "https://127.0.0.1/send",
        "https://[::1]/send",
        "https://169.254.169.254/latest/meta-data",
        "https://localhost/send",
        "https://evil.example/fcm.googleapis.com",
        "https://fcm.googleapis.com.evil.example/send",
        "https://evilfcm.googleapis.com.example/send",
        "http://fcm.googleapis.com/send",
        "https://fcm.googleapis.com:8443/send",
        "https://fcm.googleapis.com@evil.example/send",
        "https://user:pass@fcm.googleapis.com/send",
        "https://evil.example\\.push.apple.com/send",
        "https://push.apple.com/send",
        "https://fcm.googleapis.com:port/send",
        "ftp://fcm.googleapis.com/send",
        "//fcm.googleapis.com/send",
        "https://fcm.googleapis.com/a b",
        "",
    ],
)
def test_nothing_but_a_push_service_is_called(push_service: Double, browser: Browser, endpoint: str) -> None:
    assert not browsers.is_push_service(endpoint)
    assert send(browser, endpoint=endpoint) is Result.REFUSED


@pytest.mark.parametrize(
    "endpoint",
    [
        "https://fcm.googleapis.com/fcm/send/abc:def",
        "https://updates.push.services.mozilla.com/wpush/v2/abc",
        "https://web.push.apple.com/abc",
        "https://wns2-par02p.notify.windows.com/w/?token=abc%2b",
        "https://FCM.googleapis.com:443/fcm/send/abc",
    ],
)
def test_every_browsers_service_is_known(endpoint: str) -> None:
    assert browsers.is_push_service(endpoint)
