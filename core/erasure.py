"""Erases a patient's data on request: each app its own, in short transactions, as often as it takes.

A worker that dies leaves a request that is being carried out with a lease that runs out; the sweeper has it go on. What is
erased already is found erased. A legal hold that is placed meanwhile stops it before the next app.
Must never import anything of the other apps.
"""

from __future__ import annotations

import datetime as dt
import uuid

import structlog
from django.db.models import F, Q
from django.utils import timezone

from core import rights
from core.errors import DomainError
from core.models import RightsKind, RightsRequest, RightsState
from core.subject_data import NotYet, erasers
from core.tenancy import tenant_scope

log = structlog.get_logger(__name__)

LEASE = dt.timedelta(minutes=5)
# A message that is with a provider has its answer by then.
AGAIN_AFTER = dt.timedelta(minutes=1)


def run(tenant_id: uuid.UUID, request_id: uuid.UUID) -> dict[str, int]:
    """Erases, or goes on erasing. Counts by app; empty when somebody else has it, it is over, or it has to wait."""
    with tenant_scope(tenant_id):
        now = timezone.now()
        free = Q(lease_expires_at=None) | Q(lease_expires_at__lte=now)
        claimed = RightsRequest.objects.filter(
            free, pk=request_id, kind=RightsKind.ERASURE, state=RightsState.RUNNING
        ).update(lease_expires_at=now + LEASE, attempts=F("attempts") + 1)
        if not claimed:
            return {}
        request = RightsRequest.objects.select_related("patient__tenant", "answered_by").get(pk=request_id)
        counts: dict[str, int] = {}
        try:
            # Twice: news that were being written while the first round went by are found by the second.
            for name, erase in erasers() * 2:
                # Asked before each: what has begun may not go on under a hold.
                rights.refuse_erasure(request.patient)
                counts[name] = counts.get(name, 0) + erase(request.patient)
        except (NotYet, DomainError) as wait:
            log.info("erasure_waits", request=str(request_id), why=getattr(wait, "code", "under_way"))
            _again(request, AGAIN_AFTER)
            return {}
        except Exception as error:
            # No traceback: its values may be names and numbers.
            log.error("erasure_failed", request=str(request_id), error=type(error).__name__)  # noqa: TRY400
            _again(request, AGAIN_AFTER * min(request.attempts, 60))
            raise
        rights.rights_done(actor=None, request=request)
    log.info("patient_erased", request=str(request_id), **counts)
    return counts


def waiting(now: dt.datetime) -> list[uuid.UUID]:
    """Of the open tenant: what is to be carried out and nobody is at."""
    rows = RightsRequest.objects.filter(kind=RightsKind.ERASURE, state=RightsState.RUNNING)
    free = rows.filter(Q(lease_expires_at=None) | Q(lease_expires_at__lte=now))
    return list(free.order_by("created_at").values_list("pk", flat=True)[:20])


def _again(request: RightsRequest, after: dt.timedelta) -> None:
    RightsRequest.objects.filter(pk=request.pk).update(lease_expires_at=timezone.now() + after)
