"""The process supervisor, with toy children: a restart, giving up, an end that leaves nobody behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

RUN = """
import sys
from core.management import supervisor
from core.management.supervisor import Child, Supervisor
supervisor.GRACE_SECONDS = 1.0
supervisor._LONGEST_PAUSE = 0.05
children = [Child("one", [sys.executable, "-c", sys.argv[1]], {})]
sys.exit(Supervisor(children).run(lambda s: True))
"""
# A child with a child of its own, both deaf to TERM.
DEAF = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
os.fork()
print("pid", os.getpid(), flush=True)
time.sleep(60)
"""
POLITE = "import time; print('hello', flush=True); time.sleep(60)"


def supervise(code: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", RUN, code],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=Path(__file__).resolve().parents[2],
        start_new_session=True,
    )


def read_until(process: subprocess.Popen[str], text: str) -> str:
    assert process.stdout is not None
    for line in process.stdout:
        if text in line:
            return line
    raise AssertionError(f"ended without saying {text!r}")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_children_and_supervisor(number: signal.Signals) -> None:
    process = supervise(POLITE)
    assert read_until(process, "hello") == "one | hello\n"
    process.send_signal(number)
    assert process.wait(10) == 0


def test_a_killed_child_is_restarted_with_a_clear_line() -> None:
    process = supervise("import os, time; print('pid', os.getpid(), flush=True); time.sleep(60)")
    first = int(read_until(process, "pid").split()[-1])
    os.kill(first, signal.SIGKILL)
    assert "one was killed by SIGKILL; starting it again" in read_until(process, "SIGKILL")
    second = int(read_until(process, "pid").split()[-1])
    assert second != first
    process.terminate()
    assert process.wait(10) == 0


def test_a_child_that_keeps_dying_stops_everything_with_exit_code_1() -> None:
    process = supervise("import sys; sys.exit(3)")
    assert "one ended with exit code 3, 5 times within a minute" in read_until(process, "5 times")
    assert process.wait(10) == 1


def test_deaf_children_and_their_children_are_killed_after_the_grace() -> None:
    process = supervise(DEAF)
    pids = [int(read_until(process, "pid").split()[-1]) for _ in range(2)]
    process.terminate()
    assert process.wait(10) == 0
    deadline = time.monotonic() + 3
    while any(_is_alive(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(_is_alive(pid) for pid in pids)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent died")
def test_children_do_not_outlive_a_supervisor_that_is_killed() -> None:
    process = supervise("import os, time; print('pid', os.getpid(), flush=True); time.sleep(60)")
    pid = int(read_until(process, "pid").split()[-1])
    process.kill()
    process.wait(5)
    deadline = time.monotonic() + 3
    while _is_alive(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _is_alive(pid)


def _is_alive(pid: int) -> bool:
    """Running, and not merely waiting for somebody to collect it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
