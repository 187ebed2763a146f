"""Celery: queues, routes and the whole beat table.

The rows in the database are the queue; the broker only hurries. Tasks carry ids, are safe to run twice, keep no
result, and none is scheduled into the future by the broker (invariant 1).
"""

from __future__ import annotations

import os

from celery import Celery
from kombu import Exchange, Queue
from kombu.transport import TRANSPORT_ALIASES

from agdar.life import BeatWatch

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "agdar.settings")
TRANSPORT_ALIASES["sqlite"] = "agdar.broker_sqlite:Transport"

app = Celery("agdar")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()

# One worker serves all of them in the demo; a larger house gives each its own (docs/operations.md).
QUEUES = ("urgent", "default", "bulk", "beat")
# Each its own exchange and key: with the default ones every message would land in all of them.
app.conf.task_queues = [Queue(name, Exchange(name, type="direct"), routing_key=name) for name in QUEUES]
app.conf.task_default_queue = "default"
app.conf.task_routes = {
    "core.tasks.send_multi_channel_notification_task": {"queue": "urgent"},
    "core.tasks.create_notification_task": {"queue": "urgent"},
    "core.tasks.send_portal_code_task": {"queue": "urgent"},
    # A patient holds the phone in the hand.
    "integrations.tasks.answer_replies_task": {"queue": "urgent"},
    # Minutes of reading: nothing that somebody waits for stands behind it.
    "notifications.tasks.export_messages_task": {"queue": "bulk"},
    "core.tasks.make_subject_export_task": {"queue": "bulk"},
    "core.tasks.erase_patient_task": {"queue": "bulk"},
}

# name → task, every N seconds. Each is safe to run twice at once and returns counts.
_BEAT = {
    "worker-heartbeat": ("core.tasks.heartbeat_task", 10),
    "events-sweep": ("core.tasks.sweep_events_task", 10),
    "messages-sweep": ("integrations.tasks.sweep_messages_task", 10),
    "receipts-sweep": ("integrations.tasks.sweep_receipts_task", 20),
    "replies-sweep": ("integrations.tasks.sweep_replies_task", 20),
    "provider-sync": ("integrations.tasks.provider_sync_task", 60),
    "staff-deliveries": ("integrations.tasks.send_staff_deliveries_task", 20),
    "bulks-sweep": ("integrations.tasks.sweep_bulks_task", 10),
    # Whose time has come at some place; the moment itself is on the clinic's own wall clock.
    "payment-reminders": ("finance.tasks.send_payment_reminders_task", 300),
    "reminders-due": ("appointments.tasks.send_due_reminders_task", 20),
    "reminders-replan": ("appointments.tasks.replan_reminders_task", 30),
    "fixed-contacts": ("integrations.tasks.sweep_fixed_contacts_task", 30),
    "waiting-list": ("appointments.tasks.tend_waiting_list_task", 20),
    "absences-finish": ("appointments.tasks.finish_absences_task", 60),
    # A quarter of the shortest patience with an alert.
    "staff-watch": ("integrations.tasks.staff_watch_task", 15),
    "account-letters-sweep": ("core.tasks.sweep_account_letters_task", 30),
    "days-count": ("integrations.tasks.count_days_task", 120),
    "counts-check": ("integrations.tasks.check_counts_task", 24 * 3600),
    "exports-sweep": ("notifications.tasks.sweep_exports_task", 30),
    "rights-sweep": ("core.tasks.sweep_rights_task", 30),
    "portal-sweep": ("core.tasks.sweep_portal_task", 15),
    "sessions-cleanup": ("core.tasks.clear_sessions_task", 3600),
    "notifications-cleanup": ("core.tasks.cleanup_old_notifications", 24 * 3600),
    # Hours, not a day: a beat that starts anew waits a whole interval first.
    "coming-of-age": ("notifications.tasks.open_majority_tasks_task", 6 * 3600),
    "retention": ("integrations.tasks.retention_task", 24 * 3600),
    "looks-cleanup": ("core.tasks.cleanup_old_looks", 24 * 3600),
}
app.conf.beat_schedule = {
    name: {"task": task, "schedule": every, "options": {"queue": "beat", "expires": max(every, 60)}}
    for name, (task, every) in _BEAT.items()
}

# Both write their signs of life, which /readyz reads; and each worker has an eye on beat.
app.conf.beat_scheduler = "agdar.life:LifeSignScheduler"
app.steps["consumer"].add(BeatWatch)
