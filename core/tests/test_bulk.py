from __future__ import annotations

import contextlib
import datetime as dt
import uuid
from decimal import Decimal
from typing import Any

import pytest
from django.db import DataError, IntegrityError, connection, transaction
from django.utils import timezone

from conftest import Clinic
from core.bulk import blank_row, insert_rows, update_rows
from core.ids import ordered_uuid
from core.models import Patient
from notifications.models import Message, MessageLog
from notifications.states import Status


def row(clinic: Clinic, key: str, **fields: object) -> dict[str, object]:
    return blank_row(Message) | {
        "id": ordered_uuid(),
        "tenant_id": clinic.tenant.pk,
        "patient_id": clinic.patient.pk,
        "notification_type": "GENERAL",
        "channel": "SMS",
        "language": "ar",
        "dedupe_key": key,
        **fields,
    }


# A tab, a line break, a backslash and quotes are what COPY and JSON would stumble over.
AWKWARD = "سطر\tأول\nline \\ two \\N 'quoted' \"twice\" {braces} 😀"


def test_what_is_written_in_bulk_reads_as_if_it_had_been_saved_one_by_one(clinic: Clinic) -> None:
    expires = timezone.now() + dt.timedelta(hours=1)
    rows = [
        row(clinic, "a", body=AWKWARD, expires_at=expires, cost=Decimal("0.04500"), fallback_channels=["EMAIL"]),
        row(clinic, "b", status=Status.SUPPRESSED),
    ]
    insert_rows(Message, rows)
    first, second = Message.objects.get(dedupe_key="a"), Message.objects.get(dedupe_key="b")
    assert (first.body, first.expires_at, first.cost) == (AWKWARD, expires, Decimal("0.04500"))
    assert (first.fallback_channels, second.fallback_channels) == (["EMAIL"], [])
    assert (first.status, second.status) == (Status.QUEUED, Status.SUPPRESSED)
    assert first.created_at is not None
    assert first.tenant_id == clinic.tenant.pk


def test_many_rows_get_each_its_own_values_in_one_statement(clinic: Clinic, django_assert_num_queries: Any) -> None:
    rows = [row(clinic, str(n)) for n in range(5)]
    insert_rows(Message, rows)
    now = timezone.now()
    new = [
        {
            "id": item["id"],
            "status": Status.SENT if n % 2 else Status.FAILED.value,
            "body": AWKWARD * n,
            "sent_at": now if n % 2 else None,
            "cost": Decimal(n) if n else None,
            "segments": n,
            "lease_token": uuid.UUID(int=n) if n else None,
            "fallback_channels": ["SMS"] * n,
        }
        for n, item in enumerate(rows)
    ]
    columns = [name for name in new[0] if name != "id"]
    with django_assert_num_queries(1):
        update_rows(Message, new, columns)
    for item in new:
        message = Message.objects.get(pk=item["id"])
        assert {name: getattr(message, name) for name in columns} == {name: item[name] for name in columns}


def test_a_text_that_is_too_long_is_refused_and_not_cut(clinic: Clinic) -> None:
    one = row(clinic, "a")
    insert_rows(Message, [one])
    with contextlib.suppress(DataError), transaction.atomic():
        update_rows(Message, [{"id": one["id"], "currency": "TOO LONG"}], ["currency"])
    # PostgreSQL refuses it, SQLite knows no lengths.
    assert Message.objects.get().currency == ("" if connection.vendor == "postgresql" else "TOO LONG")


def test_a_row_that_breaks_a_rule_takes_its_batch_with_it(clinic: Clinic) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        insert_rows(Message, [row(clinic, "a"), row(clinic, "b"), row(clinic, "a")])
    assert not Message.objects.exists()


def test_nothing_to_write_is_no_statement(clinic: Clinic, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(0):
        insert_rows(MessageLog, [])
        update_rows(Message, [], ["status"])


def test_a_blank_row_is_what_the_model_would_start_with() -> None:
    blank, new = blank_row(Patient), Patient()
    for name in ("phone", "language", "deceased_at", "is_active"):
        assert blank[name] == getattr(new, name)
    assert blank["created_at"] is not None


def test_ordered_keys_are_of_version_7_unique_and_in_the_order_of_time() -> None:
    keys = [ordered_uuid() for _ in range(1000)]
    assert len(set(keys)) == 1000
    assert {(key.version, key.variant) for key in keys} == {(7, uuid.RFC_4122)}
    assert [key.int >> 80 for key in keys] == sorted(key.int >> 80 for key in keys)
