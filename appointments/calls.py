"""Who wants no messages must still not set out for a visit that the clinic has called off or moved: the desk calls."""

from __future__ import annotations

import datetime as dt

from django.utils import timezone

from appointments.models import Appointment
from core.models import Role
from notifications import desk_tasks
from notifications.models import NotificationEvent
from notifications.states import TaskKind

# So close to the visit the call comes before everything else.
URGENT_WITHIN = dt.timedelta(days=1)


def call(event: NotificationEvent) -> None:
    """Opens the task once a move. Not for what the patient did, or asked for: they know."""
    assert event.object_id is not None
    visit = Appointment.objects.select_related("patient", "location").filter(pk=event.object_id).first()
    if (
        visit is None
        or visit.version != event.object_version
        or event.actor is None
        or event.actor.role == Role.PATIENT
    ):
        return
    if visit.status == Appointment.Status.CANCELLED and visit.cancelled_by != Appointment.CancelledBy.CLINIC:
        return
    recorded = event.payload.get("old_starts_at")
    # When they would come, as they know it, or when they are expected now.
    first = min([visit.starts_at, *([dt.datetime.fromisoformat(recorded)] if recorded else [])])
    if visit.starts_at <= timezone.now():
        return
    desk_tasks.open_task(
        TaskKind.CALL,
        tenant_id=visit.tenant_id,
        key=f"wants_no_messages:{event.pk}",
        patient=visit.patient,
        obj=visit,
        location=visit.location,
        due_at=first,
        is_urgent=first < timezone.now() + URGENT_WITHIN,
        details={"because": "wants_no_messages"},
    )
