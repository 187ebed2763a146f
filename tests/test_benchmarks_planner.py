"""The planner's benchmark at a small size: that it plans and hands over what it says."""

from __future__ import annotations

import pytest

from appointments import reminders
from appointments.models import Reminder
from benchmarks import ours, planner
from benchmarks.__main__ import NAMES
from core.tenancy import tenant_scope
from notifications.models import NotificationEvent

pytestmark = pytest.mark.django_db


def test_it_can_be_called_by_name_and_needs_production() -> None:
    assert NAMES["planner"]


def test_every_visit_is_planned_and_handed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ours, "vacuum", lambda: None)
    group = ours.found_group("bench", 6)
    with tenant_scope(group.tenant_id):
        reminders.plan_many(planner.found_visits(group, 6))
        Reminder.objects.filter(kind="24H").update(due_at="2026-01-01T00:00Z")
    planner.hand_over(6)
    with tenant_scope(group.tenant_id):
        assert set(Reminder.objects.values_list("kind", "status")) == {("24H", "SENT"), ("2H", "PLANNED")}
        assert NotificationEvent.objects.filter(key="appointment.reminder_24h").count() == 6
