"""A bulk send under a real worker that is killed in the middle: it goes on, repeats nobody, and is paused within two seconds."""

from __future__ import annotations

import datetime as dt
import time

import pytest
from django.utils import timezone

from conftest import Clinic
from core.models import Patient
from core.tenancy import tenant_scope
from integrations.bulk import audience, control
from integrations.bulk_send import CHUNK
from integrations.tests.bulk_rows import TEXTS
from notifications.bulk_states import BulkState
from notifications.models import BulkSend, Message, MessageAttempt, MessageLog
from tests.processes import House, house, wait_for

__all__ = ["house"]
pytestmark = [pytest.mark.worker, pytest.mark.django_db(transaction=True)]

PEOPLE = 3 * CHUNK + 100


def crowd(clinic: Clinic) -> None:
    Patient.objects.bulk_create(
        [
            Patient(
                tenant=clinic.tenant,
                mrn=f"B{number}",
                name_en="Sara Al-Mutairi",
                name_ar="سارة المطيري",
                birth_date=dt.date(1990, 5, 17),
                gender="F",
                phone=f"+96650{1000000 + number}",
            )
            for number in range(PEOPLE)
        ],
        batch_size=500,
    )


def test_a_killed_worker_leaves_a_send_that_goes_on_and_repeats_nobody(house: House, clinic: Clinic) -> None:
    Patient.objects.filter(pk=clinic.patient.pk).update(is_active=False)
    crowd(clinic)
    bulk = control.draft(
        actor=clinic.admin, name="All", source="FILTERS", message_class="SERVICE", people=audience.patients()
    )
    control.words_set(actor=clinic.admin, bulk=bulk, texts=TEXTS, channel="SMS", is_urgent=True)
    control.check(actor=clinic.admin, bulk=bulk)
    # As if approved: so many need a second person.
    BulkSend.objects.filter(pk=bulk.pk).update(state=BulkState.SCHEDULED, scheduled_at=timezone.now())

    def written() -> int:
        return Message.objects.filter(bulk=bulk).count()

    house.start_beat()
    house.start_worker()
    wait_for(lambda: written() > 0, seconds=60, what="the first chunk is written")
    house.kill("worker")
    at_the_kill = written()
    bulk.refresh_from_db()
    assert at_the_kill % CHUNK == 0 or bulk.written_at is not None, "a chunk is written whole or not at all"
    # As if a minute had passed.
    BulkSend.objects.filter(pk=bulk.pk, lease_token__isnull=False).update(lease_expires_at=timezone.now())
    house.start_worker()
    wait_for(
        lambda: BulkSend.objects.get(pk=bulk.pk).state == BulkState.RUNNING, seconds=90, what="the rest is written"
    )
    assert written() == PEOPLE == bulk.totals["send"]
    assert Message.objects.filter(bulk=bulk).values("patient").distinct().count() == PEOPLE
    assert MessageLog.objects.filter(message__bulk=bulk, event="CREATED").count() == PEOPLE

    wait_for(MessageAttempt.objects.exists, seconds=60, what="the first are sent")
    bulk.refresh_from_db()
    control.pause(actor=clinic.admin, bulk=bulk)
    time.sleep(2)
    then = MessageAttempt.objects.count()
    time.sleep(3)
    with tenant_scope(clinic.tenant.pk):
        assert MessageAttempt.objects.count() == then < PEOPLE, "paused, and something still left after two seconds"
