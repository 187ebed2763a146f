"""The staff's side of the story, through real processes: nobody answers an arrival, and what was put off comes back."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import pytest
from django.utils import timezone

from appointments import services
from conftest import Clinic, make_clinic
from core.models import Tenant
from core.tenancy import tenant_scope
from notifications import default_words, inbox
from notifications.models import Escalation, Message, Notification
from notifications.states import EscalationStatus, Status, StopReason
from tests import factories
from tests.processes import House, house, wait_for

__all__ = ["house"]
pytestmark = [pytest.mark.worker, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def noor(house: House) -> Iterator[Clinic]:
    """A clinic that has no patience, so that a step is due as soon as beat looks."""
    made = make_clinic("noor")
    Tenant.objects.filter(pk=made.tenant.pk).update(escalate_after_minutes=0)
    with tenant_scope(made.tenant.pk):
        default_words.install(made.tenant.pk)
        yield made


def test_an_arrival_that_nobody_answers_reaches_the_mailbox_and_then_everybody(house: House, noor: Clinic) -> None:
    put_off = inbox.notify(user=noor.colleague, title="Later")
    inbox.snooze(noor.colleague, put_off.pk, timezone.now() + dt.timedelta(seconds=1))
    visit = factories.AppointmentFactory(
        tenant=noor.tenant,
        patient=noor.patient,
        provider=noor.provider,
        location=noor.location,
        department=noor.department,
        starts_at=timezone.now() + dt.timedelta(minutes=10),
        is_silent=False,
    )
    house.start_worker()
    house.start_beat()
    services.appointment_arrive(appointment_id=visit.pk, actor=noor.front_desk)
    told = Notification.objects.filter(event_key="appointment.arrived")
    wait_for(lambda: told.filter(user=noor.provider).exists(), seconds=20, what="the provider's bell")

    # Beat looks every fifteen seconds.
    mailed = Message.objects.filter(user=noor.provider, channel="EMAIL", status=Status.SENT).exclude(
        event__key="appointment.new"
    )
    wait_for(mailed.exists, seconds=60, what="the provider has an email of it")
    wait_for(
        lambda: told.filter(user=noor.front_desk).exists() and told.filter(user=noor.admin).exists(),
        seconds=60,
        what="the desk and the admin are told",
    )
    inbox.acknowledge(noor.front_desk, told.get(user=noor.front_desk).pk)
    alert = Escalation.objects.get()
    assert (alert.status, alert.stop_reason) == (EscalationStatus.STOPPED, StopReason.ACKNOWLEDGED)
    assert (told.count(), mailed.count()) == (3, 1)
    assert not Notification.objects.filter(pk=put_off.pk, snoozed_until__isnull=False).exists()
