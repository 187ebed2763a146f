"""The suite's own machinery: which tests can run here, and a broker of our own."""

from __future__ import annotations

import pytest
from django.conf import settings
from django.db import connection

from agdar.celery import app
from tests import parts


def test_the_suite_never_uses_the_demo_s_broker() -> None:
    assert app.conf.broker_url == settings.CELERY_BROKER_URL
    assert "-broker-" in settings.CELERY_BROKER_URL or settings.CELERY_BROKER_URL.startswith("redis")


@pytest.mark.postgres
def test_the_postgres_marker_means_postgresql() -> None:
    assert connection.vendor == "postgresql"


@pytest.mark.redis
def test_the_redis_marker_means_a_redis_that_answers() -> None:
    with app.connection_for_write() as broker:
        broker.ensure_connection(max_retries=0)
        assert broker.transport.driver_type == "redis"


def test_a_part_that_cannot_run_is_told_with_its_reason() -> None:
    run = parts.Run()
    run.note(["SQLite", "browser"], "passed", "")
    run.note(["PostgreSQL"], "skipped", "Skipped: no server")
    assert parts.table(run, {"Redis": "nothing answers"}) == [
        "SQLite           ran      1 passed",
        "PostgreSQL       not run  no server",
        "embedded broker  not run  no test selected",
        "Redis            not run  nothing answers",
        "real worker      not run  no test selected",
        "browser          ran      1 passed",
    ]
