"""The panel of doorbells: every task others call by name. It only lives in core (house.md's one exception).

Nothing of the upper floors at module level, one service call a body, ids as arguments. Retries are rows, not
broker messages: a task that fails has left its row as it was, and the sweeper finds it.
"""

from __future__ import annotations

import datetime as dt
import uuid

import structlog
from celery import shared_task
from django.utils import timezone

from core import tenant_settings
from core.looks import looks_forget
from core.models import Heartbeat, User
from core.queueing import publish
from core.sessions import clear_expired
from core.tenancy import active_tenant_ids, tenant_scope

log = structlog.get_logger(__name__)

# An event that fails again and again is left for support after this many times.
MAX_EVENT_ATTEMPTS = 20


@shared_task
def send_sms_task(message_id: str) -> bool:
    """Sends one queued SMS."""
    from integrations.delivery import deliver

    return deliver(uuid.UUID(message_id))


@shared_task
def send_whatsapp_task(message_id: str) -> bool:
    """Sends one queued WhatsApp message."""
    from integrations.delivery import deliver

    return deliver(uuid.UUID(message_id))


@shared_task
def send_email_task(message_id: str) -> bool:
    """Sends one queued email."""
    from integrations.delivery import deliver

    return deliver(uuid.UUID(message_id))


@shared_task
def send_template_email_task(tenant_id: str, template_code: str, patient_id: str, dedupe_key: str) -> str:
    """Queues an email template to a patient whose only placeholder is the name; returns the message's id."""
    from core.models import Patient
    from integrations.messaging_service import MessagingService

    with tenant_scope(uuid.UUID(tenant_id)):
        patient = Patient.objects.get(pk=patient_id)
        message = MessagingService().send_from_template(
            tenant_id=uuid.UUID(tenant_id),
            template_code=template_code,
            patient=patient,
            channel="EMAIL",
            context={"patient_name": patient},
            dedupe_key=dedupe_key,
        )
    return str(message.pk)


@shared_task
def create_notification_task(
    user_id: str,
    title: str,
    message: str,
    notification_type: str = "INFO",
    related_object_type: str | None = None,
    related_object_id: str | None = None,
) -> str:
    """Rings one user's bell; returns the notification's id. Unknown users raise."""
    from notifications.inbox import notify

    user = User.accounts.get(pk=user_id)
    if user.tenant_id is None:
        raise ValueError("a notification needs a user of a tenant")
    with tenant_scope(user.tenant_id):
        notification = notify(
            user=user,
            title=title,
            message=message,
            level=notification_type,
            related_object_type=related_object_type,
            related_object_id=uuid.UUID(related_object_id) if related_object_id else None,
        )
    return str(notification.pk)


@shared_task
def send_multi_channel_notification_task(tenant_id: str, event_id: str) -> int:
    """Fans one event out over its recipients and channels; returns how many rows it made."""
    from integrations.fanout import process_event

    return process_event(uuid.UUID(tenant_id), uuid.UUID(event_id))


@shared_task
def sweep_events_task() -> dict[str, int]:
    """Fans out events whose doorbell was lost, whose fan-out failed, or that waited for their time."""
    from integrations.fanout import process_event
    from notifications.events import to_sweep

    counts = {"processed": 0, "failed": 0}
    for tenant_id in active_tenant_ids():
        with tenant_scope(tenant_id):
            waiting = to_sweep(timezone.now(), max_attempts=MAX_EVENT_ATTEMPTS)
        for event_id in waiting:
            try:
                process_event(tenant_id, event_id)
                counts["processed"] += 1
            except Exception:  # noqa: BLE001  # kept on the event's row and logged there; the others go on
                counts["failed"] += 1
    return counts


@shared_task
def cleanup_old_notifications(days: int | None = None) -> dict[str, int]:
    """Deletes old notifications, each category after the tenant's own time (or after ``days``), tenant by tenant."""
    from notifications.inbox import delete_old
    from notifications.states import Category

    now = timezone.now()
    deleted = 0
    for tenant_id in active_tenant_ids():
        with tenant_scope(tenant_id):
            own = tenant_settings.of(tenant_id)
            for category in Category:
                kept = days or tenant_settings.notification_days(own, category)
                deleted += delete_old(
                    tenant_id,
                    category,
                    now - dt.timedelta(days=kept),
                    # What was never looked at may still be: it gets as long again.
                    unread_before=now - dt.timedelta(days=2 * kept),
                )
    return {"deleted": deleted}


@shared_task
def cleanup_old_looks() -> dict[str, int]:
    """Deletes the looks at patients' messages that are older than two years, tenant by tenant."""
    deleted = 0
    for tenant_id in active_tenant_ids():
        with tenant_scope(tenant_id):
            deleted += looks_forget()
    return {"deleted": deleted}


@shared_task
def clear_sessions_task() -> dict[str, int]:
    """Deletes the sessions that are over: nobody else takes away those of people who just closed the window."""
    return {"cleared": clear_expired(timezone.now())}


@shared_task
def send_account_letter_task(letter_id: str) -> bool:
    """Sends one letter about an account."""
    from core.account_letters import letter_send

    return letter_send(uuid.UUID(letter_id))


@shared_task
def sweep_account_letters_task() -> dict[str, int]:
    """Letters about accounts whose doorbell was lost or whose mail server was away."""
    from core.account_letters import letters_sweep

    return letters_sweep()


@shared_task
def send_portal_code_task(wish_id: str) -> int:
    """Sends the codes of one wish to sign in as a patient."""
    from integrations.portal_codes import send

    return send(uuid.UUID(wish_id))


@shared_task
def sweep_portal_task() -> dict[str, int]:
    """Wishes for a code whose doorbell was lost; secrets and sessions whose time is over."""
    from core import portal_sessions, portal_sign_in

    now = timezone.now()
    rung = sum(publish(send_portal_code_task, str(key)) for key in portal_sign_in.waiting(now))
    return {"rung": rung, "wishes": portal_sign_in.forget(now), "sessions": portal_sessions.forget(now)}


@shared_task
def make_subject_export_task(tenant_id: str, export_id: str) -> bool:
    """Makes the file of one copy of a patient's data."""
    from core.subject_exports import make

    return make(uuid.UUID(tenant_id), uuid.UUID(export_id))


@shared_task
def erase_patient_task(tenant_id: str, request_id: str) -> dict[str, int]:
    """Carries out one request to erase a patient's data."""
    from core.erasure import run

    return run(uuid.UUID(tenant_id), uuid.UUID(request_id))


@shared_task
def sweep_rights_task() -> dict[str, int]:
    """Copies and erasures whose doorbell or worker was lost, and copies whose time is over."""
    from core import erasure, subject_exports

    counts = {"copies": 0, "erasures": 0, "deleted": 0}
    now = timezone.now()
    for tenant_id in active_tenant_ids():
        with tenant_scope(tenant_id):
            counts["deleted"] += subject_exports.delete_old(now)
            copies, erasures = subject_exports.waiting(now), erasure.waiting(now)
        for key in copies:
            counts["copies"] += publish(make_subject_export_task, str(tenant_id), str(key))
        for key in erasures:
            counts["erasures"] += publish(erase_patient_task, str(tenant_id), str(key))
    return counts


@shared_task
def heartbeat_task() -> None:
    """A sign of life of beat and worker together: beat asked, a worker did. Read by ``/readyz``."""
    Heartbeat.objects.update_or_create(name="worker", defaults={"at": timezone.now()})
