"""Scenario 13: the arrival alert with clearance and consent, its way further, and a payment that changes the card."""

from __future__ import annotations

import datetime as dt
import json

import pytest
import time_machine
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from appointments import services
from appointments.models import Appointment
from conftest import Clinic
from core.consent import consent_verify
from core.models import SubFile, Tenant
from core.subfiles import subfile_ensure
from finance.models import Invoice
from finance.services import invoice_issue, invoice_void, payment_record
from integrations import fanout, staff
from notifications import inbox
from notifications.models import Escalation, Notification, NotificationEvent
from notifications.states import EscalationStatus
from tests import factories

HX = {"HX-Request": "true"}
LIST = "/notifications/bell/list/"


class Bell:
    """The provider's page: what its poll and its panel say."""

    def __init__(self, client: Client) -> None:
        self.client = client
        content = client.get("/notifications/inbox/").content.decode()
        self.tag = content.split('hx-ptag="')[1].split('"')[0]
        self.since = content.split('data-since="')[1].split('"')[0]

    def poll(self) -> dict[str, object] | None:
        """What it is told; None when nothing has changed."""
        response = self.client.get("/notifications/bell/", headers=HX | {"HX-PTag": self.tag, "Bell-Since": self.since})
        if response.status_code == 304:
            return None
        told: dict[str, object] = json.loads(response["HX-Trigger"])["bell:count"]
        self.tag, self.since = str(told["tag"]), str(told["since"])
        return told

    def panel(self) -> str:
        return self.client.get(LIST, headers=HX).content.decode()


@pytest.fixture
def visit(clinic: Clinic) -> Appointment:
    """A visit in ten minutes, with a bill and a verified consent."""
    made: Appointment = factories.AppointmentFactory(
        tenant=clinic.tenant,
        patient=clinic.patient,
        provider=clinic.provider,
        location=clinic.location,
        department=clinic.department,
        starts_at=timezone.now() + dt.timedelta(minutes=10),
        is_silent=False,
    )
    subfile = subfile_ensure(patient=clinic.patient, department=clinic.department)
    consent_verify(actor=clinic.front_desk, subfile=subfile, status="VERIFIED")
    return made


@pytest.fixture
def bill(clinic: Clinic, visit: Appointment) -> Invoice:
    return invoice_issue(
        actor=clinic.front_desk,
        patient=clinic.patient,
        appointment=visit,
        amount_minor=30_000,
        due_on=timezone.localdate(),
    )


@pytest.fixture
def arrived(clinic: Clinic, visit: Appointment, bill: Invoice) -> Notification:
    services.appointment_arrive(appointment_id=visit.pk, actor=clinic.front_desk)
    event = NotificationEvent.objects.get(key="appointment.arrived")
    fanout.process_event(clinic.tenant.pk, event.pk)
    return Notification.objects.get(event=event, user=clinic.provider)


def test_scenario_13_a_payment_half_a_minute_later_updates_the_card_without_a_second_alarm(
    clinic: Clinic, bill: Invoice, arrived: Notification
) -> None:
    bell = Bell(clinic.client(clinic.provider))
    assert "Open: financial clearance (pending). Clear: consent (verified)." in bell.panel()
    assert bell.poll() is None
    before = (Notification.objects.count(), Escalation.objects.count(), inbox.for_user(clinic.provider).count())

    with time_machine.travel(timezone.now() + dt.timedelta(seconds=30)):
        payment_record(actor=clinic.front_desk, invoice_id=bill.pk, amount_minor=30_000)
        told = bell.poll()
        assert told is not None, "the open page hears that something has changed"
        assert (told["n"], told["new"], told["toasts"], told["sound"]) == (1, False, [], False)
        assert "All clear: consent (verified), financial clearance (cleared)." in bell.panel()
        assert "pending" not in bell.panel()
        assert bell.poll() is None
    fanout_keys = set(NotificationEvent.objects.filter(processed_at=None).values_list("key", flat=True))
    assert "appointment.arrived" not in fanout_keys
    assert (
        Notification.objects.count(),
        Escalation.objects.count(),
        inbox.for_user(clinic.provider).count(),
    ) == before
    arrived.refresh_from_db()
    assert "pending" in arrived.message, "the row keeps what was told"


def test_scenario_13_unanswered_it_goes_further_and_an_answer_ends_it(
    clinic: Clinic, bill: Invoice, arrived: Notification
) -> None:
    Tenant.objects.filter(pk=clinic.tenant.pk).update(escalate_after_minutes=5)
    with time_machine.travel(timezone.now() + dt.timedelta(minutes=6)):
        payment_record(actor=clinic.front_desk, invoice_id=bill.pk, amount_minor=30_000)
        assert staff.escalate_due()["stepped"] == 1
    with time_machine.travel(timezone.now() + dt.timedelta(minutes=12)):
        staff.escalate_due()
        assert Notification.objects.filter(event=arrived.event, user=clinic.front_desk).exists()
        assert inbox.acknowledge(
            clinic.front_desk, Notification.objects.get(user=clinic.front_desk, event=arrived.event).pk
        )
    row = Escalation.objects.get()
    assert row.status != EscalationStatus.OPEN
    told = Notification.objects.filter(event=arrived.event).count()
    with time_machine.travel(timezone.now() + dt.timedelta(minutes=60)):
        staff.escalate_due()
    assert Notification.objects.filter(event=arrived.event).count() == told


def test_a_withdrawn_consent_and_a_void_bill_show_at_once(
    clinic: Clinic, visit: Appointment, bill: Invoice, arrived: Notification
) -> None:
    bell = Bell(clinic.client(clinic.provider))
    consent_verify(actor=clinic.front_desk, subfile=SubFile.objects.get(), status="WITHDRAWN")
    assert bell.poll() is not None
    assert "consent (withdrawn)" in bell.panel()
    invoice_void(actor=clinic.admin, invoice_id=bill.pk)
    assert bell.poll() is not None
    assert "financial clearance (not required)" in bell.panel()


def test_the_inbox_and_the_notifications_own_page_show_the_same(
    clinic: Clinic, bill: Invoice, arrived: Notification
) -> None:
    payment_record(actor=clinic.front_desk, invoice_id=bill.pk, amount_minor=30_000)
    client = clinic.client(clinic.provider)
    for address in ("/notifications/inbox/", f"/notifications/{arrived.pk}/", "/"):
        page = client.get(address).content.decode()
        assert "financial clearance (cleared)" in page, address


def test_a_visit_that_is_over_keeps_what_was_told(
    clinic: Clinic, visit: Appointment, bill: Invoice, arrived: Notification
) -> None:
    Appointment.objects.filter(pk=visit.pk).update(status=Appointment.Status.COMPLETED)
    bell = Bell(clinic.client(clinic.provider))
    payment_record(actor=clinic.front_desk, invoice_id=bill.pk, amount_minor=30_000)
    assert bell.poll() is None
    assert "financial clearance (pending)" in bell.panel()


def test_another_patients_payment_wakes_nobody(clinic: Clinic, arrived: Notification) -> None:
    bell = Bell(clinic.client(clinic.provider))
    other = invoice_issue(
        actor=clinic.front_desk,
        patient=factories.PatientFactory(tenant=clinic.tenant),
        amount_minor=100,
        due_on=timezone.localdate(),
    )
    payment_record(actor=clinic.front_desk, invoice_id=other.pk, amount_minor=100)
    assert bell.poll() is None


def test_a_waiting_room_costs_the_panel_as_many_queries_as_one_patient(
    clinic: Clinic, visit: Appointment, arrived: Notification
) -> None:
    client = clinic.client(clinic.provider)
    client.get(LIST, headers=HX)

    def queries() -> int:
        inbox.notify(user=clinic.provider, title="Another version")
        with CaptureQueriesContext(connection) as found:
            client.get(LIST, headers=HX)
        return len(found)

    one = queries()
    for _more in range(4):
        factory = factories.AppointmentFactory(
            tenant=clinic.tenant,
            patient=factories.PatientFactory(tenant=clinic.tenant),
            provider=clinic.provider,
            location=clinic.location,
            department=clinic.department,
            starts_at=timezone.now() + dt.timedelta(minutes=20),
            is_silent=False,
        )
        services.appointment_arrive(appointment_id=factory.pk, actor=clinic.front_desk)
    for event in NotificationEvent.objects.filter(key="appointment.arrived", processed_at=None):
        fanout.process_event(clinic.tenant.pk, event.pk)
    assert queries() == one
