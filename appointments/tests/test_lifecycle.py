"""The contract's lifecycle table, walked: each act, and who is told over which channels once the events are fanned out."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import pytest
import time_machine

from appointments import services, tokens
from appointments.models import Appointment, ConfirmationToken
from appointments.reminders import send_due_reminders
from appointments.tests.test_booking import book
from conftest import Clinic
from integrations.fanout import process_event
from notifications import default_words
from notifications.models import Message, Notification, NotificationEvent
from notifications.states import Status
from tests.factories import GuardianFactory, GuardianshipFactory, PreferenceFactory

Told = set[tuple[str, str]]
PATIENT_EVERYWHERE: Told = {("patient", "SMS"), ("patient", "EMAIL"), ("patient", "BELL")}
PROVIDER: Told = {("provider", "EMAIL"), ("provider", "BELL")}


@pytest.fixture(autouse=True)
def words(clinic: Clinic) -> None:
    default_words.install(clinic.tenant.pk)


@pytest.fixture
def visit(clinic: Clinic, ten_oclock: dt.datetime) -> Appointment:
    return book(clinic, ten_oclock)


def fan_out() -> None:
    for event in NotificationEvent.objects.filter(processed_at=None).order_by("created_at", "pk"):
        process_event(event.tenant_id, event.pk)


def told(key: str) -> Told:
    """Who has a message that will leave, or a bell that rang, of this event."""
    fan_out()
    result: Told = set()
    for message in Message.objects.filter(event__key=key, status=Status.QUEUED).select_related("user"):
        result.add(("patient" if message.patient_id else str(message.user.role).lower(), message.channel))
    for line in Notification.objects.filter(event__key=key).select_related("user"):
        result.add((str(line.user.role).lower(), "BELL"))
    return result


Act = Callable[[Clinic, Appointment], object]


def by_desk(name: str, **fields: object) -> Act:
    def act(clinic: Clinic, visit: Appointment) -> object:
        return getattr(services, name)(appointment_id=visit.pk, actor=clinic.front_desk, **fields)

    return act


def by_provider(name: str, **fields: object) -> Act:
    def act(clinic: Clinic, visit: Appointment) -> object:
        return getattr(services, name)(appointment_id=visit.pk, actor=clinic.provider, **fields)

    return act


def move(clinic: Clinic, visit: Appointment) -> object:
    return services.appointment_reschedule(
        appointment_id=visit.pk, actor=clinic.front_desk, starts_at=visit.starts_at + dt.timedelta(hours=2)
    )


CONFIRM, ARRIVE = by_desk("appointment_confirm"), by_desk("appointment_arrive")
START, COMPLETE = by_provider("appointment_start"), by_provider("appointment_complete", next_steps="Rest.")
CANCEL = by_desk("appointment_cancel", reason="flood")

ROWS: list[tuple[str, list[Act], Told]] = [
    ("appointment.new", [], PROVIDER),
    ("appointment.booked", [], {("patient", "SMS")}),
    ("appointment.confirmed", [CONFIRM], PATIENT_EVERYWHERE),
    ("appointment.rescheduled", [CONFIRM, move], PATIENT_EVERYWHERE | PROVIDER),
    ("appointment.arrived", [CONFIRM, ARRIVE], {("provider", "BELL")}),
    ("appointment.in_progress", [ARRIVE, START], set()),
    ("appointment.completed", [ARRIVE, START, COMPLETE], {("patient", "EMAIL")}),
    ("appointment.cancelled", [CANCEL], PATIENT_EVERYWHERE | PROVIDER),
]


@pytest.mark.parametrize(("key", "acts", "expected"), ROWS, ids=[row[0] for row in ROWS])
def test_a_row_of_the_table(clinic: Clinic, visit: Appointment, key: str, acts: list[Act], expected: Told) -> None:
    for act in acts:
        act(clinic, visit)
    assert told(key) == expected


def test_a_no_show_tells_both_without_a_phone_message_the_patient_after_a_hold(
    clinic: Clinic, visit: Appointment
) -> None:
    with time_machine.travel(visit.starts_at + dt.timedelta(minutes=20), tick=False):
        services.appointment_no_show(appointment_id=visit.pk, actor=clinic.front_desk)
        assert told("appointment.no_show") == PROVIDER
    with time_machine.travel(visit.starts_at + dt.timedelta(minutes=20, hours=2), tick=False):
        assert told("appointment.no_show") == {("patient", "EMAIL"), ("patient", "BELL")} | PROVIDER


@pytest.mark.parametrize("channel", ["SMS", "WHATSAPP", "EMAIL"])
def test_reminders_go_by_the_preferred_channel_with_the_others_behind(
    clinic: Clinic, visit: Appointment, channel: str
) -> None:
    PreferenceFactory(tenant=clinic.tenant, patient=clinic.patient, preferred_channel=channel)
    for hours, key in ((24, "appointment.reminder_24h"), (2, "appointment.reminder_2h")):
        with time_machine.travel(visit.starts_at - dt.timedelta(hours=hours), tick=False):
            send_due_reminders()
            assert told(key) == {("patient", channel)}
            message = Message.objects.get(event__key=key)
            fallback = [other for other in ("SMS", "WHATSAPP", "EMAIL") if other != channel]
            assert list(message.fallback_channels) == fallback


def test_who_switched_reminders_off_gets_none_but_still_hears_of_a_change(clinic: Clinic, visit: Appointment) -> None:
    PreferenceFactory(tenant=clinic.tenant, patient=clinic.patient, reminders_enabled=False)
    with time_machine.travel(visit.starts_at - dt.timedelta(hours=24), tick=False):
        send_due_reminders()
        assert told("appointment.reminder_24h") == set()
        row = Message.objects.get(event__key="appointment.reminder_24h")
        assert (row.status, row.reason) == (Status.SUPPRESSED, "opt_out:type")
        CANCEL(clinic, visit)
        assert ("patient", "SMS") in told("appointment.cancelled")


def test_the_patients_answer_by_the_link_reaches_desk_and_patient(clinic: Clinic, visit: Appointment) -> None:
    tokens.confirm_by_link(ConfirmationToken.objects.get(appointment=visit).code)
    assert told("appointment.confirmed_by_patient") == {("front_desk", "BELL")}
    assert told("appointment.confirmed") == PATIENT_EVERYWHERE
    services.appointment_unconfirm(appointment_id=visit.pk, actor=clinic.front_desk, reason="called us")
    tokens.cancel_by_link(ConfirmationToken.objects.get(appointment=visit).code)
    assert told("appointment.cancelled") == PATIENT_EVERYWHERE | PROVIDER | {("front_desk", "BELL")}


def test_a_childs_message_goes_to_the_guardian_and_speaks_of_the_child(clinic: Clinic, ten_oclock: dt.datetime) -> None:
    clinic.patient.birth_date = ten_oclock.date() - dt.timedelta(days=2000)
    clinic.patient.save()
    mother = GuardianFactory(tenant=clinic.tenant)
    GuardianshipFactory(tenant=clinic.tenant, patient=clinic.patient, guardian=mother)
    visit = book(clinic, ten_oclock)
    CONFIRM(clinic, visit)
    told("appointment.confirmed")
    sms = Message.objects.get(event__key="appointment.confirmed", channel="SMS")
    assert (sms.recipient, sms.guardian, sms.language) == (mother.phone, mother, "ar")
    assert clinic.patient.name_ar in sms.body
    letter = Message.objects.get(event__key="appointment.confirmed", channel="EMAIL")
    assert mother.name_ar in letter.body


def test_a_minor_without_a_verified_guardian_is_not_written_to_but_the_provider_is(
    clinic: Clinic, ten_oclock: dt.datetime
) -> None:
    clinic.patient.birth_date = ten_oclock.date() - dt.timedelta(days=2000)
    clinic.patient.user = None
    clinic.patient.save()
    visit = book(clinic, ten_oclock)
    CANCEL(clinic, visit)
    assert told("appointment.cancelled") == PROVIDER
    refused = Message.objects.filter(event__key="appointment.cancelled", patient__isnull=False)
    assert {row.reason for row in refused} == {"guardian_unverified"}


def test_no_message_names_the_department(clinic: Clinic, visit: Appointment) -> None:
    for act in (CONFIRM, move, CANCEL):
        act(clinic, visit)
    fan_out()
    texts = [row.subject + row.body for row in Message.objects.filter(patient__isnull=False)]
    assert texts
    for text in texts:
        assert clinic.department.name_en not in text
        assert clinic.department.name_ar not in text
