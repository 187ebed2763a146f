"""The answer and the next step at the same moment: one of them is first, and the other sees it. On PostgreSQL."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import pytest
from django.utils import timezone

from appointments import services
from appointments.models import Appointment
from appointments.tests.test_races import at_once
from conftest import Clinic
from integrations import staff
from integrations.fanout import process_event
from notifications import inbox
from notifications.models import BellState, Escalation, Notification, NotificationDelivery, NotificationEvent
from notifications.models.inbox import COUNTED
from notifications.states import EscalationStatus
from tests import factories

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]

# Each is a new pair of threads; enough that both orders come up.
ROUNDS = 12


@pytest.fixture
def visit(clinic: Clinic) -> Appointment:
    return factories.AppointmentFactory(
        tenant=clinic.tenant,
        patient=clinic.patient,
        provider=clinic.provider,
        location=clinic.location,
        department=clinic.department,
        starts_at=timezone.now() + dt.timedelta(minutes=10),
        is_silent=False,
    )


def alarm(clinic: Clinic, visit: Appointment) -> Notification:
    """A new arrival whose next step is due now."""
    services.appointment_arrive(appointment_id=visit.pk, actor=clinic.front_desk)
    event = NotificationEvent.objects.filter(key="appointment.arrived").latest("created_at")
    process_event(event.tenant_id, event.pk)
    Escalation.objects.filter(event=event).update(due_at=timezone.now() - dt.timedelta(seconds=1))
    return Notification.objects.get(event=event)


def assert_counters_are_right() -> None:
    for state in BellState.objects.all():
        assert state.unread == Notification.objects.filter(COUNTED, user=state.user_id).count()


Answer = Callable[[Clinic, Appointment, Notification], object]
ANSWERS: dict[str, Answer] = {
    "acknowledge": lambda clinic, visit, row: inbox.acknowledge(clinic.provider, row.pk),
    "read": lambda clinic, visit, row: inbox.mark_read(clinic.provider, row.pk),
    "read all": lambda clinic, visit, row: inbox.mark_all_read(clinic.provider),
    "undo the arrival": lambda clinic, visit, row: services.appointment_undo_arrival(
        appointment_id=visit.pk, actor=clinic.front_desk
    ),
}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_once_somebody_has_answered_nothing_more_goes_out(clinic: Clinic, visit: Appointment, answer: Answer) -> None:
    stepped = 0
    for _round in range(ROUNDS):
        row = alarm(clinic, visit)
        _answered, counts = at_once(clinic, lambda row=row: answer(clinic, visit, row), staff.escalate_due)
        alert = Escalation.objects.get(event=row.event_id)
        assert alert.status == EscalationStatus.STOPPED
        assert isinstance(counts, dict)
        # Either the step was first and its email is there, or the answer was and there is none.
        assert NotificationDelivery.objects.filter(notification=row, step=1).count() == counts["stepped"] == alert.step
        stepped += counts["stepped"]
        Escalation.objects.filter(pk=alert.pk).update(due_at=timezone.now() - dt.timedelta(minutes=1))
        assert staff.escalate_due() == {"stepped": 0, "ended": 0}
        assert_counters_are_right()
        if Appointment.objects.get(pk=visit.pk).status == Appointment.Status.ARRIVED:
            services.appointment_undo_arrival(appointment_id=visit.pk, actor=clinic.front_desk)


def test_two_sweepers_take_one_step(clinic: Clinic, visit: Appointment) -> None:
    for _round in range(ROUNDS):
        row = alarm(clinic, visit)
        counts = at_once(clinic, *[staff.escalate_due] * 3)
        assert sum(count["stepped"] for count in counts if isinstance(count, dict)) == 1
        assert Escalation.objects.get(event=row.event_id).step == 1
        services.appointment_undo_arrival(appointment_id=visit.pk, actor=clinic.front_desk)
