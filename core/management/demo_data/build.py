"""What every builder shares: the clock, the dice, the clinic, and a way to save rows with their own time stamps."""

from __future__ import annotations

import datetime as dt
import random
import uuid
import zoneinfo
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from django.db import models

from core.management.demo_data.clinics import ClinicPlan
from core.models import Department, Location, NumberSequence, Tenant, User


@dataclass(slots=True)
class Build:
    """One clinic group in the making. Everything random comes from ``rng``, every time from ``now``."""

    plan: ClinicPlan
    tenant: Tenant
    now: dt.datetime
    rng: random.Random
    locations: list[Location] = field(default_factory=list)
    departments: dict[str, Department] = field(default_factory=dict)
    users: dict[str, User] = field(default_factory=dict)

    @property
    def zone(self) -> zoneinfo.ZoneInfo:
        """Both locations of a demo clinic live by the same clock."""
        return self.locations[0].zone

    @property
    def today(self) -> dt.date:
        return self.now.astimezone(self.zone).date()

    def new_id(self) -> uuid.UUID:
        """A random UUID from the build's own dice, so that two builds from one seed are alike."""
        return uuid.UUID(int=self.rng.getrandbits(128), version=4)

    def at(self, day: dt.date, time: dt.time) -> dt.datetime:
        """A wall clock time of the clinic."""
        return dt.datetime.combine(day, time, tzinfo=self.zone)

    def between(self, low: dt.datetime, high: dt.datetime) -> dt.datetime:
        """Any moment between the two; ``low`` when they are the wrong way round."""
        room = max((high - low).total_seconds(), 0)
        return low + dt.timedelta(seconds=round(self.rng.uniform(0, room), 3))

    def after(self, moment: dt.datetime, low: float, high: float) -> dt.datetime:
        """``moment`` plus a random number of seconds."""
        return moment + dt.timedelta(seconds=round(self.rng.uniform(low, high), 3))

    def chance(self, share: float) -> bool:
        return self.rng.random() < share

    def staff(self, role: str) -> list[User]:
        return [user for user in self.users.values() if user.role == role]

    def counter(self, name: str) -> NumberSequence:
        """The counter behind a kind of numbers, where it stands now; saved or not."""
        found = NumberSequence.objects.filter(tenant=self.tenant, name=name).first()
        return found or NumberSequence(id=self.new_id(), tenant=self.tenant, name=name)


@contextmanager
def own_times(kind: type[models.Model]) -> Iterator[None]:
    """Lets rows keep the ``auto_now`` and ``auto_now_add`` times they come with: history has its own dates."""
    changed: list[tuple[Any, str]] = []
    for column in kind._meta.concrete_fields:
        for flag in ("auto_now", "auto_now_add"):
            if getattr(column, flag, False):
                setattr(column, flag, False)
                changed.append((column, flag))
    try:
        yield
    finally:
        for column, flag in changed:
            setattr(column, flag, True)


def save(*groups: Sequence[models.Model]) -> None:
    """Inserts each group in bulk, in the given order, with the rows' own times. Fires no signal."""
    for rows in groups:
        if rows:
            kind: Any = type(rows[0])
            with own_times(kind):
                kind.objects.bulk_create(rows, batch_size=500)
