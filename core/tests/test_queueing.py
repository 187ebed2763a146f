from __future__ import annotations

import os
import subprocess
import sys

import pytest
from kombu.exceptions import OperationalError

from core import queueing


class Task:
    """Counts how often the broker is asked."""

    name = "test"

    def __init__(self, error: Exception | None = None) -> None:
        self.error, self.asked = error, 0

    def apply_async(self, **_options: object) -> None:
        self.asked += 1
        if self.error is not None:
            raise self.error


@pytest.fixture(autouse=True)
def awake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queueing, "_broker_asleep_until", 0.0)


def test_a_task_reaches_the_broker() -> None:
    assert queueing.publish(Task(), "id")


@pytest.mark.parametrize("error", [OperationalError(), ConnectionRefusedError()])
def test_a_broker_that_is_away_raises_nothing_and_is_left_alone_for_a_while(error: Exception) -> None:
    task = Task(error)
    assert not queueing.publish(task, "id")
    assert not queueing.publish(task, "id")
    assert task.asked == 1


@pytest.mark.django_db(transaction=True)
def test_nothing_is_published_before_the_commit() -> None:
    from django.db import transaction

    task = Task()
    with transaction.atomic():
        queueing.enqueue_on_commit(task, "id")
        assert task.asked == 0
    assert task.asked == 1


@pytest.mark.parametrize("url", ["redis://127.0.0.1:1/0", "sqlite:////nowhere/at/all/broker.sqlite3"])
def test_a_real_broker_that_is_not_there_costs_a_moment_only(url: str) -> None:
    """In a process of its own, as it starts: the first booking after a broker's death pays nothing either."""
    code = (
        "import django, time; django.setup()\n"
        "from core.queueing import publish; from core.tasks import heartbeat_task\n"
        "began = time.perf_counter(); assert not publish(heartbeat_task); print(time.perf_counter() - began)"
    )
    environment = os.environ | {"CELERY_BROKER_URL": url, "DJANGO_SETTINGS_MODULE": "agdar.settings"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    # kombu's own habit would be six seconds; the rest is the first import of its parts.
    assert float(done.stdout.splitlines()[-1]) < 1
