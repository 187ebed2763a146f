"""The bell's panel as it was answered last: as long as the bell's version is the same, so are its rows.

``BellState.version`` is raised with every change to a user's rows, so it is the key; with it whatever else the words
depend on: language, day, clock. Each process keeps its own few; nothing is shared between users. A panel holds no
secret of a session: the form around it, with its token, is the page's.
"""

from __future__ import annotations

import datetime as dt
import threading
import uuid
from collections import OrderedDict
from dataclasses import dataclass, field

from django.http import HttpResponse
from django.utils import timezone

from notifications.poll import Asker

PATH = "/notifications/bell/list/"
# Some kilobytes each.
KEPT = 500


@dataclass(frozen=True, slots=True)
class Key:
    """All that a panel's words depend on."""

    user_id: uuid.UUID
    tag: str
    language: str
    day: dt.date
    zone_name: str

    @classmethod
    def of(cls, asker: Asker, language: str) -> Key:
        day = timezone.localdate(timezone=asker.zone)
        return cls(asker.user_id, asker.tag, language, day, asker.zone_name)


@dataclass(frozen=True, slots=True)
class Panel:
    """A finished answer: the rows as bytes, and every header that the pages' middleware gave it."""

    content: bytes
    headers: dict[str, str]

    @classmethod
    def of(cls, response: HttpResponse) -> Panel:
        return cls(response.content, dict(response.headers))

    def response(self) -> HttpResponse:
        return HttpResponse(self.content, headers=self.headers)


@dataclass
class Panels:
    """The last ``kept`` of them; the oldest goes. Used by all threads of a process."""

    kept: int = KEPT
    _panels: OrderedDict[Key, Panel] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def find(self, key: Key) -> Panel | None:
        with self._lock:
            return self._panels.get(key)

    def keep(self, key: Key, panel: Panel) -> None:
        with self._lock:
            self._panels[key] = panel
            while len(self._panels) > self.kept:
                self._panels.popitem(last=False)


PANELS = Panels()
