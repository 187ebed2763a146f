"""The rows of visits: the visit itself, its links, its reminders."""

from __future__ import annotations

from appointments.models.absence import AbsenceVisit, ProviderAbsence
from appointments.models.links import ConfirmationToken
from appointments.models.policy import VisitPolicy
from appointments.models.rebooking import RebookLink
from appointments.models.reminders import FamilyNews, FamilyVisit, Reminder, ReminderRule, ReminderTiming
from appointments.models.series import Series
from appointments.models.visits import Act, Appointment, AppointmentEvent, Before
from appointments.models.waiting import FreedSlot, SlotOffer, WaitlistEntry

__all__ = [
    "AbsenceVisit",
    "Act",
    "Appointment",
    "AppointmentEvent",
    "Before",
    "ConfirmationToken",
    "FamilyNews",
    "FamilyVisit",
    "FreedSlot",
    "ProviderAbsence",
    "RebookLink",
    "Reminder",
    "ReminderRule",
    "ReminderTiming",
    "Series",
    "SlotOffer",
    "VisitPolicy",
    "WaitlistEntry",
]
