"""The bell's panel as it was drawn last: as long as the bell's version is the same, so are the rows.

``BellState.version`` is raised with every change to a user's rows, so it is the key; with it whatever else the words
depend on: language, day, clock. Each process keeps its own few; nothing is shared between users. A panel holds no
secret of a session: the token of its forms is put in for each request.
"""

from __future__ import annotations

import datetime as dt
import threading
import uuid
import zoneinfo
from collections import OrderedDict
from dataclasses import dataclass, field

from django.http import HttpRequest
from django.middleware.csrf import get_token
from django.template.loader import render_to_string
from django.utils import timezone, translation

from core.context import Shell
from core.selectors import zone_of
from notifications import inbox
from notifications.views.days import by_today

LATEST = 10
# Some kilobytes each.
KEPT = 500
# Of the alphabet that tokens are made of, so that no template writes it differently.
_TOKEN = "x" * 32 + "TokenOfThisRequest" + "x" * 14


@dataclass(frozen=True, slots=True)
class Key:
    """All that a panel's words depend on."""

    user_id: uuid.UUID
    tag: str
    language: str
    day: dt.date
    zone: str


@dataclass
class Panels:
    """The last ``KEPT`` of them; the oldest goes. Used by all threads of a process."""

    kept: int = KEPT
    _rows: OrderedDict[Key, str] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def find(self, key: Key) -> str | None:
        with self._lock:
            return self._rows.get(key)

    def keep(self, key: Key, html: str) -> None:
        with self._lock:
            self._rows[key] = html
            while len(self._rows) > self.kept:
                self._rows.popitem(last=False)


PANELS = Panels()


def panel(request: HttpRequest) -> str:
    """The latest ten of the request's user, as HTML. One query, or none."""
    zone = zone_of(request.user)
    key = _key(request, zone)
    html = PANELS.find(key)
    if html is None:
        # Read after the version: what came in between is in it already, and the next version draws it anew.
        groups = by_today(inbox.latest(request.user, LATEST), zone)
        context = {"groups": groups, "is_loaded": True, "csrf_token": _TOKEN}
        html = render_to_string("notifications/partials/bell_list.html", context, request)
        PANELS.keep(key, html)
    return html.replace(_TOKEN, get_token(request))


def _key(request: HttpRequest, zone: zoneinfo.ZoneInfo) -> Key:
    return Key(
        user_id=request.user.pk,
        tag=Shell(request).bell_tag,
        language=translation.get_language() or "",
        day=timezone.localdate(timezone=zone),
        zone=zone.key,
    )
