"""Sends one push message to one browser (RFC 8030), encrypted by pywebpush (RFC 8291) and signed with our key (RFC 8292).

Knows HTTP and its status codes, no rows. What it sends stands on a lock screen: see ``Notice``.
"""

from __future__ import annotations

import datetime as dt
import json
import time
from dataclasses import asdict, dataclass
from enum import StrEnum
from urllib.parse import urlsplit

import requests
import structlog
from django.conf import settings
from django.utils import timezone
from py_vapid import Vapid02
from pywebpush import WebPusher

from integrations.providers.http import new_session
from notifications import push

log = structlog.get_logger(__name__)

# Seconds to connect and to answer.
TIMEOUT = (5.0, 10.0)
# Nobody looks at a message of yesterday.
_LONGEST = 24 * 3600
# RFC 8292 allows a day; push services' clocks differ from ours.
_SIGNED_FOR = 12 * 3600
_GONE = (404, 410)
_BUSY = (408, 425, 429)


class Result(StrEnum):
    ACCEPTED = "accepted"
    # Not taken now: may be tried again.
    TRANSIENT = "transient"
    # The browser has unsubscribed, or was reset.
    GONE = "gone"
    # Never will be taken: our key, the message, the address.
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Device:
    """Where it goes: a browser's address and keys."""

    endpoint: str
    p256dh: str
    auth: str


@dataclass(frozen=True, slots=True)
class Notice:
    """What the lock screen shows: what kind and how many; no names, no texts. ``url`` is opened by a click.

    A later notice with the same ``tag`` takes the place of the earlier one.
    """

    title: str
    body: str
    url: str
    tag: str
    lang: str
    dir: str


def send(
    device: Device, notice: Notice, *, is_urgent: bool, useful_until: dt.datetime | None, sender: str = "push"
) -> Result:
    """One call, no redirect followed, no exception for what the network or the service does."""
    if not push.is_push_service(device.endpoint):
        return Result.REFUSED
    ttl = _LONGEST
    if useful_until is not None:
        ttl = min(_LONGEST, int((useful_until - timezone.now()).total_seconds()))
    if ttl <= 0:
        return Result.REFUSED
    address = urlsplit(device.endpoint)
    claims = {
        "aud": f"{address.scheme}://{address.netloc}",
        "sub": settings.VAPID_SUBJECT,
        "exp": int(time.time()) + _SIGNED_FOR,
    }
    headers = {
        **Vapid02(push.signing_key()).sign(claims),
        "TTL": str(ttl),
        "Urgency": "high" if is_urgent else "normal",
        "Topic": notice.tag,
        "Content-Encoding": "aes128gcm",
        "Content-Type": "application/octet-stream",
    }
    keys = {"p256dh": device.p256dh, "auth": device.auth}
    body = WebPusher({"endpoint": device.endpoint, "keys": keys}).encode(json.dumps(asdict(notice)).encode())["body"]
    try:
        with new_session(device.endpoint) as session:
            answer = session.post(
                device.endpoint, data=body, headers=headers, timeout=TIMEOUT, allow_redirects=False, stream=True
            )
            status = answer.status_code
    except requests.RequestException as error:
        log.warning("push_unanswered", sender=sender, host=address.hostname, error=type(error).__name__)
        # A message that is replaced by its own copy (same topic) does no harm, so a lost answer may be asked for again.
        return Result.TRANSIENT
    if 200 <= status < 300:
        return Result.ACCEPTED
    log.warning("push_refused", sender=sender, host=address.hostname, status=status)
    if status in _GONE:
        return Result.GONE
    return Result.TRANSIENT if status in _BUSY or status >= 500 else Result.REFUSED
