"""The page of the reminders' rules: one form a kind, what is refused says why, a department may differ."""

from __future__ import annotations

import datetime as dt

import pytest
from django.test import Client
from django.urls import reverse

from appointments.models import ReminderRule, ReminderTiming
from appointments.reminders import rules
from conftest import Clinic
from core.models import Department

pytestmark = pytest.mark.django_db
PAGE = "core:settings_reminders"
DAY = dt.timedelta(days=1)


@pytest.fixture
def admin(clinic: Clinic) -> Client:
    return clinic.client(clinic.admin)


def of_department(department: Department) -> str:
    return reverse("core:settings_reminders_department", args=[department.pk])


def test_the_page_shows_what_holds(admin: Client) -> None:
    html = admin.get(reverse(PAGE)).content.decode()
    assert html.count('name="form"') == 4
    assert 'name="offset" value="120"' in html


def test_a_kind_is_switched_on(admin: Client) -> None:
    sent = {"form": "3D", "is_on": "on", "offset": "4", "lead": "48", "until": "30"}
    assert admin.post(reverse(PAGE), sent).status_code == 302
    rule = rules.rulebook().rule("3D")
    assert (rule.is_on, rule.offset) == (True, 4 * DAY)
    assert ReminderTiming.objects.get().replan_after == rules.FROM_THE_START


@pytest.mark.parametrize(
    "sent",
    [
        {"form": "2H", "is_on": "on", "offset": "5", "lead": "1", "until": "1"},
        {"form": "2H", "is_on": "on", "offset": "120", "lead": "15", "until": "45"},
        {"form": "2H", "is_on": "on", "offset": "", "lead": "", "until": ""},
        {"form": "timing", "undo_minutes": "99", "recent_hours": "2", "at_once_per_address": "2"},
        {"form": "nonsense"},
    ],
)
def test_nonsense_is_refused_and_nothing_is_written(admin: Client, sent: dict[str, str]) -> None:
    assert admin.post(reverse(PAGE), sent).status_code == 422
    assert not ReminderRule.objects.exists()


def test_the_timing_is_saved(admin: Client) -> None:
    admin.post(reverse(PAGE), {"form": "timing", "undo_minutes": "5", "recent_hours": "1", "at_once_per_address": "3"})
    row = ReminderTiming.objects.get()
    assert (row.undo_minutes, row.recent_hours, row.at_once_per_address) == (5, 1, 3)


def test_a_department_differs_and_follows_again(admin: Client, clinic: Clinic) -> None:
    page = of_department(clinic.department)
    admin.post(page, {"form": "2H", "offset": "120", "lead": "45", "until": "15"})
    assert not rules.rulebook().rule("2H", clinic.department.pk).is_on
    assert 'name="clear" value="2H"' in admin.get(page).content.decode()
    admin.post(page, {"clear": "2H"})
    assert rules.rulebook().rule("2H", clinic.department.pk).is_on


def test_another_clinic_groups_department_is_not_there(admin: Client, other_clinic: Clinic) -> None:
    assert admin.get(of_department(other_clinic.department)).status_code == 404
