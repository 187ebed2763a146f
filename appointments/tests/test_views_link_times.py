"""Another time, by the patient: which times are offered, taking one, and asking for one."""

from __future__ import annotations

import datetime as dt
import re
import uuid
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from appointments import services, slots, tokens
from appointments.models import Appointment, ConfirmationToken, ProviderAbsence
from appointments.tests.test_booking import book
from appointments.tests.test_views_link import mark_of, press
from conftest import Clinic
from core.errors import DomainError
from core.models import Absence, Holiday, TenantSettings
from notifications.models import DeskTask, NotificationEvent
from notifications.states import TaskKind, TaskState
from tests import factories

S = Appointment.Status
EVERY_DAY = [["09:00", "12:00"]] * 7


@pytest.fixture
def visit(clinic: Clinic, ten_oclock: dt.datetime) -> Appointment:
    clinic.location.opening_hours = EVERY_DAY
    clinic.location.save()
    return book(clinic, ten_oclock)


@pytest.fixture
def may_move(clinic: Clinic) -> TenantSettings:
    return TenantSettings.objects.create(tenant=clinic.tenant, patients_may_move=True)


def fresh(visit: Appointment) -> Appointment:
    rows = Appointment.objects.select_related("tenant", "patient__tenant", "provider", "location", "department")
    return rows.get(pk=visit.pk)


def offered(visit: Appointment) -> set[str]:
    """“2026-11-30 09:30”, on the clock of the place."""
    days = slots.free_days(fresh(visit), now=timezone.now())
    return {f"{time:%Y-%m-%d %H:%M}" for day in days for time in day.times}


def times_of(visit: Appointment) -> str:
    token = ConfirmationToken.objects.get(appointment=visit, version=visit.version)
    return reverse("appointments:link_times", args=[token.code])


def later(visit: Appointment, **fields: int) -> dt.datetime:
    return visit.local_start + dt.timedelta(**fields)


def said(moment: dt.datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M}"


# --- which times ------------------------------------------------------------------------------------------------------


def test_the_hours_of_the_place_are_offered_and_nothing_outside_of_them(visit: Appointment) -> None:
    found = offered(visit)
    day = f"{later(visit, days=1):%Y-%m-%d}"
    assert {time[11:] for time in found if time.startswith(day)} == {
        "09:00", "09:30", "10:00", "10:30", "11:00", "11:30"
    }  # fmt: skip
    # Not the one that it has.
    assert said(visit.local_start) not in found


def test_a_day_on_which_it_is_closed_has_no_times(clinic: Clinic, visit: Appointment) -> None:
    day = later(visit, days=1).date()
    hours: list[Any] = list(EVERY_DAY)
    hours[day.weekday()] = None
    clinic.location.opening_hours = hours
    clinic.location.save()
    other = later(visit, days=2).date()
    Holiday.objects.create(tenant=clinic.tenant, name_en="Day", first_day=other, last_day=other)
    assert not [time for time in offered(visit) if time.startswith((str(day), str(other)))]


def test_what_takes_the_providers_or_the_patients_time_is_not_offered(clinic: Clinic, visit: Appointment) -> None:
    taken = later(visit, days=1)
    book(clinic, taken, patient=factories.PatientFactory(tenant=clinic.tenant))
    elsewhere = later(visit, days=2)
    book(clinic, elsewhere, provider=clinic.colleague)
    absent, away = later(visit, days=3), later(visit, days=4)
    ProviderAbsence.objects.create(
        tenant=clinic.tenant,
        provider=clinic.provider,
        starts_at=absent,
        ends_at=absent + dt.timedelta(hours=1),
        key=uuid.uuid4(),
        created_by=clinic.admin,
    )
    Absence.objects.create(
        tenant=clinic.tenant, user=clinic.provider, starts_at=away, ends_at=away + dt.timedelta(hours=1)
    )
    found = offered(visit)
    for moment in (taken, elsewhere, absent, absent + dt.timedelta(minutes=30), away):
        assert said(moment) not in found
        assert said(moment - dt.timedelta(hours=1)) in found


def test_a_time_that_was_called_off_is_free_again(clinic: Clinic, visit: Appointment) -> None:
    other = book(clinic, later(visit, days=1), patient=factories.PatientFactory(tenant=clinic.tenant))
    services.appointment_cancel(appointment_id=other.pk, actor=clinic.front_desk, reason="x")
    assert said(later(visit, days=1)) in offered(visit)


def test_a_place_without_hours_offers_nothing(clinic: Clinic, visit: Appointment) -> None:
    clinic.location.opening_hours = []
    clinic.location.save()
    assert offered(visit) == set()


def test_an_hour_that_the_clock_leaves_out_is_not_offered(clinic: Clinic, visit: Appointment) -> None:
    clinic.location.timezone = "Europe/London"
    clinic.location.opening_hours = [["00:00", "04:00"]] * 7
    clinic.location.save()
    now = dt.datetime(2027, 3, 27, 12, tzinfo=dt.UTC)
    days = slots.free_days(fresh(visit), now=now)
    forward = next(day for day in days if day.date == dt.date(2027, 3, 28))
    assert [f"{time:%H:%M}" for time in forward.times] == ["00:00", "00:30", "02:00", "02:30", "03:00", "03:30"]


def test_looking_for_times_takes_few_queries(
    clinic: Clinic, visit: Appointment, django_assert_max_num_queries: Any
) -> None:
    row = fresh(visit)
    with django_assert_max_num_queries(6):
        slots.free_days(row, now=timezone.now())


# --- taking one -------------------------------------------------------------------------------------------------------


def test_the_patient_takes_another_time_where_the_clinic_allows_it(
    clinic: Clinic, visit: Appointment, may_move: TenantSettings
) -> None:
    NotificationEvent.objects.all().delete()
    wanted = later(visit, days=1)
    page = Client().get(f"{times_of(visit)}?lang=en").content.decode()
    assert f'value="{wanted.isoformat()}"' in page
    response = press(Client(), times_of(visit), {"answer": "move", "time": wanted.isoformat()})
    assert response.status_code == 302
    moved = fresh(visit)
    # Who has chosen a time need not say that they will come.
    assert (moved.starts_at, moved.version, moved.status) == (wanted, 2, S.CONFIRMED)
    assert Client().get(response["Location"]).status_code == 200
    # The patient reads of it once, the desk and the provider hear of the move.
    told = {row.key: row for row in NotificationEvent.objects.all()}
    assert set(told) == {"appointment.rescheduled", "appointment.confirmed"}
    assert "patient" not in told["appointment.rescheduled"].audiences
    # The old link is dead.
    assert Client().get(times_of(visit)).status_code == 410


@pytest.mark.parametrize("hours", [1, 3])
def test_too_near_the_visit_the_desk_has_its_say(
    clinic: Clinic, visit: Appointment, may_move: TenantSettings, hours: int
) -> None:
    Appointment.objects.filter(pk=visit.pk).update(
        starts_at=timezone.now() + dt.timedelta(hours=hours), ends_at=timezone.now() + dt.timedelta(hours=hours + 1)
    )
    code = visit.tokens.get().code
    visit.tokens.update(expires_at=timezone.now() + dt.timedelta(hours=hours))
    with pytest.raises(DomainError) as refused:
        tokens.move_by_link(code, later(visit, days=1))
    assert refused.value.code == "move_not_allowed"


def test_nobody_takes_a_time_that_is_not_offered(clinic: Clinic, visit: Appointment, may_move: TenantSettings) -> None:
    taken = later(visit, days=1)
    book(clinic, taken, patient=factories.PatientFactory(tenant=clinic.tenant))
    for moment in (taken, later(visit, days=400), later(visit, days=1).replace(hour=3), visit.starts_at):
        response = press(Client(), f"{times_of(visit)}?lang=en", {"answer": "move", "time": moment.isoformat()})
        assert response.status_code == 409
        assert "no longer free" in response.content.decode()
    assert fresh(visit).version == 1


@pytest.mark.parametrize("time", ["", "tomorrow", "2027-01-01T10:00:00", "٢"])
def test_what_is_no_time_is_asked_for_again(
    clinic: Clinic, visit: Appointment, may_move: TenantSettings, time: str
) -> None:
    response = press(Client(), f"{times_of(visit)}?lang=en", {"answer": "move", "time": time})
    assert response.status_code == 422
    assert fresh(visit).version == 1


def test_a_post_without_the_pages_mark_moves_nothing(
    clinic: Clinic, visit: Appointment, may_move: TenantSettings
) -> None:
    response = Client().post(times_of(visit), {"answer": "move", "time": later(visit, days=1).isoformat()})
    assert response.status_code == 422
    assert fresh(visit).version == 1
    assert not DeskTask.objects.exists()


# --- asking for one ---------------------------------------------------------------------------------------------------


def wish(visit: Appointment) -> DeskTask:
    return DeskTask.objects.get(kind=TaskKind.REBOOK, state=TaskState.OPEN)


def test_where_the_desk_decides_a_wish_is_a_task_and_the_visit_stays(clinic: Clinic, visit: Appointment) -> None:
    wanted = [later(visit, days=1), later(visit, days=2)]
    page = Client().get(times_of(visit)).content.decode()
    assert 'type="checkbox"' in page
    link = times_of(visit)
    response = Client().post(
        link, {"mark": mark_of(page), "answer": "ask", "time": [time.isoformat() for time in wanted]}
    )
    assert response.status_code == 302
    assert (fresh(visit).version, fresh(visit).status) == (1, S.BOOKED)
    task = wish(visit)
    assert (task.object_id, task.patient) == (visit.pk, clinic.patient)
    assert [dt.datetime.fromisoformat(time) for time in task.details["times"]] == wanted
    shown = Client().get(f"{response['Location'].split('?')[0]}?lang=en").content.decode()
    assert "You have asked for another time" in shown
    # The desk reads the wish on the visit's page.
    page = clinic.client(clinic.front_desk).get(reverse("appointments:detail", args=[visit.pk])).content.decode()
    assert "The patient would rather come at another time" in page


def test_even_who_may_not_move_by_themselves_cannot_by_a_forged_form(clinic: Clinic, visit: Appointment) -> None:
    press(Client(), times_of(visit), {"answer": "move", "time": later(visit, days=1).isoformat()})
    assert fresh(visit).version == 1
    assert wish(visit).details["times"] == [later(visit, days=1).isoformat()]


def test_the_latest_wish_counts_and_is_one_task(clinic: Clinic, visit: Appointment) -> None:
    for days in (1, 2):
        press(Client(), times_of(visit), {"answer": "ask", "time": later(visit, days=days).isoformat()})
    assert wish(visit).details["times"] == [later(visit, days=2).isoformat()]


def test_a_wish_without_a_time_is_a_wish_to_be_called(clinic: Clinic, visit: Appointment) -> None:
    press(Client(), times_of(visit), {"answer": "ask"})
    assert wish(visit).details["times"] == []


def test_the_task_ends_when_the_visit_has_another_time(clinic: Clinic, visit: Appointment) -> None:
    press(Client(), times_of(visit), {"answer": "ask"})
    services.appointment_reschedule(
        appointment_id=visit.pk, actor=clinic.front_desk, starts_at=visit.starts_at + dt.timedelta(days=1)
    )
    assert not DeskTask.objects.filter(state=TaskState.OPEN).exists()


def test_the_page_names_neither_the_other_patients_nor_the_provider(clinic: Clinic, visit: Appointment) -> None:
    other = factories.PatientFactory(tenant=clinic.tenant, name_en="Omar Haddad", name_ar="عمر حداد")
    book(clinic, later(visit, days=1), patient=other)
    page = Client().get(f"{times_of(visit)}?lang=en").content.decode()
    for name in ("Omar", "عمر", clinic.provider.name_en, clinic.department.name_en):
        assert name not in re.sub(r"<title>.*?</title>", "", page)
