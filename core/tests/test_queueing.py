from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from types import SimpleNamespace

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


class Bell:
    """Counts its rings, and can be waited for."""

    name = "bell"

    def __init__(self) -> None:
        self.rings: list[dict[str, object]] = []
        self.rang = threading.Condition()

    def apply_async(self, **options: object) -> None:
        with self.rang:
            self.rings.append(options)
            self.rang.notify_all()

    def wait_for(self, rings: int) -> bool:
        with self.rang:
            return self.rang.wait_for(lambda: len(self.rings) >= rings, timeout=10)


@pytest.fixture
def folding(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Tests ring at once (conftest.py); these fold as the live house does, only for longer or shorter."""
    monkeypatch.setattr(queueing, "RING_SECONDS", 0.05)
    queueing._forget_bells()
    yield
    queueing._forget_bells()


def test_the_first_ring_goes_out_at_once_and_the_others_are_folded_into_one(folding: None) -> None:
    bell = Bell()
    for _turn in range(100):
        queueing.ring(bell, "lane")
    assert len(bell.rings) < 100
    assert bell.wait_for(2)


def test_rings_in_the_pause_are_not_lost_but_late(folding: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queueing, "RING_SECONDS", 3600)
    timers: list[tuple[float, object, tuple[object, ...]]] = []
    monkeypatch.setattr(
        threading,
        "Timer",
        lambda pause, call, args: timers.append((pause, call, args)) or SimpleNamespace(start=lambda: None),
    )
    bell = Bell()
    for _turn in range(5):
        queueing.ring(bell, "lane", queue="urgent")
    assert [options["queue"] for options in bell.rings] == ["urgent"]
    [(pause, call, args)] = timers
    assert 3500 < pause <= 3600
    call(*args)
    assert [(options["args"], options["queue"]) for options in bell.rings] == [(("lane",), "urgent")] * 2
    queueing.ring(bell, "lane", queue="urgent")
    assert len(timers) == 2, "what is rung after the folded one is not covered by it"


def test_bells_with_other_arguments_ring_on_their_own(folding: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queueing, "RING_SECONDS", 3600)
    bell = Bell()
    for lane in (0, 1, 2):
        queueing.ring(bell, lane)
    assert [options["args"] for options in bell.rings] == [(0,), (1,), (2,)]
    assert "queue" not in bell.rings[0], "no queue given: the task's own route"


def test_a_broker_that_is_away_does_not_reach_who_rings(folding: None) -> None:
    queueing.ring(Task(OperationalError()), "lane")


def test_a_forked_process_does_not_wait_for_its_parents_timer(folding: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queueing, "RING_SECONDS", 3600)
    bell = Bell()
    queueing.ring(bell, "lane")
    queueing.ring(bell, "lane")
    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            queueing.ring(bell, "lane")
            os._exit(len(bell.rings))
        os._exit(99)
    _pid, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 2
