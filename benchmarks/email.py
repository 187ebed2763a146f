"""Mails from their making to the mail server's 250: ours, and django-post_office at its best setting.

Both render a template with one placeholder when the mail is made, write to the same PostgreSQL and send the same mail,
with its text as text and as HTML, to the same sink. Which setting of post_office is the best on this machine is tried out first, on few mails.
"""

from __future__ import annotations

import itertools
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks import ours
from benchmarks.measure import Goal, Measure
from benchmarks.services import MailSink, mail_sink, process, python, wait_for

SIZE = 10_000
ROUNDS = 3
PROCESSES = 2
# Reused: no more than the two processes' pools hold, however many mails.
GOAL_CONNECTIONS = 20.0
_TRIAL = 2_000
_BATCHES, _THREADS, _PROCESSES = (500, 5_000), (1, 4, 8), (1, 2)
_WORDS = "post-office.json"
_PATIENCE_SECONDS = 120.0


@dataclass(frozen=True)
class Phases:
    """One round of one side: how many mails, the seconds of its halves, and the connections it opened."""

    size: int
    make: float
    send: float
    connections: int


def run(folder: Path, size: int = SIZE) -> Iterator[Measure]:
    with mail_sink(folder) as sink:
        _write_words(folder)
        best = _best_setting(folder, sink, min(size, _TRIAL))
        print(f"post_office at its best: batch {best[0]}, threads {best[1]}, processes {best[2]}", file=sys.stderr)
        group = ours.found_group("bench", size)
        with ours.worker(folder, concurrency=str(PROCESSES)):
            start = _ours(group, sink, min(size, 500), -1)  # imports, plans, connections
            rounds = [
                (_ours(group, sink, size, number), _post_office(folder, sink, size, *best)) for number in range(ROUNDS)
            ]
    ours_, theirs = (list(side) for side in zip(*rounds, strict=True))
    yield _measure("email_send", [r.size / r.send for r in ours_], [r.size / r.send for r in theirs])
    yield _measure("email", [r.size / (r.make + r.send) for r in ours_], [r.size / (r.make + r.send) for r in theirs])
    # All that ours ever opened, against what post_office opens for a round: it keeps none.
    opened = start.connections + sum(r.connections for r in ours_)
    yield Measure("email_connections", opened, "", statistics.median(r.connections for r in theirs), GOAL_CONNECTIONS)


def _measure(name: str, ours_: list[float], theirs: list[float]) -> Measure:
    return Measure(name, statistics.median(ours_), "/s", statistics.median(theirs), 2.0, Goal.RATIO_AT_LEAST)


def _ours(group: ours.Group, sink: MailSink, size: int, number: int) -> Phases:
    began = time.perf_counter()
    ours.queue(group, size, f"round-{number}", "EMAIL")
    made = time.perf_counter()
    sink.forget()
    ours.ring(PROCESSES)
    wait_for(
        lambda: not ours.is_any_left(group, "SENT"), seconds=_PATIENCE_SECONDS, what="our mails are sent", every=0.05
    )
    sent = time.perf_counter()
    return Phases(size, made - began, sent - made, _counted(sink, size))


def _post_office(folder: Path, sink: MailSink, size: int, *setting: int) -> Phases:
    sink.forget()
    command = python("benchmarks.lean.post_office", size, *setting, folder / _WORDS)
    with process("post-office", command, folder, os.environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as running:
        stdin, stdout = running.stdin, running.stdout
        assert stdin is not None
        assert stdout is not None
        made = float(stdout.readline())
        stdin.write(b"go\n")
        stdin.flush()
        sent = float(stdout.readline())
    return Phases(size, made, sent, _counted(sink, size))


def _write_words(folder: Path) -> None:
    """The template for post_office: our own mail's words and page, with post_office's kind of placeholder."""
    from integrations.providers import letter
    from integrations.sms_providers import Outgoing

    content = ours.TEXTS["EMAIL"][0].replace("{patient_name}", "{{ patient_name }}")
    mail = Outgoing(
        message_id="bench",
        channel="EMAIL",
        to="",
        sender="",
        subject=ours.SUBJECT,
        body=content,
        language="en",
        callback_url="",
        valid_seconds=None,
    )
    words = {"subject": ours.SUBJECT, "content": content, "html_content": letter.html(mail)}
    (folder / _WORDS).write_text(json.dumps(words))


def _counted(sink: MailSink, size: int) -> int:
    counted = sink.count()
    if counted["accepted"] != size:
        raise RuntimeError(f"the mail sink saw {counted} instead of {size} mails")
    return counted["connections"]


def _best_setting(folder: Path, sink: MailSink, size: int) -> tuple[int, int, int]:
    """(batch, threads, processes) with which post_office sends fastest here."""
    tried = {
        setting: _post_office(folder, sink, size, *setting).send
        for setting in itertools.product(_BATCHES, _THREADS, _PROCESSES)
    }
    return min(tried, key=tried.__getitem__)
