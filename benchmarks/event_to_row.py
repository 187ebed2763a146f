"""From the commit of a booking to the row behind the provider's bell, through broker and worker.

Floor: the same fan-out called in the booking's own process, without broker or worker.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

from benchmarks import house
from benchmarks.measure import Measure, p95

SAMPLES = 60
GOAL_MS = 1000.0
_PATIENCE_SECONDS = 20.0


def run(folder: Path, clinic: house.Clinic) -> Iterator[Measure]:
    from core.tenancy import tenant_scope

    with tenant_scope(clinic.tenant.pk):
        floor = [_in_process(clinic) for _ in range(SAMPLES)]
        with house.process("sandbox", folder), house.process("worker", folder):
            _through_worker(clinic)  # the worker has started when this one is there
            samples = [_through_worker(clinic) for _ in range(SAMPLES)]
    yield Measure("event_to_row_p95", p95(samples), "ms", p95(floor), GOAL_MS)


def _through_worker(clinic: house.Clinic) -> float:
    """Milliseconds from the commit, which also publishes, to the visible row."""
    from django.db import transaction

    with transaction.atomic():
        appointment = clinic.book()
        began = time.perf_counter()
    deadline = began + _PATIENCE_SECONDS
    while not _has_rung(clinic, appointment):
        if time.perf_counter() > deadline:
            raise RuntimeError(f"no bell row after {_PATIENCE_SECONDS:.0f} s; the worker's log is in the bench folder")
        time.sleep(0.002)
    return (time.perf_counter() - began) * 1000


def _in_process(clinic: house.Clinic) -> float:
    from django.db import transaction

    from integrations.fanout import process_event
    from notifications.models import NotificationEvent

    with mock.patch("core.queueing.publish", return_value=False), transaction.atomic():
        appointment = clinic.book()
        events = NotificationEvent.objects.filter(object_id=appointment.pk, processed_at=None)
        waiting = list(events.values_list("pk", flat=True))
        began = time.perf_counter()
    with mock.patch("core.queueing.publish", return_value=False):
        for event_id in waiting:
            process_event(clinic.tenant.pk, event_id)
    if not _has_rung(clinic, appointment):
        raise RuntimeError("the fan-out wrote no bell row")
    return (time.perf_counter() - began) * 1000


def _has_rung(clinic: house.Clinic, appointment: object) -> bool:
    from notifications.models import Notification

    return Notification.objects.filter(user=clinic.provider, related_object_id=appointment.pk).exists()  # type: ignore[attr-defined]
