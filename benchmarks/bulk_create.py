"""A bulk send to very many patients: rendered, checked, written with its timeline, the doorbell rung.

Baseline: the same messages made one by one through ``send_from_template``, a sample of them.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks import memory, ours
from benchmarks.measure import Goal, Measure

SIZE = 100_000
_SAMPLE = 500
GOAL_PER_SECOND = 10_000.0
GOAL_GROWTH_MB = 30.0
# The first tenth of the time fills caches and pools.
_SETTLED = 0.1


def run(_folder: Path, size: int = SIZE) -> Iterator[Measure]:
    from integrations.messaging_service import MessagingService

    group = ours.found_group("bench", size)
    service = MessagingService()

    def send(number: int, key: str) -> float:
        began = time.perf_counter()
        counts = service.send_bulk_messages(
            tenant_id=group.tenant_id,
            patient_ids=group.patient_ids[:number],
            template_code=ours.CODE,
            channel="SMS",
            bulk_key=key,
        )
        elapsed = time.perf_counter() - began
        if counts["queued"] != number:
            raise RuntimeError(f"the bulk send did not queue all: {counts}")
        return elapsed

    send(min(size, 1000), "warm")
    began = time.perf_counter()
    for patient_id in group.patient_ids[:_SAMPLE]:
        service.send_from_template(
            tenant_id=group.tenant_id,
            template_code=ours.CODE,
            patient_id=patient_id,
            channel="SMS",
            context={"patient_name": "Sara Al-Mutairi"},
        )
    one_by_one = min(size, _SAMPLE) / (time.perf_counter() - began)
    with memory.watched(os.getpid()) as watch:
        elapsed = send(size, "whole")
    yield Measure("bulk_create", size / elapsed, "/s", one_by_one, GOAL_PER_SECOND, Goal.AT_LEAST)
    yield Measure("bulk_create_memory_growth", watch.growth(_SETTLED), "MB", None, GOAL_GROWTH_MB)
