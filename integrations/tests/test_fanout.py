from __future__ import annotations

import datetime as dt

import pytest
from django.utils import timezone

from appointments import services
from appointments.models import Appointment
from conftest import Clinic
from core.models import User
from core.tasks import sweep_events_task
from core.tenancy import tenant_scope
from integrations.fanout import process_event
from notifications import default_words
from notifications.models import Message, MessageTemplate, Notification, NotificationEvent
from notifications.states import Reason, Status


@pytest.fixture(autouse=True)
def words(clinic: Clinic) -> None:
    default_words.install(clinic.tenant.pk)


def book(clinic: Clinic, starts_at: dt.datetime, **fields: object) -> Appointment:
    wishes = {
        "actor": clinic.front_desk,
        "patient": clinic.patient,
        "provider": clinic.provider,
        "location": clinic.location,
        "department": clinic.department,
        "starts_at": starts_at,
        "duration": dt.timedelta(minutes=30),
    }
    return services.appointment_book(**(wishes | fields))


def fan_out(key: str) -> NotificationEvent:
    event = NotificationEvent.objects.get(key=key)
    process_event(event.tenant_id, event.pk)
    return event


def told(event: NotificationEvent) -> tuple[set[tuple[str, str]], set[str]]:
    """(who, channel) of the messages, and whose bell has rung."""
    rows = Message.objects.filter(event=event)
    sent = {("patient" if row.patient_id else "provider", row.channel) for row in rows if row.status == Status.QUEUED}
    return sent, {n.user.role for n in Notification.objects.filter(event=event).select_related("user")}


def test_a_new_appointment_tells_the_provider(clinic: Clinic, ten_oclock: dt.datetime) -> None:
    book(clinic, ten_oclock)
    assert told(fan_out("appointment.new")) == ({("provider", "EMAIL")}, {"PROVIDER"})


def test_a_confirmation_tells_the_patient_everywhere(clinic: Clinic, ten_oclock: dt.datetime) -> None:
    visit = book(clinic, ten_oclock)
    services.appointment_confirm(appointment_id=visit.pk, actor=clinic.front_desk)
    assert told(fan_out("appointment.confirmed")) == ({("patient", "SMS"), ("patient", "EMAIL")}, {"PATIENT"})


def test_a_move_and_a_cancellation_tell_both(clinic: Clinic, ten_oclock: dt.datetime) -> None:
    visit = book(clinic, ten_oclock)
    services.appointment_reschedule(
        appointment_id=visit.pk, actor=clinic.front_desk, starts_at=ten_oclock + dt.timedelta(days=1)
    )
    everybody = ({("patient", "SMS"), ("patient", "EMAIL"), ("provider", "EMAIL")}, {"PATIENT", "PROVIDER"})
    assert told(fan_out("appointment.rescheduled")) == everybody
    services.appointment_cancel(appointment_id=visit.pk, actor=clinic.front_desk, reason="x")
    assert told(fan_out("appointment.cancelled")) == everybody


def test_running_twice_writes_nothing_twice(clinic: Clinic, ten_oclock: dt.datetime) -> None:
    book(clinic, ten_oclock)
    event = fan_out("appointment.new")
    assert process_event(event.tenant_id, event.pk) == 0, "it is done, and looked at no further"
    # And if that mark were lost, the unique keys would hold.
    NotificationEvent.objects.filter(pk=event.pk).update(processed_at=None)
    process_event(event.tenant_id, event.pk)
    assert Message.objects.filter(event=event).count() == 1
    assert Notification.objects.filter(event=event).count() == 1


def test_an_event_that_is_void_by_now_writes_refused_rows(clinic: Clinic, ten_oclock: dt.datetime) -> None:
    visit = book(clinic, ten_oclock)
    services.appointment_confirm(appointment_id=visit.pk, actor=clinic.front_desk)
    services.appointment_cancel(appointment_id=visit.pk, actor=clinic.front_desk, reason="x")
    event = fan_out("appointment.confirmed")
    rows = Message.objects.filter(event=event)
    assert rows
    assert {row.status for row in rows} == {Status.CANCELLED}
    assert not Notification.objects.filter(event=event).exists()


def test_the_actor_is_not_told_what_he_did(clinic: Clinic, ten_oclock: dt.datetime) -> None:
    visit = book(clinic, ten_oclock)
    Appointment.objects.filter(pk=visit.pk).update(provider=clinic.admin)
    services.appointment_cancel(appointment_id=visit.pk, actor=clinic.admin, reason="x")
    assert told(fan_out("appointment.cancelled"))[1] == {"PATIENT"}


def test_a_patient_without_any_address_leaves_a_refused_row_and_the_others_are_told(
    clinic: Clinic, ten_oclock: dt.datetime
) -> None:
    type(clinic.patient).objects.filter(pk=clinic.patient.pk).update(phone="", email="")
    visit = book(clinic, ten_oclock)
    services.appointment_cancel(appointment_id=visit.pk, actor=clinic.front_desk, reason="x")
    event = fan_out("appointment.cancelled")
    refused = Message.objects.filter(event=event, patient__isnull=False)
    assert {(row.status, row.reason) for row in refused} == {(Status.SUPPRESSED, Reason.NO_CONTACT)}
    assert ("provider", "EMAIL") in told(event)[0]


def test_the_other_mobile_channel_is_used_when_one_is_off(clinic: Clinic, ten_oclock: dt.datetime) -> None:
    from tests.factories import PreferenceFactory

    PreferenceFactory(tenant=clinic.tenant, patient=clinic.patient, sms_enabled=False)
    visit = book(clinic, ten_oclock)
    services.appointment_confirm(appointment_id=visit.pk, actor=clinic.front_desk)
    event = fan_out("appointment.confirmed")
    assert told(event)[0] == {("patient", "WHATSAPP"), ("patient", "EMAIL")}
    created = Message.objects.get(event=event, channel="WHATSAPP").logs.first()
    assert created.provider_response["passed_over"] == [{"channel": "SMS", "reason": Reason.OPT_OUT_CHANNEL}]


def test_a_broken_template_stops_one_message_and_not_the_bell(clinic: Clinic, ten_oclock: dt.datetime) -> None:
    MessageTemplate.objects.filter(code="appointment.new.provider").update(body_en="{unknown}", body_ar="{unknown}")
    book(clinic, ten_oclock)
    event = fan_out("appointment.new")
    row = Message.objects.get(event=event)
    assert (row.status, row.reason) == (Status.SUPPRESSED, Reason.VARIABLE_MISSING)
    assert Notification.objects.filter(event=event, user=clinic.provider).exists()


def test_a_failing_fan_out_is_kept_on_the_event_and_swept(
    clinic: Clinic, ten_oclock: dt.datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    book(clinic, ten_oclock)
    event = NotificationEvent.objects.get(key="appointment.new")
    with monkeypatch.context() as broken:
        broken.setattr("integrations.fanout._fan_out", lambda _event: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            process_event(event.tenant_id, event.pk)
    event.refresh_from_db()
    assert (event.attempts, event.error, event.processed_at) == (1, "ZeroDivisionError", None)
    NotificationEvent.objects.update(created_at=timezone.now() - dt.timedelta(minutes=1))
    assert sweep_events_task()["failed"] == 0
    event.refresh_from_db()
    assert event.processed_at is not None


def test_nothing_crosses_the_tenants(clinic: Clinic, other_clinic: Clinic, ten_oclock: dt.datetime) -> None:
    with tenant_scope(other_clinic.tenant.pk):
        default_words.install(other_clinic.tenant.pk)
        book(other_clinic, ten_oclock)
        fan_out("appointment.new")
        assert Notification.objects.get().user == User.objects.get(pk=other_clinic.provider.pk)
    assert not Notification.objects.exists()
    assert not Message.objects.exists()
