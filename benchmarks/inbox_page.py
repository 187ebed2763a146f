"""The notification page of somebody with a long history: first and deep pages, every view and filter, and search.

The whole of Django in this process, from the request to the rendered page: middleware, session, user, template.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks.measure import Measure, p95
from benchmarks.staff_bell import seed

SIZE = 1_000_000
USERS = 200
SAMPLES = 60
GOAL_MS = 30.0
PAGE = "/notifications/inbox/"
# A word that hardly a row has is looked for in the reader's whole history, row by row: told, not promised.
_UNPROMISED = ("search_rare", "search_nothing")
# How far down the history the deep pages are.
_DEPTHS = {"deep_10": 0.10, "deep_50": 0.50, "deep_95": 0.95}
# One name in fifty of the patients', a word that stands in one row of each thousand, and one in none.
_VIEWS: dict[str, dict[str, str]] = {
    "first": {},
    "unread": {"show": "unread"},
    "snoozed": {"show": "snoozed"},
    "archived": {"show": "archived"},
    "history": {"show": "history"},
    "category": {"category": "SYSTEM"},
    "category_rare": {"show": "history", "category": "ANNOUNCEMENT"},
    "level": {"level": "ERROR"},
    "search_common": {"q": "Salwa"},
    "search_rare": {"show": "history", "q": "Zuhairi"},
    "search_arabic": {"q": "سلوى"},
    "search_nothing": {"show": "history", "q": "qwertz"},
}
# The first of the users has one row in twenty, the others share the rest. Of a hundred rows two are unread, three put
# off, ten put away, twenty about the system, one an announcement; one in fifty has folded.
_ROWS = """
INSERT INTO notifications_notification
    (id, tenant_id, user_id, event_key, category, title, title_ar, message, message_ar, notification_type, is_read,
     read_at, archived_at, snoozed_until, is_critical, is_muted, is_silent, override, related_object_type,
     related_object_id, dedupe_key, group_count, sample, activity_at, created_at, updated_at)
SELECT lpad(to_hex(n + 1), 32, '0')::uuid, %(tenant)s,
       (%(users)s::uuid[])[CASE WHEN n %% 20 = 0 THEN 1 ELSE 2 + n %% (%(count)s - 1) END],
       'appointment.booked',
       CASE WHEN place %% 5 = 0 THEN 'SYSTEM' WHEN place %% 1000 = 1 THEN 'ANNOUNCEMENT' ELSE 'APPOINTMENT' END,
       'New appointment', 'موعد جديد',
       CASE WHEN place %% 50 = 7 THEN 'Salwa' ELSE 'Sara' END || ' Al-'
           || CASE WHEN place %% 1000 = 8 THEN 'Zuhairi' ELSE 'Mutairi' END || ', Thursday 10:30',
       CASE WHEN place %% 50 = 7 THEN 'سلوى' ELSE 'سارة' END || ' المطيري، الخميس 10:30',
       CASE WHEN place %% 40 = 3 THEN 'ERROR' ELSE 'INFO' END,
       place %% 50 <> 0, moment,
       CASE WHEN place %% 10 = 9 THEN moment END,
       CASE WHEN place %% 33 = 1 THEN now() + interval '9 days' END,
       false, false, false, '', 'appointment', gen_random_uuid(), 'bench:' || n,
       CASE WHEN place %% 50 = 5 THEN 3 ELSE 1 END,
       CASE WHEN place %% 50 = 5 THEN jsonb_build_array(jsonb_build_object(
           'title', 'New appointment', 'title_ar', 'موعد جديد', 'at', moment)) ELSE '[]' END,
       moment, moment, moment
FROM generate_series(0, %(size)s - 1) AS n,
     LATERAL (SELECT n / 20 AS place, now() - (%(size)s - n) * interval '7 seconds' AS moment) AS row
"""


def run(folder: Path, size: int = SIZE) -> Iterator[Measure]:
    collect_static(folder)
    staff = seed.found_staff(USERS)
    fill(staff, size)
    visitor = Visitor(staff.keys[0])
    pages = _VIEWS | {name: {"show": "history", "older": cursor_at(staff, depth)} for name, depth in _DEPTHS.items()}
    for query in pages.values():  # templates, plans
        visitor.get(query)
    slowest = 0.0
    for name, query in pages.items():
        taken = p95([visitor.get(query) for _ in range(SAMPLES)])
        is_promised = name not in _UNPROMISED
        slowest = max(slowest, taken) if is_promised else slowest
        yield Measure(f"inbox_page_{name}_p95", taken, "ms", None, GOAL_MS if is_promised else None)
    yield Measure("inbox_page_slowest_p95", slowest, "ms", None, GOAL_MS)


def collect_static(folder: Path) -> None:
    """The pages name their files by the manifest, as in production."""
    from django.conf import settings
    from django.core.management import call_command

    settings.STATIC_ROOT = folder / "static"
    call_command("collectstatic", interactive=False, verbosity=0)


def fill(staff: seed.Staff, size: int) -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        values = {"tenant": staff.tenant_id, "users": staff.user_ids, "count": len(staff.user_ids), "size": size}
        cursor.execute(_ROWS, values)
    staff.size = size
    seed.fill(staff, size)  # no more rows: the bells


def cursor_at(staff: seed.Staff, depth: float) -> str:
    """The cursor of the page at that part of the first user's history."""
    from core.keyset import Place
    from core.tenancy import tenant_scope
    from notifications.inbox_pages import BY
    from notifications.models import Notification

    with tenant_scope(staff.tenant_id):
        rows = Notification.objects.filter(user=staff.user_ids[0]).order_by("-activity_at", "-pk")
        return str(Place.of(rows[int(rows.count() * depth)], BY))


class Visitor:
    """One signed-in user at the whole of Django, without a server between."""

    def __init__(self, session_key: str) -> None:
        from django.conf import settings
        from django.test import Client

        from agdar.heap import keep_loaded

        keep_loaded()  # as every web process does
        self._client = Client(headers={"host": "127.0.0.1", "accept-language": "en"})
        self._client.cookies[settings.SESSION_COOKIE_NAME] = session_key

    def get(self, query: Mapping[str, str], address: str = PAGE, **headers: Any) -> float:
        """Milliseconds until the page is there. Raises RuntimeError for anything but a page."""
        began = time.perf_counter()
        response = self._client.get(address, query, secure=True, headers=headers)
        taken = (time.perf_counter() - began) * 1000
        if response.status_code != 200:
            raise RuntimeError(f"{address} answers {response.status_code}")
        return taken
