"""Called off, and then not: an absence that is lifted, one of a series, a no-show for which a new time was found."""

from __future__ import annotations

import datetime as dt
import uuid

import pytest
import time_machine

from appointments import absences, series, services, tokens
from appointments.models import Appointment, ProviderAbsence, Reminder
from appointments.tests.test_booking import book
from conftest import Clinic
from core.errors import DomainError
from integrations.fanout import process_event
from integrations.tests.fakes import FakeProvider, provider
from notifications.models import DeskTask, Message, Notification, NotificationEvent
from tests.journey import send_all, to
from tests.test_nasty_slips import HOUR, MINUTE, ids, morning, night, said, ten

__all__ = ["morning", "provider", "ten"]
pytestmark = pytest.mark.django_db

S = Appointment.Status
DAY = dt.timedelta(days=1)


# --- a provider who comes after all ----------------------------------------------------------------------------------


def test_an_absence_that_was_lifted_before_it_was_finished_calls_nothing_off(
    clinic: Clinic, provider: FakeProvider, morning: time_machine.Coordinates, ten: dt.datetime
) -> None:
    """The worker died after the first step; the provider came after all; then the sweep finds what is left."""
    visit = book(clinic, ten)
    said(morning, 4 * MINUTE, provider, clinic)
    row = ProviderAbsence.objects.create(
        tenant=clinic.tenant,
        provider=clinic.provider,
        starts_at=ten - HOUR,
        ends_at=ten + 8 * HOUR,
        reason="ill",
        key=uuid.uuid4(),
        created_by=clinic.front_desk,
    )
    absences.lift(absence_id=row.pk, actor=clinic.front_desk)
    morning.shift(10 * MINUTE)
    absences.finish_all()
    visit.refresh_from_db()
    assert visit.status == S.BOOKED
    assert said(morning, MINUTE, provider, clinic) == []
    row.refresh_from_db()
    assert row.finished_at is not None


def test_called_off_by_night_and_taken_back_is_never_told_as_called_off(
    clinic: Clinic, provider: FakeProvider, morning: time_machine.Coordinates, ten: dt.datetime
) -> None:
    """Two visits of one patient; in the morning one of them takes place again."""
    night(clinic)
    first = book(clinic, ten)
    second = book(clinic, ten + HOUR)
    said(morning, 10 * MINUTE, provider, clinic)
    morning.shift(14 * HOUR)
    absence = absences.call_off(
        actor=clinic.front_desk,
        provider=clinic.provider,
        starts_at=ten - HOUR,
        ends_at=ten + 8 * HOUR,
        reason="ill",
        key=uuid.uuid4(),
    )
    assert said(morning, MINUTE, provider, clinic) == []
    absences.lift(absence_id=absence.pk, actor=clinic.front_desk)
    services.appointment_reinstate(**ids(clinic, second))
    texts = said(morning, 10 * HOUR, provider, clinic)
    off = [text for text in texts if "/again/" in text]
    assert len(off) == 1
    assert "10:00" in off[0]
    assert "11:00" not in off[0], "it takes place"
    first.refresh_from_db()
    assert first.status == S.CANCELLED


def test_an_occurrence_that_moved_is_called_off_with_the_day_it_moved_to_and_comes_back(
    clinic: Clinic, provider: FakeProvider, morning: time_machine.Coordinates, ten: dt.datetime
) -> None:
    row = series.series_book(
        actor=clinic.front_desk,
        patient=clinic.patient,
        provider=clinic.provider,
        location=clinic.location,
        department=clinic.department,
        starts_at=ten,
        duration=30 * MINUTE,
        count=3,
    )
    said(morning, 4 * MINUTE, provider, clinic)
    first, second, _third = row.visits.order_by("series_start")
    services.appointment_reschedule(**ids(clinic, second), starts_at=ten + 2 * HOUR)
    said(morning, 4 * MINUTE, provider, clinic)
    absence = absences.call_off(
        actor=clinic.front_desk,
        provider=clinic.provider,
        starts_at=ten - HOUR,
        ends_at=ten + 8 * HOUR,
        reason="ill",
        key=uuid.uuid4(),
    )
    assert len(said(morning, MINUTE, provider, clinic)) == 1
    with pytest.raises(DomainError):
        services.appointment_reinstate(**ids(clinic, second))
    absences.lift(absence_id=absence.pk, actor=clinic.front_desk)
    second = services.appointment_reinstate(**ids(clinic, second))
    texts = said(morning, 4 * MINUTE, provider, clinic)
    assert len(texts) == 1
    assert tokens.link_for(second) in texts[0]
    second.refresh_from_db()
    assert (second.status, second.version) == (S.BOOKED, 3)
    assert Reminder.objects.filter(appointment=second, version=3, status="PLANNED").count() == 2
    first.refresh_from_db()
    assert first.status == S.CANCELLED


# --- a series of which one is called off before it was told ----------------------------------------------------------


def test_one_of_a_series_called_off_before_the_series_was_told_is_simply_not_in_it(
    clinic: Clinic, provider: FakeProvider, morning: time_machine.Coordinates, ten: dt.datetime
) -> None:
    row = series.series_book(
        actor=clinic.front_desk,
        patient=clinic.patient,
        provider=clinic.provider,
        location=clinic.location,
        department=clinic.department,
        starts_at=ten,
        duration=30 * MINUTE,
        count=4,
    )
    second = row.visits.order_by("series_start")[1]
    services.appointment_cancel(**ids(clinic, second), reason="a feast")
    assert said(morning, MINUTE, provider, clinic) == []
    texts = said(morning, 4 * MINUTE, provider, clinic)
    assert len(texts) == 1
    assert "3 مواعيد" in texts[0]


# --- a no-show -------------------------------------------------------------------------------------------------------


def test_who_was_booked_anew_during_the_hold_is_not_asked_to_book_anew(
    clinic: Clinic, provider: FakeProvider, morning: time_machine.Coordinates, ten: dt.datetime
) -> None:
    clinic.patient.email = "patient@mail.example"
    clinic.patient.save()
    visit = book(clinic, ten)
    said(morning, 4 * MINUTE, provider, clinic)
    morning.move_to(ten + HOUR)
    services.appointment_no_show(**ids(clinic, visit))
    morning.shift(10 * MINUTE)
    book(clinic, ten + 3 * DAY, replaces=visit)
    morning.shift(5 * MINUTE)
    send_all(provider)
    before = len(provider.calls)
    morning.shift(3 * HOUR)
    send_all(provider)
    assert to(provider.calls[before:], clinic.patient.email) == []


def test_the_follow_up_that_waits_is_withdrawn_when_a_new_time_is_found(
    clinic: Clinic, provider: FakeProvider, morning: time_machine.Coordinates, ten: dt.datetime
) -> None:
    clinic.patient.email = "patient@mail.example"
    clinic.patient.save()
    visit = book(clinic, ten)
    said(morning, 4 * MINUTE, provider, clinic)
    morning.move_to(ten + HOUR)
    services.appointment_no_show(**ids(clinic, visit))
    morning.shift(3 * HOUR)
    event = NotificationEvent.objects.get(key="appointment.no_show", due_at__isnull=False)
    process_event(clinic.tenant.pk, event.pk)
    book(clinic, ten + 3 * DAY, replaces=visit)
    before = len(provider.calls)
    send_all(provider)
    assert not [call for call in provider.calls[before:] if "/again/" in call.body]


def test_the_follow_up_that_waits_is_withdrawn_when_the_no_show_was_none(
    clinic: Clinic, provider: FakeProvider, morning: time_machine.Coordinates, ten: dt.datetime
) -> None:
    """Written down after the hold, and the mail server does not answer yet."""
    clinic.patient.email = "patient@mail.example"
    clinic.patient.save()
    visit = book(clinic, ten)
    said(morning, 4 * MINUTE, provider, clinic)
    morning.move_to(ten + HOUR)
    services.appointment_no_show(**ids(clinic, visit))
    morning.shift(3 * HOUR)
    event = NotificationEvent.objects.get(key="appointment.no_show", due_at__isnull=False)
    process_event(clinic.tenant.pk, event.pk)
    assert Message.objects.filter(event=event, status="QUEUED").exists()
    services.appointment_correct_no_show(**ids(clinic, visit), to=S.COMPLETED, reason="was here")
    before = len(provider.calls)
    send_all(provider)
    assert not [call for call in provider.calls[before:] if "/again/" in call.body]


def test_one_of_a_called_off_series_that_takes_place_after_all_is_not_told_as_off(
    clinic: Clinic, provider: FakeProvider, morning: time_machine.Coordinates, ten: dt.datetime
) -> None:
    night(clinic)
    row = series.series_book(
        actor=clinic.front_desk,
        patient=clinic.patient,
        provider=clinic.provider,
        location=clinic.location,
        department=clinic.department,
        starts_at=ten,
        duration=30 * MINUTE,
        count=4,
    )
    said(morning, 4 * MINUTE, provider, clinic)
    morning.shift(14 * HOUR)
    series.series_cancel(series_id=row.pk, actor=clinic.front_desk, reason="ill")
    assert said(morning, MINUTE, provider, clinic) == []
    second = row.visits.order_by("series_start")[1]
    services.appointment_reinstate(**ids(clinic, second))
    texts = said(morning, 10 * HOUR, provider, clinic)
    assert len(texts) == 2
    assert sum("3 مواعيد" in text for text in texts) == 1
    assert sum("/c/" in text for text in texts) == 1


@pytest.mark.parametrize(("hours", "alerts"), [(2, 1), (20, 0)])
def test_a_no_show_that_is_put_right_the_day_after_calls_nobody_to_the_waiting_room(
    clinic: Clinic,
    provider: FakeProvider,
    morning: time_machine.Coordinates,
    ten: dt.datetime,
    hours: int,
    alerts: int,
) -> None:
    visit = book(clinic, ten)
    said(morning, 4 * MINUTE, provider, clinic)
    morning.move_to(ten + HOUR)
    services.appointment_no_show(**ids(clinic, visit))
    morning.shift(hours * HOUR)
    services.appointment_correct_no_show(**ids(clinic, visit), to=S.ARRIVED, reason="was here")
    said(morning, MINUTE, provider, clinic)
    bells = Notification.objects.filter(user=clinic.provider, event_key="appointment.arrived")
    assert bells.count() == alerts
    visit.refresh_from_db()
    assert visit.status == S.ARRIVED


def test_nobody_is_sent_to_call_about_a_new_time_for_who_has_died(
    clinic: Clinic, provider: FakeProvider, morning: time_machine.Coordinates, ten: dt.datetime
) -> None:
    """The visits of the dead stand until somebody calls them off; a provider's absence may be first."""
    visit = book(clinic, ten)
    said(morning, 4 * MINUTE, provider, clinic)
    clinic.patient.deceased_at = ten - 5 * DAY
    clinic.patient.save()
    seen = absences.preview(provider=clinic.provider, starts_at=ten, ends_at=ten + HOUR, location=None)
    assert (len(seen.lines), seen.messages, len(seen.calls)) == (1, 0, 0)
    absences.call_off(
        actor=clinic.front_desk,
        provider=clinic.provider,
        starts_at=ten - HOUR,
        ends_at=ten + 8 * HOUR,
        reason="ill",
        key=uuid.uuid4(),
    )
    visit.refresh_from_db()
    assert visit.status == S.CANCELLED
    assert not DeskTask.objects.filter(object_id=visit.pk).exists()
    assert said(morning, HOUR, provider, clinic) == []
