"""A bulk send to 100,000: from “start” until every message stands in the outbox, and the check before it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

from benchmarks import ours
from benchmarks.measure import Measure

SIZE = 100_000
GOAL_SECONDS = 10.0
TEXTS = {"body_en": ours.TEXTS["SMS"][0], "body_ar": ours.TEXTS["SMS"][1]}


def run(_folder: Path, size: int = SIZE) -> Iterator[Measure]:
    from agdar.heap import keep_loaded
    from core.models import Role, User
    from core.tenancy import tenant_scope

    group = ours.found_group("bench", size)
    with tenant_scope(group.tenant_id):
        admin = User.accounts.create_user(
            "bench@clinic.example", tenant_id=group.tenant_id, role=Role.ADMIN, name_en="Bench"
        )
        other = User.accounts.create_user(
            "second@clinic.example", tenant_id=group.tenant_id, role=Role.ADMIN, name_en="Bench"
        )
        with mock.patch("core.queueing.publish", return_value=False):
            _send(admin, other, group.patient_ids[:1000])  # imports, plans
            keep_loaded()  # as every worker does
            checked, started = _send(admin, other, group.patient_ids)
    yield Measure("bulk_start", started, "s", None, GOAL_SECONDS)
    yield Measure("bulk_check", checked, "s", None, None)


def _send(admin, other, patient_ids) -> tuple[float, float]:  # type: ignore[no-untyped-def]  # no Django at import
    """Seconds of the check, and from the approval until all rows exist. RuntimeError when one is missing."""
    from integrations.bulk import control, run
    from integrations.bulk.audience import Person
    from notifications.bulk_states import BulkState
    from notifications.models import Message

    bulk = control.draft(
        actor=admin, name="Bench", source="FILTERS", message_class="SERVICE", people=map(Person, patient_ids)
    )
    control.words_set(actor=admin, bulk=bulk, texts=TEXTS, channel="SMS")
    began = time.perf_counter()
    control.check(actor=admin, bulk=bulk)
    checked = time.perf_counter() - began
    control.submit(actor=admin, bulk=bulk, useful_hours=48)
    began = time.perf_counter()
    if bulk.state == BulkState.AWAITING_APPROVAL:
        control.approve(actor=other, bulk=bulk)
    run.advance(bulk.tenant_id, bulk.pk)
    elapsed = time.perf_counter() - began
    if Message.objects.filter(bulk=bulk).count() != len(patient_ids):
        raise RuntimeError("not every message was written")
    return checked, elapsed
