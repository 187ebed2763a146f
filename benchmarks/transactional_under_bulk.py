"""How long a transactional message takes to be accepted while another clinic group's bulk send drains.

Baseline: the same while nothing else is sent. The workers are those of docker-compose.yml: one for all queues but the
bulk lane's, and one for that.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks import ours
from benchmarks.measure import Measure, p95
from benchmarks.services import provider_double, wait_for

SIZE = 100_000
BULK_PROCESSES = 2
EVERY_SECONDS = 0.1
IDLE_SAMPLES = 60
GOAL_SECONDS = 2.0
_PATIENCE_SECONDS = 900.0


def run(folder: Path, size: int = SIZE) -> Iterator[Measure]:
    with provider_double(folder):
        large, small = ours.found_group("large", size), ours.found_group("small", 1)
        ours.queue(large, size, "whole")
        ours.vacuum()
        with ours.worker(folder, "worker"), ours.worker(folder, "worker-bulk"):
            _send(small, lambda sent: sent < 5)  # imports, plans, connections
            idle = _send(small, lambda sent: sent < IDLE_SAMPLES)
            ours.ring(BULK_PROCESSES)
            busy = _send(small, lambda _sent: ours.is_any_left(large, "SENT"))
    yield Measure("transactional_under_bulk_p95", p95(busy), "s", p95(idle), GOAL_SECONDS)


def _send(group: ours.Group, goes_on: Callable[[int], bool]) -> list[float]:
    """One message every tenth of a second; the seconds from the row's birth to the provider's acceptance."""
    from core.tenancy import tenant_scope
    from integrations.messaging_service import MessagingService
    from notifications.models import Message

    service, ids = MessagingService(), []
    due = time.perf_counter()
    while goes_on(len(ids)):
        message = service.send_from_template(
            tenant_id=group.tenant_id,
            template_code=ours.CODE,
            patient_id=group.patient_ids[0],
            channel="SMS",
            context={"patient_name": "Sara Al-Mutairi"},
        )
        ids.append(message.pk)
        due += EVERY_SECONDS
        time.sleep(max(0.0, due - time.perf_counter()))
    with tenant_scope(group.tenant_id):
        rows = Message.objects.filter(pk__in=ids)
        wait_for(
            lambda: not rows.filter(sent_at=None).exists(), seconds=_PATIENCE_SECONDS, what="all are sent", every=0.1
        )
        return [
            (sent_at - created_at).total_seconds() for sent_at, created_at in rows.values_list("sent_at", "created_at")
        ]
