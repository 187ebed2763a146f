"""The embedded broker: a message is taken once, comes back when its worker dies, and is gone when acknowledged."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from kombu import Connection, Exchange, Queue
from kombu.simple import SimpleQueue

import agdar.celery  # noqa: F401  # registers the transport

LEASE = 1


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'broker.sqlite3'}"


@pytest.fixture
def connection(url: str) -> Iterator[Connection]:
    with Connection(url, transport_options={"visibility_timeout": LEASE}) as opened:
        yield opened


def take(queue: SimpleQueue) -> object:
    try:
        return queue.get_nowait()
    except SimpleQueue.Empty:
        return None


def test_an_acknowledged_message_is_gone(connection: Connection) -> None:
    queue = connection.SimpleQueue("q")
    queue.put({"id": 1})
    message = take(queue)
    assert message.payload == {"id": 1}
    message.ack()
    time.sleep(LEASE + 0.1)
    assert take(queue) is None


def test_a_message_is_taken_by_one_only(connection: Connection, url: str) -> None:
    connection.SimpleQueue("q").put("x")
    with Connection(url) as other:
        first, second = take(connection.SimpleQueue("q")), take(other.SimpleQueue("q"))
    assert [first is None, second is None].count(True) == 1


def test_the_message_of_a_dead_worker_comes_back_when_the_lease_ends(connection: Connection, url: str) -> None:
    connection.SimpleQueue("q").put("x")
    worker = (
        "import os, sys, agdar.celery; from kombu import Connection;"
        f"q = Connection(sys.argv[1], transport_options={{'visibility_timeout': {LEASE}}}).SimpleQueue('q');"
        "print(q.get_nowait().payload, flush=True); os.kill(os.getpid(), 9)"
    )
    dead = subprocess.run(
        [sys.executable, "-c", worker, url], capture_output=True, text=True, check=False, cwd=Path(__file__).parents[1]
    )
    assert dead.stdout.strip() == "x"
    queue = connection.SimpleQueue("q")
    assert take(queue) is None
    time.sleep(LEASE + 0.1)
    assert take(queue).payload == "x"


def test_the_urgent_one_is_first_and_equals_keep_their_order(connection: Connection) -> None:
    queue = connection.SimpleQueue("q")
    for name, priority in (("a", 0), ("b", 0), ("c", 9)):
        queue.put(name, priority=priority)
    assert [take(queue).payload for _ in range(3)] == ["c", "a", "b"]


def test_a_refused_message_is_there_again_at_once(connection: Connection) -> None:
    queue = connection.SimpleQueue("q")
    queue.put("x")
    take(queue).requeue()
    assert take(queue).payload == "x"


def test_a_worker_that_was_too_slow_cannot_give_away_what_another_has_taken(connection: Connection, url: str) -> None:
    queue = connection.SimpleQueue("q")
    queue.put("x")
    slow = take(queue)
    time.sleep(LEASE + 0.1)
    with Connection(url, transport_options={"visibility_timeout": 60}) as other:
        taken = take(other.SimpleQueue("q"))
        assert taken.payload == "x"
        slow.requeue()
        assert take(queue) is None
        taken.ack()


def test_several_processes_share_the_queue_and_none_gets_the_same_message(connection: Connection, url: str) -> None:
    queue = connection.SimpleQueue("q")
    for n in range(200):
        queue.put(n)
    # Each drains what it can get, its children too: they are forked with the parent's connection open.
    worker = """
import os, sys, time, agdar.celery
from kombu import Connection
queue = Connection(sys.argv[1]).SimpleQueue("q")
queue.qsize()
child = os.fork()
while True:
    try:
        message = queue.get_nowait()
    except queue.Empty:
        break
    os.write(1, b"%d\\n" % message.payload)
    message.ack()
if child:
    os.waitpid(child, 0)
else:
    os._exit(0)
"""
    command = [sys.executable, "-c", worker, url]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[1]) for _n in range(2)]
    seen = [int(line) for one in running for line in one.communicate(timeout=60)[0].split()]
    assert sorted(seen) == list(range(200))
    assert queue.qsize() == 0


def test_who_never_acknowledges_takes_for_good(connection: Connection) -> None:
    connection.SimpleQueue("q").put("by consuming")
    seen: list[object] = []
    with connection.Consumer(Queue("q"), callbacks=[lambda body, _message: seen.append(body)], no_ack=True):
        connection.drain_events(timeout=2)
    assert seen == ["by consuming"]
    connection.SimpleQueue("q").put("by getting")
    assert Queue("q")(connection.channel()).get(no_ack=True).payload == "by getting"
    time.sleep(LEASE + 0.1)
    assert take(connection.SimpleQueue("q")) is None


def test_a_fanout_reaches_every_queue(connection: Connection) -> None:
    exchange = Exchange("news", type="fanout")
    channel = connection.channel()
    queues = [Queue(name, exchange)(channel) for name in ("one", "two")]
    for queue in queues:
        queue.declare()
    connection.Producer(channel).publish("x", exchange=exchange)
    assert [queue.get().payload for queue in queues] == ["x", "x"]


def test_a_task_lands_in_its_own_queue_and_in_no_other() -> None:
    from agdar.celery import QUEUES, app

    addresses = {(queue.exchange.name, queue.routing_key) for queue in app.amqp.queues.values()}
    assert addresses == {(name, name) for name in QUEUES}
