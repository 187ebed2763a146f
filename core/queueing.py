"""Hands a task to the broker after the commit, and never lets a broker's trouble reach the caller.

The rows are the truth (invariant 1): what the broker does not take, the sweeper finds within a minute.
"""

from __future__ import annotations

import sqlite3
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


def enqueue_on_commit(task: Task[..., Any], *args: str) -> None:
    """Publishes ``task(*args)`` when the open transaction commits; ids only. A broker that is away is logged."""
    transaction.on_commit(lambda: publish(task, *args))


def publish(task: Task[..., Any], *args: str) -> bool:
    """Publishes now. False when the broker did not take it: the sweeper will."""
    global _broker_asleep_until
    if time.monotonic() < _broker_asleep_until:
        return False
    try:
        task.apply_async(args=args, retry=False)
    except (OperationalError, OSError, sqlite3.Error) as error:
        _broker_asleep_until = time.monotonic() + _COOL_DOWN_SECONDS
        log.warning("broker_away", task=task.name, error=type(error).__name__)
        return False
    return True
