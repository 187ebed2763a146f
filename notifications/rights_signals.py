"""What follows from a request about data: a task for the admins with its date, and news for the patient when it is
answered. Both in the transaction of the request."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

from django.dispatch import receiver
from django.urls import reverse

from core import rights
from core.access import Can, allows
from core.models import RightsKind, RightsRequest, RightsState, Role, User
from core.selectors import zone_of_tenant
from notifications import desk_tasks, events
from notifications.portal_events import ANSWERED_KEY
from notifications.states import TaskKind


@receiver(rights.request_opened)
def request_opened(sender: type[RightsRequest], *, request: RightsRequest, **kwargs: Any) -> None:
    desk_tasks.open_task(
        TaskKind.RIGHTS,
        tenant_id=request.tenant_id,
        key=str(request.pk),
        patient=request.patient,
        obj=request,
        role=Role.ADMIN,
        # The end of the last day.
        due_at=dt.datetime.combine(request.due_on, dt.time(23, 59), zone_of_tenant()),
        details={"kind": request.kind},
    )


@receiver(rights.request_ended)
def request_ended(sender: type[RightsRequest], *, request: RightsRequest, **kwargs: Any) -> None:
    desk_tasks.end_by_key(TaskKind.RIGHTS, str(request.pk))
    # Who was erased can be told nothing any more: nothing of theirs is left to tell it to.
    is_gone = request.kind == RightsKind.ERASURE and request.state == RightsState.DONE
    if request.state in (RightsState.DONE, RightsState.REFUSED) and not is_gone:
        events.record(ANSWERED_KEY, tenant_id=request.tenant_id, dedupe=str(request.pk), obj=request)


def request_address(user: User, pk: uuid.UUID) -> str | None:
    """The request's own page, for the admins' work list."""
    if not allows(user, Can.MANAGE_SETTINGS) or not RightsRequest.objects.filter(pk=pk).exists():
        return None
    return reverse("core:rights_detail", args=[pk])
