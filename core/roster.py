"""Who is at work, as people write it down: absences with their cover, supervisors on duty, holidays, the minutes.

Keyword-only, atomic, audited; refusals are ``DomainError`` with a sentence for the person at the screen. Who stands in
for whom at a moment is read by ``core/duty.py``. The only writer of ``Absence``, ``DutyShift`` and ``Holiday``. Needs the
tenant's scope open. Must never import anything of the other apps.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from django.db import transaction
from django.db.models import Model, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from core import audit
from core.access import Can
from core.errors import DomainError
from core.models import Absence, DutyShift, Holiday, Location, Role, Tenant, User
from core.permissions import NotAllowed, demand, same_tenant

# Longer or further ahead than that, the year was typed wrong.
LONGEST_ABSENCE = dt.timedelta(days=366)
LONGEST_SHIFT = dt.timedelta(days=31)
LONGEST_HOLIDAY_DAYS = 31
FURTHEST_START = dt.timedelta(days=366)
MINUTES = range(1, 61)


# --- reading ---------------------------------------------------------------------------------------------------------


class Gap(StrEnum):
    """Why an entry of the list will not do what it says."""

    NONE = ""
    LEFT = "left"
    AWAY = "away"


@dataclass(frozen=True, slots=True)
class Listed:
    """An absence or a shift as the pages show it. ``gap``: what is wrong with the cover, or with who is on duty."""

    row: Absence | DutyShift
    is_now: bool
    gap: Gap


def staff() -> QuerySet[User]:
    """Everybody who works here: no patients, nobody who has left."""
    return User.objects.filter(is_active=True).exclude(role=Role.PATIENT).order_by("name_en", "name_ar", "pk")


def covers_for(user: User) -> QuerySet[User]:
    """Who can do what that person does."""
    return staff().filter(Q(role=user.role) | Q(role=Role.ADMIN)).exclude(pk=user.pk)


def absences(user: User | None = None) -> list[Listed]:
    """Current and coming ones, of one person or of all who work here. Two queries."""
    now = timezone.now()
    rows = Absence.objects.filter(ends_at__gt=now, user__is_active=True)
    rows = rows if user is None else rows.filter(user=user)
    found = list(rows.select_related("user__location", "cover").order_by("starts_at", "pk"))
    away = _spans_of({row.cover_id for row in found if row.cover_id is not None}, now)
    return [Listed(row, row.starts_at <= now, _gap(row.cover, row, away)) for row in found]


def shifts() -> list[Listed]:
    """Current and coming supervisors on duty. Two queries."""
    now = timezone.now()
    rows = DutyShift.objects.filter(ends_at__gt=now).select_related("user__location", "location")
    found = list(rows.order_by("starts_at", "pk"))
    away = _spans_of({row.user_id for row in found}, now)
    return [Listed(row, row.starts_at <= now, _gap(row.user, row, away)) for row in found]


def holidays(today: dt.date) -> QuerySet[Holiday]:
    """This year's and next year's."""
    first, last = dt.date(today.year, 1, 1), last_day_of_plan(today)
    rows = Holiday.objects.filter(last_day__gte=first, first_day__lte=last)
    return rows.select_related("location").order_by("first_day", "last_day", "pk")


def last_day_of_plan(today: dt.date) -> dt.date:
    """Holidays are written down until then."""
    return dt.date(today.year + 1, 12, 31)


def _spans_of(user_ids: Iterable[uuid.UUID], now: dt.datetime) -> dict[uuid.UUID, list[Absence]]:
    found: dict[uuid.UUID, list[Absence]] = {}
    for row in Absence.objects.filter(user__among=list(user_ids), ends_at__gt=now):
        found.setdefault(row.user_id, []).append(row)
    return found


def _gap(person: User | None, row: Absence | DutyShift, away: dict[uuid.UUID, list[Absence]]) -> Gap:
    if person is None:
        return Gap.NONE
    if not _works_here(person):
        return Gap.LEFT
    is_away = any(one.starts_at < row.ends_at and one.ends_at > row.starts_at for one in away.get(person.pk, ()))
    return Gap.AWAY if is_away else Gap.NONE


def _works_here(person: User) -> bool:
    return person.is_active and person.role != Role.PATIENT


# --- absences --------------------------------------------------------------------------------------------------------


@transaction.atomic
def absence_create(
    *, actor: User, user: User, cover: User | None, starts_at: dt.datetime, ends_at: dt.datetime
) -> Absence:
    """From–to, ``cover`` is told instead; without one whoever is on duty. Staff for themselves, admins for anybody."""
    _demand_own_or_admin(actor, user, cover)
    people = _locked(user, cover)
    if not _works_here(people[user.pk]):
        raise DomainError(_("This person does not work here."), code="user_not_staff")
    _check_span(starts_at, ends_at, LONGEST_ABSENCE)
    if _away(user, starts_at, ends_at).exists():
        raise DomainError(_("There is already an absence in this time."), code="overlap")
    if cover is not None:
        _check_cover(people[user.pk], people[cover.pk], starts_at, ends_at)
    row = Absence.objects.create(
        tenant_id=_tenant_id(actor), user=people[user.pk], cover=cover, starts_at=starts_at, ends_at=ends_at
    )
    _audit(actor, "absence.created", row, after=_facts(row))
    return row


@transaction.atomic
def absence_end(*, actor: User, absence: Absence) -> None:
    """Back at work now. One that has not begun is removed; one that is over stays as it is."""
    _demand_own_or_admin(actor, absence.user, absence)
    _end(actor, Absence.objects.select_for_update().filter(pk=absence.pk).first(), "absence")


def _check_cover(user: User, cover: User, starts_at: dt.datetime, ends_at: dt.datetime) -> None:
    if cover.pk == user.pk:
        raise DomainError(_("Nobody covers their own absence. Choose a colleague."), code="cover_is_self")
    if not _works_here(cover):
        raise DomainError(_("This person does not work here."), code="cover_not_staff")
    if cover.role not in (user.role, Role.ADMIN):
        raise DomainError(
            _("The cover must be able to do the same. Choose somebody with the same role, or an admin."),
            code="cover_other_role",
        )
    if _away(cover, starts_at, ends_at).exists():
        raise DomainError(_("This colleague is away then. Choose another one."), code="cover_away")


def _away(user: User, starts_at: dt.datetime, ends_at: dt.datetime) -> QuerySet[Absence]:
    return Absence.objects.filter(user=user, starts_at__lt=ends_at, ends_at__gt=starts_at)


# --- supervisors on duty ---------------------------------------------------------------------------------------------


@transaction.atomic
def shift_create(
    *, actor: User, user: User, location: Location | None, starts_at: dt.datetime, ends_at: dt.datetime
) -> DutyShift:
    """From–to, what nobody acknowledges reaches that person: at one location, or everywhere."""
    demand(actor, Can.ADMINISTER, user, location)
    person = _locked(user)[user.pk]
    if not _works_here(person):
        raise DomainError(_("This person does not work here."), code="user_not_staff")
    _check_span(starts_at, ends_at, LONGEST_SHIFT)
    if _away(user, starts_at, ends_at).exists():
        raise DomainError(_("This colleague is away then. Choose another one."), code="user_away")
    same_place = Q(location=None) | Q(location=location) if location is not None else Q()
    if DutyShift.objects.filter(same_place, user=user, starts_at__lt=ends_at, ends_at__gt=starts_at).exists():
        raise DomainError(_("This colleague is already on duty in this time."), code="overlap")
    row = DutyShift.objects.create(
        tenant_id=_tenant_id(actor), user=person, location=location, starts_at=starts_at, ends_at=ends_at
    )
    _audit(actor, "shift.created", row, after=_facts(row))
    return row


@transaction.atomic
def shift_remove(*, actor: User, shift: DutyShift) -> None:
    """Ends it now; one that has not begun is removed."""
    demand(actor, Can.ADMINISTER, shift)
    _end(actor, DutyShift.objects.select_for_update().filter(pk=shift.pk).first(), "shift")


# --- holidays and the minutes ----------------------------------------------------------------------------------------


@transaction.atomic
def holiday_create(
    *,
    actor: User,
    name_en: str,
    name_ar: str,
    first_day: dt.date,
    last_day: dt.date,
    location: Location | None = None,
) -> Holiday:
    """Days on which the house, or one location, is closed. One of the two names is enough."""
    demand(actor, Can.ADMINISTER, location)
    names = {"name_en": " ".join(name_en.split()), "name_ar": " ".join(name_ar.split())}
    if not any(names.values()):
        raise DomainError(_("A name is needed, in English or in Arabic."), code="name_missing")
    if last_day < first_day:
        raise DomainError(_("The last day is before the first one."), code="last_before_first")
    if (last_day - first_day).days >= LONGEST_HOLIDAY_DAYS:
        raise DomainError(_("A holiday lasts 31 days at the most."), code="holiday_long")
    today = timezone.localdate()
    if last_day < today:
        raise DomainError(_("These days are over already."), code="holiday_past")
    if last_day > last_day_of_plan(today):
        raise DomainError(_("Holidays are written down until the end of next year."), code="holiday_far")
    # The tenant's row is the lock: pressed twice is one holiday.
    tenant = Tenant.objects.select_for_update(no_key=True).get(pk=_tenant_id(actor))
    if Holiday.objects.filter(location=location, first_day=first_day, last_day=last_day).exists():
        raise DomainError(_("These days are in the list already."), code="holiday_twice")
    row = Holiday.objects.create(tenant=tenant, location=location, first_day=first_day, last_day=last_day, **names)
    _audit(actor, "holiday.created", row, after=_days(row))
    return row


@transaction.atomic
def holiday_remove(*, actor: User, holiday: Holiday) -> None:
    demand(actor, Can.ADMINISTER, holiday)
    row = Holiday.objects.select_for_update().filter(pk=holiday.pk).first()
    if row is not None:
        _audit(actor, "holiday.removed", row, before=_days(row))
        row.delete()


@transaction.atomic
def escalation_minutes_set(*, actor: User, minutes: int) -> Tenant:
    """After how many minutes without an answer an alert goes further. Those that run keep their time."""
    demand(actor, Can.ADMINISTER)
    if minutes not in MINUTES:
        raise DomainError(_("Choose between 1 and 60 minutes."), code="minutes_out_of_range")
    tenant = Tenant.objects.select_for_update(no_key=True).get(pk=_tenant_id(actor))
    before = tenant.escalate_after_minutes
    if minutes != before:
        tenant.escalate_after_minutes = minutes
        tenant.save(update_fields=["escalate_after_minutes"])
        _audit(actor, "escalation.minutes_set", tenant, before={"minutes": before}, after={"minutes": minutes})
    return tenant


# --- what they share -------------------------------------------------------------------------------------------------


def _demand_own_or_admin(actor: User, user: User, *rows: User | Absence | None) -> None:
    if actor.pk != user.pk:
        demand(actor, Can.ADMINISTER, user, *rows)
    elif not _works_here(actor):
        raise NotAllowed
    same_tenant(actor, user, *rows)


def _tenant_id(actor: User) -> uuid.UUID:
    if actor.tenant_id is None:
        raise NotAllowed
    return actor.tenant_id


def _locked(*people: User | None) -> dict[uuid.UUID, User]:
    """These people's rows as they are now, locked in one order: nobody changes their absences meanwhile.

    ``no_key``: rows that only point at them, such as notifications, need not wait.
    """
    keys = [person.pk for person in people if person is not None]
    rows = User.objects.select_for_update(no_key=True).filter(pk__in=keys).order_by("pk")
    return {row.pk: row for row in rows}


def _check_span(starts_at: dt.datetime, ends_at: dt.datetime, longest: dt.timedelta) -> None:
    now = timezone.now()
    if ends_at <= starts_at:
        raise DomainError(_("The end must be after the beginning."), code="span_empty")
    if ends_at <= now:
        raise DomainError(_("This time is over already."), code="span_past")
    if starts_at > now + FURTHEST_START:
        raise DomainError(_("The beginning is more than a year away."), code="span_far")
    if ends_at - starts_at > longest:
        raise DomainError(_("At the most %(days)d days at a time.") % {"days": longest.days}, code="span_long")


def _end(actor: User, row: Absence | DutyShift | None, noun: str) -> None:
    """None: somebody else has just removed it."""
    now = timezone.now()
    if row is None or row.ends_at <= now:
        return
    if row.starts_at >= now:
        _audit(actor, f"{noun}.removed", row, before=_facts(row))
        row.delete()
        return
    before = _facts(row)
    row.ends_at = now
    row.save(update_fields=["ends_at"])
    _audit(actor, f"{noun}.ended", row, before=before, after=_facts(row))


def _facts(row: Absence | DutyShift) -> dict[str, str]:
    """For the audit: ids and times."""
    other = {"cover": row.cover_id} if isinstance(row, Absence) else {"location": row.location_id}
    return {
        "user": str(row.user_id),
        **{name: str(key) if key is not None else "" for name, key in other.items()},
        "starts_at": row.starts_at.isoformat(),
        "ends_at": row.ends_at.isoformat(),
    }


def _days(row: Holiday) -> dict[str, str]:
    return {
        "first_day": row.first_day.isoformat(),
        "last_day": row.last_day.isoformat(),
        "location": str(row.location_id) if row.location_id is not None else "",
    }


def _audit(
    actor: User,
    action: str,
    row: Model,
    *,
    before: Mapping[str, object] | None = None,
    after: Mapping[str, object] | None = None,
) -> None:
    audit.record(tenant_id=_tenant_id(actor), actor=actor, action=action, obj=row, before=before, after=after)
