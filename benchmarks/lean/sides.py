"""Runs the lean sides: the common way through real Celery processes, the floor through two plain ones."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg

from benchmarks.lean import tables
from benchmarks.services import ProviderDouble, celery_worker, process, python, wait_for

PROCESSES = 2
_PATIENCE_SECONDS = 900.0


@dataclass(frozen=True)
class Phases:
    """One round of one side: how many messages, and the seconds of its two halves."""

    size: int
    send: float
    receive: float

    @property
    def whole(self) -> float:
        return self.send + self.receive


class Common:
    """One Celery task a message (``benchmarks.lean.celery``). Its queue is full before its consumers are let in."""

    def __init__(self, connection: psycopg.Connection, double: ProviderDouble) -> None:
        self._connection, self._double = connection, double

    @classmethod
    @contextlib.contextmanager
    def running(cls, connection: psycopg.Connection, double: ProviderDouble, folder: Path) -> Iterator[Common]:
        from benchmarks.lean.celery import nothing

        worker = celery_worker("benchmarks.lean.celery", "lean-start", PROCESSES, "lean")
        with process("lean-worker", worker, folder, {"DJANGO_SETTINGS_MODULE": "benchmarks.lean.settings"}):
            for _ in range(20 * PROCESSES):
                nothing.apply_async(queue="lean-start")
            yield cls(connection, double)

    def round(self, size: int, number: int) -> Phases:
        from benchmarks.lean.celery import receive, send

        ids = tables.fill(self._connection, size)
        self._double.forget()
        sending = self._timed(send, ids, f"lean-send-{number}", "SENT")
        receiving = self._timed(receive, ids, f"lean-receive-{number}", "DELIVERED")
        tables.check(self._connection, size, 2 * size)
        return Phases(size, sending, receiving)

    def _timed(self, task: object, ids: list[str], queue: str, status: str) -> float:
        from benchmarks.lean.celery import app

        with app.connection_for_write() as connection, app.amqp.Producer(connection) as producer:
            for message_id in ids:
                task.apply_async((message_id,), queue=queue, producer=producer)  # type: ignore[attr-defined]
        began = time.perf_counter()
        app.control.add_consumer(queue, destination=["lean@bench"])
        wait_for(
            lambda: tables.count(self._connection, status) == len(ids),
            seconds=_PATIENCE_SECONDS,
            what=f"the common way brings {len(ids)} messages to {status}",
            every=0.05,
        )
        elapsed = time.perf_counter() - began
        app.control.cancel_consumer(queue, destination=["lean@bench"])
        return elapsed


class Floor:
    """The fewest steps (``benchmarks.lean.floor``) in as many processes."""

    def __init__(self, connection: psycopg.Connection, double: ProviderDouble, folder: Path) -> None:
        self._connection, self._double, self._folder = connection, double, folder

    def round(self, size: int, number: int) -> Phases:
        tables.fill(self._connection, size)
        self._double.forget()
        sending = self._timed(f"send-{number}")
        tables.fill_receipts(self._connection)
        receiving = self._timed(f"receive-{number}")
        tables.check(self._connection, size, 2 * size)
        return Phases(size, sending, receiving)

    def _timed(self, step: str) -> float:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        command = python("benchmarks.lean.floor", step.partition("-")[0])
        with contextlib.ExitStack() as stack:
            workers = [
                stack.enter_context(process(f"floor-{step}-{number}", command, self._folder, os.environ, **pipes))
                for number in range(PROCESSES)
            ]
            for worker in workers:
                assert worker.stdout is not None
                worker.stdout.readline()
            began = time.perf_counter()
            for worker in workers:
                assert worker.stdin is not None
                worker.stdin.write(b"go\n")
                worker.stdin.flush()
            codes = [worker.wait(_PATIENCE_SECONDS) for worker in workers]
            elapsed = time.perf_counter() - began
        if any(codes):
            raise RuntimeError(f"a process of the floor ended with {codes}")
        return elapsed
