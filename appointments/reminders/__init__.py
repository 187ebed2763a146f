"""Reminders as rows with a due time: planned in the visit's transaction, sent by a periodic task, dead when it changes.

``clock`` reckons, ``rules`` are the clinic group's, ``planning`` writes the rows, ``sweep`` hands what is due to
messaging, ``said`` knows what was told a moment ago, ``family`` puts into one message what is read on one phone.
"""

from __future__ import annotations

import datetime as dt

from appointments.models import Appointment, Reminder
from appointments.reminders import rules
from appointments.reminders.clock import day_before, offset_before
from appointments.reminders.planning import cancel, plan, plan_many, replan, replan_for_patient
from appointments.reminders.rules import EVENT_KEYS
from appointments.reminders.sweep import send_due_reminders

__all__ = [
    "EVENT_KEYS",
    "cancel",
    "day_before",
    "due_times",
    "plan",
    "plan_many",
    "replan",
    "replan_for_patient",
    "send_due_reminders",
    "useful_until",
]

Kind = Reminder.Kind


def due_times(appointment: Appointment) -> dict[Reminder.Kind, dt.datetime]:
    """When each reminder is due by the house's rules, in UTC, were there no quiet hours."""
    return {
        Kind(kind): offset_before(appointment.starts_at, appointment.location.zone, rule.offset)
        for kind, rule in rules.DEFAULTS.items()
        if rule.is_on
    }


def useful_until(appointment: Appointment, kind: str) -> dt.datetime:
    """By the house's rules. A planned reminder's row has the clinic group's."""
    return appointment.starts_at.astimezone(dt.UTC) - rules.DEFAULTS[kind].until
