"""Two forms sent at the same moment: one is first, and the other is told so. On PostgreSQL."""

from __future__ import annotations

import datetime as dt
import functools
import uuid
from collections.abc import Callable

import pytest
from django.utils import timezone

from appointments.tests.test_races import at_once, codes
from conftest import Clinic
from core import roster
from core.models import Absence, AuditEvent, DutyShift, Holiday, User
from notifications import announcements
from notifications.models import Announcement, NotificationEvent
from notifications.tests.test_announcements import announce

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]

ROUNDS = 8
DAY = dt.timedelta(days=1)


def away(clinic: Clinic, user: User, cover: User | None) -> Callable[[], object]:
    start = timezone.now() + DAY
    return lambda: roster.absence_create(
        actor=clinic.admin, user=user, cover=cover, starts_at=start, ends_at=start + DAY
    )


def test_one_person_is_away_once_in_a_time(clinic: Clinic) -> None:
    for _round in range(ROUNDS):
        outcomes = at_once(clinic, *[away(clinic, clinic.provider, None)] * 2)
        assert codes(outcomes) == ["ok", "overlap"]
        Absence.objects.all().delete()


def test_two_people_do_not_cover_each_other_in_the_same_time(clinic: Clinic) -> None:
    """Both orders of the two rows are asked for at once: neither waits for the other for ever."""
    for _round in range(ROUNDS):
        outcomes = at_once(
            clinic,
            away(clinic, clinic.provider, clinic.colleague),
            away(clinic, clinic.colleague, clinic.provider),
        )
        assert codes(outcomes) == ["cover_away", "ok"]
        Absence.objects.all().delete()


def test_a_duty_and_a_holiday_that_are_sent_twice_are_there_once(clinic: Clinic) -> None:
    now, today = timezone.now(), timezone.localdate()

    def shift() -> DutyShift:
        return roster.shift_create(
            actor=clinic.admin, user=clinic.front_desk, location=None, starts_at=now, ends_at=now + DAY
        )

    def holiday() -> Holiday:
        return roster.holiday_create(actor=clinic.admin, name_en="x", name_ar="", first_day=today, last_day=today)

    assert codes(at_once(clinic, shift, shift)) == ["ok", "overlap"]
    assert codes(at_once(clinic, holiday, holiday)) == ["holiday_twice", "ok"]
    assert (DutyShift.objects.count(), Holiday.objects.count()) == (1, 1)


def test_an_announcement_that_is_sent_twice_at_once_is_posted_once(clinic: Clinic) -> None:
    for number in range(1, ROUNDS):
        key = uuid.uuid4()
        post = functools.partial(announce, clinic, key=key)
        assert codes(at_once(clinic, post, post)) == ["ok", "ok"]
        assert Announcement.objects.count() == number
        assert NotificationEvent.objects.filter(key=announcements.EVENT).count() == number
        assert AuditEvent.objects.filter(action="announcement.posted").count() == number
