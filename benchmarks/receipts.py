"""Twilio's signed status call-backs against one web process, as production runs it, while a worker applies them.

Baseline: the same clients asking the same process for ``/healthz``, which does nothing.
"""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import subprocess
import time
import urllib.request
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import urlencode

from benchmarks import ours
from benchmarks.doubles import callers
from benchmarks.measure import Goal, Measure
from benchmarks.services import free_port, process, production_web, provider_double, python, wait_for

SIZE = 15_000
ROUNDS = 3
CLIENTS = 16
GOAL_PER_SECOND = 1000.0
_IDLE_SHARE = 3


def run(folder: Path, size: int = SIZE) -> Iterator[Measure]:
    each = size // ROUNDS
    port = free_port()
    with provider_double(folder):
        group = ours.found_group("bench", each)
        with (
            ours.worker(folder, "worker"),
            ours.worker(folder, "worker-bulk"),
            process("web", production_web(port), folder),
        ):
            wait_for(lambda: _answers(port), seconds=30, what="the web process answers", every=0.1)
            _call(folder, port, (_request("GET", "/healthz") for _ in range(500)), "200")
            stored, applied, idle = zip(
                *(_round(folder, port, group, each, number) for number in range(ROUNDS)), strict=True
            )
            ours.check(group, "DELIVERED", rows_each=5)
    yield Measure("receipts", statistics.median(stored), "/s", statistics.median(idle), GOAL_PER_SECOND, Goal.AT_LEAST)
    yield Measure("receipts_applied", statistics.median(applied), "/s", None, GOAL_PER_SECOND, Goal.AT_LEAST)


def _round(folder: Path, port: int, group: ours.Group, size: int, number: int) -> tuple[float, float, float]:
    """Receipts answered a second, receipts applied a second, empty requests answered a second."""
    ours.queue(group, size, f"round-{number}")
    ours.ring(2)
    wait_for(lambda: not ours.is_any_left(group, "SENT"), seconds=300, what="the messages are sent", every=0.1)
    requests = list(_receipts(group))
    idle = _call(folder, port, (_request("GET", "/healthz") for _ in range(size // _IDLE_SHARE)), "200")
    began = time.perf_counter()
    elapsed = _call(folder, port, requests, "204")
    wait_for(lambda: not ours.is_any_left(group, "DELIVERED"), seconds=120, what="all receipts are applied")
    applied = time.perf_counter() - began
    return size / elapsed, size / applied, size // _IDLE_SHARE / idle


def _answers(port: int) -> bool:
    request = urllib.request.Request(f"http://127.0.0.1:{port}/healthz", headers={"X-Forwarded-Proto": "https"})
    with contextlib.suppress(OSError):
        urllib.request.urlopen(request, timeout=2).close()
        return True
    return False


def _receipts(group: ours.Group) -> Iterator[bytes]:
    """A “delivered” for every SENT message with all that Twilio sends, signed for our public address."""
    from twilio.request_validator import RequestValidator

    validator = RequestValidator(os.environ["TWILIO_AUTH_TOKEN"])
    for message_id, sid, recipient, attempt in ours.sent(group):
        path = f"/webhooks/twilio/status/{message_id}/?attempt={attempt}"
        form = {
            "AccountSid": os.environ["TWILIO_ACCOUNT_SID"],
            "ApiVersion": "2010-04-01",
            "From": os.environ["TWILIO_SMS_FROM"],
            "MessageSid": sid,
            "MessageStatus": "delivered",
            "RawDlrDoneDate": "2611231200",
            "SmsSid": sid,
            "SmsStatus": "delivered",
            "To": recipient,
        }
        signature = validator.compute_signature(os.environ["PUBLIC_BASE_URL"] + path, form)
        yield _request("POST", path, urlencode(form).encode(), signature)


def _request(method: str, path: str, body: bytes = b"", signature: str = "") -> bytes:
    lines = [
        f"{method} {path} HTTP/1.1",
        "Host: 127.0.0.1",
        "User-Agent: TwilioProxy/1.1",
        "Accept: */*",
        "X-Forwarded-Proto: https",
    ]
    if method == "POST":
        lines += [
            "Content-Type: application/x-www-form-urlencoded; charset=UTF-8",
            f"Content-Length: {len(body)}",
            f"X-Twilio-Signature: {signature}",
        ]
    return "\r\n".join([*lines, "", ""]).encode() + body


def _call(folder: Path, port: int, requests: Iterable[bytes], expected: str) -> float:
    """Seconds until all requests were answered as expected. RuntimeError for any other answer."""
    path = folder / "requests"
    callers.write(path, iter(requests))
    command = python("benchmarks.doubles.callers", port, CLIENTS, path)
    with process("callers", command, folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as calling:
        assert calling.stdin is not None and calling.stdout is not None  # noqa: PT018  # both for the type checker
        calling.stdout.readline()
        calling.stdin.write(b"go\n")
        calling.stdin.flush()
        told = json.loads(calling.stdout.readline())
    if set(told["answers"]) != {expected}:
        raise RuntimeError(f"expected {expected} only, but got {told['answers']}")
    return float(told["seconds"])
