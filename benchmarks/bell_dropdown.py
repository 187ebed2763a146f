"""The bell's panel of ten: how many of them a second one web process makes.

Baseline: the live list of django-notifications-hq 1.8.3, ten with their actors, on the same server with as many rows and
users. Once as it is, where a panel that was drawn is kept until the bell changes, and once with each drawn anew, as after
every change. Beside it how many statements ours needs, with one notification and with ten.
"""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

from benchmarks.bell_poll import Side, ask, request, web
from benchmarks.inbox_page import collect_static
from benchmarks.measure import Goal, Measure
from benchmarks.staff_bell import hq, seed, servers

SIZE = 1_000_000
USERS = 200
ROUNDS = 3
GOAL_RATIO = 6.0
# Session, user and bell come in one; the list may take two more.
GOAL_STATEMENTS = 3.0
PANEL = "/notifications/bell/list/"
_PAGES = "benchmarks.staff_bell.pages:application"
# One in a hundred of the seeded rows is unread: enough for a panel of ten unread.
_LEAST = USERS * 1000


def run(folder: Path, size: int = SIZE) -> Iterator[Measure]:
    collect_static(folder)
    os.environ["AGDAR_BENCH_STATIC"] = str(folder / "static")
    site = hq.Site.made_in(folder)
    lists = [request(f"{hq.UNREAD_LIST}?max=10", key) for key in site.seed(size=max(size, _LEAST), users=USERS)]
    staff = seed.found_staff(USERS)
    seed.fill(staff, max(size, _LEAST))
    panels = [request(PANEL, key, "HX-Request: true") for key in staff.keys]
    yield Measure("bell_dropdown_statements", most_statements(staff), "", None, GOAL_STATEMENTS)
    for server in (servers.gunicorn, servers.granian):
        name = server.__name__
        with contextlib.ExitStack() as open_:
            theirs = open_.enter_context(web(folder, f"hq-{name}", server, hq.WSGI, lists, "200", site))
            ours = open_.enter_context(web(folder, f"panel-{name}", server, _PAGES, panels, "200", None))
            drawn = {"AGDAR_BENCH_PANELS": "0"}
            anew = open_.enter_context(web(folder, f"anew-{name}", server, _PAGES, panels, "200", drawn))
            sides: tuple[Side, ...] = (theirs, ours, anew)
            for number in range(ROUNDS + 1):
                for side in sides:
                    ask(folder, side, counts=number > 0)
        goal = GOAL_RATIO if name == "gunicorn" else None
        yield Measure(f"bell_dropdown_{name}", ours.rate, "/s", theirs.rate, goal, Goal.RATIO_AT_LEAST)
        yield Measure(f"bell_dropdown_anew_{name}", anew.rate, "/s", theirs.rate, None, Goal.RATIO_AT_LEAST)


def most_statements(staff: seed.Staff) -> int:
    """Of the panel of somebody with many, with one and with none. RuntimeError when the number grows with the list."""
    from core.tenancy import tenant_scope
    from notifications.models import Notification

    with tenant_scope(staff.tenant_id):
        many = statements(staff.keys[0])
        ids: list[uuid.UUID] = list(Notification.objects.filter(user=staff.user_ids[1]).values_list("pk", flat=True))
        Notification.objects.filter(pk__in=ids[1:]).delete()
        one = statements(staff.keys[1])
    if many > one:
        raise RuntimeError(f"the panel of ten takes {many} statements, that of one {one}")
    return many


def statements(session_key: str, address: str = PANEL) -> int:
    """How many statements that page takes, session and user among them."""
    from django.conf import settings
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    client = Client(headers={"host": "127.0.0.1", "HX-Request": "true"})
    client.cookies[settings.SESSION_COOKIE_NAME] = session_key
    with CaptureQueriesContext(connection) as captured:
        response = client.get(address, secure=True)
    if response.status_code != 200:
        raise RuntimeError(f"{address} answers {response.status_code}")
    return len(captured)
