"""Quiet hours: what can wait is put off until the morning, what cannot goes, and no night is anybody else's."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

import pytest
import time_machine

from conftest import Clinic
from core.models import TenantSettings
from core.tenancy import tenant_scope
from integrations import delivery
from notifications import rest, sending_rules
from notifications.models import Message, NotificationEvent
from notifications.preferences import preference_update
from notifications.states import Lane, NotificationType, Reason, Status
from tests.factories import AppointmentFactory, LocationFactory, PatientFactory

# Riyadh is three hours ahead: 23:30 there.
NIGHT = dt.datetime(2027, 1, 10, 20, 30, tzinfo=dt.UTC)
MORNING = dt.datetime(2027, 1, 11, 5, 0, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)


@pytest.fixture(autouse=True)
def quiet(clinic: Clinic) -> TenantSettings:
    """From 22:00 to 08:00."""
    return TenantSettings.objects.create(tenant=clinic.tenant, quiet_from=dt.time(22), quiet_until=dt.time(8))


def due(clinic: Clinic, **fields: Any) -> Message:
    with tenant_scope(clinic.tenant.pk):
        values: dict[str, Any] = {
            "patient": clinic.patient,
            "notification_type": NotificationType.GENERAL,
            "channel": "SMS",
            "recipient": "+966501234567",
            "language": "en",
            "body": "words",
            "status": Status.QUEUED,
            "lane": Lane.TRANSACTIONAL,
            "next_attempt_at": NIGHT - HOUR,
            "expires_at": MORNING + 24 * HOUR,
            "dedupe_key": str(uuid.uuid4()),
            **fields,
        }
        return Message.objects.create(tenant=clinic.tenant, **values)


def test_what_can_wait_goes_in_the_morning(clinic: Clinic) -> None:
    message = due(clinic)
    assert rest.put_off(clinic.tenant.pk, Lane.TRANSACTIONAL, NIGHT) == 1
    message.refresh_from_db()
    assert (message.status, message.next_attempt_at) == (Status.QUEUED, MORNING)
    assert rest.put_off(clinic.tenant.pk, Lane.TRANSACTIONAL, MORNING) == 0, "the night is over"


@pytest.mark.parametrize(
    "fields",
    [
        {"lane": Lane.URGENT},
        {"channel": "EMAIL", "recipient": "patient@mail.example"},
        {"status": Status.SENDING},
    ],
    ids=["somebody waits for it now", "an email wakes nobody", "under way"],
)
def test_what_must_not_wait_goes_at_night(clinic: Clinic, fields: dict[str, Any]) -> None:
    message = due(clinic, **fields)
    assert rest.put_off(clinic.tenant.pk, message.lane, NIGHT) == 0
    message.refresh_from_db()
    assert message.reason == ""


def test_what_is_of_no_use_in_the_morning_wakes_nobody_and_is_not_lost_silently(clinic: Clinic) -> None:
    message = due(clinic, expires_at=MORNING + dt.timedelta(minutes=5))
    assert rest.put_off(clinic.tenant.pk, Lane.TRANSACTIONAL, NIGHT) == 0
    message.refresh_from_db()
    assert (message.status, message.reason) == (Status.SUPPRESSED, Reason.QUIET_DROPPED)


def event(clinic: Clinic, key: str = "appointment.cancelled", **fields: Any) -> NotificationEvent:
    with time_machine.travel(fields.pop("at", NIGHT), tick=False):
        values = {"tenant": clinic.tenant, "key": key, "dedupe_key": str(uuid.uuid4()), **fields}
        return NotificationEvent.objects.create(**values)


def test_the_answer_to_what_the_reader_did_a_moment_ago_goes_at_night(clinic: Clinic) -> None:
    act = {"payload": {"by": "PATIENT"}}
    fresh = due(clinic, event=event(clinic, **act), lane=Lane.URGENT)
    stale = due(clinic, event=event(clinic, at=NIGHT - HOUR, **act), lane=Lane.URGENT)
    desks = due(clinic, event=event(clinic, actor=clinic.front_desk, **act), lane=Lane.URGENT)
    assert rest.waking([fresh, stale, desks], NIGHT) == {fresh.pk}
    assert rest.put_off(clinic.tenant.pk, Lane.URGENT, NIGHT) == 2
    fresh.refresh_from_db()
    assert fresh.next_attempt_at == NIGHT - HOUR


@pytest.mark.parametrize(("minutes", "wakes"), [(30, True), (179, True), (180, False), (600, False)])
@pytest.mark.parametrize("key", ["appointment.cancelled", "appointment.rescheduled"])
def test_a_visit_that_is_called_off_shortly_before_wakes_its_patient(
    clinic: Clinic,
    key: str,
    minutes: int,
    wakes: bool,
) -> None:
    visit = AppointmentFactory(
        tenant=clinic.tenant,
        number=1,
        patient=clinic.patient,
        provider=clinic.provider,
        location=clinic.location,
        department=clinic.department,
        starts_at=NIGHT + dt.timedelta(minutes=minutes),
        ends_at=NIGHT + dt.timedelta(minutes=minutes + 30),
    )
    news = event(clinic, key, object_type="appointments.appointment", object_id=visit.pk, actor=clinic.front_desk)
    message = due(clinic, event=news, lane=Lane.URGENT, expires_at=visit.starts_at)
    with time_machine.travel(NIGHT, tick=False):
        rest.put_off(clinic.tenant.pk, Lane.URGENT, NIGHT)
        message.refresh_from_db()
        assert (message.status == Status.QUEUED) is (wakes or visit.starts_at > MORNING)
        assert (message.next_attempt_at == NIGHT - HOUR) is wakes


def test_a_clinic_group_may_let_nobody_be_woken(clinic: Clinic) -> None:
    sending_rules.rule_set(actor=clinic.admin, values={"wakes_within_minutes": 0})
    visit = AppointmentFactory(
        tenant=clinic.tenant,
        number=1,
        patient=clinic.patient,
        provider=clinic.provider,
        location=clinic.location,
        department=clinic.department,
        starts_at=NIGHT + HOUR,
        ends_at=NIGHT + 2 * HOUR,
    )
    message = due(clinic, event=event(clinic, object_id=visit.pk), lane=Lane.URGENT, expires_at=visit.starts_at)
    with time_machine.travel(NIGHT, tick=False):
        rest.put_off(clinic.tenant.pk, Lane.URGENT, NIGHT)
    message.refresh_from_db()
    assert message.reason == Reason.QUIET_DROPPED


def test_more_than_one_statements_worth_is_put_off(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rest, "BATCH", 2)
    for _number in range(5):
        due(clinic)
        due(clinic, expires_at=MORNING)
        due(clinic, sent_by=clinic.front_desk)
    assert rest.put_off(clinic.tenant.pk, Lane.TRANSACTIONAL, NIGHT) == 5
    assert Message.objects.filter(reason=Reason.QUIET_DROPPED).count() == 5
    assert Message.objects.filter(next_attempt_at=NIGHT - HOUR).count() == 5


# --- a patient's own night -------------------------------------------------------------------------------------------


@pytest.fixture
def own_night(clinic: Clinic) -> None:
    """From 20:00 to 10:00, and none of the clinic group's."""
    TenantSettings.objects.update(quiet_from=None, quiet_until=None)
    preference_update(
        actor=clinic.front_desk,
        patient=clinic.patient,
        values={"quiet_from": dt.time(20), "quiet_until": dt.time(10)},
    )


TEN = MORNING + 2 * HOUR


@pytest.mark.usefixtures("own_night")
def test_a_patients_own_night_holds_for_them_alone(clinic: Clinic) -> None:
    other = PatientFactory(tenant=clinic.tenant)
    mine, late, others, mail = (
        due(clinic),
        due(clinic, expires_at=TEN),
        due(clinic, patient=other),
        due(clinic, channel="EMAIL"),
    )
    by_hand = due(clinic, sent_by=clinic.front_desk)
    held = rest.hold_for_readers([mine, late, others, mail, by_hand], NIGHT)
    assert held == ({mine.pk}, {late.pk: Reason.QUIET_DROPPED})
    mine.refresh_from_db()
    assert mine.next_attempt_at == TEN
    assert rest.hold_for_readers([mine, late], TEN) == (set(), {})


@pytest.mark.usefixtures("own_night")
def test_what_wakes_in_the_clinics_night_wakes_in_ones_own(clinic: Clinic) -> None:
    answer = due(clinic, event=event(clinic, payload={"by": "PATIENT"}), lane=Lane.URGENT)
    code = due(clinic, lane=Lane.URGENT)
    assert rest.hold_for_readers([answer, code], NIGHT) == (set(), {})


@pytest.mark.usefixtures("own_night")
def test_a_patients_own_night_is_kept_on_the_way_to_the_provider(clinic: Clinic) -> None:
    message = due(clinic, lane=Lane.TRANSACTIONAL, recipient=clinic.patient.phone)
    with time_machine.travel(NIGHT, tick=False):
        delivery.drain(Lane.TRANSACTIONAL, seconds=0)
    message.refresh_from_db()
    assert (message.status, message.next_attempt_at, message.attempt_count) == (Status.QUEUED, TEN, 0)


def test_what_somebody_sends_by_hand_goes_at_night(clinic: Clinic) -> None:
    due(clinic, sent_by=clinic.front_desk)
    assert rest.put_off(clinic.tenant.pk, Lane.TRANSACTIONAL, NIGHT) == 0


def test_messages_for_staff_have_quiet_hours_of_their_own(clinic: Clinic) -> None:
    due(clinic, patient=None, user=clinic.admin)
    assert rest.put_off(clinic.tenant.pk, Lane.TRANSACTIONAL, NIGHT) == 0


def test_by_day_everything_goes_and_costs_one_query(clinic: Clinic, django_assert_num_queries: Any) -> None:
    due(clinic)
    TenantSettings.objects.update(quiet_from=None, quiet_until=None)
    with django_assert_num_queries(1):
        assert rest.put_off(clinic.tenant.pk, Lane.TRANSACTIONAL, NIGHT) == 0


def test_the_night_of_one_clinic_group_is_not_anothers(clinic: Clinic, other_clinic: Clinic) -> None:
    due(other_clinic)
    with tenant_scope(other_clinic.tenant.pk):
        assert rest.put_off(other_clinic.tenant.pk, Lane.TRANSACTIONAL, NIGHT) == 0


def test_it_is_night_while_it_is_at_one_of_the_locations(clinic: Clinic) -> None:
    """22:30 in Dubai is 21:30 in Riyadh; both have slept enough at 8:00 in Riyadh."""
    half_past_six = dt.datetime(2027, 1, 10, 18, 30, tzinfo=dt.UTC)
    assert rest.quiet_until(clinic.tenant.pk, half_past_six) is None
    LocationFactory(tenant=clinic.tenant, timezone="Asia/Dubai")
    assert rest.quiet_until(clinic.tenant.pk, half_past_six) == MORNING - HOUR
    assert rest.quiet_until(clinic.tenant.pk, NIGHT) == MORNING


@pytest.mark.parametrize(
    ("start", "end", "clock", "ends"),
    [
        (22, 8, (21, 59), None),
        (22, 8, (22, 0), (11, 8)),
        (22, 8, (7, 59), (10, 8)),
        (22, 8, (8, 0), None),
        (13, 16, (14, 0), (10, 16)),
        (13, 16, (16, 0), None),
    ],
)
def test_the_two_ends_of_a_night(
    clinic: Clinic, start: int, end: int, clock: tuple[int, int], ends: tuple[int, int] | None
) -> None:
    TenantSettings.objects.update(quiet_from=dt.time(start), quiet_until=dt.time(end))
    zone = clinic.location.zone
    now = dt.datetime(2027, 1, 10, *clock, tzinfo=zone)
    wanted = dt.datetime(2027, 1, *ends, tzinfo=zone) if ends else None
    assert rest.quiet_until(clinic.tenant.pk, now) == wanted
