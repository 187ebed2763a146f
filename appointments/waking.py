"""What must wake a patient in quiet hours: a visit called off or moved by the clinic shortly before it was to begin.

How shortly is tenant data (``SendingRule.wakes_within_minutes``): nobody should set out for a visit that is off.
"""

from __future__ import annotations

import datetime as dt

from django.utils import timezone

from appointments.models import Appointment
from notifications import sending_rules
from notifications.models import NotificationEvent


def wakes(event: NotificationEvent) -> bool:
    """Whether the visit of the event, as it was known or as it is now, begins so soon."""
    if event.object_id is None:
        return False
    minutes = sending_rules.of(event.tenant_id).wakes_within_minutes
    starts_at = Appointment.objects.filter(pk=event.object_id).values_list("starts_at", flat=True).first()
    if not minutes or starts_at is None:
        return False
    recorded = event.payload.get("old_starts_at")
    times = [starts_at, *([dt.datetime.fromisoformat(recorded)] if recorded else [])]
    now = timezone.now()
    return any(now <= time < now + dt.timedelta(minutes=minutes) for time in times)
