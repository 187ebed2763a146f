"""Hands a task to the broker after the commit, and never lets a broker's trouble reach the caller.

The rows are the truth (invariant 1): what the broker does not take, the sweeper finds within a minute. ``publish`` is
the only exit; ``ring`` is for hot paths, where a thousand rows a second need a handful of tasks only.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from typing import Any

import structlog
from celery import Task
from django.db import transaction
from kombu.exceptions import OperationalError

log = structlog.get_logger(__name__)

# After a failed publish the broker is left alone for this long, so that each booking does not wait for it anew.
_COOL_DOWN_SECONDS = 5.0
_broker_asleep_until = 0.0
# Rings of one bell within this time are folded: short for a person who waits, long for a path of 1,000 rows a second.
RING_SECONDS = 0.2

_Bell = tuple[str, tuple[str | int, ...], str | None]
_bells = threading.Lock()
_last_rung: dict[_Bell, float] = {}
_rings_again: set[_Bell] = set()


def _forget_bells() -> None:
    """A fork takes the timers' threads away, but not the note that they will ring; nor may a held lock stay held."""
    global _bells
    _bells = threading.Lock()
    _last_rung.clear()
    _rings_again.clear()


os.register_at_fork(after_in_child=_forget_bells)


def enqueue_on_commit(task: Task[..., Any], *args: str | int) -> None:
    """Publishes ``task(*args)`` when the open transaction commits; ids only. A broker that is away is logged."""
    transaction.on_commit(lambda: publish(task, *args))


def publish(task: Task[..., Any], *args: str | int, queue: str | None = None) -> bool:
    """Publishes now. False when the broker did not take it: the sweeper will. ``queue`` overrides the task's route."""
    global _broker_asleep_until
    if time.monotonic() < _broker_asleep_until:
        return False
    options: dict[str, Any] = {"queue": queue} if queue else {}
    try:
        task.apply_async(args=args, retry=False, **options)
    except (OperationalError, OSError, sqlite3.Error) as error:
        _broker_asleep_until = time.monotonic() + _COOL_DOWN_SECONDS
        log.warning("broker_away", task=task.name, error=type(error).__name__)
        return False
    return True


def ring(task: Task[..., Any], *args: str | int, queue: str | None = None) -> None:
    """Publishes ``task(*args)`` at once, and after that at most once every ``RING_SECONDS``.

    What is rung in between is folded into one ring at the end of that time, so a task always starts after the last
    ring. For tasks that look for their work themselves. Call it after the commit, with few different ``args``.
    """
    bell: _Bell = (task.name, args, queue)
    with _bells:
        if bell in _rings_again:
            return
        now = time.monotonic()
        pause = _last_rung.get(bell, float("-inf")) + RING_SECONDS - now
        if pause <= 0:
            _last_rung[bell] = now
        else:
            _rings_again.add(bell)
    if pause <= 0:
        publish(task, *args, queue=queue)
        return
    timer = threading.Timer(pause, _ring_again, (bell, task))
    timer.daemon = True
    timer.start()


def _ring_again(bell: _Bell, task: Task[..., Any]) -> None:
    """The folded rings' one. The note goes first: what is rung from now on is not covered by it."""
    with _bells:
        _rings_again.discard(bell)
        _last_rung[bell] = time.monotonic()
    _name, args, queue = bell
    publish(task, *args, queue=queue)
