"""Signs of life of worker and beat, read by ``/readyz`` (``core/health.py``). Wiring of Celery; no rules."""

from __future__ import annotations

import time
from typing import Any

import structlog
from celery.beat import PersistentScheduler
from celery.signals import worker_ready
from django.db import Error, connection

log = structlog.get_logger(__name__)

# As often as the worker's heartbeat in the beat table.
_EVERY_SECONDS = 10.0


def _note(name: str) -> None:
    """A database that is away now must not end the process: it will be asked again."""
    from core.health import sign_of_life

    try:
        sign_of_life(name)
    except Error as error:
        log.warning("sign_of_life_failed", process=name, error=type(error).__name__)
    finally:
        # The process forks later (worker) or idles for long (beat): it keeps no connection.
        connection.close()


@worker_ready.connect
def worker_is_ready(**_: Any) -> None:
    """The first sign at once; the others come with beat's ``heartbeat_task``."""
    _note("worker")


class LifeSignScheduler(PersistentScheduler):
    """Beat's scheduler that tells it is ticking. Celery wakes it at least as often as the most frequent entry is due."""

    _last_sign = 0.0

    def tick(self, *args: Any, **kwargs: Any) -> float:
        remaining: float = super().tick(*args, **kwargs)
        if time.monotonic() - self._last_sign >= _EVERY_SECONDS:
            self._last_sign = time.monotonic()
            _note("beat")
        return remaining
