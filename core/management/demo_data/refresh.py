"""Brings a demo that was started days ago up to today: ends what is past, and fills a calendar that has run dry."""

from __future__ import annotations

import datetime as dt
import random
from collections import Counter
from dataclasses import dataclass

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from appointments.models import Appointment, AppointmentEvent, ConfirmationToken, Reminder
from appointments.states import OCCUPYING
from core.management.demo_data import build as building
from core.management.demo_data import calendar, demo, lives
from core.management.demo_data.build import Build
from core.management.demo_data.clinics import ClinicPlan
from core.management.demo_data.people import load_people
from core.models import Department, Location, Role, Tenant, User
from core.tenancy import tenant_scope
from notifications.states import Reason

# The calendar is looked at this many working days ahead; a day with fewer visits than this is nearly empty.
LOOK_AHEAD = 3
ENOUGH_VISITS = 5
# Visits of today that nobody touched are ended when they are over for so long.
GRACE = dt.timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Freshened:
    """What was done to one clinic group."""

    ended: int
    added: demo.Counts


def refresh_clinic(plan: ClinicPlan, *, now: dt.datetime | None = None, fill: bool = False) -> Freshened:
    """Ends visits whose time has passed, telling nobody; adds new ones when few are ahead, or always with ``fill``."""
    tenant = Tenant.objects.get(slug=plan.slug)
    moment = now or timezone.now()
    with transaction.atomic(), tenant_scope(tenant.pk):
        rng = random.Random(f"{plan.seed}:{moment.date()}")  # noqa: S311  # dice for a demo, not for secrets
        build = Build(plan=plan, tenant=tenant, now=moment, rng=rng)
        names = [place.name.en for place in plan.places]
        build.locations = sorted(Location.objects.filter(name_en__in=names), key=lambda row: names.index(row.name_en))
        build.departments = {row.code: row for row in Department.objects.all()}
        build.users = {user.email: user for user in User.objects.filter(is_active=True).order_by("email")}
        ended = _end_the_past(build)
        added = _add_ahead(build) if fill or _is_dry(build) else demo.Counts()
    return Freshened(ended, added)


def _is_dry(build: Build) -> bool:
    """True when one of the next working days is nearly empty."""
    first = build.today + dt.timedelta(days=1)
    days = calendar.working_days(build, first, first + dt.timedelta(days=14))[:LOOK_AHEAD]
    booked = _visits_a_day(build, days[0], days[-1])
    return any(booked[day] < ENOUGH_VISITS for day in days)


def _visits_a_day(build: Build, first: dt.date, last: dt.date) -> Counter[dt.date]:
    starts = Appointment.objects.filter(
        starts_at__gte=build.at(first, dt.time()), starts_at__lt=build.at(last + dt.timedelta(days=1), dt.time())
    ).values_list("starts_at", flat=True)
    return Counter(start.astimezone(build.zone).date() for start in starts)


def _end_the_past(build: Build) -> int:
    """Completed or no-show. The demo's own visits an hour after their end, those of visitors on the next day."""
    over = Appointment.objects.filter(
        Q(ends_at__lt=build.at(build.today, dt.time())) | Q(ends_at__lt=build.now - GRACE, booking_key=None),
        status__in=OCCUPYING,
    ).select_related("patient", "provider", "booked_by")
    rolled = [(visit.status, lives.finish(build, visit)) for visit in over]
    ended = [(was, life) for was, life in rolled if life.steps]
    moves = []
    for was, life in ended:
        before = was
        for step in life.steps:
            moves.append(
                AppointmentEvent(
                    id=build.new_id(),
                    tenant=build.tenant,
                    appointment=life.visit,
                    version=step.version,
                    from_status=before,
                    to_status=step.to,
                    actor=step.actor,
                    details=step.details,
                    created_at=step.at,
                )
            )
            before = step.to
    rows = [life.visit for _was, life in ended]
    columns = ["status", "arrived_at", "started_at", "completed_at", "no_show_at", "updated_at"]
    with building.own_times(Appointment):
        Appointment.objects.bulk_update(rows, columns, batch_size=200)
    building.save(moves)
    ConfirmationToken.objects.filter(appointment__in=rows, revoked_at=None).update(revoked_at=build.now)
    Reminder.objects.filter(appointment__in=rows, status=Reminder.Status.PLANNED).update(
        status=Reminder.Status.EXPIRED, reason=Reason.PAST_DUE, updated_at=build.now
    )
    return len(rows)


def _add_ahead(build: Build) -> demo.Counts:
    """Fills every working day that is nearly empty, from a month ago until two weeks ahead."""
    first = build.today - dt.timedelta(days=calendar.PAST_DAYS)
    last = build.today + dt.timedelta(days=calendar.FUTURE_DAYS)
    rows = Appointment.objects.filter(
        starts_at__gte=build.at(first, dt.time()), starts_at__lt=build.at(last + dt.timedelta(days=1), dt.time())
    ).select_related("provider")
    taken = [(row.provider.email, row.patient_id, row.starts_at, row.ends_at) for row in rows]
    booked = _visits_a_day(build, first, last)
    days = [day for day in calendar.working_days(build, first, last) if booked[day] < ENOUGH_VISITS]
    if not days or not build.staff(Role.FRONT_DESK):
        return demo.Counts()
    return demo.live_through(build, load_people(build), days, taken=taken)
