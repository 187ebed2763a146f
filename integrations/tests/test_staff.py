"""Staff are told of an event as they wish, somebody always is, and what nobody answers goes further until somebody does."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from appointments import services
from appointments.models import Appointment
from conftest import Clinic
from core.models import Absence, DutyShift, User
from integrations import staff
from integrations.fanout import process_event
from integrations.outbox import Origin
from integrations.tasks import staff_watch_task
from notifications import default_words, events, inbox, registry
from notifications.models import (
    BellState,
    ChatTarget,
    Escalation,
    Message,
    Notification,
    NotificationDelivery,
    NotificationEvent,
    PushSubscription,
    StaffPreference,
)
from notifications.registry import Subject
from notifications.states import EscalationStatus, StaffChannel, StopReason
from tests import factories

MINUTE = dt.timedelta(minutes=1)
# A Monday in Riyadh, in the middle of the day.
NOON = dt.datetime(2027, 3, 1, 9, 0, tzinfo=dt.UTC)
E, P = StaffChannel.EMAIL, StaffChannel.PUSH


@pytest.fixture(autouse=True)
def noon(clinic: Clinic) -> Any:
    default_words.install(clinic.tenant.pk)
    with time_machine.travel(NOON, tick=False) as clock:
        yield clock


@pytest.fixture
def visit(clinic: Clinic) -> Appointment:
    return factories.AppointmentFactory(
        tenant=clinic.tenant,
        patient=clinic.patient,
        provider=clinic.provider,
        location=clinic.location,
        department=clinic.department,
        starts_at=NOON + 10 * MINUTE,
        is_silent=False,
    )


def fan_out(key: str) -> NotificationEvent:
    event = NotificationEvent.objects.filter(key=key).latest("created_at")
    process_event(event.tenant_id, event.pk)
    return event


def arrive(clinic: Clinic, visit: Appointment) -> NotificationEvent:
    services.appointment_arrive(appointment_id=visit.pk, actor=clinic.front_desk)
    return fan_out("appointment.arrived")


def prefer(user: User, **values: object) -> None:
    StaffPreference.objects.update_or_create(user=user, defaults={"tenant_id": user.tenant_id, **values})


def with_browser(user: User) -> None:
    PushSubscription.objects.create(
        tenant_id=user.tenant_id, user=user, endpoint=f"https://push.example/{user.pk}", p256dh="x", auth="y"
    )


def rows(event: NotificationEvent) -> dict[str, Notification]:
    return {row.user.email: row for row in Notification.objects.filter(event=event).select_related("user")}


def ways(event: NotificationEvent, user: User) -> list[tuple[str, int]]:
    found = NotificationDelivery.objects.filter(notification__event=event, user=user).order_by("step", "channel")
    return [(row.channel, row.step) for row in found]


def unread(user: User) -> int:
    state = BellState.objects.filter(user=user).first()
    return state.unread if state else 0


# --- as they wish ----------------------------------------------------------------------------------------------------


def test_what_is_switched_off_is_kept_for_the_history_and_not_counted(clinic: Clinic, visit: Appointment) -> None:
    prefer(clinic.provider, matrix={"APPOINTMENT": []})
    row = rows(fan_out("appointment.new"))[clinic.provider.email]
    assert row.is_muted
    assert row.archived_at is not None
    assert unread(clinic.provider) == 0
    assert not Message.objects.filter(user=clinic.provider).exists()


def test_the_events_own_email_goes_when_email_is_wanted_at_once(clinic: Clinic, visit: Appointment) -> None:
    event = fan_out("appointment.new")
    assert Message.objects.get(user=clinic.provider, event=event).template is not None
    assert ways(event, clinic.provider) == []


def test_email_that_is_gathered_waits_for_its_hour_and_is_no_letter_of_its_own(
    clinic: Clinic, visit: Appointment
) -> None:
    prefer(clinic.provider, frequency="DAILY", digest_time=dt.time(17))
    event = fan_out("appointment.new")
    assert not Message.objects.filter(user=clinic.provider).exists()
    held = NotificationDelivery.objects.get(user=clinic.provider)
    assert (held.channel, held.held_for) == (E, "digest")
    assert timezone.localtime(held.due_at, clinic.location.zone).time() == dt.time(17)
    # A visit that has begun by then is no news.
    assert held.useful_until == visit.starts_at
    assert not rows(event)[clinic.provider.email].is_silent


def test_in_quiet_time_the_bell_is_silent_and_email_waits(clinic: Clinic, visit: Appointment) -> None:
    prefer(clinic.provider, quiet_starts=dt.time(11), quiet_ends=dt.time(14))
    event = fan_out("appointment.new")
    assert rows(event)[clinic.provider.email].is_silent
    assert unread(clinic.provider) == 1
    held = NotificationDelivery.objects.get(user=clinic.provider)
    assert held.held_for == "quiet"
    assert timezone.localtime(held.due_at, clinic.location.zone).time() == dt.time(14)


def test_an_arrival_overrides_what_is_switched_off_and_quiet_and_says_why(clinic: Clinic, visit: Appointment) -> None:
    with_browser(clinic.provider)
    prefer(clinic.provider, quiet_starts=dt.time(11), quiet_ends=dt.time(14))
    row = rows(arrive(clinic, visit))[clinic.provider.email]
    assert (row.is_critical, row.is_silent, row.is_muted, row.override) == (True, False, False, "quiet")
    assert NotificationDelivery.objects.get(user=clinic.provider).due_at == NOON


def test_moves_of_one_visit_fold_into_one_row_with_the_latest_words(
    clinic: Clinic, visit: Appointment, noon: Any
) -> None:
    for hours in (1, 2, 3):
        noon.shift(MINUTE)
        services.appointment_reschedule(
            appointment_id=visit.pk,
            actor=clinic.front_desk,
            starts_at=visit.starts_at + dt.timedelta(days=1, hours=hours),
            reason="flood",
        )
        fan_out("appointment.rescheduled")
    row = Notification.objects.get(user=clinic.provider, event_key="appointment.rescheduled")
    assert (row.group_count, row.items.count(), len(row.sample), unread(clinic.provider)) == (3, 3, 3, 1)
    assert "3:10" in row.message


# --- somebody always is told -----------------------------------------------------------------------------------------


def test_the_cover_is_told_loudly_and_who_is_away_in_silence(clinic: Clinic, visit: Appointment) -> None:
    Absence.objects.create(
        tenant=clinic.tenant,
        user=clinic.provider,
        cover=clinic.colleague,
        starts_at=NOON - MINUTE,
        ends_at=NOON + 60 * MINUTE,
    )
    for user in (clinic.provider, clinic.colleague):
        with_browser(user)
    event = arrive(clinic, visit)
    told = rows(event)
    assert told[clinic.colleague.email].instead_of == clinic.provider
    assert not told[clinic.colleague.email].is_silent
    assert told[clinic.provider.email].is_silent
    assert ways(event, clinic.colleague) == [(P, 0)]
    assert ways(event, clinic.provider) == []


def test_who_left_gets_nothing_and_the_admins_do(clinic: Clinic, visit: Appointment) -> None:
    User.objects.filter(pk=clinic.provider.pk).update(is_active=False)
    told = rows(arrive(clinic, visit))
    assert set(told) == {clinic.admin.email}
    assert told[clinic.admin.email].instead_of == clinic.provider


def test_a_system_alert_goes_once_to_each_channel_of_the_clinic_however_many_admins(clinic: Clinic) -> None:
    factories.UserFactory(tenant=clinic.tenant, role="ADMIN")
    for name in ("ops", "desk"):
        ChatTarget.objects.create(
            tenant=clinic.tenant, name=name, kind="slack", url="https://hooks.slack.com/services/T00000000/B00000000/x"
        )
    words = {"title_en": "Down", "title_ar": "متوقف", "text_en": "Waits.", "text_ar": "ينتظر."}
    events.record("system.alert", tenant_id=clinic.tenant.pk, dedupe="x", payload=words)
    event = fan_out("system.alert")
    assert Notification.objects.filter(event=event).count() == 2
    lines = NotificationDelivery.objects.filter(channel=StaffChannel.CHAT, notification__event=event)
    assert lines.count() == 2
    NotificationEvent.objects.filter(pk=event.pk).update(processed_at=None)
    process_event(event.tenant_id, event.pk)
    assert lines.count() == 2


# --- it goes further -------------------------------------------------------------------------------------------------


def test_nobody_answers_and_it_goes_step_by_step_to_everybody(clinic: Clinic, visit: Appointment, noon: Any) -> None:
    DutyShift.objects.create(
        tenant=clinic.tenant, user=clinic.colleague, starts_at=NOON - MINUTE, ends_at=NOON + 60 * MINUTE
    )
    with_browser(clinic.provider)
    event = arrive(clinic, visit)
    assert ways(event, clinic.provider) == [(P, 0)]

    noon.shift(5 * MINUTE - dt.timedelta(seconds=1))
    assert staff_watch_task()["stepped"] == 0
    noon.shift(dt.timedelta(seconds=1))
    assert staff_watch_task()["stepped"] == 1
    assert ways(event, clinic.provider) == [(P, 0), (E, 1)]
    assert set(rows(event)) == {clinic.provider.email}

    noon.shift(5 * MINUTE)
    assert staff_watch_task()["stepped"] == 1
    assert rows(event)[clinic.colleague.email].instead_of == clinic.provider

    noon.shift(5 * MINUTE)
    assert staff_watch_task()["stepped"] == 1
    assert set(rows(event)) == {
        one.email for one in (clinic.provider, clinic.colleague, clinic.front_desk, clinic.admin)
    }

    noon.shift(5 * MINUTE)
    assert staff_watch_task() == {"stepped": 0, "ended": 1, "woken": 0}
    assert Escalation.objects.get(event=event).status == EscalationStatus.EXHAUSTED
    noon.shift(60 * MINUTE)
    assert staff_watch_task()["stepped"] == 0


def test_without_anybody_on_duty_the_desk_and_the_admins_come_next_at_once(
    clinic: Clinic, visit: Appointment, noon: Any
) -> None:
    event = arrive(clinic, visit)
    noon.shift(5 * MINUTE)
    staff_watch_task()
    assert ways(event, clinic.provider) == [(E, 1)]
    noon.shift(5 * MINUTE)
    staff_watch_task()
    assert set(rows(event)) == {clinic.provider.email, clinic.front_desk.email, clinic.admin.email}


def test_the_tenant_says_how_long_to_wait(clinic: Clinic, visit: Appointment, noon: Any) -> None:
    clinic.tenant.escalate_after_minutes = 2
    clinic.tenant.save()
    arrive(clinic, visit)
    noon.shift(2 * MINUTE)
    assert staff_watch_task()["stepped"] == 1


@pytest.mark.parametrize(
    ("act", "reason"),
    [
        (lambda clinic, visit, row: inbox.mark_read(clinic.provider, row.pk), StopReason.READ),
        (lambda clinic, visit, row: inbox.mark_all_read(clinic.provider), StopReason.READ),
        (lambda clinic, visit, row: inbox.acknowledge(clinic.provider, row.pk), StopReason.ACKNOWLEDGED),
        (
            lambda clinic, visit, row: services.appointment_start(appointment_id=visit.pk, actor=clinic.provider),
            StopReason.CHANGED,
        ),
        (
            lambda clinic, visit, row: services.appointment_undo_arrival(
                appointment_id=visit.pk, actor=clinic.front_desk
            ),
            StopReason.CHANGED,
        ),
        (
            lambda clinic, visit, row: services.appointment_cancel(
                appointment_id=visit.pk, actor=clinic.front_desk, reason="left"
            ),
            StopReason.CHANGED,
        ),
    ],
    ids=["read", "all read", "acknowledged", "begun", "arrival undone", "cancelled"],
)
def test_an_answer_or_a_change_stops_it(
    clinic: Clinic, visit: Appointment, noon: Any, act: Any, reason: StopReason
) -> None:
    event = arrive(clinic, visit)
    act(clinic, visit, rows(event)[clinic.provider.email])
    stopped = Escalation.objects.get(event=event)
    assert (stopped.status, stopped.stop_reason) == (EscalationStatus.STOPPED, reason)
    noon.shift(60 * MINUTE)
    assert staff_watch_task()["stepped"] == 0
    assert set(rows(event)) == {clinic.provider.email}


def test_a_change_past_the_signals_is_seen_at_the_step(clinic: Clinic, visit: Appointment, noon: Any) -> None:
    event = arrive(clinic, visit)
    Appointment.objects.filter(pk=visit.pk).update(status=Appointment.Status.IN_PROGRESS)
    noon.shift(5 * MINUTE)
    assert staff_watch_task() == {"stepped": 0, "ended": 1, "woken": 0}
    assert Escalation.objects.get(event=event).stop_reason == StopReason.CHANGED


def test_undoing_the_reading_lets_it_go_further_again(clinic: Clinic, visit: Appointment, noon: Any) -> None:
    event = arrive(clinic, visit)
    _count, action = inbox.mark_all_read(clinic.provider)
    noon.shift(4 * MINUTE)
    assert inbox.undo(clinic.provider, inbox.Act.READ, action) == 1
    assert unread(clinic.provider) == 1
    noon.shift(4 * MINUTE)
    assert staff_watch_task()["stepped"] == 0, "a full wait from the undoing"
    noon.shift(MINUTE)
    assert staff_watch_task()["stepped"] == 1
    assert ways(event, clinic.provider) == [(E, 1)]


def test_whoever_was_told_may_acknowledge_and_everybody_sees_who_did(
    clinic: Clinic, visit: Appointment, noon: Any
) -> None:
    event = arrive(clinic, visit)
    for _step in range(2):
        noon.shift(5 * MINUTE)
        staff_watch_task()
    versions = {state.user_id: state.version for state in BellState.objects.all()}
    assert inbox.acknowledge(clinic.front_desk, rows(event)[clinic.front_desk.email].pk)
    told = rows(event)
    assert {row.acknowledged_by for row in told.values()} == {clinic.front_desk}
    assert told[clinic.front_desk.email].is_read
    assert not told[clinic.provider.email].is_read
    assert all(state.version > versions[state.user_id] for state in BellState.objects.all())
    assert not inbox.acknowledge(clinic.provider, told[clinic.provider.email].pk), "the second changes nothing"
    assert rows(event)[clinic.provider.email].acknowledged_by == clinic.front_desk


def test_after_half_an_hour_of_outage_nobody_is_woken_for_it(clinic: Clinic, visit: Appointment, noon: Any) -> None:
    event = arrive(clinic, visit)
    noon.shift(31 * MINUTE)
    assert staff_watch_task()["ended"] == 1
    assert set(rows(event)) == {clinic.provider.email}
    assert Escalation.objects.get(event=event).status == EscalationStatus.EXHAUSTED


def test_the_same_event_twice_makes_nothing_twice(clinic: Clinic, visit: Appointment) -> None:
    event = arrive(clinic, visit)
    NotificationEvent.objects.filter(pk=event.pk).update(processed_at=None)
    process_event(event.tenant_id, event.pk)
    assert (Notification.objects.filter(event=event).count(), unread(clinic.provider)) == (1, 1)
    assert Escalation.objects.count() == 1


def test_an_alert_that_comes_late_is_news_and_no_alarm(clinic: Clinic, visit: Appointment) -> None:
    services.appointment_arrive(appointment_id=visit.pk, actor=clinic.front_desk)
    services.appointment_start(appointment_id=visit.pk, actor=clinic.provider)
    event = fan_out("appointment.arrived")
    assert not rows(event)[clinic.provider.email].is_critical
    assert not Escalation.objects.exists()


@pytest.mark.parametrize("people", [2, 60])
def test_however_many_are_told_it_takes_as_many_queries(
    clinic: Clinic, visit: Appointment, people: int, django_assert_max_num_queries: Any
) -> None:
    crowd = factories.UserFactory.create_batch(people, tenant=clinic.tenant, location=clinic.location)
    event = NotificationEvent.objects.get(key="appointment.new")
    entry = registry.get("appointment.confirmed_by_patient")
    subject = Subject(context=entry.example, location=clinic.location)
    with django_assert_max_num_queries(8):
        assert staff.tell(event, entry, entry.deliveries[0], subject, users=crowd, origin=Origin()) == people
