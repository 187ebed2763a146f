"""Is the house alive? ``/healthz`` speaks for this process, ``/readyz`` for everything that a message needs.

Signs of life are ``Heartbeat`` rows: beat writes its own at its ticks, a worker when it starts and with every
``heartbeat_task`` that beat sends it. Apps of the upper floors register a report from ``AppConfig.ready()``: numbers
that ``/readyz`` shows and that decide nothing. Answers carry no address, no secret, no error text.
Must never import anything of the other apps.
"""

from __future__ import annotations

import datetime as dt
import sqlite3
from collections.abc import Callable
from typing import Any

import structlog
from celery import current_app
from django.db import DEFAULT_DB_ALIAS, Error, connections
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from kombu.exceptions import OperationalError

from core.access import public
from core.models import Heartbeat

log = structlog.get_logger(__name__)

# Six missed beats of the 10 s heartbeat: a restart fits in, a dead worker does not.
SILENCE_ALLOWED = dt.timedelta(seconds=60)
OK = "ok"


def sign_of_life(name: str) -> None:
    """Notes that the process of that kind (worker, beat) lives."""
    Heartbeat.objects.update_or_create(name=name, defaults={"at": timezone.now()})


def check_database() -> str:
    with connections[DEFAULT_DB_ALIAS].cursor() as cursor:
        cursor.execute("SELECT 1")
    return OK


def check_migrations() -> str:
    executor = MigrationExecutor(connections[DEFAULT_DB_ALIAS])
    waiting = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return f"{len(waiting)} not applied" if waiting else OK


def check_broker() -> str:
    """Connects once, without retries, for a second at most, and asks for the length of a queue."""
    try:
        with current_app.connection_for_write(connect_timeout=1) as connection:
            connection.ensure_connection(max_retries=0, timeout=1)
            channel: Any = connection.default_channel
            channel.queue_declare(queue=current_app.conf.task_default_queue, durable=True)
    except (OperationalError, OSError, sqlite3.Error) as error:
        log.warning("broker_away", error=type(error).__name__)
        return "not reachable"
    return OK


def check_beat() -> str:
    return _silence("beat")


def check_worker() -> str:
    return _silence("worker")


def _silence(name: str) -> str:
    heartbeat = Heartbeat.objects.filter(name=name).first()
    if heartbeat is None:
        return "no sign of life yet"
    silence = timezone.now() - heartbeat.at
    if silence > SILENCE_ALLOWED:
        return f"no sign of life for {round(silence.total_seconds())} s"
    return OK


CHECKS: dict[str, Callable[[], str]] = {
    "database": check_database,
    "migrations": check_migrations,
    "broker": check_broker,
    "worker": check_worker,
    "beat": check_beat,
}

Report = Callable[[], dict[str, Any]]
_REPORTS: dict[str, Report] = {}


class DuplicateReport(Exception):
    """Two reports with one name."""


def register_report(name: str, function: Report) -> None:
    """Adds a report to ``/readyz``. It must be cheap: monitoring asks every few seconds."""
    if name in _REPORTS or name in ("status", "checks"):
        raise DuplicateReport(name)
    _REPORTS[name] = function


@public
@require_safe
@never_cache
def healthz(_request: HttpRequest) -> HttpResponse:
    """The process answers. Asks nobody else: a slow database must not get the web process killed."""
    return HttpResponse("ok", content_type="text/plain")


@public
@require_safe
@never_cache
def readyz(_request: HttpRequest) -> JsonResponse:
    """``{"status": "ok", "checks": {name: "ok" or what is wrong}, <report>: {…}}``; 503 when a check is not ok.

    A report is None while the database cannot tell.
    """
    checks: dict[str, str] = {}
    for name, check in CHECKS.items():
        try:
            checks[name] = check()
        except Error as error:  # the database is away or older than the code
            log.warning("not_ready", check=name, error=type(error).__name__)
            checks[name] = "database error"
    reports: dict[str, dict[str, Any] | None] = {}
    for name, report in _REPORTS.items():
        try:
            reports[name] = report()
        except Error as error:
            log.warning("no_report", report=name, error=type(error).__name__)
            reports[name] = None
    is_ready = all(answer == OK for answer in checks.values())
    response = JsonResponse(
        {"status": OK if is_ready else "not ready", "checks": checks, **reports}, status=200 if is_ready else 503
    )
    # An honest "not ready" is an answer, not a fault: Django leaves it out of the error log.
    response._has_been_logged = True  # type: ignore[attr-defined]
    return response
