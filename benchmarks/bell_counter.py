"""Fifty people and programs write to the same bells at once; whenever it is quiet, each counter is the count of its rows.

Two tenants with users of their own, and the same dedupe keys and groups in both: a key that was shared between them
would lose rows of one.
"""

from __future__ import annotations

import datetime as dt
import random
import threading
import time
import uuid
from collections import Counter, deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.measure import Goal, Measure

WRITERS = 50
TENANTS = 2
USERS = 10  # a tenant
ROUNDS = 3
SECONDS = 4.0  # a round; after each it is quiet
# Few, so that writers meet on them.
_GROUPS, _OBJECTS, _KEYS = 3, 4, 400
_SNOOZE = dt.timedelta(milliseconds=50)


@dataclass
class House:
    """One tenant's users, and what was done lately that can be taken back."""

    tenant_id: uuid.UUID
    users: list[Any]
    objects: list[uuid.UUID] = field(default_factory=lambda: [uuid.uuid4() for _ in range(_OBJECTS)])
    acts: deque[tuple[Any, Any, uuid.UUID]] = field(default_factory=lambda: deque(maxlen=200))


@dataclass
class Tally:
    """What the writers did. Counted under a lock; nothing else is shared between them but the database."""

    done: Counter[str] = field(default_factory=Counter)
    deadlocks: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)


def run(_folder: Path) -> Iterator[Measure]:
    houses = [found(f"bench-{number}", USERS) for number in range(TENANTS)]
    tally = Tally()
    wrong = lost = 0
    for number in range(ROUNDS):
        storm(houses, tally, writers=WRITERS, seconds=SECONDS, seed=number)
        for house in houses:
            wrong += len(wrong_counters(house))
            lost += len(wrong_groups(house))
    operations = sum(tally.done.values())
    if missing := {act.__name__ for act, _weight in ACTS} - set(tally.done):
        raise RuntimeError(f"nobody ever did {sorted(missing)}")
    yield Measure("bell_counter_wrong", wrong, "", None, 0.0)
    yield Measure("bell_groups_wrong", lost, "", None, 0.0)
    yield Measure("bell_deadlocks", sum(tally.deadlocks.values()), "", None, 0.0)
    yield Measure("bell_writes", operations / (ROUNDS * SECONDS), "/s", None, None, Goal.AT_LEAST)


def found(slug: str, users: int) -> House:
    """A tenant with users who have nothing in their bells."""
    from core.models import Tenant, User
    from core.tenancy import tenant_scope

    tenant = Tenant.objects.create(slug=slug, name_en="Bench", name_ar="قياس")
    with tenant_scope(tenant.pk):
        people = [
            User.objects.create(tenant=tenant, email=f"user{number}@{slug}.example", name_en="Mona Saleh")
            for number in range(users)
        ]
    return House(tenant.pk, people)


def storm(houses: list[House], tally: Tally, *, writers: int, seconds: float, seed: int = 0) -> None:
    """All writers at once, each on a connection of its own. What goes wrong in one, except a deadlock, is raised."""
    end = time.monotonic() + seconds
    with ThreadPoolExecutor(writers) as pool:
        jobs = [
            pool.submit(_write, houses[number % len(houses)], tally, random.Random(f"{seed}.{number}"), end)
            for number in range(writers)
        ]
        for job in jobs:
            job.result()


def _write(house: House, tally: Tally, chance: random.Random, end: float) -> None:
    from django.db import OperationalError, connection

    from core.tenancy import tenant_scope

    acts, weights = zip(*ACTS, strict=True)
    try:
        with tenant_scope(house.tenant_id):
            while time.monotonic() < end:
                act = chance.choices(acts, weights)[0]
                into = tally.done
                try:
                    act(house, chance)
                except OperationalError as error:
                    if getattr(error.__cause__, "sqlstate", "") != _DEADLOCK:
                        raise
                    into = tally.deadlocks
                with tally.lock:
                    into[act.__name__] += 1
    finally:
        connection.close()


_DEADLOCK = "40P01"


# --- what is done ----------------------------------------------------------------------------------------------------


def tell_many(house: House, chance: random.Random) -> None:
    """One note to some, of which others are just being told too: the key decides who has it."""
    from notifications.inbox_writing import Note, Recipient, notify_many

    note = Note(
        title="Lab closed",
        dedupe_key=f"many:{chance.randrange(_KEYS)}:{int(time.monotonic())}",
        related_object_type="appointment",
        related_object_id=chance.choice(house.objects),
    )
    some = chance.sample(house.users, chance.randint(1, len(house.users)))
    people = [Recipient(user.pk, is_muted=chance.random() < 0.1) for user in some]
    notify_many(tenant_id=house.tenant_id, note=note, recipients=people)


def fold(house: House, chance: random.Random) -> None:
    """One more of a kind, to some; groups end within the run."""
    from notifications.inbox_writing import Note, Recipient, notify_many

    place = chance.randrange(_GROUPS)
    note = Note(
        title="Message failed",
        dedupe_key=f"fold:{chance.randrange(_KEYS)}:{int(time.monotonic())}",
        related_object_type="appointment",
        related_object_id=house.objects[place],
        group=f"failed:{place}",
        fold_within=dt.timedelta(seconds=2),
    )
    some = chance.sample(house.users, chance.randint(1, 4))
    people = [Recipient(user.pk, is_muted=chance.random() < 0.1) for user in some]
    notify_many(tenant_id=house.tenant_id, note=note, recipients=people)


def alert(house: House, chance: random.Random) -> None:
    """A critical one, which goes further until somebody acknowledges it; as ``integrations/staff.py`` tells it."""
    from django.db import transaction

    from notifications import escalation
    from notifications.inbox_writing import Note, Recipient, notify_many
    from notifications.models import NotificationEvent

    place = chance.choice(house.objects)
    some = chance.sample(house.users, chance.randint(1, 5))
    with transaction.atomic():
        event = NotificationEvent.objects.create(
            tenant_id=house.tenant_id,
            key="bench",
            object_type="appointment",
            object_id=place,
            dedupe_key=str(uuid.uuid4()),
        )
        note = Note(
            title="Arrived",
            is_critical=True,
            related_object_type="appointment",
            related_object_id=place,
            event=event,
            dedupe_key=f"event:{event.pk}",
        )
        people = [Recipient(user.pk) for user in some]
        notify_many(tenant_id=house.tenant_id, note=note, recipients=people)
        escalation.start(event, after=_SNOOZE, useful_until=None)


def escalate(house: House, chance: random.Random) -> None:
    """The sweeper's step: under the escalation's lock it tells two more."""
    from django.db import transaction
    from django.utils import timezone

    from notifications import escalation
    from notifications.inbox_writing import Note, Recipient, notify_many
    from notifications.models import Escalation

    now = timezone.now()
    due = Escalation.objects.filter(status="OPEN", due_at__lte=now).order_by("due_at").select_related("event")
    with transaction.atomic():
        row = due.select_for_update(skip_locked=True, of=("self",)).first()
        if row is None:
            return
        note = Note(
            title="Nobody answers",
            is_critical=True,
            related_object_type="appointment",
            related_object_id=row.object_id,
            event=row.event,
            dedupe_key=f"event:{row.event_id}",
        )
        people = [Recipient(user.pk) for user in chance.sample(house.users, 2)]
        notify_many(tenant_id=house.tenant_id, note=note, recipients=people)
        escalation.stepped(row, step=row.step + 1, due_at=now + _SNOOZE)


def read(house: House, chance: random.Random) -> None:
    _act(house, chance, "READ")


def unread(house: House, chance: random.Random) -> None:
    _act(house, chance, "UNREAD")


def archive(house: House, chance: random.Random) -> None:
    _act(house, chance, "ARCHIVE")


def unarchive(house: House, chance: random.Random) -> None:
    _act(house, chance, "UNARCHIVE")


def snooze(house: House, chance: random.Random) -> None:
    _act(house, chance, "SNOOZE")


def wake(house: House, chance: random.Random) -> None:
    _act(house, chance, "WAKE")


def wake_due(house: House, _chance: random.Random) -> None:
    from notifications import inbox

    inbox.wake_due(house.tenant_id)


def read_all(house: House, chance: random.Random) -> None:
    from notifications import inbox

    user = chance.choice(house.users)
    _count, action = inbox.mark_all_read(user)
    house.acts.append((user, inbox.Act.READ, action))


def undo(house: House, chance: random.Random) -> None:
    from notifications import inbox

    if house.acts:
        inbox.undo(*chance.choice(list(house.acts)))


def acknowledge(house: House, chance: random.Random) -> None:
    from notifications import inbox

    user = chance.choice(house.users)
    critical = inbox.for_user(user).filter(is_critical=True, acknowledged_at=None).first()
    if critical is not None:
        inbox.acknowledge(user, critical.pk)


def resolve(house: House, chance: random.Random) -> None:
    from notifications import inbox

    key = chance.choice(["", "bench"])
    inbox.resolve(object_id=chance.choice(house.objects), event_key=key, is_read=chance.random() < 0.5)


def delete_old(house: House, _chance: random.Random) -> None:
    from django.utils import timezone

    from notifications import inbox

    before = timezone.now() - dt.timedelta(seconds=SECONDS / 2)
    inbox.delete_old(house.tenant_id, "GENERAL", before, unread_before=before)


# How often each comes up.
ACTS = (
    (tell_many, 6),
    (fold, 10),
    (alert, 4),
    (escalate, 3),
    (read, 10),
    (unread, 4),
    (archive, 6),
    (unarchive, 2),
    (snooze, 4),
    (wake, 2),
    (wake_due, 2),
    (read_all, 3),
    (undo, 6),
    (acknowledge, 2),
    (resolve, 2),
    (delete_old, 1),
)
# Where a reader finds what an act is for.
_LISTS: dict[str, dict[str, object]] = {
    "READ": {"is_read": False},
    "UNREAD": {"is_read": True},
    "ARCHIVE": {"archived_at": None, "snoozed_until": None},
    "UNARCHIVE": {"archived_at__isnull": False},
    "SNOOZE": {"archived_at": None, "snoozed_until": None},
    "WAKE": {"snoozed_until__isnull": False},
}


def _act(house: House, chance: random.Random, name: str) -> None:
    """One of the latest rows for which it makes sense; by now somebody else may have done it."""
    from django.utils import timezone

    from core.errors import DomainError
    from notifications import inbox

    user, act = chance.choice(house.users), inbox.Act[name]
    rows = list(inbox.for_user(user).filter(**_LISTS[name]).values_list("pk", flat=True)[:5])
    if not rows:
        return
    row_id = chance.choice(rows)
    simple = {
        act.READ: inbox.mark_read,
        act.UNREAD: inbox.mark_unread,
        act.ARCHIVE: inbox.archive,
        act.UNARCHIVE: inbox.unarchive,
        act.WAKE: inbox.wake,
    }
    try:
        if act is inbox.Act.SNOOZE:
            action = inbox.snooze(user, row_id, timezone.now() + _SNOOZE)
        else:
            action = simple[act](user, row_id)
    except DomainError as refused:
        # The house's own rule: what waits to be acknowledged is neither put away nor put off.
        if refused.code not in ("needs_acknowledgement", "snooze_out_of_range"):
            raise
        return
    if action is not None and act is not inbox.Act.WAKE:
        house.acts.append((user, act, action))


# --- what must be true when it is quiet ------------------------------------------------------------------------------


def wrong_counters(house: House) -> list[uuid.UUID]:
    """Users whose bell shows another number than that of their rows."""
    from django.db.models import Count

    from core.tenancy import tenant_scope
    from notifications.models import BellState, Notification
    from notifications.models.inbox import COUNTED

    with tenant_scope(house.tenant_id):
        shown = dict(BellState.objects.values_list("user", "unread"))
        counted = Notification.objects.filter(COUNTED).order_by().values_list("user").annotate(Count("pk"))
        rows = dict(counted)
    return [user.pk for user in house.users if shown.get(user.pk, 0) != rows.get(user.pk, 0)]


def wrong_groups(house: House) -> list[uuid.UUID]:
    """Folded rows that say another number than that of what folded into them."""
    from django.db.models import Count, F

    from core.tenancy import tenant_scope
    from notifications.models import Notification

    with tenant_scope(house.tenant_id):
        folded = Notification.objects.filter(dedupe_key__startswith="group:").annotate(items_there=Count("items"))
        return list(folded.exclude(items_there=F("group_count")).values_list("pk", flat=True))
