"""The work of the domain by queue and by clock. Safe to run twice at once, returns counts, ids as arguments."""

from __future__ import annotations

import uuid

from celery import shared_task
from django.utils import timezone

from core.patients.guardians import guardianships_end
from core.queueing import publish
from core.tenancy import active_tenant_ids, tenant_scope
from notifications import exports, majority


@shared_task
def export_messages_task(tenant_id: str, export_id: str) -> bool:
    """Makes the file of one long export."""
    return exports.make(uuid.UUID(tenant_id), uuid.UUID(export_id))


@shared_task
def sweep_exports_task() -> dict[str, int]:
    """Rings again for exports whose doorbell or worker was lost, and deletes files whose time is over."""
    counts = {"rung": 0, "deleted": 0}
    now = timezone.now()
    for tenant_id in active_tenant_ids():
        with tenant_scope(tenant_id):
            lost = exports.waiting(now)
            counts["deleted"] += exports.delete_old(now)
        for export_id in lost:
            counts["rung"] += publish(export_messages_task, str(tenant_id), str(export_id))
    return counts


@shared_task
def open_majority_tasks_task() -> dict[str, int]:
    """Asks the desk to talk to patients who come of age; shuts out their guardians, and those whose last day is over."""
    majority.shut_out_guardians()
    return majority.open_majority_tasks() | guardianships_end()
