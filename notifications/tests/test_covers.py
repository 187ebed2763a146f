"""Whoever is named as a cover hears of it."""

from __future__ import annotations

import datetime as dt

import pytest
from django.utils import timezone, translation

from core import roster
from integrations import fanout
from notifications import covers
from notifications.models import Notification, NotificationEvent


@pytest.fixture
def absence(clinic):
    begins = timezone.now() + dt.timedelta(days=1)
    return roster.absence_create(
        actor=clinic.provider,
        user=clinic.provider,
        cover=clinic.colleague,
        starts_at=begins,
        ends_at=begins + dt.timedelta(days=2),
    )


def fan_out() -> None:
    for event in NotificationEvent.objects.filter(key=covers.EVENT):
        fanout.process_event(event.tenant_id, event.pk)


def test_the_cover_is_told_in_both_languages_and_nobody_else(clinic, absence):
    fan_out()
    row = Notification.objects.get()
    assert row.user == clinic.colleague
    assert row.title.replace("\u2068", "").replace("\u2069", "") == "You cover Dr. Layla"
    assert "what is meant for" in row.message
    with translation.override("ar"):
        assert "تنوب عن" in row.display_title


def test_an_absence_that_was_taken_back_meanwhile_tells_nobody(clinic, absence):
    roster.absence_end(actor=clinic.provider, absence=absence)
    fan_out()
    assert not Notification.objects.exists()


def test_without_a_cover_there_is_nobody_to_tell(clinic):
    begins = timezone.now() + dt.timedelta(days=1)
    roster.absence_create(
        actor=clinic.admin, user=clinic.provider, cover=None, starts_at=begins, ends_at=begins + dt.timedelta(days=2)
    )
    assert not NotificationEvent.objects.filter(key=covers.EVENT).exists()
