"""Two at the same moment at one visit, day or family: PostgreSQL, with real threads."""

from __future__ import annotations

import datetime as dt
import threading
import uuid
from collections.abc import Callable

import pytest
from django.db import connection
from django.utils import timezone

from appointments import absences, free_slots, offers, services, waiting
from appointments.models import AbsenceVisit, Appointment, FamilyNews, Reminder, ReminderTiming, SlotOffer
from appointments.tasks import send_due_reminders_task
from appointments.tests.test_booking import book
from appointments.tests.test_races import at_once, codes
from conftest import Clinic
from core.errors import DomainError
from core.models import Patient
from core.tenancy import tenant_scope
from integrations.fanout import process_event
from notifications import default_words
from notifications.models import Message, NotificationEvent
from tests.factories import GuardianFactory, GuardianshipFactory, PatientFactory

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]

S = Appointment.Status
MINUTE, HOUR = dt.timedelta(minutes=1), dt.timedelta(hours=1)


def call_off(clinic: Clinic, start: dt.datetime, actor_key: uuid.UUID | None = None) -> None:
    absences.call_off(
        actor=clinic.front_desk,
        provider=clinic.provider,
        starts_at=start - HOUR,
        ends_at=start + 8 * HOUR,
        reason="ill",
        key=actor_key or uuid.uuid4(),
    )


def each_by_itself(clinic: Clinic, *acts: Callable[[], object]) -> list[object]:
    """``at_once`` for what commits in several steps: a fan-out holds no lock from one to the next."""
    start = threading.Barrier(len(acts))
    results: list[object] = [None] * len(acts)

    def run(index: int, act: Callable[[], object]) -> None:
        try:
            with tenant_scope(clinic.tenant.pk):
                start.wait(timeout=10)
                results[index] = act()
        except Exception as error:  # noqa: BLE001  # the test looks at it
            results[index] = error
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(acts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
        assert not thread.is_alive(), "they wait for each other"
    return results


def family_of(clinic: Clinic, number: int) -> list[Patient]:
    mother = GuardianFactory(tenant=clinic.tenant)
    children = [
        PatientFactory(tenant=clinic.tenant, birth_date=dt.date(2020, 1, 1), phone="", email="") for _ in range(number)
    ]
    for child in children:
        GuardianshipFactory(tenant=clinic.tenant, patient=child, guardian=mother)
    return children


def test_two_desks_that_call_off_the_same_day_at_once_tell_each_family_once(
    clinic: Clinic, ten_oclock: dt.datetime
) -> None:
    for number in range(4):
        book(clinic, ten_oclock + number * HOUR, patient=PatientFactory(tenant=clinic.tenant))
    each_by_itself(clinic, lambda: call_off(clinic, ten_oclock), lambda: call_off(clinic, ten_oclock))
    assert set(Appointment.objects.values_list("status", flat=True)) == {S.CANCELLED}
    assert AbsenceVisit.objects.filter(outcome="CANCELLED").count() == 4
    assert NotificationEvent.objects.filter(key=absences.CALLED_OFF).count() == 4


def test_who_arrives_while_the_day_is_called_off_either_is_here_or_is_told(
    clinic: Clinic, ten_oclock: dt.datetime
) -> None:
    visit = book(clinic, ten_oclock)
    results = each_by_itself(
        clinic,
        lambda: call_off(clinic, ten_oclock),
        lambda: services.appointment_arrive(appointment_id=visit.pk, actor=clinic.front_desk),
    )
    assert not [result for result in results if isinstance(result, Exception) and not isinstance(result, DomainError)]
    visit.refresh_from_db()
    told = NotificationEvent.objects.filter(key=absences.CALLED_OFF).count()
    assert (visit.status, told) in ((S.ARRIVED, 0), (S.CANCELLED, 1))
    assert AbsenceVisit.objects.get().outcome == ("CANCELLED" if told else "KEPT")


def test_a_visit_moved_away_while_the_day_is_called_off_is_told_one_of_the_two(
    clinic: Clinic, ten_oclock: dt.datetime
) -> None:
    visit = book(clinic, ten_oclock)
    results = each_by_itself(
        clinic,
        lambda: call_off(clinic, ten_oclock),
        lambda: services.appointment_reschedule(
            appointment_id=visit.pk, actor=clinic.front_desk, starts_at=ten_oclock + dt.timedelta(days=3)
        ),
    )
    assert not [result for result in results if isinstance(result, Exception) and not isinstance(result, DomainError)]
    visit.refresh_from_db()
    told = NotificationEvent.objects.filter(key=absences.CALLED_OFF).count()
    assert (visit.status, told) in ((S.RESCHEDULED, 0), (S.CANCELLED, 1))


def test_a_visit_that_is_reinstated_while_somebody_accepts_its_time_has_one_taker(
    clinic: Clinic, ten_oclock: dt.datetime
) -> None:
    waiting.entry_add(
        actor=clinic.front_desk,
        patient=PatientFactory(tenant=clinic.tenant),
        department=clinic.department,
        first_day=timezone.localdate(),
        last_day=timezone.localdate() + dt.timedelta(days=30),
    )
    visit = book(clinic, ten_oclock)
    services.appointment_cancel(appointment_id=visit.pk, actor=clinic.front_desk, reason="x")
    free_slots.tend()
    code = SlotOffer.objects.get().code
    results = at_once(
        clinic,
        lambda: offers.accept(code),
        lambda: services.appointment_reinstate(appointment_id=visit.pk, actor=clinic.front_desk),
    )
    assert codes(results)[0] != codes(results)[1]
    assert Appointment.objects.filter(starts_at=ten_oclock, status=S.BOOKED).count() == 1


def test_an_arrival_taken_back_while_the_reminder_is_due_reminds_once(clinic: Clinic, ten_oclock: dt.datetime) -> None:
    visit = book(clinic, ten_oclock)
    Message.objects.all().delete()
    services.appointment_arrive(appointment_id=visit.pk, actor=clinic.front_desk)
    Reminder.objects.filter(kind="24H").update(due_at=timezone.now() - MINUTE)
    at_once(
        clinic,
        lambda: services.appointment_undo_arrival(appointment_id=visit.pk, actor=clinic.front_desk),
        send_due_reminders_task,
        send_due_reminders_task,
    )
    send_due_reminders_task()
    assert NotificationEvent.objects.filter(key="appointment.reminder_24h").count() <= 1
    assert not Reminder.objects.filter(status="CANCELLED", reason="").exists()


def test_two_of_a_family_are_called_off_while_their_booking_is_gathered_and_nobody_waits_for_ever(
    clinic: Clinic, ten_oclock: dt.datetime
) -> None:
    default_words.install(clinic.tenant.pk)
    ReminderTiming.objects.update(undo_minutes=3)
    visits = [
        book(clinic, ten_oclock + number * 30 * MINUTE, patient=child)
        for number, child in enumerate(family_of(clinic, 3))
    ]
    NotificationEvent.objects.filter(key="appointment.booked").update(due_at=timezone.now() - MINUTE)
    resting = list(NotificationEvent.objects.filter(key="appointment.booked").values_list("pk", flat=True))
    results = each_by_itself(
        clinic,
        *[lambda pk=pk: process_event(clinic.tenant.pk, pk) for pk in resting[:2]],  # type: ignore[misc]
        *[
            lambda visit=visit: services.appointment_cancel(  # type: ignore[misc]
                appointment_id=visit.pk, actor=clinic.front_desk, reason="x"
            )
            for visit in visits[:2]
        ],
    )
    assert [result for result in results if isinstance(result, Exception)] == []
    assert Appointment.objects.filter(status=S.BOOKED).count() == 1
    assert FamilyNews.objects.count() <= 1


def test_two_sweeps_that_tell_a_family_apart_tell_each_once(clinic: Clinic, ten_oclock: dt.datetime) -> None:
    default_words.install(clinic.tenant.pk)
    for number, child in enumerate(family_of(clinic, 2)):
        book(clinic, ten_oclock + number * 30 * MINUTE, patient=child)
    call_off(clinic, ten_oclock)
    event = NotificationEvent.objects.get(key=absences.CALLED_OFF)
    process_event(clinic.tenant.pk, event.pk)
    Message.objects.filter(event=event).update(status="CANCELLED", reason="stale_version", next_attempt_at=None)
    at_once(clinic, absences.finish_all, absences.finish_all)
    assert NotificationEvent.objects.filter(key=absences.CALLED_OFF).count() == 3
    assert AbsenceVisit.objects.values("family").distinct().count() == 2
