"""The common way, written honestly: one Celery task a message and one a receipt, with every connection kept open."""

from __future__ import annotations

import functools
import os

import requests
from celery import Celery

# Not the current app: in the benchmark's own process that is Agdar's.
app = Celery("lean", broker=os.environ["CELERY_BROKER_URL"], set_as_current=False)
# At its best: no results, no events, acknowledged early, and enough tasks fetched ahead.
app.conf.update(task_ignore_result=True, worker_prefetch_multiplier=64, broker_connection_retry_on_startup=True)
# Celery closes Django's connection before and after each task, whatever CONN_MAX_AGE says, unless this is set.
app.conf["CELERY_DB_REUSE_MAX"] = 1_000_000_000
# Tells Celery that there is a Django to look after.
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "benchmarks.lean.settings")


@functools.cache
def _session() -> requests.Session:
    """One a process, made after the fork."""
    session = requests.Session()
    session.trust_env = False
    session.auth = (os.environ["TWILIO_ACCOUNT_SID"], os.environ["TWILIO_AUTH_TOKEN"])
    return session


@app.task
def nothing() -> None:
    """Wakes a process up before the clock runs."""
    from benchmarks.lean.models import Message

    Message.objects.first()


@app.task
def send(message_id: str) -> None:
    from django.utils import timezone

    from benchmarks.lean.models import Log, Message

    message = Message.objects.get(pk=message_id)
    answer = _session().post(
        f"{os.environ['TWILIO_API_BASE_URL']}/2010-04-01/Accounts/{os.environ['TWILIO_ACCOUNT_SID']}/Messages.json",
        data={
            "To": message.recipient,
            "From": "AGDAR",
            "Body": message.body,
            "StatusCallback": f"https://bench.agdar.example/status/{message_id}",
        },
        timeout=15,
    )
    answer.raise_for_status()
    sid = answer.json()["sid"]
    message.status, message.provider_message_id, message.sent_at = "SENT", sid, timezone.now()
    message.save(update_fields=["status", "provider_message_id", "sent_at"])
    Log.objects.create(message=message, event="SENT", response={"sid": sid})


@app.task
def receive(message_id: str) -> None:
    from django.db import transaction
    from django.utils import timezone

    from benchmarks.lean.models import Log, Message

    with transaction.atomic():
        message = Message.objects.select_for_update().get(pk=message_id)
        message.status, message.delivered_at = "DELIVERED", timezone.now()
        message.save(update_fields=["status", "delivered_at"])
        Log.objects.create(message=message, event="DELIVERED", response={"status": "delivered"})
