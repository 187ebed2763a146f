"""Who gets it: from the clinic's verb over the provider, with what happens to people in between.

A message goes to everybody who may know, once each, and to nobody of whom that stopped being true meanwhile.
"""

from __future__ import annotations

import datetime as dt

import pytest
from django.utils import timezone

from appointments import services
from appointments.models import Appointment, Reminder
from conftest import Clinic
from core import patients
from core.contacts import contact_for
from core.models import Guardianship, Patient, User
from core.selectors import years_before
from integrations.delivery import deliver
from integrations.fanout import process_event
from integrations.messaging_service import MessagingService
from integrations.tests.fakes import FakeProvider, provider
from notifications import default_words, gate, majority, suppression
from notifications.models import DeskTask, Message, Notification, NotificationEvent, SuppressedAddress
from notifications.states import Reason, Status, TaskKind, TaskState
from tests.factories import GuardianFactory, GuardianshipFactory, PatientFactory

__all__ = ["provider"]


@pytest.fixture(autouse=True)
def words(clinic: Clinic) -> None:
    default_words.install(clinic.tenant.pk)


def born(years: int, days: int = 0) -> dt.date:
    """The birth date of somebody who turned that old so many days ago."""
    return years_before(timezone.localdate() - dt.timedelta(days=days), years)


@pytest.fixture
def child(clinic: Clinic) -> Patient:
    """A boy of seven; his mother is the first contact and reads Arabic, his father reads English."""
    made: Patient = PatientFactory(tenant=clinic.tenant, birth_date=born(7), name_en="Rayan", name_ar="ريان", phone="")
    for kind, name_en, name_ar, language, is_primary in (
        ("MOTHER", "Huda", "هدى", "ar", True),
        ("FATHER", "Khalid", "خالد", "en", False),
    ):
        guardian = GuardianFactory(tenant=clinic.tenant, name_en=name_en, name_ar=name_ar, language=language)
        GuardianshipFactory(tenant=clinic.tenant, patient=made, guardian=guardian, kind=kind, is_primary=is_primary)
    return made


def parent(child: Patient, kind: str) -> Guardianship:
    return Guardianship.objects.select_related("guardian").get(patient=child, kind=kind)


def book(clinic: Clinic, patient: Patient, starts_at: dt.datetime) -> Appointment:
    return services.appointment_book(
        actor=clinic.front_desk,
        patient=patient,
        provider=clinic.provider,
        location=clinic.location,
        department=clinic.department,
        starts_at=starts_at,
        duration=dt.timedelta(minutes=30),
    )


def confirmed(clinic: Clinic, patient: Patient, starts_at: dt.datetime) -> list[Message]:
    """The texts of a confirmed visit, waiting to be sent."""
    visit = book(clinic, patient, starts_at)
    services.appointment_confirm(appointment_id=visit.pk, actor=clinic.front_desk)
    event = NotificationEvent.objects.get(key="appointment.confirmed", object_id=visit.pk)
    process_event(event.tenant_id, event.pk)
    rows = Message.objects.filter(event=event, patient=patient, channel="SMS").select_related("guardian")
    return list(rows.order_by("created_at"))


def again(message: Message) -> Message:
    return Message.objects.get(pk=message.pk)


def end(message: Message) -> tuple[str, str]:
    row = again(message)
    return row.status, row.reason


# --- guardians -------------------------------------------------------------------------------------------------------


def test_both_parents_are_told_once_each_by_their_name_and_in_their_language(
    clinic: Clinic, child: Patient, provider: FakeProvider, ten_oclock: dt.datetime
) -> None:
    texts = confirmed(clinic, child, ten_oclock)
    event = texts[0].event
    assert event is not None
    NotificationEvent.objects.filter(pk=event.pk).update(processed_at=None)
    process_event(event.tenant_id, event.pk)
    assert Message.objects.filter(event=event, patient=child, channel="SMS").count() == 2, "twice is once"
    assert Message.objects.filter(event=event, patient=child, channel="EMAIL").count() == 2
    for text in texts:
        assert deliver(text.pk)
    told = {call.to: call.body for call in provider.calls}
    mother, father = parent(child, "MOTHER").guardian, parent(child, "FATHER").guardian
    assert set(told) == {mother.phone, father.phone}
    assert "ريان" in told[mother.phone]
    assert "Rayan" in told[father.phone]
    letters = Message.objects.filter(event=event, patient=child, channel="EMAIL").select_related("guardian")
    greeted = {row.guardian: row.body for row in letters}
    assert "هدى" in greeted[mother]
    assert "Khalid" in greeted[father]


def test_two_parents_with_one_phone_get_one_text(clinic: Clinic, child: Patient, ten_oclock: dt.datetime) -> None:
    mother, father = parent(child, "MOTHER").guardian, parent(child, "FATHER").guardian
    father.phone = mother.phone
    father.save()
    assert [text.guardian for text in confirmed(clinic, child, ten_oclock)] == [mother]


def test_a_parent_who_is_blocked_while_it_waits_gets_nothing_and_the_other_does(
    clinic: Clinic, child: Patient, provider: FakeProvider, ten_oclock: dt.datetime
) -> None:
    mothers, fathers = confirmed(clinic, child, ten_oclock)
    patients.guardian_block(actor=clinic.front_desk, guardianship_id=parent(child, "FATHER").pk, reason="court order")
    assert end(fathers) == (Status.SUPPRESSED, Reason.GUARDIAN_BLOCKED), "at once, not only when it would be sent"
    assert deliver(mothers.pk)
    assert [call.to for call in provider.calls] == [parent(child, "MOTHER").guardian.phone]


def test_what_happened_past_the_services_is_seen_right_before_the_send(
    clinic: Clinic, child: Patient, provider: FakeProvider, ten_oclock: dt.datetime
) -> None:
    mothers, fathers = confirmed(clinic, child, ten_oclock)
    yesterday = timezone.localdate() - dt.timedelta(days=1)
    Guardianship.objects.filter(patient=child, kind="MOTHER").update(valid_until=yesterday)
    assert not deliver(mothers.pk)
    assert end(mothers) == (Status.SUPPRESSED, Reason.GUARDIAN_BLOCKED)
    assert deliver(fathers.pk)
    Guardianship.objects.filter(patient=child).update(verified_at=None)
    assert gate.recheck(again(fathers)) == Reason.GUARDIAN_UNVERIFIED


def test_without_a_guardian_who_may_know_one_row_says_why(
    clinic: Clinic, child: Patient, ten_oclock: dt.datetime
) -> None:
    Guardianship.objects.filter(patient=child).update(verified_at=None)
    (text,) = confirmed(clinic, child, ten_oclock)
    assert end(text) == (Status.SUPPRESSED, Reason.GUARDIAN_UNVERIFIED)


def test_the_other_parents_copy_over_the_next_channel_goes_to_the_same_parent(
    clinic: Clinic, child: Patient, ten_oclock: dt.datetime
) -> None:
    _mothers, fathers = confirmed(clinic, child, ten_oclock)
    Message.objects.filter(pk=fathers.pk).update(
        status=Status.FAILED,
        next_attempt_at=None,
        fallback_due_at=timezone.now(),
        fallback_channels=["WHATSAPP"],
    )
    copy = MessagingService().fall_back(again(fathers))
    assert copy is not None
    assert (copy.guardian, copy.channel) == (parent(child, "FATHER").guardian, "WHATSAPP")


# --- coming of age ---------------------------------------------------------------------------------------------------


def test_from_the_birthday_on_the_guardians_get_nothing_and_the_patient_is_written_to(
    clinic: Clinic, child: Patient, provider: FakeProvider, ten_oclock: dt.datetime
) -> None:
    Patient.objects.filter(pk=child.pk).update(birth_date=born(18, days=-1), phone="+966501239999")
    child.refresh_from_db()
    mothers, _fathers = confirmed(clinic, child, ten_oclock)
    assert contact_for(child).guardian is not None  # type: ignore[union-attr]
    # The clock cannot be turned here, so the birth date moves: today is the day.
    Patient.objects.filter(pk=child.pk).update(birth_date=born(18))
    assert not deliver(mothers.pk)
    assert end(mothers) == (Status.SUPPRESSED, Reason.GUARDIAN_BLOCKED)
    child.refresh_from_db()
    (own,) = confirmed(clinic, child, ten_oclock + dt.timedelta(hours=2))
    assert (own.guardian, own.recipient) == (None, "+966501239999")


def test_who_comes_of_age_without_an_own_contact_is_a_task_and_a_reason(
    clinic: Clinic, child: Patient, ten_oclock: dt.datetime
) -> None:
    Patient.objects.filter(pk=child.pk).update(birth_date=born(18, days=-10), email="")
    assert majority.open_majority_tasks() == {"opened": 1}
    assert majority.open_majority_tasks() == {"opened": 0}
    task = DeskTask.objects.get(kind=TaskKind.OWN_CONTACT)
    assert task.patient == child
    assert timezone.localdate(task.due_at) == majority.majority_of(born(18, days=-10), 18)
    assert task.details["has_contact"] is False
    # Done is done: the next night does not ask again.
    DeskTask.objects.update(state=TaskState.DONE)
    assert majority.open_majority_tasks() == {"opened": 0}
    Patient.objects.filter(pk=child.pk).update(birth_date=born(18))
    child.refresh_from_db()
    (text,) = confirmed(clinic, child, ten_oclock)
    assert end(text) == (Status.SUPPRESSED, Reason.NO_CONTACT)


@pytest.mark.parametrize("years", [16, 30])
def test_nobody_is_asked_about_long_before_or_long_after(clinic: Clinic, child: Patient, years: int) -> None:
    Patient.objects.filter(pk=child.pk).update(birth_date=born(years))
    assert majority.open_majority_tasks() == {"opened": 0}


# --- death, restriction, departure -----------------------------------------------------------------------------------


def reminders(visit: Appointment) -> set[tuple[str, str]]:
    return set(Reminder.objects.filter(appointment=visit).values_list("status", "reason"))


def test_a_death_ends_what_waits_and_a_correction_brings_the_reminders_back(
    clinic: Clinic, ten_oclock: dt.datetime
) -> None:
    (text,) = confirmed(clinic, clinic.patient, ten_oclock)
    visit = Appointment.objects.get()
    before = reminders(visit)
    assert (Reminder.Status.PLANNED, "") in before
    patients.patient_update(actor=clinic.front_desk, patient_id=clinic.patient.pk, deceased_at=timezone.localdate())
    assert end(text) == (Status.SUPPRESSED, Reason.DECEASED)
    assert not Reminder.objects.filter(status=Reminder.Status.PLANNED).exists()
    assert (Reminder.Status.CANCELLED, Reason.DECEASED) in reminders(visit)
    patients.patient_update(actor=clinic.front_desk, patient_id=clinic.patient.pk, deceased_at=None)
    assert reminders(visit) == before


def test_a_restricted_file_is_silent_at_once_and_at_the_gate(clinic: Clinic, ten_oclock: dt.datetime) -> None:
    (text,) = confirmed(clinic, clinic.patient, ten_oclock)
    patients.patient_restrict(actor=clinic.front_desk, patient_id=clinic.patient.pk, reason="as agreed")
    assert end(text) == (Status.SUPPRESSED, Reason.RESTRICTED)
    clinic.patient.refresh_from_db()
    visit = Appointment.objects.get()
    services.appointment_cancel(appointment_id=visit.pk, actor=clinic.front_desk, reason="x")
    event = NotificationEvent.objects.get(key="appointment.cancelled")
    process_event(event.tenant_id, event.pk)
    refused = Message.objects.filter(event=event, patient=clinic.patient)
    assert {(row.status, row.reason) for row in refused} == {(Status.SUPPRESSED, Reason.RESTRICTED)}


def test_who_left_gets_no_confirmation_any_more_but_learns_that_the_visit_is_off(
    clinic: Clinic, ten_oclock: dt.datetime
) -> None:
    (text,) = confirmed(clinic, clinic.patient, ten_oclock)
    patients.patient_update(actor=clinic.front_desk, patient_id=clinic.patient.pk, is_active=False)
    assert end(text) == (Status.SUPPRESSED, Reason.PATIENT_LEFT)
    assert (Reminder.Status.CANCELLED, Reason.PATIENT_LEFT) in reminders(Appointment.objects.get())
    visit = Appointment.objects.get()
    services.appointment_cancel(appointment_id=visit.pk, actor=clinic.front_desk, reason="x")
    event = NotificationEvent.objects.get(key="appointment.cancelled")
    process_event(event.tenant_id, event.pk)
    assert Message.objects.filter(event=event, patient=clinic.patient, channel="SMS", status=Status.QUEUED).exists()


# --- somebody else's number ------------------------------------------------------------------------------------------


def test_a_wrong_number_is_silent_for_everybody_who_holds_it_until_it_is_checked(
    clinic: Clinic, child: Patient, provider: FakeProvider, ten_oclock: dt.datetime
) -> None:
    number = clinic.patient.phone
    mother = parent(child, "MOTHER").guardian
    patients.guardian_update(actor=clinic.front_desk, guardian_id=mother.pk, phone=number)
    waiting = [
        *confirmed(clinic, clinic.patient, ten_oclock),
        *confirmed(clinic, child, ten_oclock + dt.timedelta(hours=1)),
    ]
    holders = patients.number_is_wrong(actor=clinic.front_desk, phone=number)
    assert set(holders) == {clinic.patient, child}
    ends = {message.recipient: end(message) for message in waiting}
    assert ends[number] == (Status.SUPPRESSED, Reason.WRONG_NUMBER)
    father = parent(child, "FATHER").guardian
    assert ends[father.phone] == (Status.QUEUED, "")
    stopped = SuppressedAddress.objects.filter(address=number, lifted_at=None)
    assert set(stopped.values_list("channel", "reason")) == {
        ("SMS", Reason.WRONG_NUMBER),
        ("WHATSAPP", Reason.WRONG_NUMBER),
    }
    task = DeskTask.objects.get(kind=TaskKind.WRONG_NUMBER)
    assert set(task.details["patient_ids"]) == {str(clinic.patient.pk), str(child.pk)}
    assert number not in str(task.details) + task.key
    patients.number_is_wrong(actor=clinic.front_desk, phone=number)
    assert DeskTask.objects.filter(kind=TaskKind.WRONG_NUMBER).count() == 1
    # Nothing new goes there either; the email does.
    (text,) = confirmed(clinic, clinic.patient, ten_oclock + dt.timedelta(hours=3))
    assert end(text) == (Status.SUPPRESSED, Reason.WRONG_NUMBER)
    # Checked on the phone: both channels are open again, and nobody has anything left to do.
    suppression.lift(suppressed=stopped.filter(channel="SMS").get(), actor=clinic.front_desk)
    assert not stopped.exists()
    assert DeskTask.objects.get(kind=TaskKind.WRONG_NUMBER).state == TaskState.OVER


def test_neither_a_bounce_before_nor_its_end_makes_somebody_elses_number_the_patients(clinic: Clinic) -> None:
    number = clinic.patient.phone
    suppression.suppress(tenant_id=clinic.tenant.pk, channel="SMS", address=number, reason=Reason.CONTACT_UNDELIVERABLE)
    patients.number_is_wrong(phone=number)
    assert suppression.suppressed("SMS", [number]) == {number: Reason.WRONG_NUMBER}
    suppression.suppress(tenant_id=clinic.tenant.pk, channel="SMS", address=number, reason=Reason.CONTACT_UNDELIVERABLE)
    assert suppression.suppressed("SMS", [number]) == {number: Reason.WRONG_NUMBER}


def test_the_task_is_over_when_the_number_stands_in_no_file_any_more(clinic: Clinic, child: Patient) -> None:
    number = clinic.patient.phone
    mother = parent(child, "MOTHER").guardian
    patients.guardian_update(actor=clinic.front_desk, guardian_id=mother.pk, phone=number)
    patients.number_is_wrong(actor=clinic.front_desk, phone=number)
    patients.patient_update(actor=clinic.front_desk, patient_id=clinic.patient.pk, phone="0501230000")
    assert DeskTask.objects.get(kind=TaskKind.WRONG_NUMBER).state == TaskState.OPEN, "the mother still has it"
    patients.guardian_update(actor=clinic.front_desk, guardian_id=mother.pk, phone="0501230001")
    assert DeskTask.objects.get(kind=TaskKind.WRONG_NUMBER).state == TaskState.OVER


# --- staff -----------------------------------------------------------------------------------------------------------


def test_scenario_14_the_arrival_of_a_patient_whose_provider_has_left_reaches_who_covers_and_never_the_one_who_left(
    clinic: Clinic,
) -> None:
    visit = book(clinic, clinic.patient, timezone.now() + dt.timedelta(minutes=10))
    User.accounts.filter(pk=clinic.provider.pk).update(is_active=False)
    services.appointment_arrive(appointment_id=visit.pk, actor=clinic.front_desk)
    event = NotificationEvent.objects.get(key="appointment.arrived")
    process_event(event.tenant_id, event.pk)
    told = set(Notification.objects.filter(event=event).values_list("user__email", flat=True))
    assert told
    assert clinic.provider.email not in told
    assert not Message.objects.filter(event=event, user=clinic.provider).exists()
