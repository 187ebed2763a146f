"""``bin/demo`` as a stranger meets it: in a copy of the project of its own, from start to Ctrl-C."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from core.demo_accounts import DEMO_ACCOUNTS, DEMO_PASSWORD
from core.management.commands.demo import demo_push_key
from tests.processes import free_port, wait_for

ROOT = Path(__file__).resolve().parent.parent
# What the project needs of a machine beside Python.
TOOLS = ("sh", "dirname", "mkdir", "grep", "env")


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """The project's files without anything that a first start makes."""
    made = tmp_path / "agdar"
    left_out = shutil.ignore_patterns(".git", ".venv", "var", "staticfiles", "__pycache__", ".*_cache", "tests", ".env")
    shutil.copytree(ROOT, made, ignore=left_out)
    return made


@pytest.fixture
def clone_with_packages(clone: Path) -> Path:
    (clone / ".venv").symlink_to(ROOT / ".venv")
    return clone


def clean_environment(**extra: str) -> dict[str, str]:
    """This machine's, with services that must not be touched."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AGDAR_", "CELERY_", "PIP_"))}
    # Were they followed, the start would fail: nothing answers there.
    foreign = {"DATABASE_URL": "postgres://nobody@127.0.0.1:1/none", "REDIS_URL": "redis://127.0.0.1:1/0"}
    return kept | foreign | {"PYTHONUNBUFFERED": "1"} | extra


@pytest.fixture
def demo(clone_with_packages: Path) -> Iterator[subprocess.Popen[str]]:
    port = free_port()
    process = subprocess.Popen(
        ["bin/demo", "--port", str(port)],
        cwd=clone_with_packages,
        env=clean_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    yield process
    if process.poll() is None:
        process.terminate()
        process.wait(20)


def read_until(process: subprocess.Popen[str], pattern: str) -> str:
    """What it says up to the line that matches."""
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        if re.search(pattern, line):
            return said
    raise AssertionError(f"ended without {pattern!r}:\n{said}")


def family(pid: int) -> set[int]:
    """The process's children and theirs."""
    listing = subprocess.run(["ps", "-eo", "pid,ppid"], capture_output=True, text=True, check=True).stdout
    parents = {int(own): int(parent) for own, parent in (line.split() for line in listing.splitlines()[1:])}
    found: set[int] = set()
    while new := {own for own, parent in parents.items() if parent in found | {pid}} - found:
        found |= new
    return found


@pytest.mark.worker
def test_the_demo_starts_serves_restarts_a_killed_child_and_stops_clean(demo: subprocess.Popen[str]) -> None:
    said = read_until(demo, "Ctrl-C stops everything")
    assert "ignores DATABASE_URL, REDIS_URL" in said
    assert DEMO_PASSWORD in said
    assert all(account.email in said for account in DEMO_ACCOUNTS)
    address = re.search(r"Agdar is ready:\s+(\S+)", said)[1]  # type: ignore[index]
    assert requests.get(f"{address}readyz", timeout=10).json()["status"] == "ok"
    assert requests.get(f"{address}sandbox/", timeout=10).status_code == 200

    session = requests.Session()
    session.get(f"{address}sign-in/", timeout=10)
    form = {
        "username": DEMO_ACCOUNTS[0].email,
        "password": DEMO_PASSWORD,
        "csrfmiddlewaretoken": session.cookies["csrftoken"],
    }
    answer = session.post(f"{address}sign-in/", data=form, timeout=10)
    assert (answer.status_code, answer.url) == (200, address)

    listing = subprocess.run(
        ["ps", "-ww", "-o", "pid,args", "--ppid", str(demo.pid)], capture_output=True, text=True, check=True
    )
    worker = next(line for line in listing.stdout.splitlines() if "agdar worker" in line and "bulk" not in line)
    os.kill(int(worker.split()[0]), signal.SIGKILL)
    read_until(demo, "worker was killed by SIGKILL; starting it again in 1 s")
    # sandbox, web and its worker, worker and its pool of two, bulk and its pool of one, beat
    wait_for(lambda: len(family(demo.pid)) >= 9, seconds=30, what="the worker is back with its pool")

    everybody = family(demo.pid)
    demo.send_signal(signal.SIGINT)
    read_until(demo, "Agdar has stopped")
    assert demo.wait(15) == 0
    alive = subprocess.run(
        ["ps", "-o", "pid=", "-p", ",".join(map(str, everybody))], capture_output=True, text=True, check=False
    )
    assert alive.stdout.split() == []


def refusal(folder: Path, *arguments: str, **environment: str) -> str:
    """The one line that a start that cannot work says."""
    done = subprocess.run(
        ["bin/demo", *arguments],
        cwd=folder,
        env=clean_environment(**environment),
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert done.returncode != 0
    return done.stderr.strip()


def test_a_port_that_is_taken_is_one_clear_line(clone_with_packages: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert f"Port {port} is taken. Choose another one" in refusal(clone_with_packages, "--port", str(port))


def test_a_port_that_is_none_is_refused(clone_with_packages: Path) -> None:
    assert "a number from 1024 to 65535" in refusal(clone_with_packages, "--port", "eighty")


def machine_with_python(folder: Path, script: str) -> str:
    """A PATH whose only Python is that shell script."""
    folder.mkdir()
    for tool in TOOLS:
        (folder / tool).symlink_to(str(shutil.which(tool)))
    fake = folder / "python3"
    fake.write_text(f"#!/bin/sh\n{script}\n")
    fake.chmod(0o755)
    return str(folder)


def test_an_old_python_is_told_by_its_version(clone: Path, tmp_path: Path) -> None:
    path = machine_with_python(tmp_path / "bin", 'case "$2" in *print*) echo 3.9.2;; *) exit 1;; esac')
    assert refusal(clone, PATH=path) == "agdar: Python 3.11 or newer is needed, but python3 here is 3.9.2."


def test_no_python_at_all_is_told(clone: Path, tmp_path: Path) -> None:
    path = machine_with_python(tmp_path / "bin", "exit 1")
    (tmp_path / "bin/python3").unlink()
    assert refusal(clone, PATH=path) == "agdar: Python 3.11 or newer is needed, but there is no python3 on the PATH."


def test_a_python_without_venv_is_told_what_to_install(clone: Path, tmp_path: Path) -> None:
    path = machine_with_python(tmp_path / "bin", 'case "$2" in *venv*) exit 1;; *) exit 0;; esac')
    assert "venv module is missing (on Debian and Ubuntu it is the package python3-venv)" in refusal(clone, PATH=path)


def test_no_network_for_pip_is_told(clone: Path) -> None:
    said = refusal(clone, PIP_CONFIG_FILE=os.devnull, PIP_INDEX_URL="http://127.0.0.1:1/simple", PIP_TIMEOUT="1")
    assert (
        said
        == "agdar: pip cannot reach the package index. Is there a network connection? (var/setup.log has the details)"
    )


def test_the_scripts_are_plain_posix_shell() -> None:
    for name in ("bin/demo", "bin/test", "bin/bench", "bin/common.sh"):
        subprocess.run(["sh", "-n", str(ROOT / name)], check=True)


def test_the_demo_makes_its_own_key_once(tmp_path: Path) -> None:
    first = demo_push_key(tmp_path)
    assert demo_push_key(tmp_path) == first
    assert (tmp_path / "vapid.key").stat().st_mode & 0o077 == 0
