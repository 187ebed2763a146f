"""Who is at work now: who covers whom, and who is the supervisor on duty. Reads only; ``core/roster.py`` writes.

Whoever cannot be told is stood in for, and the chain always ends with somebody who works here: the cover, the cover's
cover, the supervisors on duty, the admins. Inside an open tenant scope. Must never import anything of the other apps.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.db.models import Q

from core.models import Absence, DutyShift, Location, Role, User


@dataclass(frozen=True, slots=True)
class Told:
    """One who is told: on their own account, or ``instead_of`` a colleague; ``is_away``: for their return only."""

    user: User
    instead_of: User | None = None
    is_away: bool = False


def recipients(users: Iterable[User], *, location: Location | None, now: dt.datetime) -> list[Told]:
    """Who is told of what is meant for ``users``: each once, in their order. One query when all are here, else few.

    Who left is told nothing. Who is away gets it for their return, and the cover at once.
    """
    meant = list({user.pk: user for user in users}.values())
    roster = _Roster(meant, location, now)
    found: dict[uuid.UUID, Told] = {}
    # First those who are told on their own account: nobody stands in for himself.
    for user in meant:
        if user.is_active and not roster.is_away(user):
            found[user.pk] = Told(user)
    for user in meant:
        if user.pk in found:
            continue
        for stand_in in roster.stand_ins(user):
            found.setdefault(stand_in.pk, Told(stand_in, instead_of=user))
        if user.is_active:
            found.setdefault(user.pk, Told(user, is_away=True))
    return list(found.values())


def further(users: Iterable[User], *, location: Location | None, now: dt.datetime) -> list[Told]:
    """Who is told next when none of ``users`` has answered: their supervisors on duty. Empty: nobody is."""
    people = list(users)
    known = {user.pk for user in people}
    first = people[0] if people else None
    return [
        Told(user, instead_of=first) for user in _Roster(people, location, now).supervisors() if user.pk not in known
    ]


def last_resort(location: Location | None) -> list[User]:
    """Who is told when nobody else has answered: the desk of that location and the admins."""
    desk = Q(role=Role.FRONT_DESK)
    if location is not None:
        desk &= Q(location=location) | Q(location=None)
    return list(User.objects.filter(desk | Q(role=Role.ADMIN), is_active=True).order_by("role", "pk"))


class _Roster:
    """Absences of the people asked for, read at once; supervisors and admins only when somebody is missing."""

    def __init__(self, people: Sequence[User], location: Location | None, now: dt.datetime) -> None:
        self._location, self._now = location, now
        self._absences = self._read([user.pk for user in people])
        self._supervisors: list[User] | None = None

    def is_away(self, user: User) -> bool:
        return user.pk in self._absences

    def stand_ins(self, user: User) -> list[User]:
        """The cover, or the cover's; else the supervisors on duty; else the admins."""
        seen = {user.pk}
        absence = self._absences.get(user.pk)
        while absence is not None and absence.cover is not None and absence.cover.pk not in seen:
            cover = absence.cover
            seen.add(cover.pk)
            absence = self._read([cover.pk]).get(cover.pk)
            if cover.is_active and absence is None:
                return [cover]
        others = [one for one in self.supervisors() if one.pk != user.pk]
        return others or [one for one in _admins() if one.pk != user.pk] or list(_admins())

    def supervisors(self) -> list[User]:
        """On duty at the location or everywhere, at work themselves."""
        if self._supervisors is None:
            here = Q(location=None) if self._location is None else Q(location=None) | Q(location=self._location)
            shifts = (
                DutyShift.objects.filter(here, starts_at__lte=self._now, ends_at__gt=self._now, user__is_active=True)
                .exclude(user__role=Role.PATIENT)
                .select_related("user")
                .order_by("starts_at", "pk")
            )
            people = list({shift.user_id: shift.user for shift in shifts}.values())
            away = self._read([user.pk for user in people]) if people else {}
            self._supervisors = [user for user in people if user.pk not in away]
        return self._supervisors

    def _read(self, user_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, Absence]:
        rows = Absence.objects.filter(user__among=user_ids, starts_at__lte=self._now, ends_at__gt=self._now)
        return {row.user_id: row for row in rows.select_related("cover").order_by("starts_at")}


def _admins() -> list[User]:
    return list(User.objects.filter(role=Role.ADMIN, is_active=True).order_by("pk"))
