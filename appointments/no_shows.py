"""After a no-show: the patient hears of it only after a hold, in neutral words, with a link to ask for a new time.

Many no-shows are slips at the desk. What is corrected meanwhile is withdrawn, and nobody has read anything. A clinic group
may want a person to look at each first: then a task of the desk stands instead. Needs the tenant's scope open.
"""

from __future__ import annotations

import datetime as dt
import uuid

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from appointments import first_news, policy
from appointments.models import Appointment, AppointmentEvent
from appointments.services.common import locked
from core import audit
from core.access import Can
from core.errors import DomainError
from core.models import User
from core.permissions import demand
from notifications import desk_tasks, events
from notifications.models import NotificationEvent
from notifications.registry import Audience
from notifications.states import Reason, TaskKind

S = Appointment.Status
KEY = "appointment.no_show"


def follow(appointment: Appointment, move: AppointmentEvent) -> None:
    """The provider is told at once; the patient after the hold, or when somebody has decided it."""
    events.record(
        KEY,
        tenant_id=appointment.tenant_id,
        dedupe=f"{move.pk}:staff",
        obj=appointment,
        version=appointment.version,
        actor=move.actor,
        audiences=[Audience.PROVIDER],
    )
    own = policy.of(appointment.tenant_id)
    if own.no_show_needs_ok:
        desk_tasks.open_task(
            TaskKind.REBOOK,
            tenant_id=appointment.tenant_id,
            key=str(appointment.pk),
            patient=appointment.patient,
            obj=appointment,
            location=appointment.location,
            details={"because": "no_show"},
        )
        return
    _tell_patient(appointment, str(move.pk), move.actor, own.no_show_hold_minutes)


def withdraw(appointment: Appointment) -> None:
    """The visit has another state now: nothing of a no-show is told, and nobody need look after it."""
    events.drop_waiting(appointment.pk, [KEY], Reason.STATUS_NOT_ELIGIBLE)
    told = NotificationEvent.objects.filter(object_id=appointment.pk, key=KEY, processed_at__isnull=False)
    first_news.withdraw_messages(told, Reason.STATUS_NOT_ELIGIBLE)
    for task in desk_tasks.open_about(appointment.pk, [TaskKind.REBOOK]).filter(details__because="no_show"):
        desk_tasks.end_by_key(TaskKind.REBOOK, task.key.partition(":")[2])


def planned_for(appointment: Appointment) -> NotificationEvent | None:
    """The follow-up that waits, for the visit's page."""
    waiting = NotificationEvent.objects.filter(
        object_id=appointment.pk, key=KEY, due_at__isnull=False, processed_at=None
    )
    return waiting.first()


def may_follow_up(appointment: Appointment) -> bool:
    """Somebody has to decide, and nobody has."""
    if appointment.status != S.NO_SHOW or not policy.of(appointment.tenant_id).no_show_needs_ok:
        return False
    about = NotificationEvent.objects.filter(object_id=appointment.pk, key=KEY, object_version=appointment.version)
    return not any(Audience.PATIENT.value in event.audiences for event in about)


@transaction.atomic
def follow_up(*, appointment_id: uuid.UUID, actor: User) -> Appointment:
    """Somebody has decided that the patient is written to. Not before the hold is over. Once a no-show."""
    appointment = locked(appointment_id)
    demand(actor, Can.MANAGE_APPOINTMENTS, appointment)
    if appointment.status != S.NO_SHOW:
        raise DomainError(_("Only after a no-show is there anything to follow up."), code="no_no_show")
    hold = policy.of(appointment.tenant_id).no_show_hold_minutes
    _tell_patient(appointment, f"{appointment.pk}:{appointment.version}", actor, hold)
    desk_tasks.end_by_key(TaskKind.REBOOK, str(appointment.pk))
    audit.record(tenant_id=appointment.tenant_id, actor=actor, action="no_show.followed_up", obj=appointment)
    return appointment


def _tell_patient(appointment: Appointment, dedupe: str, actor: User | None, hold_minutes: int) -> None:
    since = appointment.no_show_at or timezone.now()
    events.record(
        KEY,
        tenant_id=appointment.tenant_id,
        dedupe=f"{dedupe}:patient",
        obj=appointment,
        version=appointment.version,
        actor=actor,
        due_at=since + dt.timedelta(minutes=hold_minutes),
        audiences=[Audience.PATIENT],
    )
