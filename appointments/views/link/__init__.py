"""The patient's own pages behind the code of a message: the visit, other times for it, its calendar entry."""

from __future__ import annotations

from appointments.views.link.calendar import calendar
from appointments.views.link.times import times
from appointments.views.link.visit import link

__all__ = ["calendar", "link", "times"]
