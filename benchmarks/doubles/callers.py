"""Providers that call back: keep-alive clients by hand, which send prepared requests as fast as they are answered.

``python -m benchmarks.doubles.callers PORT CLIENTS FILE``: prints ``ready``, waits for a line, sends every request of
the file once, and prints one line of JSON: seconds, and how often each status code was answered. The file holds a
request after a line with its length.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path


def read(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while length := file.readline():
            yield file.read(int(length))


def write(path: Path, requests: Iterator[bytes]) -> None:
    with path.open("wb") as file:
        for request in requests:
            file.write(b"%d\n%s" % (len(request), request))


async def call(port: int, waiting: list[bytes], answers: Counter[str]) -> None:
    """One client. The server may close a kept connection at any time; then the request goes over a new one."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while waiting:
        request = waiting.pop()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        status, fields = _parse(head)
        answers[status] += 1
        if length := int(fields.get("content-length", "0")):
            await reader.readexactly(length)
        if fields.get("connection", "").lower() == "close":
            writer.close()
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.close()


def _parse(head: bytes) -> tuple[str, dict[str, str]]:
    first, *lines = head.decode("latin-1").split("\r\n")
    fields = {name.lower(): value.strip() for name, _colon, value in (line.partition(":") for line in lines)}
    return first.split(" ")[1], fields


async def send(port: int, clients: int, requests: list[bytes]) -> dict[str, object]:
    answers: Counter[str] = Counter()
    began = time.perf_counter()
    await asyncio.gather(*(call(port, requests, answers) for _ in range(clients)))
    return {"seconds": time.perf_counter() - began, "answers": answers}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("clients", type=int)
    parser.add_argument("file", type=Path)
    chosen = parser.parse_args()
    requests = list(read(chosen.file))
    print("ready", flush=True)
    sys.stdin.readline()
    print(json.dumps(asyncio.run(send(chosen.port, chosen.clients, requests))), flush=True)


if __name__ == "__main__":
    main()
