"""Agdar itself under measurement: a clinic group with many patients, its messages, its workers.

Needs production's environment (``services.production``) and ``django.setup()`` before the first call.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from benchmarks.services import process, production_worker, wait_for

CODE = "bench"
SUBJECT = "Your visit"
# Both with one placeholder; the SMS is as long as a reminder is.
TEXTS = {
    "SMS": (
        "Dear {patient_name}, this is a reminder of your visit at Olaya Branch on Thursday 10:30. Questions: 0112345678",
        "عزيزتي {patient_name}، نذكركم بموعدكم في فرع العليا يوم الخميس الساعة 10:30. للاستفسار 0112345678",
    ),
    "EMAIL": (
        "Dear {patient_name},\n\nthis is a reminder of your visit at Olaya Branch on Thursday 10:30.\n\nAgdar",
        "عزيزتي {patient_name}،\n\nنذكركم بموعدكم في فرع العليا يوم الخميس الساعة 10:30.\n\nأجدار",
    ),
}


@dataclass(frozen=True)
class Group:
    """A clinic group and the ids of its patients."""

    tenant_id: uuid.UUID
    patient_ids: list[uuid.UUID]


def migrate() -> None:
    from django.core.management import call_command

    call_command("migrate", verbosity=0)


def found_group(slug: str, patients: int) -> Group:
    """A clinic group with ``patients`` adults, inserted in bulk, and one template a channel."""
    from core.models import Patient, Tenant
    from core.tenancy import tenant_scope
    from notifications.models import MessageTemplate

    tenant = Tenant.objects.create(slug=slug, name_en="Bench", name_ar="قياس")
    with tenant_scope(tenant.pk):
        for channel, (english, arabic) in TEXTS.items():
            MessageTemplate.objects.create(
                tenant=tenant,
                code=CODE,
                name="Bench",
                channel=channel,
                notification_type="GENERAL",
                subject_en=SUBJECT,
                subject_ar="موعدكم",
                body_en=english,
                body_ar=arabic,
                variables=["patient_name"],
            )
        ids = []
        for first in range(0, patients, 5000):
            made = Patient.objects.bulk_create(
                Patient(
                    tenant=tenant,
                    mrn=str(number),
                    name_en="Sara Al-Mutairi",
                    name_ar="سارة المطيري",
                    birth_date=dt.date(1990, 5, 17),
                    gender="F",
                    phone=f"+9665{number:08d}",
                    email=f"patient{number}@mail.example",
                    language="ar" if number % 2 else "en",
                )
                for number in range(first, min(first + 5000, patients))
            )
            ids += [patient.pk for patient in made]
    vacuum()
    return Group(tenant.pk, ids)


def vacuum() -> None:
    """What autovacuum does within a minute; a measure must not depend on whether it has just been there."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")


def queue(group: Group, size: int, key: str, channel: str = "SMS") -> None:
    """Writes ``size`` messages of a bulk send; nobody is told, so that the clock starts with the first ring."""
    from integrations.messaging_service import MessagingService

    with mock.patch("integrations.outbox.ring"):
        counts = MessagingService().send_bulk_messages(
            tenant_id=group.tenant_id,
            patient_ids=group.patient_ids[:size],
            template_code=CODE,
            channel=channel,
            bulk_key=key,
        )
    if counts != {"queued": size, "refused": 0, "failed": 0}:
        raise RuntimeError(f"the bulk send did not queue all: {counts}")


def ring(times: int) -> None:
    """The bulk lane's doorbell, as the many rings of a large send leave it: one for each process."""
    from core.queueing import publish
    from integrations.tasks import drain_task
    from notifications.states import Lane

    for _ in range(times):
        if not publish(drain_task, Lane.BULK.value, queue="bulk"):
            raise RuntimeError("the broker did not take the doorbell")


def ring_for_receipts(times: int) -> None:
    """The web's doorbell after it stored receipts."""
    from core.queueing import publish
    from integrations.tasks import apply_receipts_task

    for _ in range(times):
        if not publish(apply_receipts_task):
            raise RuntimeError("the broker did not take the doorbell")


def sent(group: Group) -> list[tuple[uuid.UUID, str, str, int]]:
    """Id, provider's id, address and number of the attempt of each message that is SENT."""
    from core.tenancy import tenant_scope
    from notifications.models import Message

    with tenant_scope(group.tenant_id):
        rows = Message.objects.filter(status="SENT")
        return list(rows.values_list("pk", "provider_message_id", "recipient", "attempt_count"))


def store_receipts(group: Group) -> None:
    """One “delivered” for each SENT message, as the web process stores it, but in bulk."""
    from notifications.models import ProviderReceipt

    rows = [
        ProviderReceipt(
            provider="twilio",
            message_ref=str(pk),
            attempt=attempt,
            provider_message_id=sid,
            status="delivered",
            payload={"MessageSid": sid, "MessageStatus": "delivered"},
            dedupe_key=f"twilio:{pk}:{attempt}:{sid}:delivered:",
        )
        for pk, sid, _recipient, attempt in sent(group)
    ]
    ProviderReceipt.objects.bulk_create(rows, batch_size=2000)


def is_any_left(group: Group, status: str) -> bool:
    """True while a message has not come to ``status``: by indexes that the engine itself uses, so it costs little.

    One query, so that no row can slip from one state to another between two.
    """
    from django.db.models import Q

    from core.tenancy import tenant_scope
    from notifications.models import Message, ProviderReceipt

    with tenant_scope(group.tenant_id):
        if status == "SENT":
            waits = Q(status__in=["QUEUED", "FAILED"], next_attempt_at__isnull=False)
            return Message.objects.filter(waits | Q(status="SENDING", lease_expires_at__isnull=False)).exists()
        return ProviderReceipt.objects.filter(applied_at=None).exists()


def states(group: Group) -> dict[str, int]:
    """How many messages are in each status."""
    from django.db.models import Count

    from core.tenancy import tenant_scope
    from notifications.models import Message

    with tenant_scope(group.tenant_id):
        return dict(Message.objects.order_by().values_list("status").annotate(Count("pk")))


def check(group: Group, status: str, rows_each: int) -> None:
    """Every message ended in ``status`` with its full timeline. Raises RuntimeError."""
    from core.tenancy import tenant_scope
    from notifications.models import Message, MessageLog

    with tenant_scope(group.tenant_id):
        everything, there = Message.objects.count(), Message.objects.filter(status=status).count()
        logs = MessageLog.objects.count()
    if there != everything or logs != everything * rows_each:
        raise RuntimeError(f"{there} of {everything} messages are {status}, with {logs} log rows")


@contextlib.contextmanager
def worker(folder: Path, service: str = "worker-bulk", **changed: str) -> Iterator[int]:
    """A worker of docker-compose.yml, with options changed where given; gives its process id when it answers."""
    with process(service, production_worker(service, **changed), folder) as running:
        from agdar.celery import app

        wait_for(
            lambda: app.control.ping(destination=[f"{service}@bench"], timeout=0.5),
            seconds=60,
            what=f"the service {service} answers",
        )
        yield running.pid
