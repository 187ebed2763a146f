"""Two workers on one reply, and two replies of one number at once. PostgreSQL only: SQLite has one writer."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable

import pytest
from django.db import connection
from django.utils import timezone

from appointments import services
from appointments.models import Appointment, AppointmentEvent
from conftest import Clinic, make_clinic
from core.tenancy import tenant_scope
from integrations import reply_handling
from notifications import replies
from notifications.models import InboundMessage, Message, NotificationEvent
from notifications.states import NotificationType, Status

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]


def at_once(*deeds: Callable[[], object]) -> None:
    start = threading.Barrier(len(deeds))
    errors: list[BaseException] = []

    def run(deed: Callable[[], object]) -> None:
        try:
            start.wait(timeout=10)
            deed()
        except BaseException as error:  # noqa: BLE001  # shown by the assertion below
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(deed,)) for deed in deeds]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert not errors, errors


def asked(clinic: Clinic) -> Appointment:
    visit = services.appointment_book(
        actor=clinic.front_desk,
        patient=clinic.patient,
        provider=clinic.provider,
        location=clinic.location,
        department=clinic.department,
        starts_at=timezone.now() + dt.timedelta(days=2),
        duration=dt.timedelta(minutes=30),
    )
    Message.objects.create(
        tenant=clinic.tenant,
        event=NotificationEvent.objects.get(key="appointment.booked"),
        patient=clinic.patient,
        notification_type=NotificationType.CONFIRMATION,
        channel="WHATSAPP",
        recipient=clinic.patient.phone,
        language="ar",
        body="words",
        status=Status.SENT,
        sent_at=timezone.now(),
        object_type="appointments.appointment",
        object_id=visit.pk,
        object_version=1,
        dedupe_key="asked",
    )
    return visit


def came(clinic: Clinic, body: str, sid: str) -> InboundMessage:
    reply = replies.receive(
        provider="twilio",
        channel="WHATSAPP",
        sender=clinic.patient.phone,
        to="+966920000000",
        body=body,
        provider_message_id=sid,
    )
    assert reply is not None
    return reply


def test_two_workers_on_one_reply_act_and_answer_once() -> None:
    clinic = make_clinic("noor")
    with tenant_scope(clinic.tenant.pk):
        visit = asked(clinic)
        reply = came(clinic, "1", "SM1")
    at_once(*[lambda: reply_handling.handle(clinic.tenant.pk, reply.pk)] * 3)
    with tenant_scope(clinic.tenant.pk):
        assert AppointmentEvent.objects.filter(appointment=visit, to_status="CONFIRMED").count() == 1
        assert Message.objects.filter(dedupe_key=f"reply:{reply.pk}").count() == 1


def test_a_yes_and_a_no_at_once_are_understood_one_after_the_other() -> None:
    clinic = make_clinic("noor")
    with tenant_scope(clinic.tenant.pk):
        visit = asked(clinic)
        yes, no = came(clinic, "1", "SM1"), came(clinic, "2", "SM2")
    at_once(
        lambda: reply_handling.handle(clinic.tenant.pk, yes.pk),
        lambda: reply_handling.handle(clinic.tenant.pk, no.pk),
    )
    with tenant_scope(clinic.tenant.pk):
        assert Appointment.objects.get(pk=visit.pk).status == "CANCELLED"
        yes.refresh_from_db()
        no.refresh_from_db()
        assert no.outcome == "CANCELLED"
        # Second, the yes is told that there is nothing to confirm any more.
        assert yes.outcome in ("CONFIRMED", "TOLD")


def test_a_move_at_the_desk_and_a_yes_never_confirm_the_new_time() -> None:
    clinic = make_clinic("noor")
    with tenant_scope(clinic.tenant.pk):
        visit = asked(clinic)
        reply = came(clinic, "1", "SM1")

    def move() -> None:
        with tenant_scope(clinic.tenant.pk):
            services.appointment_reschedule(
                appointment_id=visit.pk,
                actor=clinic.front_desk,
                starts_at=timezone.now() + dt.timedelta(days=3),
            )

    at_once(move, lambda: reply_handling.handle(clinic.tenant.pk, reply.pk))
    with tenant_scope(clinic.tenant.pk):
        now = Appointment.objects.get(pk=visit.pk)
        assert (now.status, now.version) == ("RESCHEDULED", 2)
        reply.refresh_from_db()
        assert reply.outcome in ("CONFIRMED", "TOLD")
