"""The history of a visit and its reminders in words. Data and pure functions over rows that are already there."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from appointments.models import Appointment, AppointmentEvent, Reminder
from appointments.states import AWAITED
from notifications.states import Reason

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

S = Appointment.Status

# status that was entered → icon, colour, title
_ENTERED: dict[str, tuple[str, str, StrOrPromise]] = {
    S.BOOKED: ("calendar-plus", "info", gettext_lazy("Booked")),
    S.CONFIRMED: ("check", "ok", gettext_lazy("Confirmed")),
    S.RESCHEDULED: ("calendar-event", "warn", gettext_lazy("Moved to another time")),
    S.ARRIVED: ("user-check", "info", gettext_lazy("Patient arrived")),
    S.IN_PROGRESS: ("player-play", "info", gettext_lazy("Visit started")),
    S.COMPLETED: ("circle-check", "ok", gettext_lazy("Visit completed")),
    S.CANCELLED: ("circle-x", "bad", gettext_lazy("Cancelled")),
    S.NO_SHOW: ("user-x", "bad", gettext_lazy("Noted as a no-show")),
    S.ENTERED_IN_ERROR: ("x", "", gettext_lazy("Entered in error")),
}
_STEPS_BACK: dict[tuple[str, str], StrOrPromise] = {
    (S.CONFIRMED, S.BOOKED): gettext_lazy("Confirmation taken back"),
    (S.CANCELLED, S.BOOKED): gettext_lazy("Reinstated"),
    (S.NO_SHOW, S.ARRIVED): gettext_lazy("No-show corrected: the patient is here"),
    (S.NO_SHOW, S.COMPLETED): gettext_lazy("No-show corrected: the patient was seen"),
    (S.COMPLETED, S.IN_PROGRESS): gettext_lazy("Visit reopened"),
    **{(S.ARRIVED, status): gettext_lazy("Arrival taken back") for status in AWAITED},
}


@dataclass(frozen=True, slots=True)
class HistoryLine:
    """One row of the timeline. ``was`` is the start before a move."""

    icon: str
    tone: str
    title: StrOrPromise
    at: dt.datetime
    who: str
    reason: str
    was: dt.datetime | None
    next_steps: str


@dataclass(frozen=True, slots=True)
class ReminderLine:
    reminder: Reminder
    reason: str


def history_of(rows: Iterable[AppointmentEvent]) -> list[HistoryLine]:
    return [_line(row) for row in rows]


def reminders_of(rows: Iterable[Reminder]) -> list[ReminderLine]:
    return [ReminderLine(row, str(Reason(row.reason).label) if row.reason else "") for row in rows]


def _line(row: AppointmentEvent) -> HistoryLine:
    icon, tone, title = _ENTERED[row.to_status]
    step_back = _STEPS_BACK.get((row.from_status, row.to_status))
    if step_back is not None:
        icon, tone, title = "history", "", step_back
    was = row.details.get("old_starts_at") if row.to_status == S.RESCHEDULED else None
    return HistoryLine(
        icon=icon,
        tone=tone,
        title=title,
        at=row.created_at,
        who=_who(row),
        reason=row.reason,
        was=dt.datetime.fromisoformat(was) if was else None,
        next_steps=str(row.details.get("next_steps", "")),
    )


def _who(row: AppointmentEvent) -> str:
    if row.actor is not None:
        if row.details.get("by") == Appointment.CancelledBy.PATIENT:
            return _("%(name)s, as the patient asked") % {"name": row.actor.name}
        return row.actor.name
    if row.details.get("by") == Appointment.CancelledBy.PATIENT:
        return _("The patient, by the link")
    return ""
