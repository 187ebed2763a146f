"""What waits too long is one incident, told at both ends; what something else explains is none."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

import pytest
from django.utils import timezone

from conftest import Clinic
from core.tenancy import tenant_scope
from integrations import incidents, queue_watch
from integrations.incidents import Kind
from integrations.models import Incident
from integrations.tests.test_breaker import Clock, at_once, clock
from integrations.tests.test_incidents import ARABIC, bells
from notifications import lifecycle
from notifications.models import Message, Notification, NotificationEvent
from notifications.states import Lane, Reason

__all__ = ["clock"]
pytestmark = pytest.mark.django_db

MINUTE = dt.timedelta(minutes=1)


def waiting(clinic: Clinic, *, lane: Lane = Lane.TRANSACTIONAL, for_: dt.timedelta, **fields: Any) -> Message:
    message = lifecycle.create(
        Message(
            **{
                "tenant_id": clinic.tenant.pk,
                "patient": clinic.patient,
                "channel": "SMS",
                "notification_type": "REMINDER",
                "recipient": "+966501234567",
                "language": "ar",
                "body": "نص",
                "lane": lane,
                "dedupe_key": str(uuid.uuid4()),
                **fields,
            }
        )
    )
    Message.objects.filter(pk=message.pk).update(next_attempt_at=timezone.now() - for_)
    return message


@pytest.fixture
def running(clock: Clock) -> Clock:
    """The sweeper has run for two hours, every half minute of the last one."""
    queue_watch.watch()
    for _ in range(130):
        clock.on(seconds=55)
        queue_watch.sweeping_since(timezone.now())
    return clock


def kept_running(clock: Clock, span: dt.timedelta) -> None:
    """Time goes by; nothing else is looked at."""
    for _ in range(int(span / dt.timedelta(seconds=50)) + 1):
        clock.on(seconds=50)
        queue_watch.sweeping_since(timezone.now())


@pytest.mark.parametrize(
    ("lane", "minutes", "is_late"),
    [
        (Lane.URGENT, 3, True),
        (Lane.URGENT, 1, False),
        (Lane.TRANSACTIONAL, 6, True),
        (Lane.TRANSACTIONAL, 4, False),
        (Lane.BULK, 61, True),
        (Lane.BULK, 59, False),
    ],
)
def test_each_lane_has_its_own_patience(
    clinic: Clinic, running: Clock, lane: Lane, minutes: int, is_late: bool
) -> None:
    message = waiting(clinic, lane=lane, for_=minutes * MINUTE)
    assert bool(queue_watch.watch()) is is_late
    if is_late:
        incident = Incident.objects.get()
        assert (incident.kind, incident.tenant_id, incident.sender) == ("queue", clinic.tenant.pk, lane.name)
        message.refresh_from_db()
        assert incident.started_at == message.next_attempt_at


def test_it_is_told_once_and_closed_when_the_oldest_is_younger_again(
    clinic: Clinic, other_clinic: Clinic, running: Clock
) -> None:
    message = waiting(clinic, for_=6 * MINUTE)
    assert [queue_watch.watch() for _ in range(3)] == [1, 0, 0]
    (began,) = bells(clinic)
    assert began.is_critical
    assert began.needs_acknowledgement
    assert began.title == "Messages have been waiting too long"
    Message.objects.filter(pk=message.pk).update(next_attempt_at=timezone.now() - 4 * MINUTE)
    queue_watch.watch()
    assert Incident.objects.get().ended_at is None, "one that hovers at the limit is one incident"
    Message.objects.filter(pk=message.pk).update(next_attempt_at=timezone.now() - MINUTE)
    queue_watch.watch()
    queue_watch.watch()
    began, over = bells(clinic)
    assert began.resolved_at is not None
    assert not began.needs_acknowledgement
    assert (over.title, over.is_critical) == ("Messages go on time again", False)
    assert over.notification_type == "SUCCESS"
    assert bells(other_clinic) == []


def test_two_lanes_are_two_incidents(clinic: Clinic, running: Clock) -> None:
    waiting(clinic, lane=Lane.URGENT, for_=6 * MINUTE)
    waiting(clinic, lane=Lane.TRANSACTIONAL, for_=6 * MINUTE)
    assert queue_watch.watch() == 2


def test_what_a_providers_trouble_explains_is_no_second_alarm(clinic: Clinic, running: Clock) -> None:
    waiting(clinic, for_=6 * MINUTE)
    incidents.begin(Kind.OUTAGE, provider="twilio", channel="SMS")
    assert queue_watch.watch() == 0
    waiting(clinic, channel="EMAIL", for_=6 * MINUTE)
    assert queue_watch.watch() == 1, "emails do not wait for it"


def test_a_refused_sender_explains_its_own_messages_only(clinic: Clinic, running: Clock) -> None:
    incidents.begin(Kind.CONFIGURATION, provider="twilio", channel="SMS", sender="CLINIC", tenant_id=clinic.tenant.pk)
    waiting(clinic, sender="CLINIC", for_=6 * MINUTE)
    assert queue_watch.watch() == 0
    waiting(clinic, sender="OTHER", for_=6 * MINUTE)
    assert queue_watch.watch() == 1


def test_the_backlog_of_an_outage_gets_its_time_after_the_end(clinic: Clinic, running: Clock) -> None:
    waiting(clinic, for_=60 * MINUTE)
    incidents.begin(Kind.OUTAGE, provider="twilio", channel="SMS")
    incidents.end(Incident.objects.get(), at=timezone.now())
    assert queue_watch.watch() == 0
    bells(clinic)
    kept_running(running, 5 * MINUTE)
    assert queue_watch.watch() == 1


def test_a_provider_that_fails_during_the_incident_takes_its_place_without_a_word(
    clinic: Clinic, running: Clock
) -> None:
    waiting(clinic, for_=6 * MINUTE)
    queue_watch.watch()
    incidents.begin(Kind.OUTAGE, provider="twilio", channel="SMS")
    queue_watch.watch()
    assert incidents.open_ones(Kind.QUEUE).count() == 0
    assert not [bell for bell in bells(clinic) if bell.event_key == "system.recovered"]


def test_after_a_standstill_of_our_own_the_backlog_is_sent_first(clinic: Clinic, running: Clock) -> None:
    waiting(clinic, lane=Lane.URGENT, for_=MINUTE)
    running.on(hours=1)
    assert queue_watch.watch() == 0
    kept_running(running, 2 * MINUTE)
    assert queue_watch.watch() == 1


def test_a_suspended_clinic_is_not_watched_and_its_incident_ends(clinic: Clinic, running: Clock) -> None:
    waiting(clinic, for_=6 * MINUTE)
    queue_watch.watch()
    (began,) = bells(clinic)
    clinic.tenant.is_active = False
    clinic.tenant.save(update_fields=["is_active"])
    queue_watch.watch()
    assert incidents.open_ones(Kind.QUEUE).count() == 0
    began.refresh_from_db()
    assert began.resolved_at is not None, "nobody need answer any more"


# --- Events ----------------------------------------------------------------------------------------------------------


def stuck(clinic: Clinic, *, for_: dt.timedelta) -> NotificationEvent:
    event = NotificationEvent.objects.create(tenant=clinic.tenant, key="nobody.knows", dedupe_key=str(uuid.uuid4()))
    NotificationEvent.objects.filter(pk=event.pk).update(created_at=timezone.now() - for_)
    return event


def test_events_that_nobody_works_through_are_told_past_the_queue_they_stand_in(
    clinic: Clinic, other_clinic: Clinic, running: Clock
) -> None:
    event = stuck(clinic, for_=3 * MINUTE)
    assert [queue_watch.watch(), queue_watch.watch()] == [1, 0]
    with tenant_scope(clinic.tenant.pk):
        # Nobody has fanned anything out but the watcher itself.
        (bell,) = Notification.objects.filter(user=clinic.admin)
    assert bell.title == "Messages are not being prepared"
    assert bell.is_critical
    NotificationEvent.objects.filter(pk=event.pk).update(processed_at=timezone.now())
    queue_watch.watch()
    assert [bell.title for bell in bells(clinic)] == [bell.title, "Messages are being prepared again"]
    assert bells(other_clinic) == []


def test_an_event_of_a_minute_is_no_alarm(clinic: Clinic, running: Clock) -> None:
    stuck(clinic, for_=MINUTE)
    assert queue_watch.watch() == 0


# --- Words and races -------------------------------------------------------------------------------------------------


def test_every_text_is_there_in_both_languages(clinic: Clinic, running: Clock) -> None:
    for lane in Lane:
        waiting(clinic, lane=lane, for_=90 * MINUTE)
    stuck(clinic, for_=3 * MINUTE)
    incidents.begin(Kind.BEAT, since=timezone.now() - 3 * MINUTE)
    incidents.note_refused_by_settings(clinic.tenant.pk, channel="SMS", code="21408", detail="It answers too slowly.")
    incidents.note_refused_by_settings(clinic.tenant.pk, channel="EMAIL", code=Reason.CHANNEL_DISABLED, detail="")
    queue_watch.watch()
    NotificationEvent.objects.filter(key="nobody.knows").update(processed_at=timezone.now())
    for incident in incidents.open_ones(*Kind):
        incidents.end(incident, at=timezone.now())
    told = bells(clinic)
    assert len(told) == 14
    for bell in told:
        assert not ARABIC.search(bell.title + bell.message)
        for sentence in (bell.title_ar, bell.message_ar):
            letters = [char for char in sentence if char.isalpha()]
            assert ARABIC.match(letters[0]), "it begins with Arabic, so it runs from right to left"
        assert "  " not in bell.message + bell.message_ar
        assert bell.message[0].isupper()
    assert sum(bell.is_critical for bell in told) == 7


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_sweepers_that_look_at_once_begin_one(clinic: Clinic) -> None:
    queue_watch.watch()
    waiting(clinic, for_=6 * MINUTE)
    hour_ago = timezone.now() - 60 * MINUTE
    queue_watch.Heartbeat.objects.filter(name="sweeper-since").update(at=hour_ago)
    assert sum(at_once(4, lambda _worker: queue_watch.watch())) == 1
    assert len(bells(clinic)) == 1
