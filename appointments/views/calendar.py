"""The clinic's week and day as a grid; on a phone the same visits as an agenda."""

from __future__ import annotations

import datetime as dt
from typing import TypeVar
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from appointments import selectors
from appointments.calendar_grid import by_day, by_provider, week_of
from appointments.models import Appointment
from core.access import Can, allows, require
from core.models import Location, Role, User

S = Appointment.Status
Row = TypeVar("Row", Location, User)
# These no longer take anybody's time.
_NOT_SHOWN = (S.CANCELLED, S.ENTERED_IN_ERROR)


@require(Can.SEE_APPOINTMENTS)
@require_safe
def calendar(request: HttpRequest) -> HttpResponse:
    user = request.user
    locations = list(selectors.locations())
    location = _chosen(locations, request.GET.get("location")) or _own(locations, user)
    if location is None:
        return render(request, "appointments/calendar.html", {"grid": None})
    people = [user] if user.role == Role.PROVIDER else list(selectors.providers())
    provider = user if user.role == Role.PROVIDER else _chosen(people, request.GET.get("provider"))
    today = timezone.localdate(timezone=location.zone)
    day = _day(request.GET.get("date")) or today
    is_week = request.GET.get("view", "week") != "day"
    days = week_of(day, location.weekend) if is_week else [day]
    visits = list(
        selectors.between(user, days[0], days[-1], location=location, provider=provider).exclude(status__in=_NOT_SHOWN)
    )
    now = timezone.now()
    if is_week:
        grid = by_day(visits, days, location, now)
    else:
        busy = {visit.provider_id for visit in visits}
        columns = [provider] if provider is not None else [one for one in people if _works_at(one, location, busy)]
        grid = by_provider(visits, day, columns, location, now)

    step = dt.timedelta(days=7 if is_week else 1)

    def address(**changes: object) -> str:
        """This page with other parameters."""
        kept = {
            "view": "week" if is_week else "day",
            "date": day.isoformat(),
            "location": location.pk if len(locations) > 1 else None,
            "provider": provider.pk if provider is not None and user.role != Role.PROVIDER else None,
        }
        kept.update(changes)
        return f"{reverse('appointments:calendar')}?{urlencode({k: v for k, v in kept.items() if v is not None})}"

    context = {
        "grid": grid,
        "location": location,
        "locations": locations,
        "people": people,
        "provider": provider,
        "is_provider": user.role == Role.PROVIDER,
        "can_book": allows(user, Can.MANAGE_APPOINTMENTS),
        "is_week": is_week,
        "day": day,
        "first": days[0],
        "last": days[-1],
        "today": today,
        "is_now": today in days,
        "count": len(visits),
        "previous_url": address(date=(day - step).isoformat()),
        "next_url": address(date=(day + step).isoformat()),
        "today_url": address(date=today.isoformat()),
        "week_url": address(view="week"),
        "day_url": address(view="day"),
    }
    return render(request, "appointments/calendar.html", context)


def _works_at(person: User, location: Location, busy: set[object]) -> bool:
    """A provider of this place, or one who has a visit here today."""
    return person.location_id in (None, location.pk) or person.pk in busy


def _own(locations: list[Location], user: User) -> Location | None:
    return next((one for one in locations if one.pk == user.location_id), locations[0] if locations else None)


def _chosen(rows: list[Row], wanted: str | None) -> Row | None:
    return next((row for row in rows if str(row.pk) == wanted), None)


def _day(text: str | None) -> dt.date | None:
    try:
        day = dt.date.fromisoformat(text or "")
    except ValueError:
        return None
    # Far years would overflow the calendar's arithmetic.
    return day if 2000 <= day.year <= 2100 else None
