"""Two people at the same moment, on a database that lets them: PostgreSQL. (SQLite lets one writer in at a time.)"""

from __future__ import annotations

import datetime as dt
import threading
import uuid
from collections.abc import Callable

import pytest
from django.db import connection, transaction
from django.utils import timezone

from appointments import second_question, services, tokens
from appointments.models import Appointment, AppointmentEvent, ConfirmationToken, Reminder
from appointments.reminders import send_due_reminders
from appointments.tests.test_booking import book
from conftest import Clinic
from core.errors import DomainError
from core.models import TenantSettings
from core.tenancy import tenant_scope
from finance.models import Payment
from finance.tests.test_services import issue, pay
from notifications.models import DeskTask, NotificationEvent
from tests import factories

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]

S = Appointment.Status


def at_once(clinic: Clinic, *acts: Callable[[], object]) -> list[object]:
    """Runs the acts in threads that start together, each in a transaction of its own; results or errors, in order."""
    start = threading.Barrier(len(acts))
    results: list[object] = [None] * len(acts)

    def run(index: int, act: Callable[[], object]) -> None:
        try:
            with tenant_scope(clinic.tenant.pk), transaction.atomic():
                start.wait(timeout=10)
                results[index] = act()
        except DomainError as refusal:
            results[index] = refusal
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(acts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
        assert not thread.is_alive(), "they wait for each other"
    return results


def codes(results: list[object]) -> list[str]:
    return sorted(result.code if isinstance(result, DomainError) else "ok" for result in results)


def test_one_of_two_bookings_of_one_hour_gets_it(clinic: Clinic, ten_oclock: dt.datetime) -> None:
    results = at_once(clinic, *[lambda: book(clinic, ten_oclock) for _desk in range(4)])
    assert codes(results) == ["ok", "overlap", "overlap", "overlap"]
    assert Appointment.objects.count() == 1


def test_one_form_sent_twice_at_once_is_one_booking(clinic: Clinic, ten_oclock: dt.datetime) -> None:
    key = uuid.uuid4()
    first, second = at_once(clinic, *[lambda: book(clinic, ten_oclock, booking_key=key) for _click in range(2)])
    assert isinstance(first, Appointment)
    assert first == second
    assert NotificationEvent.objects.filter(key="appointment.new").count() == 1


def test_two_visits_do_not_move_into_one_hour(clinic: Clinic, ten_oclock: dt.datetime) -> None:
    visits = [book(clinic, ten_oclock + dt.timedelta(hours=hours)) for hours in (1, 2)]
    results = at_once(
        clinic,
        *[
            lambda visit=visit: services.appointment_reschedule(
                appointment_id=visit.pk, actor=clinic.front_desk, starts_at=ten_oclock
            )
            for visit in visits
        ],
    )
    assert codes(results) == ["ok", "overlap"]


def test_two_clicks_on_the_link_confirm_once(clinic: Clinic, ten_oclock: dt.datetime) -> None:
    code = ConfirmationToken.objects.get(appointment=book(clinic, ten_oclock)).code
    results = at_once(clinic, *[lambda: tokens.confirm_by_link(code) for _click in range(3)])
    assert codes(results) == ["already_confirmed", "already_confirmed", "ok"]
    assert NotificationEvent.objects.filter(key="appointment.confirmed").count() == 1


@pytest.mark.parametrize("_round", range(3))
def test_the_patients_click_and_the_desks_move_come_one_after_the_other(
    clinic: Clinic, ten_oclock: dt.datetime, _round: int
) -> None:
    visit = book(clinic, ten_oclock)
    code = ConfirmationToken.objects.get(appointment=visit).code
    click, move = at_once(
        clinic,
        lambda: tokens.confirm_by_link(code),
        lambda: services.appointment_reschedule(
            appointment_id=visit.pk, actor=clinic.front_desk, starts_at=ten_oclock + dt.timedelta(hours=1)
        ),
    )
    assert isinstance(move, Appointment)
    visit.refresh_from_db()
    assert (visit.status, visit.version) == (S.RESCHEDULED, 2), "a click on the old time confirms nothing new"
    if isinstance(click, DomainError):
        assert click.code == "appointment_moved"


def test_two_desks_cancel_once(clinic: Clinic, ten_oclock: dt.datetime) -> None:
    visit = book(clinic, ten_oclock)
    results = at_once(
        clinic,
        *[
            lambda: services.appointment_cancel(appointment_id=visit.pk, actor=clinic.front_desk, reason="flood")
            for _desk in range(2)
        ],
    )
    assert codes(results) == ["ok", "ok"]
    assert AppointmentEvent.objects.filter(appointment=visit, to_status=S.CANCELLED).count() == 1
    assert NotificationEvent.objects.filter(key="appointment.cancelled").count() == 1


def test_two_sweeps_at_once_hand_each_reminder_over_once(clinic: Clinic, ten_oclock: dt.datetime) -> None:
    for hour in range(10):
        # Each their own phone: two visits on one phone are one reminder.
        patient = factories.PatientFactory(tenant=clinic.tenant, phone=f"+96650123450{hour}")
        book(clinic, ten_oclock + dt.timedelta(hours=hour), patient=patient)
    Reminder.objects.filter(kind="24H").update(due_at=timezone.now())
    counts = at_once(clinic, *[send_due_reminders for _worker in range(3)])
    assert sum(count["sent"] for count in counts if isinstance(count, dict)) == 10
    assert NotificationEvent.objects.filter(key="appointment.reminder_24h").count() == 10


def test_two_payments_at_once_do_not_overpay(clinic: Clinic) -> None:
    invoice = issue(clinic)
    results = at_once(clinic, *[lambda: pay(clinic, invoice, 30000) for _desk in range(2)])
    assert codes(results) == ["ok", "overpaid"]
    assert Payment.objects.count() == 1


def test_first_visits_at_once_open_one_subfile_and_count_without_doubles(
    clinic: Clinic, ten_oclock: dt.datetime
) -> None:
    results = at_once(
        clinic,
        *[
            lambda provider=provider: book(clinic, ten_oclock, provider=provider)
            for provider in (clinic.provider, clinic.colleague)
        ],
    )
    assert codes(results) == ["ok", "ok"]
    assert sorted(Appointment.objects.values_list("number", flat=True))[1].endswith("000002")


def test_of_two_patients_who_take_one_time_by_their_links_one_has_it(clinic: Clinic, ten_oclock: dt.datetime) -> None:
    clinic.location.opening_hours = [["09:00", "12:00"]] * 7
    clinic.location.save()
    TenantSettings.objects.create(tenant=clinic.tenant, patients_may_move=True)
    other = factories.PatientFactory(tenant=clinic.tenant)
    visits = [book(clinic, ten_oclock), book(clinic, ten_oclock + dt.timedelta(minutes=30), patient=other)]
    wanted = visits[0].local_start + dt.timedelta(days=1)
    links = [ConfirmationToken.objects.get(appointment=visit).code for visit in visits]
    results = at_once(clinic, *[lambda code=code: tokens.move_by_link(code, wanted) for code in links])
    assert codes(results) == ["ok", "time_taken"]
    assert Appointment.objects.filter(starts_at=wanted).count() == 1


def test_guesses_of_a_date_of_birth_made_at_once_are_counted_one_by_one(
    clinic: Clinic, ten_oclock: dt.datetime
) -> None:
    clinic.location.is_sensitive = True
    clinic.location.save()
    token = ConfirmationToken.objects.select_related("appointment__patient", "appointment__location").get(
        appointment=book(clinic, ten_oclock)
    )
    results = at_once(
        clinic, *[lambda day=day: second_question.answer(token, dt.date(1950, 1, day)) for day in range(1, 9)]
    )
    assert results == [False] * 8
    token.refresh_from_db()
    assert (token.wrong_tries, token.locked_at is not None) == (second_question.MOST_TRIES, True)
    assert DeskTask.objects.count() == 1
