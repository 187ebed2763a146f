"""Signs of life of worker and beat, read by ``/readyz`` (``core/health.py``), and the workers' eye on beat.

Wiring of Celery; no rules: ``integrations/beat_watch.py`` has them.
"""

from __future__ import annotations

import sqlite3
import time
from typing import Any

import structlog
from celery import bootsteps
from celery.beat import PersistentScheduler
from celery.signals import worker_init, worker_ready
from django.db import Error, connection
from kombu.exceptions import OperationalError

from agdar.heap import keep_loaded

log = structlog.get_logger(__name__)

# As often as the worker's heartbeat in the beat table.
_EVERY_SECONDS = 10.0
# How often a worker has beat looked after. The first time this long after its start: then beat has started as well.
WATCH_SECONDS = 30.0


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


@worker_init.connect
def worker_has_loaded(**_: Any) -> None:
    """In the main process, before it forks."""
    keep_loaded()


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


class BeatWatch(bootsteps.StartStopStep):
    """In every worker's main process: has a worker see whether beat ticks, because beat starts all other watchers.

    The process rings only, over a connection that it closes: it forks, and holds nothing of database or broker.
    """

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, consumer: Any, **options: Any) -> None:
        super().__init__(consumer, **options)
        self._entry: Any = None

    def start(self, consumer: Any) -> None:
        self.stop(consumer)
        self._entry = consumer.timer.call_repeatedly(WATCH_SECONDS, self._ring, (consumer.app,))

    def stop(self, consumer: Any) -> None:
        if self._entry is not None:
            self._entry.cancel()
            self._entry = None

    # Called when the worker ends; a stop is for a lost broker.
    shutdown = stop

    @staticmethod
    def _ring(app: Any) -> None:
        try:
            with app.connection_for_write() as broker:
                app.send_task(
                    "integrations.tasks.watch_beat_task",
                    queue="urgent",
                    expires=WATCH_SECONDS,
                    connection=broker,
                    retry=False,
                )
        except (OperationalError, OSError, sqlite3.Error) as error:
            log.warning("broker_away", task="watch_beat_task", error=type(error).__name__)
