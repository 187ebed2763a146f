"""Runs a handful of child processes in one terminal: prefixed lines, restarts with a pause, one clean end.

Standard library only; knows nothing of Django or of what the children do. Used by ``manage.py demo``.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO

# How long a child may take to finish its work before it is killed. Longer than a provider call in the sandbox.
GRACE_SECONDS = 8.0
# A child that dies this often within a minute will not get better by itself.
MAX_DEATHS_A_MINUTE = 5
_LONGEST_PAUSE = 8.0
_COLOURS = (36, 32, 35, 33, 34)


@dataclass
class Child:
    """One process to keep alive. ``command`` runs with ``environment`` in its own process group."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    process: subprocess.Popen[str] | None = None
    deaths: deque[float] = field(default_factory=deque)
    start_at: float = 0.0


class Supervisor:
    """Starts the children, restarts the dead, stops them all.

    ``run`` returns 0 after a signal (Ctrl-C, TERM, HUP) and 1 when a child keeps dying.
    """

    def __init__(self, children: Sequence[Child]) -> None:
        self.children = children
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._readers: list[threading.Thread] = []
        self._is_colourful = sys.stdout.isatty() and "NO_COLOR" not in os.environ
        self._width = max(len(child.name) for child in children)

    def run(self, when_started: Callable[[Supervisor], bool]) -> int:
        """Starts everything, calls ``when_started`` (False: give up), then watches until the end."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._on_signal)
        try:
            for child in self.children:
                self._start(child)
            if not when_started(self):
                return 0 if self._stop.is_set() else 1
            while not self.wait(0.2):
                if not self.keep_alive():
                    return 1
            return 0
        finally:
            self._stop_all()

    def say(self, text: str) -> None:
        """Our own words, between the children's lines."""
        self._write(f"{text}\n")

    def wait(self, seconds: float) -> bool:
        """Sleeps; True when it is time to stop."""
        return self._stop.wait(seconds)

    def keep_alive(self) -> bool:
        """Restarts what has died. False when one of them dies again and again."""
        now = time.monotonic()
        for child in self.children:
            if child.process is None:
                if now >= child.start_at:
                    self._start(child)
                continue
            code = child.process.poll()
            if code is None:
                continue
            # Its own children (the worker's pool) must not outlive it.
            _signal_group(child.process, signal.SIGKILL)
            child.process = None
            child.deaths.append(now)
            while now - child.deaths[0] > 60:
                child.deaths.popleft()
            how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
            if len(child.deaths) >= MAX_DEATHS_A_MINUTE:
                self.say(
                    f"{child.name} {how}, {len(child.deaths)} times within a minute. Stopping; its lines above say why."
                )
                return False
            pause = min(2.0 ** (len(child.deaths) - 1), _LONGEST_PAUSE)
            child.start_at = now + pause
            self.say(f"{child.name} {how}; starting it again in {pause:.0f} s.")
        return True

    def _on_signal(self, number: int, frame: object) -> None:
        self._stop.set()

    def _start(self, child: Child) -> None:
        child.process = subprocess.Popen(
            child.command,
            env=dict(child.environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            bufsize=1,
            # Ctrl-C reaches only us, and we end the children in good order.
            start_new_session=True,
            preexec_fn=_die_with_parent,  # noqa: PLW1509  # takes no lock and loads nothing
        )
        reader = threading.Thread(target=self._copy, args=(child.name, child.process.stdout), daemon=True)
        reader.start()
        self._readers.append(reader)

    def _copy(self, name: str, stream: IO[str]) -> None:
        prefix = f"{name:<{self._width}} | "
        if self._is_colourful:
            colour = _COLOURS[[child.name for child in self.children].index(name) % len(_COLOURS)]
            prefix = f"\033[{colour}m{prefix}\033[0m"
        for line in stream:
            self._write(prefix + line)

    def _write(self, text: str) -> None:
        # A closed terminal must not stop the reading: the child would hang on a full pipe.
        with self._lock, contextlib.suppress(OSError):
            sys.stdout.write(text)
            sys.stdout.flush()

    def _stop_all(self) -> None:
        """TERM to each main process, so that it ends its own children; after the grace, KILL to the whole groups."""
        running = [child.process for child in self.children if child.process is not None]
        for process in running:
            if process.poll() is None:
                process.terminate()
        deadline = time.monotonic() + GRACE_SECONDS
        for process in running:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                self.say(f"process {process.pid} does not end; killing it.")
            _signal_group(process, signal.SIGKILL)
            process.wait()
        for reader in self._readers:
            reader.join(timeout=1)


def _signal_group(process: subprocess.Popen[str], number: signal.Signals) -> None:
    try:
        os.killpg(process.pid, number)
    except (ProcessLookupError, PermissionError):
        return


# Loaded before any fork: a child between fork and exec may not load libraries.
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
_PR_SET_PDEATHSIG = 1


def _die_with_parent() -> None:
    """On Linux a child gets TERM when we are killed the hard way; elsewhere it would live on."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
