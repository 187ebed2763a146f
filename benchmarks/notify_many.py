"""One word to 10,000 colleagues: the rows of their bells and the counters, in one transaction.

Baseline: ``notify.send`` of django-notifications-hq 1.8.3 at its best, which has no counters: a queryset of recipients,
in one transaction. Both write into tables that hold as many rows already. Beside it the whole way of an announcement,
from its event to the last row, with everybody's preferences asked.
"""

from __future__ import annotations

import json
import statistics
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

from benchmarks.measure import Goal, Measure
from benchmarks.staff_bell import hq, seed

SIZE = 1_000_000
USERS = 200
PEOPLE = 10_000
ROUNDS = 3
GOAL_RATIO = 10.0
GOAL_STATEMENTS = 1.0  # for 1,000 people


def run(folder: Path, size: int = SIZE, people: int = PEOPLE) -> Iterator[Measure]:
    site = hq.Site.made_in(folder)
    site.seed(size=size, users=USERS)
    staff = seed.found_staff(USERS)
    seed.fill(staff, size)
    told = found_people(staff, people)
    tell(staff, told[:100])  # imports, plans
    rounds = [
        (people / tell(staff, told), people / json.loads(site.run("benchmarks.staff_bell.hq_notify", people)))
        for _ in range(ROUNDS)
    ]
    ours, theirs = (statistics.median(side) for side in zip(*rounds, strict=True))
    yield Measure("notify_many", ours, "/s", theirs, GOAL_RATIO, Goal.RATIO_AT_LEAST)
    needed = statements(staff, told) / (people / 1000)
    yield Measure("notify_many_statements_per_1000", needed, "", None, GOAL_STATEMENTS)
    announced = statistics.median(people / announce(staff, told[0]) for _ in range(ROUNDS))
    yield Measure("announcement", announced, "/s", theirs, None, Goal.RATIO_AT_LEAST)


def found_people(staff: seed.Staff, count: int) -> list[uuid.UUID]:
    """Colleagues in the same group, beside those who have the rows; the first is an admin."""
    from core.models import User
    from core.tenancy import tenant_scope

    with tenant_scope(staff.tenant_id):
        people = User.objects.bulk_create(
            User(
                tenant_id=staff.tenant_id,
                email=f"told{number}@bell.example",
                name_en="Huda Al-Qahtani",
                name_ar="هدى القحطاني",
                password="!bench",
                role="FRONT_DESK" if number else "ADMIN",
            )
            for number in range(count)
        )
    return [person.pk for person in people]


def tell(staff: seed.Staff, told: list[uuid.UUID]) -> float:
    """Seconds until all of them have it and their counters say so. RuntimeError when one has not."""
    from core.tenancy import tenant_scope
    from notifications.inbox_writing import Note, Recipient, notify_many
    from notifications.models import BellState

    note = Note(
        title="Lab closed",
        title_ar="المختبر مغلق",
        message="Until Sunday 10:30, use the main lab.",
        message_ar="حتى الأحد 10:30، استخدموا المختبر الرئيسي.",
        dedupe_key=f"bench:{uuid.uuid4()}",
    )
    with tenant_scope(staff.tenant_id):
        bells = BellState.objects.filter(user__in=told)
        before = sum(bells.values_list("unread", flat=True))
        began = time.perf_counter()
        written = notify_many(tenant_id=staff.tenant_id, note=note, recipients=[Recipient(one) for one in told])
        elapsed = time.perf_counter() - began
        grown = sum(bells.values_list("unread", flat=True)) - before
    if len(written) != len(told) or grown != len(told):
        raise RuntimeError(f"{len(written)} rows and {grown} counted instead of {len(told)}")
    return elapsed


def statements(staff: seed.Staff, told: list[uuid.UUID]) -> int:
    """How many statements it takes, those of the transaction left out."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    from core.tenancy import tenant_scope
    from notifications.inbox_writing import Note, Recipient, notify_many

    note = Note(title="Lab closed", dedupe_key=f"bench:{uuid.uuid4()}")
    people = [Recipient(one) for one in told]
    with tenant_scope(staff.tenant_id), CaptureQueriesContext(connection) as captured:
        notify_many(tenant_id=staff.tenant_id, note=note, recipients=people)
    around = ("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE")
    return sum(not query["sql"].startswith(around) for query in captured.captured_queries)


def announce(staff: seed.Staff, author_id: uuid.UUID) -> float:
    """Seconds of the fan-out of an announcement to all staff, in this process. RuntimeError when one has not got it."""
    from core.models import User
    from core.tenancy import tenant_scope
    from integrations.fanout import process_event
    from notifications.announcements import announce as post
    from notifications.models import Notification, NotificationEvent

    words = {"title_en": "Lab closed", "body_en": "Use the main lab.", "title_ar": "", "body_ar": ""}
    with tenant_scope(staff.tenant_id), mock.patch("core.queueing.publish", return_value=False):
        author = User.objects.get(pk=author_id)
        post(actor=author, role="", key=uuid.uuid4(), **words)
        event = NotificationEvent.objects.get(processed_at=None)
        began = time.perf_counter()
        process_event(staff.tenant_id, event.pk)
        elapsed = time.perf_counter() - began
        reached, everybody = Notification.objects.filter(event=event).count(), User.objects.count()
    if reached != everybody:
        raise RuntimeError(f"the announcement reached {reached} of {everybody}")
    return elapsed
