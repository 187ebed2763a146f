"""Many calls at once over kept connections: how many, where a batch stops, and what a forked process keeps apart."""

from __future__ import annotations

import gc
import os
import select
import subprocess
import sys
import threading
from typing import Any

import pytest

from integrations.providers import async_http, background, http
from integrations.providers.twilio import TwilioProvider
from integrations.sms_providers import Call, Kind, Outgoing, ProviderError
from integrations.tests.http_double import Answer, Double, double, twilio
from integrations.tests.sandbox_fixtures import outgoing, wait_for

__all__ = ["double", "twilio"]

REFUSED = Answer(400, {"code": 21211, "message": "x", "status": 400})
LOCKED_OUT = Answer(401, {"code": 20003, "message": "x", "status": 401})


def batch(n: int) -> list[Outgoing]:
    return [outgoing(message_id=str(number)) for number in range(n)]


def kinds(calls: list[Call]) -> set[str]:
    return {call.result.kind if isinstance(call.result, ProviderError) else "accepted" for call in calls}


def at_once(monkeypatch: pytest.MonkeyPatch, calls: int, *, first: int | None = None) -> None:
    monkeypatch.setattr(TwilioProvider, "max_in_flight", calls)
    monkeypatch.setattr(async_http, "_FIRST", first or calls)


def test_a_batch_runs_as_many_calls_at_once_as_it_may_over_as_many_connections(
    twilio: Double, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once(monkeypatch, 7)
    twilio.answer = Answer(together=7)
    calls = TwilioProvider().send_many(batch(21))
    assert sorted(int(call.outgoing.message_id) for call in calls) == list(range(21))
    assert (max(twilio.arrivals), twilio.connections) == (7, 7)


def test_connections_are_made_few_at_a_time(twilio: Double, monkeypatch: pytest.MonkeyPatch) -> None:
    at_once(monkeypatch, 8, first=2)
    twilio.script = [*([Answer(together=2, pause=0.2)] * 2), *([Answer(together=4)] * 4), *([Answer(together=8)] * 8)]
    provider = TwilioProvider()
    assert kinds(provider.send_many(batch(14))) == {"accepted"}
    assert max(twilio.arrivals[:2]) == 2
    assert max(twilio.arrivals[:6]) == 4
    assert max(twilio.arrivals) == 8
    twilio.arrivals.clear()
    twilio.answer = Answer(together=8)
    provider.send_many(batch(8))
    assert max(twilio.arrivals) == 8
    # After a rest, when they are closed, it begins again.
    monkeypatch.setattr(async_http, "_KEEP_ALIVE", -1.0)
    twilio.arrivals.clear()
    twilio.answer = Answer(together=2)
    provider.send_many(batch(2))
    assert max(twilio.arrivals) == 2
    assert provider._pool is not None
    assert provider._pool.width == 4


def test_two_threads_of_a_process_share_its_permits(twilio: Double, monkeypatch: pytest.MonkeyPatch) -> None:
    at_once(monkeypatch, 4)
    # Waiting for one's turn is not waiting for a connection.
    monkeypatch.setattr(http, "TIMEOUT", (0.6, 5.0))
    twilio.answer = Answer(together=4, pause=0.8)
    provider = TwilioProvider()
    calls: list[Call] = []
    threads = [threading.Thread(target=lambda: calls.extend(provider.send_many(batch(4)))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(calls), kinds(calls), max(twilio.arrivals)) == (8, {"accepted"}, 4)


def test_nothing_to_send_is_no_call(twilio: Double) -> None:
    assert TwilioProvider().send_many([]) == []
    assert twilio.connections == 0


@pytest.mark.parametrize("answer", [Answer(503, b""), Answer(429, b""), Answer(resets=True)])
def test_a_batch_that_gets_nowhere_ends_after_ten(
    twilio: Double, answer: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once(monkeypatch, 1)
    twilio.answer = answer
    calls = TwilioProvider().send_many(batch(50))
    assert len(calls) == len(twilio.requests) == 10


@pytest.mark.parametrize("between", [Answer(), REFUSED])
def test_a_clear_answer_in_between_lets_a_batch_go_on(
    twilio: Double, between: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once(monkeypatch, 1)
    twilio.script = [*([Answer(503, b"")] * 9), between, *([Answer(503, b"")] * 9)]
    assert len(TwilioProvider().send_many(batch(25))) == 25


def test_a_lock_out_ends_a_batch_and_what_runs_comes_to_its_end(
    twilio: Double, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once(monkeypatch, 3)
    twilio.script = [Answer(401, LOCKED_OUT.body, together=3), Answer(together=3), Answer(together=3)]
    twilio.answer = LOCKED_OUT
    calls = TwilioProvider().send_many(batch(50))
    assert 3 <= len(calls) <= 5
    assert kinds(calls) == {"accepted", Kind.CONFIGURATION}
    assert len(twilio.requests) == len(calls)


def test_a_worker_that_is_told_to_stop_starts_no_new_call(twilio: Double, monkeypatch: pytest.MonkeyPatch) -> None:
    at_once(monkeypatch, 1)
    provider = TwilioProvider()

    class Stopped(BaseException):
        pass

    class Running:
        def result(self) -> None:
            wait_for(lambda: twilio.requests)
            raise Stopped

    real = background.asyncio.run_coroutine_threadsafe
    monkeypatch.setattr(
        "asyncio.run_coroutine_threadsafe", lambda coroutine, loop: (real(coroutine, loop), Running())[1]
    )
    twilio.script = [Answer(hangs=True)]
    monkeypatch.setattr(http, "TIMEOUT", (1.0, 0.5))
    with pytest.raises(Stopped):
        provider.send_many(batch(20))
    monkeypatch.setattr("asyncio.run_coroutine_threadsafe", real)
    provider.send(outgoing(message_id="after"))  # comes after the call that was running
    assert len(twilio.requests) == 2


# --- Processes -------------------------------------------------------------------------------------------------------


def test_a_forked_worker_uses_neither_the_loop_nor_the_connections_of_its_parent(twilio: Double) -> None:
    provider = TwilioProvider()
    provider.send(outgoing())
    loop = background.loop()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        said = b"failed"
        try:
            accepted = provider.send(outgoing())
            gc.collect()
            said = accepted.provider_message_id.encode() if background.loop() is not loop else b"the parent's loop"
        finally:
            os.write(writing, said)
            os._exit(0)
    ready, _, _ = select.select([reading], [], [], 10)
    if not ready:
        os.kill(child, 9)
    os.waitpid(child, 0)
    os.close(writing)
    assert os.read(reading, 100) == b"SM1"
    os.close(reading)
    assert twilio.connections == 2
    provider.send(outgoing())
    assert (background.loop() is loop, twilio.connections) == (True, 2)


def test_a_dropped_adapter_closes_its_connections(twilio: Double) -> None:
    provider = TwilioProvider()
    provider.send(outgoing())
    assert provider._pool is not None
    session = provider._pool.session
    del provider
    gc.collect()
    wait_for(lambda: session.closed)


_ONE_MESSAGE = """
import django; django.setup()
from integrations import sms_providers
from integrations.tests.sandbox_fixtures import outgoing
sms_providers.get("twilio").send(outgoing())
"""


def test_a_process_that_ends_says_nothing_about_its_connections(twilio: Double, settings: Any) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            _ONE_MESSAGE,
        ],
        cwd=settings.BASE_DIR,
        env={
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "agdar.settings",
            "LOG_LEVEL": "WARNING",
            "TWILIO_ACCOUNT_SID": "AC1",
            "TWILIO_AUTH_TOKEN": "x",
            "TWILIO_SMS_FROM": "CLINIC",
            "TWILIO_API_BASE_URL": twilio.url,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert len(twilio.requests) == 1
