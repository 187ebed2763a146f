"""The arrival card and results, when the desk changes its mind and the world goes on meanwhile."""

from __future__ import annotations

import datetime as dt

import pytest
from django.utils import timezone

from appointments import services
from appointments.models import Appointment
from conftest import Clinic
from core.consent import consent_verify
from core.models import Location, Patient, SubFile
from finance.models import Invoice
from finance.services import invoice_issue, payment_record, refund_record
from integrations import delivery, fanout
from integrations.tests.fakes import FakeProvider, provider
from notifications import default_words
from notifications.models import Escalation, Message, Notification, NotificationEvent
from notifications.states import EscalationStatus, Lane, Status
from tests import factories
from tests.test_scenarios_arrival_card import Bell, arrived, bill, visit
from tests.test_scenarios_results import tell

__all__ = ["arrived", "bill", "provider", "visit"]
pytestmark = pytest.mark.django_db


def fan_out_all(clinic: Clinic) -> None:
    for pk in NotificationEvent.objects.filter(processed_at=None).values_list("pk", flat=True):
        fanout.process_event(clinic.tenant.pk, pk)


# --- the card --------------------------------------------------------------------------------------------------------


def test_paid_refunded_and_billed_anew_the_open_card_follows_each_without_an_alarm(
    clinic: Clinic, visit: Appointment, bill: Invoice, arrived: Notification
) -> None:
    bell = Bell(clinic.client(clinic.provider))
    alarms = (Notification.objects.filter(user=clinic.provider).count(), Escalation.objects.count())

    def says(words: str) -> None:
        told = bell.poll()
        assert told is not None, "the open page hears that something has changed"
        assert (told["new"], told["sound"], told["toasts"]) == (False, False, [])
        assert words in bell.panel()

    payment_record(actor=clinic.front_desk, invoice_id=bill.pk, amount_minor=10_000)
    says("financial clearance (pending)")
    payment_record(actor=clinic.front_desk, invoice_id=bill.pk, amount_minor=20_000)
    says("financial clearance (cleared)")
    refund_record(actor=clinic.admin, invoice_id=bill.pk, amount_minor=30_000)
    says("financial clearance (not required)")
    invoice_issue(
        actor=clinic.front_desk, patient=clinic.patient, appointment=visit, amount_minor=5_000,
        due_on=timezone.localdate(),
    )  # fmt: skip
    says("financial clearance (pending)")
    consent_verify(actor=clinic.front_desk, subfile=SubFile.objects.get(), status="WITHDRAWN")
    says("consent (withdrawn)")
    fan_out_all(clinic)
    assert alarms == (
        Notification.objects.filter(user=clinic.provider, event_key="appointment.arrived").count(),
        Escalation.objects.count(),
    )


def test_an_arrival_that_was_a_slip_and_the_real_one_afterwards_are_two_alarms_and_one_that_counts(
    clinic: Clinic, visit: Appointment, bill: Invoice, arrived: Notification
) -> None:
    services.appointment_undo_arrival(appointment_id=visit.pk, actor=clinic.front_desk, reason="another patient")
    arrived.refresh_from_db()
    assert arrived.is_read
    assert not Escalation.objects.filter(status=EscalationStatus.OPEN).exists(), "nobody waits for an answer to a slip"
    payment_record(actor=clinic.front_desk, invoice_id=bill.pk, amount_minor=30_000)
    services.appointment_arrive(appointment_id=visit.pk, actor=clinic.front_desk)
    fan_out_all(clinic)
    events = NotificationEvent.objects.filter(key="appointment.arrived")
    assert events.count() == 2
    latest = events.latest("created_at")
    row = Notification.objects.get(event=latest, user=clinic.provider)
    assert not row.is_read
    assert "financial clearance (cleared)" in row.message
    assert Escalation.objects.filter(status=EscalationStatus.OPEN).count() == 1


def test_an_arrival_undone_before_the_worker_came_alarms_nobody(
    clinic: Clinic, visit: Appointment, bill: Invoice
) -> None:
    services.appointment_arrive(appointment_id=visit.pk, actor=clinic.front_desk)
    services.appointment_undo_arrival(appointment_id=visit.pk, actor=clinic.front_desk, reason="slip")
    fan_out_all(clinic)
    assert not Notification.objects.filter(event_key="appointment.arrived").exists()
    assert not Escalation.objects.exists()


def test_undone_moved_to_a_colleague_and_arrived_again_only_the_colleague_is_called(
    clinic: Clinic, visit: Appointment, bill: Invoice, arrived: Notification
) -> None:
    services.appointment_undo_arrival(appointment_id=visit.pk, actor=clinic.front_desk, reason="wrong room")
    services.appointment_reschedule(
        appointment_id=visit.pk, actor=clinic.front_desk, provider=clinic.colleague,
        starts_at=visit.starts_at + dt.timedelta(minutes=5), reason="x",
    )  # fmt: skip
    services.appointment_arrive(appointment_id=visit.pk, actor=clinic.front_desk)
    fan_out_all(clinic)
    latest = NotificationEvent.objects.filter(key="appointment.arrived").latest("created_at")
    assert [row.user for row in Notification.objects.filter(event=latest)] == [clinic.colleague]
    assert "Open: " in Bell(clinic.client(clinic.colleague)).panel()


def test_the_alert_of_a_visit_that_is_voided_or_called_off_after_the_arrival_waits_for_nobody(
    clinic: Clinic, visit: Appointment, bill: Invoice, arrived: Notification
) -> None:
    services.appointment_cancel(appointment_id=visit.pk, actor=clinic.front_desk, reason="left before being seen")
    assert not Escalation.objects.filter(status=EscalationStatus.OPEN).exists()
    bell = Bell(clinic.client(clinic.provider))
    payment_record(actor=clinic.front_desk, invoice_id=bill.pk, amount_minor=30_000)
    assert bell.poll() is None, "the card of a visit that is over stays as it was told"


# --- results ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def seen_visit(clinic: Clinic) -> Appointment:
    default_words.install(clinic.tenant.pk)
    made: Appointment = factories.AppointmentFactory(
        tenant=clinic.tenant, patient=clinic.patient, provider=clinic.provider, location=clinic.location,
        department=clinic.department, starts_at=timezone.now() - dt.timedelta(hours=2),
        status=Appointment.Status.COMPLETED,
    )  # fmt: skip
    return made


@pytest.mark.parametrize("change", [{"deceased_at": dt.date(2020, 1, 1)}, {"is_restricted": True}])
def test_results_that_were_queued_are_told_to_nobody_after_a_death_or_a_restriction(
    clinic: Clinic, seen_visit: Appointment, provider: FakeProvider, change: dict[str, object]
) -> None:
    message = tell(clinic, seen_visit)
    # Past the handlers, as an import would write it: the sender looks again by itself.
    Patient.objects.filter(pk=clinic.patient.pk).update(**change)
    delivery.drain(Lane.TRANSACTIONAL)
    message.refresh_from_db()
    assert provider.calls == []
    assert message.status in (Status.SUPPRESSED, Status.CANCELLED)


def test_results_of_a_child_go_to_the_guardians_who_may_know_and_never_to_the_childs_own_number(
    clinic: Clinic, seen_visit: Appointment, provider: FakeProvider
) -> None:
    Patient.objects.filter(pk=clinic.patient.pk).update(birth_date=timezone.localdate() - dt.timedelta(days=3000))
    rows = {
        "mother": {}, "father": {"not_for": ["RESULTS"]}, "blocked": {"blocked_reason": "court order"},
        "unverified": {"verified_at": None},
    }  # fmt: skip
    phones = {}
    for number, (who, fields) in enumerate(rows.items()):
        guardian = factories.GuardianFactory(tenant=clinic.tenant, phone=f"+96655900000{number}", email="")
        phones[who] = guardian.phone
        factories.GuardianshipFactory(
            tenant=clinic.tenant, patient=clinic.patient, guardian=guardian, is_primary=not number, **fields
        )
    tell(clinic, seen_visit)
    delivery.drain(Lane.TRANSACTIONAL)
    assert {call.to for call in provider.calls} == {phones["mother"]}
    assert "/c/" not in provider.calls[0].body


def test_results_told_twice_are_one_message_and_name_no_sensitive_place(
    clinic: Clinic, seen_visit: Appointment, provider: FakeProvider
) -> None:
    Location.objects.update(is_sensitive=True, discreet_name_en="The Garden", discreet_name_ar="الحديقة")
    services.appointment_tell_results_ready(appointment_id=seen_visit.pk, actor=clinic.provider)
    services.appointment_tell_results_ready(appointment_id=seen_visit.pk, actor=clinic.provider)
    fan_out_all(clinic)
    delivery.drain(Lane.TRANSACTIONAL)
    assert len(provider.calls) == 1, "told twice is one message"
    for name in (clinic.tenant.name_en, clinic.tenant.name_ar, clinic.location.name_ar, clinic.location.name_en):
        assert name not in f"{provider.calls[0].subject} {provider.calls[0].body}"
    assert Message.objects.filter(event__key="results.ready").count() == 1
