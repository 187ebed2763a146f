"""Therapy every week: a series is booked, and called off, as one; each of its visits lives its own life besides.

The patient gets one message about the whole. Reminders stay with the visits, and a visit that moves or is called off alone
tells of itself only. Keyword-only, atomic, audited; refusals are ``DomainError``. Needs the tenant's scope open.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from appointments import first_news, services
from appointments.codes import new_code
from appointments.models import Appointment, Series
from appointments.reminders import rules
from appointments.reminders.clock import days_before
from appointments.services.booking import check_slot
from appointments.services.common import clean_reason
from appointments.states import AWAITED
from core import audit
from core.access import Can
from core.errors import DomainError
from core.models import Department, Location, Patient, User
from core.permissions import demand
from core.tenancy import system_scope
from notifications import events, lifecycle
from notifications.models import NotificationEvent
from notifications.registry import Audience
from notifications.states import Reason

# A year of every week.
FEWEST, MOST = 2, 52
BOOKED, CANCELLED = first_news.SERIES_BOOKED, "series.cancelled"


@transaction.atomic
def series_book(
    *,
    actor: User,
    patient: Patient,
    provider: User,
    location: Location,
    department: Department,
    starts_at: dt.datetime,
    duration: dt.timedelta,
    count: int,
    notes: str = "",
    booking_key: uuid.UUID | None = None,
) -> Series:
    """Books ``count`` visits, the same wall clock time every week; all of them or none.

    The same ``booking_key`` again returns the series that is there. Raises ``DomainError`` that names every taken day.
    """
    demand(actor, Can.MANAGE_APPOINTMENTS, patient, provider, location, department)
    if not FEWEST <= count <= MOST:
        raise DomainError(
            _("A series has between %(least)d and %(most)d visits.") % {"least": FEWEST, "most": MOST},
            code="count_out_of_range",
        )
    # The lock of whoever books this provider; it also lets the same form that comes twice find itself.
    User.objects.select_for_update(of=("self",), no_key=True).get(pk=provider.pk)
    if booking_key is not None:
        there = Series.objects.filter(booking_key=booking_key).first()
        if there is not None:
            return there
    # The same wall clock every week, whatever the clocks do in between.
    starts = [days_before(starts_at, location.zone, -7 * number) for number in range(count)]
    _refuse_taken(provider, location, starts, duration)
    series = Series.objects.create(
        tenant_id=patient.tenant_id,
        patient=patient,
        provider=provider,
        location=location,
        department=department,
        first_starts_at=starts[0],
        duration=duration,
        count=count,
        code=new_code(),
        booking_key=booking_key,
        booked_by=actor,
    )
    for start in starts:
        services.appointment_book(
            actor=actor,
            patient=patient,
            provider=provider,
            location=location,
            department=department,
            starts_at=start,
            duration=duration,
            notes=notes,
            series=series,
        )
    audit.record(
        tenant_id=series.tenant_id,
        actor=actor,
        action="series.booked",
        obj=series,
        after={"count": count, "first_starts_at": starts[0].isoformat(), "provider_id": str(provider.pk)},
    )
    _tell_booked(series, actor)
    return series


@transaction.atomic
def series_cancel(
    *, series_id: uuid.UUID, actor: User, reason: str, since: dt.datetime | None = None
) -> list[Appointment]:
    """Calls off what is still to come of a series, from ``since`` on where it is given; returns those visits.

    What has arrived, is over or was called off stays as it is. Nothing left: nothing happens, nobody is told.
    """
    series = _locked(series_id)
    demand(actor, Can.MANAGE_APPOINTMENTS, series)
    text = clean_reason(reason, required=True)
    still_to_come = Appointment.objects.filter(series=series, status__in=AWAITED, starts_at__gt=timezone.now())
    if since is not None:
        still_to_come = still_to_come.filter(starts_at__gte=since)
    cancelled = [
        services.appointment_cancel(appointment_id=pk, actor=actor, reason=text, told_together="series")
        for pk in list(still_to_come.order_by("starts_at", "pk").values_list("pk", flat=True))
    ]
    if not cancelled:
        return []
    series.version += 1
    series.save(update_fields=["version", "updated_at"])
    audit.record(
        tenant_id=series.tenant_id,
        actor=actor,
        action="series.cancelled",
        obj=series,
        after={"visits": len(cancelled), "reason": text},
    )
    _tell_cancelled(series, actor, cancelled, text)
    return cancelled


def taken_back(visit: Appointment) -> None:
    """One of those that were called off takes place after all, and nobody has read yet that it is off: the others are
    told without it.
    """
    if visit.series_id is None:
        return
    about = NotificationEvent.objects.filter(object_id=visit.series_id, key=CANCELLED, processed_at__isnull=False)
    for event in first_news.withdraw_messages(about, Reason.STALE_VERSION):
        events.record(
            CANCELLED,
            tenant_id=event.tenant_id,
            dedupe=f"{event.pk}:{visit.pk}:{visit.version}",
            obj=visit.series,
            version=event.object_version,
            actor=event.actor,
            payload=event.payload,
            audiences=[Audience.PATIENT],
        )


def find(code: str) -> Series | None:
    """The series of a link; None for an unknown code or a suspended clinic group."""
    with system_scope("the code tells the tenant: a patient opens the link without an account"):
        rows = Series.objects.select_related("tenant", "patient__tenant", "location")
        return rows.filter(code=code.strip().lower(), tenant__is_active=True).first()


def remaining(series: Series) -> list[Appointment]:
    """What is still to come, in its order."""
    rows = Appointment.objects.filter(series=series, status__in=AWAITED, starts_at__gt=timezone.now())
    return list(rows.select_related("location", "provider").order_by("starts_at", "pk"))


def _locked(series_id: uuid.UUID) -> Series:
    try:
        return Series.objects.select_for_update(of=("self",), no_key=True).get(pk=series_id)
    except Series.DoesNotExist as error:
        raise DomainError(_("This series does not exist."), code="not_found") from error


def _refuse_taken(provider: User, location: Location, starts: Sequence[dt.datetime], duration: dt.timedelta) -> None:
    """One answer that names all the days that do not work: nobody wants to learn of them one by one."""
    taken: list[str] = []
    for start in starts:
        try:
            check_slot(provider, location, start, duration)
        except DomainError as error:
            if error.code not in ("overlap", "provider_away"):
                raise
            taken.append(timezone.localtime(start, location.zone).strftime("%Y-%m-%d"))
    if taken:
        raise DomainError(
            _("%(name)s is not free at this time on: %(days)s. Choose another time or fewer visits.")
            % {"name": provider.name, "days": ", ".join(taken)},
            code="overlap",
        )


def _tell_booked(series: Series, actor: User) -> None:
    """The provider's bell at once; the patient after the time in which slips at the desk are put right."""
    rests = dt.timedelta(minutes=rules.timing(series.tenant_id).undo_minutes)
    for audience, due_at in ((Audience.PROVIDER, None), (Audience.PATIENT, timezone.now() + rests if rests else None)):
        events.record(
            BOOKED,
            tenant_id=series.tenant_id,
            dedupe=f"{series.pk}:{series.version}:{audience}",
            obj=series,
            version=series.version,
            actor=actor,
            due_at=due_at,
            audiences=[audience],
        )


def _tell_cancelled(series: Series, actor: User, cancelled: Sequence[Appointment], reason: str) -> None:
    """Who has not heard of the series yet hears of what is left of it, or nothing at all."""
    untold = events.drop_waiting(series.pk, [BOOKED], Reason.STALE_VERSION)
    lifecycle.cancel_for_object(series.pk, series.version, Reason.STALE_VERSION)
    if not untold:
        events.record(
            CANCELLED,
            tenant_id=series.tenant_id,
            dedupe=f"{series.pk}:{series.version}",
            obj=series,
            version=series.version,
            actor=actor,
            payload={"visits": [str(visit.pk) for visit in cancelled], "reason": reason},
        )
    elif remaining(series):
        _tell_booked(series, actor)
