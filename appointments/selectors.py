"""Reads of appointments. Each returns a QuerySet with the people and the place joined, so that lists do not query."""

from __future__ import annotations

import datetime as dt
import uuid
import zoneinfo

from django.db.models import Count, Q, QuerySet
from django.utils import timezone

from appointments.models import Appointment, ProviderAbsence
from appointments.states import AWAITED, OCCUPYING
from core.models import Absence, Department, Holiday, Location, Patient, Role, User
from core.selectors import matching as patients_matching


def appointments_for(user: User) -> QuerySet[Appointment]:
    """What this user may see: providers and patients their own, the front desk and admins all."""
    rows = Appointment.objects.select_related("tenant", "patient__tenant", "provider", "location", "department")
    if user.role == Role.PROVIDER:
        return rows.filter(provider=user)
    if user.role == Role.PATIENT:
        return rows.filter(patient__user=user)
    return rows


def day_bounds(day: dt.date, zone: zoneinfo.ZoneInfo) -> tuple[dt.datetime, dt.datetime]:
    """The first instant of the day on that wall clock, and the first of the next."""
    return (
        dt.datetime.combine(day, dt.time(), tzinfo=zone),
        dt.datetime.combine(day + dt.timedelta(days=1), dt.time(), tzinfo=zone),
    )


def between(
    user: User,
    first: dt.date,
    last: dt.date,
    *,
    location: Location | None = None,
    provider: User | None = None,
) -> QuerySet[Appointment]:
    """The user's visits that start on the days ``first`` to ``last``, on the clock of the location."""
    zone = _zone(user, location)
    rows = appointments_for(user).filter(
        starts_at__gte=day_bounds(first, zone)[0], starts_at__lt=day_bounds(last, zone)[1]
    )
    if location is not None:
        rows = rows.filter(location=location)
    if provider is not None:
        rows = rows.filter(provider=provider)
    return rows.order_by("starts_at", "pk")


def day_of(
    user: User, day: dt.date | None = None, *, location: Location | None = None, provider: User | None = None
) -> QuerySet[Appointment]:
    """The user's visits of one day (today by default)."""
    wanted = day or today(user, location)
    return between(user, wanted, wanted, location=location, provider=provider)


def today(user: User, location: Location | None = None) -> dt.date:
    """Today's date where the user works."""
    return timezone.localdate(timezone=_zone(user, location))


def upcoming(user: User) -> QuerySet[Appointment]:
    """What is still to come, the next first."""
    return appointments_for(user).filter(status__in=AWAITED, starts_at__gt=timezone.now()).order_by("starts_at", "pk")


def of_patient(user: User, patient: Patient) -> QuerySet[Appointment]:
    """The patient's visits, the latest first."""
    return appointments_for(user).filter(patient=patient).order_by("-starts_at", "-pk")


def search(rows: QuerySet[Appointment], text: str) -> QuerySet[Appointment]:
    """Visits whose number has the text, or whose patient or provider is meant by it (name, file number, phone)."""
    wanted = text.strip()
    if not wanted:
        return rows
    return rows.filter(
        Q(number__icontains=wanted)
        | patients_matching(wanted, prefix="patient__")
        | Q(provider__name_en__icontains=wanted)
        | Q(provider__name_ar__icontains=wanted)
    )


def overlapping(
    *, provider: User, starts_at: dt.datetime, ends_at: dt.datetime, except_for: Appointment | None = None
) -> QuerySet[Appointment]:
    """The provider's visits that share time with the given stretch; ends are open."""
    rows = Appointment.objects.filter(
        provider=provider, status__in=OCCUPYING, starts_at__lt=ends_at, ends_at__gt=starts_at
    )
    if except_for is not None:
        rows = rows.exclude(pk=except_for.pk)
    return rows.order_by("starts_at")


def is_away(provider: User, location: Location, starts_at: dt.datetime, ends_at: dt.datetime) -> bool:
    """The provider's visits of that time were called off (``appointments/absences.py``); ends are open."""
    absences = ProviderAbsence.objects.filter(provider=provider, lifted_at=None, starts_at__lt=ends_at)
    return absences.filter(Q(location=None) | Q(location=location), ends_at__gt=starts_at).exists()


def is_on_leave(provider: User, starts_at: dt.datetime, ends_at: dt.datetime) -> bool:
    """Somebody stands in for the provider then (``core/duty.py``). The desk may book all the same; nobody else does."""
    return Absence.objects.filter(user=provider, starts_at__lt=ends_at, ends_at__gt=starts_at).exists()


def holidays(location_id: uuid.UUID, first: dt.date, last: dt.date) -> QuerySet[Holiday]:
    """The days on which the place is closed that touch these."""
    here = Q(location=None) | Q(location=location_id)
    return Holiday.objects.filter(here, first_day__lte=last, last_day__gte=first)


def count_by_status(rows: QuerySet[Appointment]) -> dict[str, int]:
    """Every status with its count; one query."""
    counts = dict.fromkeys(Appointment.Status.values, 0)
    counts.update(rows.order_by().values_list("status").annotate(count=Count("pk")))
    return counts


def providers() -> QuerySet[User]:
    """The providers who can be booked."""
    return User.objects.filter(role=Role.PROVIDER, is_active=True).order_by("name_en", "pk")


def departments() -> QuerySet[Department]:
    """Those that can be booked."""
    return Department.objects.filter(is_active=True).order_by("name_en", "pk")


def locations() -> QuerySet[Location]:
    """All, those out of use too: their visits are still in the calendar."""
    return Location.objects.order_by("name_en", "pk")


def bookable_locations() -> QuerySet[Location]:
    return locations().filter(is_active=True)


def _zone(user: User, location: Location | None) -> zoneinfo.ZoneInfo:
    place = location or user.location or Location.objects.order_by("pk").first()
    return place.zone if place is not None else zoneinfo.ZoneInfo("Asia/Riyadh")
