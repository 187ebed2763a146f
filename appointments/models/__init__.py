"""The rows of visits: the visit itself, its links, its reminders."""

from __future__ import annotations

from appointments.models.links import ConfirmationToken
from appointments.models.reminders import Reminder
from appointments.models.visits import Act, Appointment, AppointmentEvent, Before

__all__ = [
    "Act",
    "Appointment",
    "AppointmentEvent",
    "Before",
    "ConfirmationToken",
    "Reminder",
]
