"""What the benchmarks measure with: the doubles at the other end, the callers, and the services they need."""

from __future__ import annotations

import json
from pathlib import Path
from unittest import mock
from urllib.parse import urlencode

import pytest

from benchmarks import services
from benchmarks.doubles import callers, mail, provider

ONE, TWO = "0b7e2f0a-0000-4000-8000-000000000001", "0b7e2f0a-0000-4000-8000-000000000002"


class Wire:
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        self.written = b""
        self.is_closed = False

    def write(self, data: bytes) -> None:
        self.written += data

    def close(self) -> None:
        self.is_closed = True


def create(message_id: str) -> bytes:
    body = urlencode(
        {"To": "+966501234567", "StatusCallback": f"https://x/webhooks/twilio/status/{message_id}/?attempt=1"}
    )
    path = "/2010-04-01/Accounts/AC1/Messages.json"
    return f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


def connected(count: provider.Count) -> tuple[provider.Messages, Wire]:
    messages, wire = provider.Messages(count, 0), Wire()
    messages._transport = wire  # type: ignore[assignment]  # as connection_made would
    return messages, wire


def test_the_provider_double_accepts_as_twilio_does_and_gives_each_message_its_own_sid() -> None:
    messages, wire = connected(provider.Count())
    messages.data_received(create(ONE) + create(TWO))
    heads = wire.written.split(b"HTTP/1.1 ")[1:]
    assert [head[:11] for head in heads] == [b"201 Created"] * 2
    bodies = [json.loads(head.partition(b"\r\n\r\n")[2]) for head in heads]
    assert {body["status"] for body in bodies} == {"queued"}
    assert len({body["sid"] for body in bodies}) == 2


def test_the_provider_double_waits_for_a_request_that_comes_in_pieces() -> None:
    messages, wire = connected(provider.Count())
    whole = create(ONE)
    messages.data_received(whole[:30])
    messages.data_received(whole[30:-5])
    assert wire.written == b""
    messages.data_received(whole[-5:])
    assert wire.written.startswith(b"HTTP/1.1 201")


def test_the_provider_double_counts_a_message_that_comes_twice() -> None:
    count = provider.Count()
    messages, _wire = connected(count)
    messages.data_received(create(ONE) + create(TWO) + create(ONE))
    assert json.loads(count.as_json()) == {"accepted": 3, "repeated": 1, "connections": 0}
    count.forget()
    assert json.loads(count.as_json())["accepted"] == 0


def test_the_mail_sink_takes_pipelined_mails_and_counts_them() -> None:
    count = mail.Count()
    mails, wire = mail.Mails(count), Wire()
    mails._transport = wire  # type: ignore[assignment]  # as connection_made would
    mails.data_received(b"EHLO x\r\nMAIL FROM:<a@x>\r\nRCPT TO:<b@x>\r\nDATA\r\n")
    mails.data_received(b"Subject: QUIT\r\n\r\nQUIT\r\n..\r\n")
    assert count.accepted == 0
    mails.data_received(b".\r\nQUIT\r\n")
    assert count.accepted == 1
    codes = [line[:4] for line in wire.written.decode().splitlines()]
    assert codes == ["250-", "250-", "250-", "250 ", "250 ", "250 ", "354 ", "250 ", "221 "]
    assert wire.is_closed


def test_the_callers_requests_come_back_from_their_file_as_they_were(tmp_path: Path) -> None:
    requests = [create(ONE), b"GET / HTTP/1.1\r\n\r\n"]
    callers.write(tmp_path / "requests", iter(requests))
    assert list(callers.read(tmp_path / "requests")) == requests


def test_the_workers_and_the_web_are_those_of_production() -> None:
    worker = services.production_worker("worker-bulk", concurrency="3")
    assert worker[worker.index("--queues") + 1] == "bulk"
    assert worker[worker.index("--concurrency") + 1] == "3"
    assert worker[worker.index("--hostname") + 1] == "worker-bulk@bench"
    others = services.production_worker("worker")
    assert "bulk" not in others[others.index("--queues") + 1].split(",")
    web = services.production_web(8123)
    assert web[web.index("--workers") + 1] == "1"
    assert web[web.index("--bind") + 1] == "127.0.0.1:8123"
    assert "gthread" in web


def test_without_postgresql_a_benchmark_says_so_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGDAR_BENCH_DATABASE_URL", "postgres://nobody@127.0.0.1:1/none")
    with pytest.raises(services.Unreachable, match="AGDAR_BENCH_DATABASE_URL") as told, services.database():
        pass
    assert "\n" not in str(told.value)


def test_a_broker_in_use_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGDAR_BENCH_BROKER_URL", "redis://127.0.0.1:6379/15")
    client = mock.Mock()
    client.dbsize.return_value = 1
    monkeypatch.setattr(services.redis.Redis, "from_url", lambda *_args, **_options: client)
    with pytest.raises(services.Unreachable, match="in use"), services.broker():
        pass
    client.flushdb.assert_not_called()
