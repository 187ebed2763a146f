"""The two web servers of the comparison, one process each, with the settings that serve both sides alike."""

from __future__ import annotations

import json

from benchmarks.services import ROOT, python

OURS = "agdar.wsgi:application"


def gunicorn(port: int, target: str = OURS) -> list[str]:
    """The Dockerfile's own command, with one process instead of its number, for ``target`` at ``port``."""
    line = next(line for line in (ROOT / "Dockerfile").read_text().splitlines() if line.startswith("CMD "))
    program, _target, *arguments = json.loads(line.removeprefix("CMD "))
    for name, value in (("--bind", f"127.0.0.1:{port}"), ("--workers", "1")):
        arguments[arguments.index(name) + 1] = value
    return python(program, target, *arguments)


def granian(port: int, target: str = OURS) -> list[str]:
    """One process with one thread for Python: more of them wait for each other."""
    return python(
        *("granian", target, "--interface", "wsgi", "--host", "127.0.0.1", "--port", port, "--no-ws"),
        *("--workers", 1, "--blocking-threads", 1, "--runtime-threads", 1, "--log-level", "warning"),
    )
