"""Events with a due time: nobody is told before, the sweeper finds them, and what is overtaken is taken back."""

from __future__ import annotations

import datetime as dt

import pytest
import time_machine
from django.utils import timezone

from appointments import services
from appointments.models import Appointment
from conftest import Clinic
from core.tasks import sweep_events_task
from integrations import queue_watch
from integrations.fanout import process_event
from integrations.incidents import Kind
from integrations.models import Incident
from notifications import default_words, events
from notifications.models import Message, Notification, NotificationEvent
from notifications.registry import Audience
from notifications.states import Reason

MOVED = "appointment.rescheduled"


@pytest.fixture
def visit(clinic: Clinic, ten_oclock: dt.datetime) -> Appointment:
    default_words.install(clinic.tenant.pk)
    made = services.appointment_book(
        actor=clinic.front_desk,
        patient=clinic.patient,
        provider=clinic.provider,
        location=clinic.location,
        department=clinic.department,
        starts_at=ten_oclock,
        duration=dt.timedelta(minutes=30),
    )
    Appointment.objects.filter(pk=made.pk).update(status=Appointment.Status.RESCHEDULED)
    NotificationEvent.objects.all().delete()
    return made


def wait_three_minutes(visit: Appointment, **fields: object) -> NotificationEvent:
    return events.record(
        MOVED,
        tenant_id=visit.tenant_id,
        dedupe="wait",
        obj=visit,
        version=1,
        due_at=timezone.now() + dt.timedelta(minutes=3),
        **fields,  # type: ignore[arg-type]
    )


def test_an_event_tells_nobody_before_its_time_and_is_swept_when_it_has_come(visit: Appointment) -> None:
    event = wait_three_minutes(visit)
    assert process_event(event.tenant_id, event.pk) == 0
    with time_machine.travel(event.due_at - dt.timedelta(seconds=1), tick=False):
        assert sweep_events_task() == {"processed": 0, "failed": 0}
    assert not Message.objects.exists()
    with time_machine.travel(event.due_at, tick=False):
        assert sweep_events_task() == {"processed": 1, "failed": 0}
        assert sweep_events_task() == {"processed": 0, "failed": 0}
    assert Message.objects.filter(event=event, patient__isnull=False).count() == 2


def test_an_event_that_waits_rings_no_bell_of_the_broker(
    visit: Appointment, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: object
) -> None:
    rung: list[object] = []
    monkeypatch.setattr("notifications.events.enqueue_on_commit", lambda *call: rung.append(call))
    wait_three_minutes(visit)
    assert rung == []
    events.record(MOVED, tenant_id=visit.tenant_id, dedupe="now", obj=visit, version=1, due_at=timezone.now())
    assert len(rung) == 1


def test_what_is_overtaken_is_taken_back_once_and_says_why(visit: Appointment) -> None:
    event = wait_three_minutes(visit)
    assert events.drop_waiting(visit.pk, ["appointment.booked"], Reason.STALE_VERSION) == [], "another key"
    assert events.drop_waiting(visit.pk, [MOVED], Reason.STALE_VERSION) == [event]
    assert events.drop_waiting(visit.pk, [MOVED], Reason.STALE_VERSION) == []
    with time_machine.travel(event.due_at, tick=False):
        assert sweep_events_task()["processed"] == 0
        assert process_event(event.tenant_id, event.pk) == 0
    event.refresh_from_db()
    assert event.dropped_because == Reason.STALE_VERSION
    assert not Message.objects.exists()


def test_what_has_no_due_time_or_is_told_already_is_not_taken_back(visit: Appointment) -> None:
    at_once = events.record(MOVED, tenant_id=visit.tenant_id, dedupe="now", obj=visit, version=1)
    told = wait_three_minutes(visit)
    with time_machine.travel(told.due_at, tick=False):
        process_event(told.tenant_id, told.pk)
    assert events.drop_waiting(visit.pk, [MOVED], Reason.STALE_VERSION) == []
    assert {row.dropped_because for row in (at_once, told)} == {""}


def test_only_the_named_audiences_are_told(visit: Appointment, clinic: Clinic) -> None:
    patients = events.record(
        MOVED, tenant_id=visit.tenant_id, dedupe="p", obj=visit, version=1, audiences=[Audience.PATIENT]
    )
    process_event(patients.tenant_id, patients.pk)
    assert {row.user for row in Notification.objects.all()} == {clinic.patient_user}
    assert set(Message.objects.values_list("user", flat=True)) == {None}
    staff = events.record(
        MOVED, tenant_id=visit.tenant_id, dedupe="s", obj=visit, version=1, audiences=[Audience.PROVIDER]
    )
    process_event(staff.tenant_id, staff.pk)
    assert {row.user for row in Notification.objects.filter(event=staff)} == {clinic.provider}
    assert not Message.objects.filter(event=staff, patient__isnull=False).exists()


def test_an_event_that_waits_on_purpose_is_no_backlog(visit: Appointment) -> None:
    """Late is what has passed its own time by two minutes."""
    event = wait_three_minutes(visit)
    started = timezone.now() - dt.timedelta(hours=1)
    with time_machine.travel(event.due_at + dt.timedelta(minutes=1), tick=False):
        queue_watch._watch_events(visit.tenant_id, timezone.now(), started)
    assert not Incident.objects.filter(kind=Kind.EVENTS).exists()
    with time_machine.travel(event.due_at + dt.timedelta(minutes=2, seconds=1), tick=False):
        queue_watch._watch_events(visit.tenant_id, timezone.now(), started)
    assert Incident.objects.filter(kind=Kind.EVENTS).count() == 1
