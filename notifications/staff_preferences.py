"""What staff want to hear of, how and when: the matrix, the plan for one notification, and the one writer of both."""

from __future__ import annotations

import datetime as dt
import functools
import json
import uuid
import zoneinfo
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet, Value
from django.utils.translation import gettext as _

from core import audit
from core.access import Can
from core.errors import DomainError
from core.models import Holiday, Location, Role, User
from core.models.tenant import validate_zone
from core.permissions import NotAllowed, demand
from notifications import quiet
from notifications.models import ChatTarget, PushSubscription, StaffPreference
from notifications.quiet import Schedule
from notifications.states import Category, Frequency, StaffChannel

_BELL, _EMAIL, _PUSH, _CHAT = StaffChannel.IN_APP, StaffChannel.EMAIL, StaffChannel.PUSH, StaffChannel.CHAT

# Holds for whoever has not decided otherwise. Replies are of the category MESSAGING.
DEFAULT_MATRIX: dict[str, frozenset[str]] = {
    Category.ARRIVAL: frozenset({_BELL, _PUSH}),
    Category.APPOINTMENT: frozenset({_BELL, _EMAIL}),
    Category.MESSAGING: frozenset({_BELL, _PUSH}),
    Category.SYSTEM: frozenset({_BELL, _EMAIL, _PUSH, _CHAT}),
    Category.ANNOUNCEMENT: frozenset({_BELL, _EMAIL}),
    Category.GENERAL: frozenset({_BELL}),
}
# The pairs of which both ends are given, or neither.
WINDOWS = (("quiet_starts", "quiet_ends"), ("ramadan_quiet_starts", "ramadan_quiet_ends"))
FIELDS = (
    "matrix",
    *(name for pair in WINDOWS for name in pair),
    "is_quiet_on_weekends",
    "is_quiet_on_holidays",
    "timezone",
    "frequency",
    "digest_time",
    "digest_weekday",
    "has_sound",
    "has_toasts",
)
# Of these, and of the matrix, a plan is made; how the page shows a new one is the browser's affair.
_REST = tuple(name for name in FIELDS if name not in ("matrix", "has_sound", "has_toasts"))
# Ids asked for one by one up to here; above, everybody's preferences of the clinic group are read.
_MANY = 1_000
_DAY = dt.timedelta(days=1)
_HOUR = dt.timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Planned:
    """One way beside the bell. ``held_for``: "quiet" until the quiet time ends, "digest" until the summary's hour."""

    channel: StaffChannel
    due_at: dt.datetime
    held_for: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """How one person learns of one notification. The bell itself is always at once."""

    is_muted: bool = False
    is_silent: bool = False
    # Why a critical one comes through all the same: "muted" or "quiet".
    override: str = ""
    deliveries: tuple[Planned, ...] = ()


def preference_of(user: User) -> StaffPreference:
    """The person's preferences; the defaults when there is no row (not saved)."""
    found = StaffPreference.objects.filter(user=user).first()
    return found or StaffPreference(user=user)


def effective_matrix(preference: StaffPreference | None) -> dict[str, frozenset[str]]:
    """Category → the channels that are on. Names that are no longer known are left out."""
    own = preference.matrix if preference is not None else {}
    return {
        category: frozenset(own[category]) & frozenset(StaffChannel.values) if category in own else default
        for category, default in DEFAULT_MATRIX.items()
    }


def is_on(preference: StaffPreference | None, *, category: str, channel: str) -> bool:
    return channel in effective_matrix(preference)[category]


def zone_of(preference: StaffPreference, location: Location | None) -> zoneinfo.ZoneInfo:
    """The person's own clock, else that of their location, else the house's."""
    return zoneinfo.ZoneInfo(preference.timezone or (location.timezone if location else settings.TIME_ZONE))


def weekend_of(location: Location | None) -> list[int]:
    """Weekday numbers, Monday is 0. Who works nowhere in particular has the usual weekend."""
    days: list[int] = (location or Location()).weekend
    return days


def holidays_near(now: dt.datetime) -> QuerySet[Holiday]:
    """The holidays that quiet time can meet from ``now`` on, of every location."""
    day = now.date()
    return Holiday.objects.filter(last_day__gte=day - 2 * _DAY, first_day__lte=day + quiet.LONGEST + 2 * _DAY)


def schedule_of(preference: StaffPreference, location: Location | None, holidays: Iterable[Holiday]) -> Schedule:
    """The person's quiet times; of ``holidays`` those count that are everywhere or at the location."""
    place = location.pk if location is not None else None
    return Schedule(
        zone=zone_of(preference, location),
        window=_window(preference.quiet_starts, preference.quiet_ends),
        ramadan_window=_window(preference.ramadan_quiet_starts, preference.ramadan_quiet_ends),
        weekdays=frozenset(weekend_of(location)) if preference.is_quiet_on_weekends else frozenset(),
        holidays=tuple(
            (one.first_day, one.last_day) for one in holidays if one.location_id is None or one.location_id == place
        )
        if preference.is_quiet_on_holidays
        else (),
    )


def _window(starts: dt.time | None, ends: dt.time | None) -> quiet.Window | None:
    return (starts, ends) if starts is not None and ends is not None else None


def next_digest(preference: StaffPreference, schedule: Schedule, now: dt.datetime) -> dt.datetime:
    """When the next summary goes: after ``now``, on the person's clock, and never inside their quiet time."""
    due = _next_hour(schedule.zone, now) if preference.frequency == Frequency.HOURLY else None
    if due is None:
        weekday = preference.digest_weekday if preference.frequency == Frequency.WEEKLY else None
        due = _next_day(schedule.zone, now, preference.digest_time, weekday)
    return quiet.quiet_until(schedule, due) or due


def _next_hour(zone: zoneinfo.ZoneInfo, now: dt.datetime) -> dt.datetime:
    due = now.astimezone(dt.UTC)
    while True:
        # In hours that pass, not on the dial: an hour that comes twice has two summaries. Where the clock is changed
        # by half an hour, the second look finds the full one.
        shown = due.astimezone(zone)
        past = dt.timedelta(minutes=shown.minute, seconds=shown.second, microseconds=shown.microsecond)
        if due > now and not past:
            return due
        due += _HOUR - past


def _next_day(zone: zoneinfo.ZoneInfo, now: dt.datetime, at: dt.time, weekday: int | None) -> dt.datetime:
    day = now.astimezone(zone).date()
    while True:
        if weekday is None or day.weekday() == weekday:
            due = quiet.moment(zone, dt.datetime.combine(day, at))
            if due > now:
                return due
        day += _DAY


def plans_for(users: Sequence[User], *, category: str, is_critical: bool, now: dt.datetime) -> dict[uuid.UUID, Plan]:
    """User id → how they learn of a notification of that category. At most three queries, however many users.

    Ways that a person has not set up (no browser registered, no Slack or Teams channel of their own) are not planned.
    Patients have no matrix: their line in the bell is all there is.
    """
    staff = [user.pk for user in users if user.role != Role.PATIENT]
    plans = {user.pk: Plan() for user in users}
    if not staff:
        return plans
    habits, ways = _habits_of(staff), _ways_of(staff)
    clocks = _Clocks(now)
    # Colleagues with the same habits and devices share a plan. Most have never opened the page and share the usual one.
    made: dict[tuple[_Habits, frozenset[str]], Plan] = {}
    for user_id in staff:
        same = habits.get(user_id, _USUAL), ways.get(user_id, _NOTHING)
        if same not in made:
            made[same] = _plan(*same, clocks, category=category, is_critical=is_critical)
        plans[user_id] = made[same]
    return plans


@dataclass(frozen=True, slots=True)
class _Habits:
    """What a plan depends on. The location's are its id, clock and weekend; the matrix is text, so that it compares."""

    matrix: str = "{}"
    place: tuple[uuid.UUID, str, str] | None = None
    rest: tuple[Any, ...] = ()

    def preference(self) -> StaffPreference:
        return StaffPreference(matrix=json.loads(self.matrix), **dict(zip(_REST, self.rest, strict=False)))

    def location(self) -> Location | None:
        if self.place is None:
            return None
        pk, clock, weekend = self.place
        return Location(pk=pk, timezone=clock, weekend=json.loads(weekend))


class _Clocks:
    """One moment, and the holidays around it when somebody's quiet time asks for them."""

    def __init__(self, now: dt.datetime) -> None:
        self.now = now

    @functools.cached_property
    def _holidays(self) -> list[Holiday]:
        return list(holidays_near(self.now))

    def schedule(self, preference: StaffPreference, location: Location | None) -> Schedule:
        return schedule_of(preference, location, self._holidays if preference.is_quiet_on_holidays else ())


def _plan(habits: _Habits, set_up: frozenset[str], clocks: _Clocks, *, category: str, is_critical: bool) -> Plan:
    preference = habits.preference()
    wanted = effective_matrix(preference)[category]
    is_muted = _BELL not in wanted
    schedule = clocks.schedule(preference, habits.location())
    until = quiet.quiet_until(schedule, clocks.now)
    channels = [channel for channel in (_EMAIL, _PUSH, _CHAT) if channel in wanted & (set_up | {_EMAIL})]
    if is_critical:
        override = "muted" if is_muted else "quiet" if until is not None else ""
        return Plan(override=override, deliveries=tuple(Planned(channel, clocks.now) for channel in channels))
    deliveries = []
    for channel in channels:
        if channel == _EMAIL and preference.frequency != Frequency.IMMEDIATE:
            deliveries.append(Planned(channel, next_digest(preference, schedule, clocks.now), "digest"))
        elif until is not None:
            deliveries.append(Planned(channel, until, "quiet"))
        else:
            deliveries.append(Planned(channel, clocks.now))
    return Plan(is_muted=is_muted, is_silent=until is not None, deliveries=tuple(deliveries))


def _habits_of(user_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, _Habits]:
    """User id → habits, of those who have decided something. One query; no model is made of ten thousand rows."""
    rows = StaffPreference.objects.all()
    if len(user_ids) <= _MANY:
        rows = rows.filter(user__in=user_ids)
    place = ("user__location", "user__location__timezone", "user__location__weekend")
    return {
        user_id: _Habits(json.dumps(matrix), (at, clock, json.dumps(weekend)) if at else None, tuple(rest))
        for user_id, matrix, at, clock, weekend, *rest in rows.values_list("user", "matrix", *place, *_REST)
    }


def ways_set_up(user: User) -> frozenset[str]:
    """PUSH and CHAT, as far as the person has a browser or a channel of their own for it."""
    return _ways_of([user.pk]).get(user.pk, _NOTHING)


def _ways_of(user_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, frozenset[str]]:
    """User id → PUSH and CHAT, as far as the person has set them up. One query."""
    browsers = PushSubscription.objects.all()
    rooms = ChatTarget.objects.filter(is_active=True, user__isnull=False)
    if len(user_ids) <= _MANY:
        browsers, rooms = browsers.filter(user__in=user_ids), rooms.filter(user__in=user_ids)
    found: dict[uuid.UUID, set[str]] = {}
    pairs = browsers.values_list("user_id", Value(_PUSH.value)).union(rooms.values_list("user_id", Value(_CHAT.value)))
    for user_id, channel in pairs:
        found.setdefault(user_id, set()).add(channel)
    return {user_id: frozenset(channels) for user_id, channels in found.items()}


_USUAL = _Habits()
_NOTHING: frozenset[str] = frozenset()


# --- writing ---------------------------------------------------------------------------------------------------------
@transaction.atomic
def staff_preference_update(*, actor: User, values: Mapping[str, Any]) -> StaffPreference:
    """Sets the given ``FIELDS`` of the actor's own preferences. Nothing is audited when nothing changes.

    ``values["matrix"]`` may name some categories only. What equals the default is not stored, so that a better default
    reaches whoever never decided otherwise.
    """
    demand(actor, Can.USE_BELL)
    if actor.role == Role.PATIENT or actor.tenant_id is None:
        raise NotAllowed
    unknown = set(values) - set(FIELDS)
    if unknown:
        raise ValueError(f"no staff preference is called {sorted(unknown)}")
    preference, is_new = StaffPreference.objects.select_for_update().get_or_create(
        user=actor, defaults={"tenant_id": actor.tenant_id}
    )
    before = {name: _stored(getattr(preference, name)) for name in values}
    for name, value in values.items():
        setattr(preference, name, _merged(preference.matrix, value) if name == "matrix" else value)
    _check(preference)
    after = {name: _stored(getattr(preference, name)) for name in values}
    changed = [name for name in values if before[name] != after[name]]
    if not changed:
        return preference
    preference.save(update_fields=[*changed, "updated_at"])
    audit.record(
        tenant_id=actor.tenant_id,
        actor=actor,
        action="staff_preference.created" if is_new else "staff_preference.updated",
        obj=preference,
        before={name: _difference(before[name], after[name]) for name in changed},
        after={name: _difference(after[name], before[name]) for name in changed},
    )
    return preference


def _merged(stored: Mapping[str, Sequence[str]], given: Mapping[str, Iterable[str]]) -> dict[str, list[str]]:
    """The stored matrix with the given categories in it, in the order of the enums; without what equals the default."""
    wanted = {category: frozenset(channels) for category, channels in stored.items()}
    for category, channels in given.items():
        wanted[category] = frozenset(channels)
        if category not in DEFAULT_MATRIX or wanted[category] - frozenset(StaffChannel.values):
            raise DomainError(_("This choice is not on the list."), code="unknown_choice")
    return {
        category: [channel for channel in StaffChannel.values if channel in wanted[category]]
        for category in DEFAULT_MATRIX
        if wanted.get(category, DEFAULT_MATRIX[category]) != DEFAULT_MATRIX[category]
    }


def window_refusal(starts: dt.time | None, ends: dt.time | None) -> DomainError | None:
    """Why these are no window (both empty: none is wished), or None."""
    if (starts is None) != (ends is None):
        return DomainError(_("Give both times, or neither."), code="half_a_window")
    if starts is not None and starts == ends:
        return DomainError(_("The quiet time begins and ends at the same minute."), code="empty_window")
    return None


def _check(preference: StaffPreference) -> None:
    for start, end in WINDOWS:
        refusal = window_refusal(getattr(preference, start), getattr(preference, end))
        if refusal is not None:
            raise refusal
    try:
        if preference.timezone:
            validate_zone(preference.timezone)
    except ValidationError as error:
        raise DomainError(error.messages[0], code="unknown_zone") from error
    if preference.frequency not in Frequency.values or preference.digest_weekday not in range(7):
        raise DomainError(_("This choice is not on the list."), code="unknown_choice")


def _stored(value: Any) -> Any:
    """As the audit trail keeps it."""
    return value.isoformat("minutes") if isinstance(value, dt.time) else value


def _difference(one: Any, other: Any) -> Any:
    """Of the matrix only the categories that differ; an empty list is “nothing”, a missing one the default."""
    if not isinstance(one, dict):
        return one
    return {category: channels for category, channels in one.items() if other.get(category) != channels}
