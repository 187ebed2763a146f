"""Quiet hours: what can wait is put off until the morning, what cannot goes, and no night is anybody else's."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

import pytest

from conftest import Clinic
from core.models import TenantSettings
from core.tenancy import tenant_scope
from notifications import rest
from notifications.models import Message
from notifications.states import Lane, NotificationType, Status
from tests.factories import LocationFactory

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
        {"expires_at": MORNING + dt.timedelta(minutes=5)},
        {"status": Status.SENDING},
    ],
    ids=["urgent", "an email wakes nobody", "of no use in the morning", "under way"],
)
def test_what_cannot_wait_goes_at_night(clinic: Clinic, fields: dict[str, Any]) -> None:
    message = due(clinic, **fields)
    assert rest.put_off(clinic.tenant.pk, message.lane, NIGHT) == 0


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
