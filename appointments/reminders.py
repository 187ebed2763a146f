"""Reminders as rows with a due time: planned in the visit's transaction, sent by a periodic task, dead when it changes.

“24 hours before” is the same wall clock the day before at the location; “2 hours before” is elapsed time. An offset that
is already past at booking is never planned: a late reminder helps nobody.
"""

from __future__ import annotations

import datetime as dt
import uuid
import zoneinfo

import structlog
from django.db import transaction
from django.utils import timezone

from appointments.models import Appointment, Reminder
from appointments.states import AWAITED
from core.tenancy import active_tenant_ids, tenant_scope
from notifications import events
from notifications.states import Reason

log = structlog.get_logger(__name__)

Kind = Reminder.Kind
Status = Reminder.Status

# Closer to the start than this, the reminder would only startle.
USEFUL_UNTIL_BEFORE = {Kind.DAY_BEFORE: dt.timedelta(hours=3), Kind.TWO_HOURS: dt.timedelta(minutes=15)}
EVENT_KEYS = {Kind.DAY_BEFORE: "appointment.reminder_24h", Kind.TWO_HOURS: "appointment.reminder_2h"}
# One tick of one tenant. The rest is due at the next tick, 20 s later.
BATCH = 500


def day_before(start: dt.datetime, zone: zoneinfo.ZoneInfo) -> dt.datetime:
    """The same wall clock the day before, in UTC. In the hour that a clock skips: the first instant after it.

    In the hour that comes twice it is the first of the two.
    """
    wall = timezone.localtime(start, zone).replace(tzinfo=None, fold=0) - dt.timedelta(days=1)
    while True:
        instant = wall.replace(tzinfo=zone).astimezone(dt.UTC)
        if instant.astimezone(zone).replace(tzinfo=None, fold=0) == wall:
            return instant
        # Not on this clock: the gap ends at a full minute.
        wall = wall.replace(second=0, microsecond=0) + dt.timedelta(minutes=1)


def due_times(appointment: Appointment) -> dict[Kind, dt.datetime]:
    """When each reminder is due, in UTC."""
    return {
        Kind.DAY_BEFORE: day_before(appointment.starts_at, appointment.location.zone),
        Kind.TWO_HOURS: _start(appointment) - dt.timedelta(hours=2),
    }


def useful_until(appointment: Appointment, kind: Kind) -> dt.datetime:
    return _start(appointment) - USEFUL_UNTIL_BEFORE[kind]


def _start(appointment: Appointment) -> dt.datetime:
    """In UTC: Python subtracts on the wall clock when both sides share a zone, which is wrong when the clock changes."""
    return appointment.starts_at.astimezone(dt.UTC)


def plan(appointment: Appointment) -> list[Reminder]:
    """Plans what is still ahead for the current version and cancels what was planned for older ones. Repeatable."""
    Reminder.objects.filter(appointment=appointment, version__lt=appointment.version, status=Status.PLANNED).update(
        status=Status.CANCELLED, reason=Reason.STALE_VERSION, updated_at=timezone.now()
    )
    if appointment.is_silent or appointment.status not in AWAITED:
        return []
    now = timezone.now()
    planned = []
    for kind, due_at in due_times(appointment).items():
        if due_at <= now:
            continue
        reminder, is_new = Reminder.objects.get_or_create(
            appointment=appointment,
            version=appointment.version,
            kind=kind,
            defaults={
                "tenant_id": appointment.tenant_id,
                "due_at": due_at,
                "expires_at": useful_until(appointment, kind),
            },
        )
        if not is_new and reminder.status == Status.CANCELLED:
            # An arrival that was taken back: the visit is still to come.
            reminder.status, reminder.reason = Status.PLANNED, ""
            reminder.save(update_fields=["status", "reason", "updated_at"])
        planned.append(reminder)
    return planned


def cancel(appointment: Appointment, reason: Reason) -> int:
    """The visit calls for no reminder any more."""
    return Reminder.objects.filter(appointment=appointment, status=Status.PLANNED).update(
        status=Status.CANCELLED, reason=reason, updated_at=timezone.now()
    )


def send_due_reminders(now: dt.datetime | None = None) -> dict[str, int]:
    """Hands every due reminder of every tenant to messaging, once; returns counts. Safe to run twice at once."""
    now = now or timezone.now()
    counts = {"sent": 0, "cancelled": 0, "expired": 0, "failed": 0}
    for tenant_id in active_tenant_ids():
        with tenant_scope(tenant_id):
            due = Reminder.objects.filter(status=Status.PLANNED, due_at__lte=now).order_by("expires_at")
            for reminder_id in list(due.values_list("pk", flat=True)[:BATCH]):
                outcome = _send_logged(reminder_id, now)
                if outcome:
                    counts[outcome] += 1
    return counts


def _send_logged(reminder_id: uuid.UUID, now: dt.datetime) -> str:
    """One row in its own transaction. What fails stays planned for the next tick and does not stop the others."""
    try:
        return _send(reminder_id, now)
    except Exception as error:  # noqa: BLE001  # logged and tried again; the other patients' reminders must go
        # No traceback: its text could name the patient (invariant 12).
        log.error(  # noqa: TRY400
            "reminder_failed", reminder_id=str(reminder_id), error=type(error).__name__
        )
        return "failed"


@transaction.atomic
def _send(reminder_id: uuid.UUID, now: dt.datetime) -> str:
    """Claims the row by one conditional UPDATE, then looks at the visit as it is now."""
    mine = Reminder.objects.filter(pk=reminder_id, status=Status.PLANNED, due_at__lte=now)
    if mine.update(status=Status.SENT, updated_at=timezone.now()) != 1:
        return ""
    reminder = Reminder.objects.select_related("appointment__location").get(pk=reminder_id)
    appointment = reminder.appointment
    refused = _refusal(reminder, appointment, now)
    if refused is not None:
        reminder.status = Status.EXPIRED if refused is Reason.PAST_DUE else Status.CANCELLED
        reminder.reason = refused
        reminder.save(update_fields=["status", "reason", "updated_at"])
        return "expired" if refused is Reason.PAST_DUE else "cancelled"
    events.record(
        EVENT_KEYS[Kind(reminder.kind)],
        tenant_id=reminder.tenant_id,
        dedupe=f"{appointment.pk}:{reminder.version}:{reminder.kind}",
        obj=appointment,
        version=reminder.version,
    )
    return "sent"


def _refusal(reminder: Reminder, appointment: Appointment, now: dt.datetime) -> Reason | None:
    if reminder.version != appointment.version:
        return Reason.STALE_VERSION
    if appointment.is_silent or appointment.status not in AWAITED:
        return Reason.STATUS_NOT_ELIGIBLE
    if now >= reminder.expires_at or now >= appointment.starts_at:
        return Reason.PAST_DUE
    return None
