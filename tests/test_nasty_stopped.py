"""Who wants no messages at all must still not set out for a visit that is off: then a person has to say it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import pytest
import time_machine
from django.utils import timezone

from appointments import services
from appointments.models import Appointment
from appointments.tests.test_booking import book
from conftest import Clinic
from integrations.fanout import process_event
from integrations.sms_providers import Outgoing
from integrations.tests.fakes import FakeProvider, provider
from notifications import default_words, suppression
from notifications.models import DeskTask, Message, NotificationEvent
from notifications.states import Reason
from tests.journey import send_all

__all__ = ["provider"]
pytestmark = pytest.mark.django_db

HOUR, DAY = dt.timedelta(hours=1), dt.timedelta(days=1)


@pytest.fixture(autouse=True)
def nine(clinic: Clinic) -> Iterator[time_machine.Coordinates]:
    default_words.install(clinic.tenant.pk)
    with time_machine.travel(
        timezone.localtime().replace(hour=9, minute=0, second=0, microsecond=0), tick=False
    ) as now:
        yield now


@pytest.fixture
def visit(clinic: Clinic, provider: FakeProvider) -> Appointment:
    made = book(clinic, timezone.now() + 3 * DAY)
    send_all(provider)
    return made


def stop(clinic: Clinic, *channels: str) -> None:
    for channel in channels or ("SMS", "WHATSAPP", "EMAIL"):
        address = clinic.patient.email if channel == "EMAIL" else clinic.patient.phone
        suppression.suppress(tenant_id=clinic.tenant.pk, channel=channel, address=address, reason=Reason.OPTED_OUT)


def calls() -> list[DeskTask]:
    return list(DeskTask.objects.filter(kind="CALL", state="OPEN"))


def told(clinic: Clinic, calls: list[Outgoing]) -> bool:
    return any(call.to in (clinic.patient.phone, clinic.patient.email) for call in calls)


def cancel(clinic: Clinic, visit: Appointment, by: str = "CLINIC") -> None:
    services.appointment_cancel(actor=clinic.front_desk, appointment_id=visit.pk, reason="The doctor is away", by=by)


@pytest.mark.parametrize("days", [0, 3])
def test_somebody_is_to_call_who_wants_no_messages_when_the_clinic_calls_the_visit_off(
    clinic: Clinic, provider: FakeProvider, days: int
) -> None:
    visit = book(clinic, timezone.now() + days * DAY + 5 * HOUR)
    send_all(provider)
    stop(clinic)
    cancel(clinic, visit)
    assert not told(clinic, send_all(provider))
    [task] = calls()
    assert (task.object_id, task.patient_id, task.due_at) == (visit.pk, clinic.patient.pk, visit.starts_at)
    assert task.is_urgent == (days == 0)
    send_all(provider)
    assert len(calls()) == 1


def test_and_when_it_is_moved_before_they_would_have_come(
    clinic: Clinic, visit: Appointment, provider: FakeProvider
) -> None:
    stop(clinic)
    known = visit.starts_at
    services.appointment_reschedule(
        actor=clinic.front_desk, appointment_id=visit.pk, starts_at=known + DAY, reason="The doctor is away"
    )
    send_all(provider)
    assert [task.due_at for task in calls()] == [known]


def test_nobody_calls_who_reads_it_by_email(clinic: Clinic, visit: Appointment, provider: FakeProvider) -> None:
    stop(clinic, "SMS", "WHATSAPP")
    cancel(clinic, visit)
    send_all(provider)
    assert calls() == []


def test_nobody_calls_who_asked_for_it(clinic: Clinic, visit: Appointment, provider: FakeProvider) -> None:
    stop(clinic)
    cancel(clinic, visit, by="PATIENT")
    send_all(provider)
    assert calls() == []


def test_nobody_calls_for_other_news(clinic: Clinic, visit: Appointment, provider: FakeProvider) -> None:
    stop(clinic)
    services.appointment_confirm(appointment_id=visit.pk, actor=clinic.front_desk)
    send_all(provider)
    assert calls() == []


def test_a_stop_that_comes_while_the_news_waits_has_them_called_too(
    clinic: Clinic, visit: Appointment, provider: FakeProvider
) -> None:
    cancel(clinic, visit)
    for event in NotificationEvent.objects.filter(processed_at=None):
        process_event(clinic.tenant.pk, event.pk)
    assert calls() == []
    stop(clinic)
    assert not told(clinic, send_all(provider))
    reasons = set(
        Message.objects.filter(event__key="appointment.cancelled", patient=clinic.patient).values_list(
            "reason", flat=True
        )
    )
    assert Reason.OPTED_OUT in reasons
    assert len(calls()) == 1
