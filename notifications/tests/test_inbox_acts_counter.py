"""The counter is the number of counted rows, whatever is done in whatever order, and whoever does it at the same time."""

from __future__ import annotations

import datetime as dt
import random
import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conftest import Clinic
from core.errors import DomainError
from core.models import User
from core.tenancy import tenant_scope
from notifications import inbox
from notifications.inbox import Act
from notifications.inbox_writing import Note, Recipient, notify_many
from notifications.models import BellState, Notification, NotificationEvent, NotificationItem
from notifications.models.inbox import COUNTED
from notifications.states import Category

HOUR = dt.timedelta(hours=1)


def counter_and_truth(user: User) -> tuple[int, int]:
    state = BellState.objects.filter(user=user).first()
    return (state.unread if state else 0, Notification.objects.filter(COUNTED, user=user).count())


def version(user: User) -> int:
    state = BellState.objects.filter(user=user).first()
    return state.version if state else 0


# --- one after the other ---------------------------------------------------------------------------------------------


class Desk:
    """Some users, what was written to them, and what may be done with it. Chance decides; the same seed does the same."""

    def __init__(self, clinic: Clinic, users: list[User], objects: list[uuid.UUID], seed: int) -> None:
        self.tenant = clinic.tenant
        self.users = users
        self.objects = objects
        self.pick = random.Random(seed)
        self.undoable: list[tuple[User, Act, uuid.UUID]] = []

    def steps(self) -> dict[str, Callable[[], object]]:
        one = {
            Act.READ: inbox.mark_read,
            Act.UNREAD: inbox.mark_unread,
            Act.ARCHIVE: inbox.archive,
            Act.UNARCHIVE: inbox.unarchive,
            # Over before long, so that "wake_due" finds some.
            Act.SNOOZE: lambda user, pk: inbox.snooze(user, pk, timezone.now() + dt.timedelta(milliseconds=50)),
        }
        return {
            "tell": self.tell,
            "tell_again": lambda: self.tell(key=f"again:{self.pick.randint(0, 9)}"),
            "fold": self.fold,
            "fold_again": lambda: self.fold(key=f"again:{self.pick.randint(0, 9)}"),
            "read_all": self.read_all,
            "undo": self.undo,
            "wake": lambda: self.on_a_row(lambda user, pk: inbox.wake(user, pk) and None),
            "acknowledge": lambda: self.on_a_row(lambda user, pk: inbox.acknowledge(user, pk) and None),
            "resolve": lambda: self.resolve(is_read=False),
            "resolve_read": lambda: self.resolve(is_read=True),
            "wake_due": lambda: inbox.wake_due(self.tenant.pk),
            "delete_old": self.delete_old,
            **{str(act): lambda act=act, do=do: self.on_a_row(do, act) for act, do in one.items()},
        }

    def recipients(self) -> list[Recipient]:
        chosen = self.pick.sample(self.users, self.pick.randint(1, len(self.users)))
        return [
            Recipient(user.pk, is_muted=self.pick.random() < 0.2, is_silent=self.pick.random() < 0.2) for user in chosen
        ]

    def event(self, object_id: uuid.UUID) -> NotificationEvent:
        return NotificationEvent.objects.create(
            tenant=self.tenant,
            key="test.happened",
            object_type="x.y",
            object_id=object_id,
            dedupe_key=str(uuid.uuid4()),
        )

    def tell(self, key: str = "") -> None:
        object_id = self.pick.choice(self.objects)
        note = Note(
            title="T",
            dedupe_key=key or str(uuid.uuid4()),
            is_critical=self.pick.random() < 0.4,
            related_object_type="x.y",
            related_object_id=object_id,
            event=self.event(object_id),
        )
        notify_many(tenant_id=self.tenant.pk, note=note, recipients=self.recipients())

    def fold(self, key: str = "") -> None:
        # A window that is over at once, too.
        window = self.pick.choice([HOUR, dt.timedelta(0)])
        note = Note(title="F", dedupe_key=key or str(uuid.uuid4()), group=self.pick.choice("ab"), fold_within=window)
        notify_many(tenant_id=self.tenant.pk, note=note, recipients=self.recipients())

    def on_a_row(self, do: Callable[[User, uuid.UUID], uuid.UUID | None], act: Act | None = None) -> None:
        user = self.pick.choice(self.users)
        rows = list(Notification.objects.filter(user=user).order_by("pk").values_list("pk", flat=True))
        if not rows:
            return
        try:
            action = do(user, self.pick.choice(rows))
        except DomainError:
            return
        if action is not None and act is not None:
            self.undoable.append((user, act, action))

    def read_all(self) -> None:
        user = self.pick.choice(self.users)
        _count, action = inbox.mark_all_read(user)
        self.undoable.append((user, Act.READ, action))

    def undo(self) -> None:
        if self.undoable:
            # Old ones too, and twice.
            inbox.undo(*self.pick.choice(self.undoable))

    def resolve(self, *, is_read: bool) -> None:
        inbox.resolve(object_id=self.pick.choice(self.objects), event_key="test.happened", is_read=is_read)

    def delete_old(self) -> None:
        later = timezone.now() + HOUR
        inbox.delete_old(self.tenant.pk, Category.GENERAL, later, unread_before=later - 2 * HOUR)


NAMES = [
    *("tell", "tell_again", "fold", "fold_again", "read_all", "undo", "wake", "acknowledge", "resolve", "resolve_read"),
    *("wake_due", "delete_old", "read", "unread", "archive", "unarchive", "snooze"),
]


@settings(
    max_examples=20,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(names=st.lists(st.sampled_from(NAMES), min_size=5, max_size=25), seed=st.integers(0, 2**32))
def test_any_sequence_of_acts_leaves_the_counter_at_the_number_of_counted_rows(
    clinic: Clinic, names: list[str], seed: int
) -> None:
    for model in (Notification, NotificationEvent, BellState):
        model.objects.all().delete()
    desk = Desk(clinic, [clinic.provider, clinic.front_desk], [uuid.UUID(int=1), uuid.UUID(int=2)], seed)
    steps = desk.steps()
    for done, name in enumerate(["tell", "fold", *names]):
        before = {user.pk: (rows_of(user), version(user)) for user in desk.users}
        steps[name]()
        for user in desk.users:
            counter, truth = counter_and_truth(user)
            assert counter == truth, f"{name} after {names[: max(0, done - 2)]}"
            rows, seen = before[user.pk]
            # What housekeeping takes away is months old: no page need be drawn anew for it.
            assert name == "delete_old" or rows_of(user) == rows or version(user) > seen, f"the poll misses {name}"
    assert_groups_are_exact()


def rows_of(user: User) -> list[dict[str, Any]]:
    """What a reader sees of the rows."""
    hidden = ("updated_at", "last_action", "open_group", "read_at")
    rows = Notification.objects.filter(user=user).order_by("pk").values()
    return [{name: value for name, value in row.items() if name not in hidden} for row in rows]


def assert_groups_are_exact() -> None:
    for row in Notification.objects.filter(dedupe_key__startswith="group:"):
        assert row.items.count() == row.group_count
    keys = NotificationItem.objects.values_list("user", "dedupe_key")
    assert len(set(keys)) == len(keys)


# --- at once, on a database that lets many write ---------------------------------------------------------------------


def at_once(clinic: Clinic, acts: list[Callable[[], object]]) -> None:
    """Each in a thread of its own, started together. What goes wrong in one of them goes wrong here."""
    start = threading.Barrier(len(acts))

    def run(act: Callable[[], object]) -> None:
        try:
            with tenant_scope(clinic.tenant.pk):
                # All are connected before the first begins.
                connection.ensure_connection()
                start.wait(timeout=60)
                act()
        finally:
            connection.close()

    with ThreadPoolExecutor(max_workers=len(acts)) as pool:
        for running in [pool.submit(run, act) for act in acts]:
            running.result(timeout=120)


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("round_", range(3))
def test_fifty_writers_over_five_users_lose_nothing_and_never_wait_for_each_other(clinic: Clinic, round_: int) -> None:
    users = [clinic.admin, clinic.front_desk, clinic.provider, clinic.colleague, clinic.patient_user]
    objects = [uuid.uuid4() for _ in range(3)]
    first = Desk(clinic, users, objects, round_)
    for _ in range(20):
        first.tell()

    def writer(seed: int) -> Callable[[], None]:
        desk = Desk(clinic, users, objects, seed)
        steps = desk.steps()

        def work() -> None:
            for name in desk.pick.choices(NAMES, k=12):
                steps[name]()

        return work

    at_once(clinic, [writer(1000 * round_ + seed) for seed in range(50)])
    for user in users:
        counter, truth = counter_and_truth(user)
        assert counter == truth
    assert_groups_are_exact()


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_a_hundred_events_at_once_fold_into_one_row_with_an_exact_count(clinic: Clinic) -> None:
    me = clinic.provider

    def tell(number: int) -> None:
        note = Note(title=f"N{number}", dedupe_key=f"event:{number % 90}", group="one", fold_within=HOUR)
        notify_many(tenant_id=clinic.tenant.pk, note=note, recipients=[Recipient(me.pk)])

    def teller(first: int) -> Callable[[], object]:
        return lambda: [tell(number) for number in range(first, 100, 50)]

    # A hundred events, ten of which are told twice, over fifty connections: a server's usual limit is a hundred.
    at_once(clinic, [teller(first) for first in range(50)])
    row = Notification.objects.get()
    assert row.group_count == 90
    assert NotificationItem.objects.filter(notification=row).count() == 90
    assert len(row.sample) == 3
    assert counter_and_truth(me) == (1, 1)
