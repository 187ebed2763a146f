"""Lets the tear-down of transactional tests empty the append-only tables; production has no such door.

A pytest plugin. Django empties every table after such a test, and the database rules of ``core/migrations/0003`` and
``notifications/migrations/0015`` refuse that, as they should. So the owner of the tables takes the triggers off for the
length of the flush and puts them back.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection

TABLES = ("core_auditevent", "core_look", "notifications_consentrecord", "notifications_optevent")


@contextmanager
def triggers_off() -> Iterator[None]:
    """What the owner of the tables may do by hand (docs/operations.md)."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            for table in TABLES:
                cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
            back = [f"ALTER TABLE {table} ENABLE TRIGGER USER" for table in TABLES]
        else:
            cursor.execute(
                "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name IN (%s, %s, %s, %s)",
                list(TABLES),
            )
            found = cursor.fetchall()
            for name, _ in found:
                cursor.execute(f"DROP TRIGGER {name}")
            back = [sql for _, sql in found]
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            for statement in back:
                cursor.execute(statement)


@pytest.fixture(autouse=True, scope="session")
def flush_may_empty_the_trails() -> Iterator[None]:
    from django.test import TransactionTestCase

    flush = TransactionTestCase._fixture_teardown

    def teardown(case: Any) -> None:
        with triggers_off():
            flush(case)

    patch = pytest.MonkeyPatch()
    patch.setattr(TransactionTestCase, "_fixture_teardown", teardown)
    yield
    patch.undo()
