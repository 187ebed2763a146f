"""Browsers that ask as fast as they are answered: keep-alive connections by hand, so that they cost little themselves.

``python -m benchmarks.staff_bell.load PORT CONNECTIONS SECONDS FILE``: sends the requests of the file (a line with the
length before each) in turns, for so many seconds; prints one line of JSON: answers a second, and how often each status.
"""

from __future__ import annotations

import itertools
import json
import selectors
import socket
import sys
import time
from collections import Counter
from pathlib import Path

from benchmarks.doubles.callers import read

_LENGTH = b"content-length:"


def ask(port: int, connections: int, seconds: float, requests: list[bytes]) -> dict[str, object]:
    waiting = itertools.cycle(requests)
    answers: Counter[str] = Counter()
    ready = selectors.DefaultSelector()
    for _ in range(connections):
        _connect(ready, port, next(waiting))
    began = time.perf_counter()
    end = began + seconds
    while (now := time.perf_counter()) < end:
        for key, _events in ready.select(end - now):
            line: socket.socket = key.fileobj  # type: ignore[assignment]  # nothing else is registered
            if not (chunk := line.recv(65536)):
                # The server may close a kept connection at any time; then the request goes over a new one.
                ready.unregister(line)
                line.close()
                _connect(ready, port, next(waiting))
                continue
            got = key.data
            got += chunk
            if _is_whole(got):
                answers[bytes(got[9:12]).decode()] += 1
                got.clear()
                line.sendall(next(waiting))
    elapsed = time.perf_counter() - began
    for key in list(ready.get_map().values()):
        key.fileobj.close()  # type: ignore[union-attr]
    return {"rate": sum(answers.values()) / elapsed, "answers": answers}


def _connect(ready: selectors.BaseSelector, port: int, request: bytes) -> None:
    line = socket.create_connection(("127.0.0.1", port))
    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    ready.register(line, selectors.EVENT_READ, bytearray())
    line.sendall(request)


def _is_whole(got: bytearray) -> bool:
    head = got.find(b"\r\n\r\n")
    if head < 0:
        return False
    at = got[:head].lower().find(_LENGTH)
    length = 0 if at < 0 else int(got[at + len(_LENGTH) : head].split(b"\r\n", 1)[0])
    return len(got) >= head + 4 + length


def main() -> None:
    port, connections, seconds, path = sys.argv[1:]
    print(json.dumps(ask(int(port), int(connections), float(seconds), list(read(Path(path))))))


if __name__ == "__main__":
    main()
