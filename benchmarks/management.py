"""The dashboard and the analytics of a clinic group among twenty, with a year of messages: small and large, in one run.

The whole of Django in this process, from the request to the rendered page: middleware, session, user, template. The
last minutes' messages are counted live, as always; all days before are kept by the same task that keeps them in
production, and how long that takes from nothing is told.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.inbox_page import Visitor, collect_static
from benchmarks.measure import Measure, p95
from benchmarks.year import seed

SIZE = 5_000_000
SMALL = 100_000
SAMPLES = 60
DASHBOARD_MS = 80.0
# The large dashboard against the small one.
TIMES = 1.5
ANALYTICS_MS = 200.0
DASHBOARD, ANALYTICS = "/notifications/", "/notifications/analytics/"
# One kept day is counted again after late receipts: what the task does every two minutes.
AGAIN_MS = 1000.0


def run(folder: Path, size: int = SIZE) -> Iterator[Measure]:
    collect_static(folder)
    small = seed.found(min(SMALL, size), number=1)
    keep(small)
    baseline = times(small, DASHBOARD)
    small_year = times(small, ANALYTICS, range="365")
    year = seed.found(size)
    began = time.perf_counter()
    keep(year)
    yield Measure("management_keep_year", time.perf_counter() - began, "s", None, None)
    yield Measure("management_keep_a_day_again", again(year), "ms", None, AGAIN_MS)
    dashboard = times(year, DASHBOARD)
    yield Measure("management_dashboard_p95", dashboard, "ms", baseline, DASHBOARD_MS)
    yield Measure("management_dashboard_times_small", dashboard / baseline, "×", None, TIMES)
    yield Measure("management_analytics_year_p95", times(year, ANALYTICS, range="365"), "ms", small_year, ANALYTICS_MS)
    yield Measure("management_analytics_month_p95", times(year, ANALYTICS, range="30"), "ms", None, ANALYTICS_MS)


def keep(year: seed.Year) -> None:
    """Keeps all days of all groups, as ``count_days_task`` does turn by turn."""
    from django.db import connection

    from core.tenancy import tenant_scope
    from notifications import rollups

    for group in year.groups:
        with tenant_scope(group.tenant_id):
            while rollups.catch_up(group.tenant_id)["left"]:
                pass
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE notifications_dailycount")


def again(year: seed.Year) -> float:
    """Milliseconds until a marked day of one group is kept again."""
    import datetime as dt

    from core.tenancy import tenant_scope
    from notifications import rollup_marks, rollups

    group = year.groups[0]
    with tenant_scope(group.tenant_id):
        rollup_marks.mark(group.tenant_id, [year.now - dt.timedelta(days=40)])
        began = time.perf_counter()
        if rollups.catch_up(group.tenant_id)["again"] != 1:
            raise RuntimeError("the marked day was not counted again")
        return (time.perf_counter() - began) * 1000


def times(year: seed.Year, address: str, **query: str) -> float:
    """The 95th percentile over the pages of the groups' admins in turn."""
    visitors = [Visitor(group.admin_key) for group in year.groups]
    for visitor in visitors:  # templates, plans
        visitor.get(query, address)
    return p95([visitors[n % len(visitors)].get(query, address) for n in range(SAMPLES)])
