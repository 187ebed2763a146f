"""The times that are still free for a visit: the hours of its place less what takes the provider's time. Reads only.

The same visit at another time: same provider, same place, same length. A time that is offered here may be taken a second later;
``services.appointment_reschedule`` decides under the provider's lock.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass

from django.db.models import Q
from django.utils import timezone

from appointments import selectors
from appointments.models import Appointment, FreedSlot, ProviderAbsence
from appointments.states import AWAITED, OCCUPYING
from core import places, tenant_settings
from core.models import Absence, TenantSettings

# Further ahead a patient calls, or the page becomes a calendar.
DAYS_AHEAD = 14
# Visits begin on the half hour, short ones on the quarter.
STEP, SHORT_STEP = dt.timedelta(minutes=30), dt.timedelta(minutes=15)

Span = tuple[dt.datetime, dt.datetime]


@dataclass(frozen=True, slots=True)
class Day:
    """A day with free times, on the clock of the place."""

    date: dt.date
    times: list[dt.datetime]


def may_move(appointment: Appointment, own: TenantSettings, now: dt.datetime) -> bool:
    """Whether the patient takes another time without asking: the clinic group allows it, and it is early enough."""
    notice = dt.timedelta(hours=own.move_notice_hours)
    return own.patients_may_move and appointment.status in AWAITED and appointment.starts_at - now >= notice


def is_free(appointment: Appointment, starts_at: dt.datetime, *, now: dt.datetime) -> bool:
    """Whether it is one of the times that ``free_days`` offers."""
    return any(starts_at == time for day in free_days(appointment, now=now) for time in day.times)


def free_days(appointment: Appointment, *, now: dt.datetime) -> list[Day]:
    """The days of the next two weeks that have a free time. A handful of queries, however many there are."""
    if not appointment.provider.is_active or not appointment.location.is_active:
        return []
    own = tenant_settings.of(appointment.tenant_id)
    zone = appointment.location.zone
    first = timezone.localdate(now, zone)
    days = [first + dt.timedelta(days=number) for number in range(DAYS_AHEAD + 1)]
    since, _end = selectors.day_bounds(days[0], zone)
    _start, until = selectors.day_bounds(days[-1], zone)
    taken = list(_taken(appointment, since, until, now))
    closed = list(_closed(appointment, days[0], days[-1]))
    earliest = now + dt.timedelta(hours=own.move_notice_hours)
    found = []
    for date in days:
        if any(begins <= date <= ends for begins, ends in closed):
            continue
        times = [
            time for time in _grid(appointment, date, own) if time >= earliest and _is_clear(appointment, time, taken)
        ]
        if times:
            found.append(Day(date, times))
    return found


def _grid(appointment: Appointment, date: dt.date, own: TenantSettings) -> Iterator[dt.datetime]:
    """Each time of the day at which a visit of that length may begin while the place is open."""
    hours = places.hours_on(appointment.location, date, own)
    if hours is None:
        return
    zone, length = appointment.location.zone, appointment.ends_at - appointment.starts_at
    # Reckoned in UTC: an hour that the clock leaves out is no time to come.
    opens, closes = (dt.datetime.combine(date, hour, tzinfo=zone).astimezone(dt.UTC) for hour in hours)
    step = SHORT_STEP if length < STEP else STEP
    time = opens
    while time + length <= closes:
        yield time.astimezone(zone)
        time += step


def _is_clear(appointment: Appointment, time: dt.datetime, taken: list[Span]) -> bool:
    ends = time + (appointment.ends_at - appointment.starts_at)
    return time != appointment.starts_at and not any(begins < ends and until > time for begins, until in taken)


def _taken(appointment: Appointment, since: dt.datetime, until: dt.datetime, now: dt.datetime) -> Iterator[Span]:
    """The provider's other visits and absences, what is held for somebody else, and the patient's own other visits."""
    within = Q(starts_at__lt=until, ends_at__gt=since)
    provider = Q(provider=appointment.provider_id)
    visits = Appointment.objects.filter(
        within, provider | Q(patient=appointment.patient_id), status__in=OCCUPYING
    ).exclude(pk=appointment.pk)
    here = Q(location=None) | Q(location=appointment.location_id)
    held = FreedSlot.objects.filter(
        within, provider, state=FreedSlot.State.OPEN, offers__state="OPEN", offers__hold_until__gt=now
    ).exclude(offers__entry__patient=appointment.patient_id)
    for rows in (
        visits,
        ProviderAbsence.objects.filter(within, provider, here, lifted_at=None),
        Absence.objects.filter(within, user=appointment.provider_id),
        held,
    ):
        yield from rows.order_by().values_list("starts_at", "ends_at")


def _closed(appointment: Appointment, first: dt.date, last: dt.date) -> Iterator[tuple[dt.date, dt.date]]:
    rows = selectors.holidays(appointment.location_id, first, last)
    yield from rows.values_list("first_day", "last_day")
