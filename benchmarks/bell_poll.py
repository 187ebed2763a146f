"""The bell's poll: how many idle polls a second one web process answers, in front of Django and inside.

Baseline: the live unread count of django-notifications-hq 1.8.3 on the same server, with as many rows and users. On
gunicorn as the Dockerfile has it, and on granian. Every answer is checked, and afterwards that no poll read the list.
"""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.doubles import callers
from benchmarks.measure import Goal, Measure
from benchmarks.services import free_port, process, python, wait_for
from benchmarks.staff_bell import hq, seed, servers, small_rows

SIZE = 1_000_000
FEW = 10_000
USERS = 200
CONNECTIONS = 8
ROUNDS = 3
SECONDS = 2.0
GOAL_INSIDE, GOAL_IN_FRONT, GOAL_FLAT = 3.0, 10.0, 0.9
_INSIDE = "benchmarks.staff_bell.inside:application"
_POLL = "/notifications/bell/"


@dataclass
class Side:
    """One process, what it is asked, what it must answer, and how many of that a second in each round."""

    name: str
    port: int
    requests: list[bytes]
    expected: str
    rates: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        return statistics.median(self.rates)


def run(folder: Path, size: int = SIZE) -> Iterator[Measure]:
    site = hq.Site.made_in(folder)
    counts = [request(hq.UNREAD_COUNT, key) for key in site.seed(size=size, users=USERS)]
    few = [_poll(key, tag) for key, tag in _seed_few(min(size, FEW))]
    staff = seed.found_staff(USERS)
    seed.fill(staff, size)
    people = list(zip(staff.keys, staff.user_ids, strict=True))
    idle = [_poll(key, seed.tag_of(staff, user_id)) for key, user_id in people]
    # The tag of a page that was opened before the first notification came.
    changed = [_poll(key, f"{user_id.hex[:12]}.0.0") for key, user_id in people]

    looked_at_before = _looks_at_the_list()
    for server in (servers.gunicorn, servers.granian):
        name = server.__name__
        with contextlib.ExitStack() as open_:
            theirs, inside, front, small = (
                open_.enter_context(web(folder, f"{side}-{name}", server, target, requests, status, site_))
                for side, target, requests, status, site_ in (
                    ("hq", hq.WSGI, counts, "200", site),
                    ("inside", _INSIDE, idle, "304", None),
                    ("front", servers.OURS, idle, "304", None),
                    ("few", servers.OURS, few, "304", small_rows.environment()),
                )
            )
            told = Side(f"changed-{name}", front.port, changed, "200")
            sides = (theirs, inside, front, small, told)
            for number in range(ROUNDS + 1):
                for side in sides:
                    ask(folder, side, counts=number > 0)
        for side, goal in ((inside, GOAL_INSIDE), (front, GOAL_IN_FRONT if name == "granian" else None), (told, None)):
            label = side.name.partition("-")[0]
            yield Measure(f"bell_poll_{label}_{name}", side.rate, "/s", theirs.rate, goal, Goal.RATIO_AT_LEAST)
    yield Measure("bell_poll_flat", front.rate, "/s", small.rate, GOAL_FLAT, Goal.RATIO_AT_LEAST)
    if _looks_at_the_list() != looked_at_before:
        raise RuntimeError("a poll has read the list")


def _seed_few(size: int) -> list[tuple[str, str]]:
    done = subprocess.run(
        python("benchmarks.staff_bell.small_rows", size, USERS),
        env={**os.environ, **small_rows.environment()},
        stdout=subprocess.PIPE,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"the few rows could not be made: {done.returncode}")
    return [(key, tag) for key, tag in json.loads(done.stdout)]


def _poll(key: str, tag: str) -> bytes:
    return request(_POLL, key, "HX-Request: true", f"HX-PTag: {tag}")


def request(path: str, session_key: str, *more: str) -> bytes:
    """What a browser sends, without what no side looks at."""
    lines = [
        f"GET {path} HTTP/1.1",
        "Host: 127.0.0.1",
        "Accept: */*",
        "Accept-Language: en",
        "X-Forwarded-Proto: https",
        f"Cookie: django_language=en; sessionid={session_key}",
        *more,
    ]
    return "\r\n".join([*lines, "", ""]).encode()


@contextlib.contextmanager
def web(
    folder: Path,
    name: str,
    server: Callable[[int, str], list[str]],
    target: str,
    requests: list[bytes],
    expected: str,
    place: hq.Site | dict[str, str] | None,
) -> Iterator[Side]:
    """A web process that waits for its turn. ``place``: hq's own folder, or what is different in the environment."""
    port = free_port()
    home = {"changed": place.environment, "cwd": place.folder} if isinstance(place, hq.Site) else {"changed": place}
    side = Side(name, port, requests, expected)
    with process(name, server(port, target), folder, **home):
        wait_for(lambda: _answers(folder, side), seconds=40, what=f"{name} answers", every=0.2)
        yield side


def _answers(folder: Path, side: Side) -> bool:
    with contextlib.suppress(RuntimeError):
        return bool(_load(folder, side, 0.2)["answers"])
    return False


def ask(folder: Path, side: Side, *, counts: bool) -> None:
    """One round; the first of them only makes warm."""
    told = _load(folder, side, SECONDS)
    if set(told["answers"]) - {side.expected} or (counts and not told["answers"]):
        raise RuntimeError(f"{side.name}: expected {side.expected} only, but got {told['answers']}")
    if counts:
        side.rates.append(told["rate"])


def _load(folder: Path, side: Side, seconds: float) -> dict:
    path = folder / "polls"
    callers.write(path, iter(side.requests))
    done = subprocess.run(
        python("benchmarks.staff_bell.load", side.port, CONNECTIONS, seconds, path),
        capture_output=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stderr.decode()[-500:])
    return json.loads(done.stdout)


def _looks_at_the_list() -> int:
    """How often any table of notifications was looked into. What a connection has seen is told when it ends."""
    import psycopg
    from django.db import connections

    connections.close_all()
    with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
        connection.execute("SELECT pg_sleep(1)")
        row = connection.execute(
            "SELECT sum(seq_scan + coalesce(idx_scan, 0)) FROM pg_stat_user_tables "
            "WHERE relname = 'notifications_notification' AND schemaname <> 'hq'"
        ).fetchone()
    assert row is not None
    return int(row[0])
