"""What follows a save, whoever saves: the handlers of the contract, and the booking that no message can undo."""

from __future__ import annotations

import datetime as dt

import pytest
from django.db import transaction
from django.utils import timezone

from appointments import services, signals
from appointments.models import Appointment, AppointmentEvent, ConfirmationToken, Reminder
from conftest import Clinic
from core.models import SubFile
from notifications.models import Message, NotificationEvent
from notifications.states import Status
from tests.factories import AppointmentFactory

S = Appointment.Status
HOUR = dt.timedelta(hours=1)


def save_new(clinic: Clinic, **fields: object) -> Appointment:
    """A row made without any service: an import, the console, a test."""
    defaults = {"starts_at": timezone.now() + dt.timedelta(days=5), "is_silent": False}
    return AppointmentFactory(
        tenant=clinic.tenant,
        patient=clinic.patient,
        provider=clinic.provider,
        location=clinic.location,
        department=clinic.department,
        **{**defaults, **fields},
    )


def keys(appointment: Appointment) -> list[str]:
    rows = NotificationEvent.objects.filter(object_id=appointment.pk).order_by("created_at", "key")
    return list(rows.values_list("key", flat=True))


def test_the_handlers_have_the_names_of_the_contract() -> None:
    for name in (
        "appointment_pre_save",
        "appointment_post_save",
        "create_subfile_if_needed",
        "notify_provider_new_appointment",
        "create_patient_confirmation_token",
        "schedule_appointment_reminders",
        "handle_appointment_confirmed",
        "handle_appointment_rescheduled",
        "handle_appointment_arrived",
        "handle_appointment_in_progress",
        "handle_appointment_completed",
        "handle_appointment_cancelled",
        "handle_appointment_no_show",
    ):
        assert callable(getattr(signals, name))


def test_a_row_that_is_just_saved_is_a_booking_like_any_other(clinic: Clinic) -> None:
    visit = save_new(clinic)
    assert visit.number.startswith(f"APT-{timezone.localtime().year}-")
    assert sorted(keys(visit)) == ["appointment.booked", "appointment.new"]
    assert SubFile.objects.filter(patient=clinic.patient, department=clinic.department).count() == 1
    assert ConfirmationToken.objects.filter(appointment=visit).count() == 1
    assert Reminder.objects.filter(appointment=visit, status="PLANNED").count() == 2


@pytest.mark.parametrize(
    ("status", "key"),
    [
        (S.CONFIRMED, "appointment.confirmed"),
        (S.RESCHEDULED, "appointment.rescheduled"),
        (S.ARRIVED, "appointment.arrived"),
        (S.IN_PROGRESS, "appointment.in_progress"),
        (S.COMPLETED, "appointment.completed"),
        (S.CANCELLED, "appointment.cancelled"),
    ],
)
def test_a_new_status_that_is_just_saved_is_its_event(clinic: Clinic, status: S, key: str) -> None:
    visit = save_new(clinic)
    visit.status = status
    visit.save()
    assert keys(visit)[2:] == [key]
    assert AppointmentEvent.objects.filter(appointment=visit, to_status=status).count() == 1
    visit.save()
    visit.notes = "changed"
    visit.save(update_fields=["notes"])
    assert keys(visit)[2:] == [key], "the same status again is no event"


def test_a_no_show_is_two_events_the_patients_after_a_hold(clinic: Clinic) -> None:
    visit = save_new(clinic)
    for _time in range(2):
        visit.status = S.NO_SHOW
        visit.save()
    assert keys(visit)[2:] == ["appointment.no_show"] * 2
    at_once, held = NotificationEvent.objects.filter(key="appointment.no_show").order_by("created_at")
    assert (at_once.audiences, at_once.due_at) == (["provider"], None)
    assert held.audiences == ["patient"]
    assert held.due_at is not None


def test_a_voided_visit_is_silent_and_stops_everything(clinic: Clinic) -> None:
    visit = save_new(clinic)
    visit.status = S.ENTERED_IN_ERROR
    visit.save()
    assert len(keys(visit)) == 2
    assert not Reminder.objects.filter(status="PLANNED").exists()


def test_a_new_time_that_is_just_saved_is_a_new_version(clinic: Clinic) -> None:
    visit = save_new(clinic)
    old = visit.starts_at
    for version in (2, 3):
        visit.status = S.RESCHEDULED
        visit.starts_at += HOUR
        visit.ends_at += HOUR
        visit.save()
        assert visit.version == version
    event = NotificationEvent.objects.filter(key="appointment.rescheduled").earliest("created_at")
    assert dt.datetime.fromisoformat(event.payload["old_starts_at"]) == old
    assert set(Reminder.objects.filter(status="PLANNED").values_list("version", flat=True)) == {3}


def test_a_row_born_in_a_later_state_tells_nobody(clinic: Clinic) -> None:
    visit = save_new(clinic, status=S.COMPLETED, starts_at=timezone.now() - dt.timedelta(days=30))
    assert keys(visit) == []
    assert not Reminder.objects.exists()
    assert AppointmentEvent.objects.filter(appointment=visit).count() == 1


def test_one_subfile_serves_all_visits_of_a_department(clinic: Clinic) -> None:
    for days in (3, 4):
        save_new(clinic, starts_at=timezone.now() + dt.timedelta(days=days))
    assert SubFile.objects.count() == 1


def test_the_event_tells_who_and_why(clinic: Clinic) -> None:
    visit = save_new(clinic)
    services.appointment_cancel(appointment_id=visit.pk, actor=clinic.front_desk, reason="flood")
    event = NotificationEvent.objects.get(key="appointment.cancelled")
    assert (event.actor, event.payload) == (clinic.front_desk, {"reason": "flood", "by": "CLINIC"})
    assert (event.object_id, event.object_version) == (visit.pk, 1)


def test_in_progress_is_log_only(clinic: Clinic) -> None:
    visit = save_new(clinic)
    visit.status = S.IN_PROGRESS
    visit.save()
    event = NotificationEvent.objects.get(key="appointment.in_progress")
    assert event.processed_at is not None, "nothing is left to do for it"


def queued_message(visit: Appointment, version: int) -> Message:
    from notifications import lifecycle

    return lifecycle.create(
        Message(
            tenant=visit.tenant,
            patient=visit.patient,
            notification_type="CHANGE",
            channel="SMS",
            recipient="+966500000000",
            language="ar",
            body="x",
            object_type="appointments.appointment",
            object_id=visit.pk,
            object_version=version,
            dedupe_key=f"test:{visit.pk}:{version}",
        )
    )


def test_what_waits_about_an_older_version_is_cancelled_in_the_same_transaction(clinic: Clinic) -> None:
    visit = save_new(clinic)
    message = queued_message(visit, 1)
    services.appointment_reschedule(appointment_id=visit.pk, actor=clinic.front_desk, starts_at=visit.starts_at + HOUR)
    message.refresh_from_db()
    assert (message.status, message.reason) == (Status.CANCELLED, "stale_version")


def test_a_cancellation_stops_what_waits_about_the_visit(clinic: Clinic) -> None:
    visit = save_new(clinic)
    message = queued_message(visit, 1)
    services.appointment_cancel(appointment_id=visit.pk, actor=clinic.front_desk, reason="x")
    message.refresh_from_db()
    assert (message.status, message.reason) == (Status.CANCELLED, "status_not_eligible")


def test_the_news_of_a_cancellation_that_is_taken_back_does_not_leave(clinic: Clinic) -> None:
    visit = save_new(clinic)
    services.appointment_cancel(appointment_id=visit.pk, actor=clinic.front_desk, reason="x")
    message = queued_message(visit, 1)
    services.appointment_reinstate(appointment_id=visit.pk, actor=clinic.front_desk)
    message.refresh_from_db()
    assert (message.status, message.reason) == (Status.CANCELLED, "stale_version")


def test_the_follow_up_of_a_corrected_no_show_is_withdrawn(clinic: Clinic) -> None:
    visit = save_new(clinic, starts_at=timezone.now() - HOUR)
    services.appointment_no_show(appointment_id=visit.pk, actor=clinic.front_desk)
    message = queued_message(visit, 1)
    services.appointment_correct_no_show(
        appointment_id=visit.pk, actor=clinic.front_desk, to="COMPLETED", reason="slip of the desk"
    )
    message.refresh_from_db()
    assert message.status == Status.CANCELLED
    assert keys(visit)[-1] == "appointment.completed"


@pytest.mark.django_db(transaction=True)
def test_a_broker_that_is_away_does_not_undo_the_booking(
    clinic: Clinic, ten_oclock: dt.datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    from celery import Task
    from kombu.exceptions import OperationalError

    from core import queueing

    def away(*_args: object, **_kwargs: object) -> None:
        raise OperationalError

    monkeypatch.setattr(Task, "apply_async", away)
    monkeypatch.setattr(queueing, "_broker_asleep_until", 0.0)
    with transaction.atomic():
        visit = save_new(clinic, starts_at=ten_oclock)
    assert Appointment.objects.filter(pk=visit.pk, status=S.BOOKED).exists()
    assert NotificationEvent.objects.filter(key="appointment.new", processed_at=None).exists()
