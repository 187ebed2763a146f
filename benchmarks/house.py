"""A house to measure: its own database and broker, one clinic, and the demo's own process commands."""

from __future__ import annotations

import contextlib
import datetime as dt
import itertools
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
# Nothing listens on port 1: the connection is refused at once, as by a broker that was stopped.
DEAD_BROKER = "redis://127.0.0.1:1/0"


def environment(folder: Path) -> dict[str, str]:
    from core.management.commands.demo import demo_environment

    return demo_environment(folder, free_port()) | {"LOG_LEVEL": "ERROR", "DJANGO_SETTINGS_MODULE": "agdar.settings"}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Clinic:
    """The people of one clinic. ``slots`` are starts that nobody has booked yet."""

    tenant: Any
    location: Any
    department: Any
    front_desk: Any
    provider: Any
    patient: Any
    slots: Iterator[dt.datetime] = field(init=False)

    def __post_init__(self) -> None:
        day = (dt.datetime.now(self.location.zone) + dt.timedelta(days=3)).replace(
            hour=8, minute=0, second=0, microsecond=0
        )
        self.slots = (
            day + dt.timedelta(days=days, minutes=30 * half_hours)
            for days, half_hours in itertools.product(range(600), range(20))
        )

    def book(self) -> Any:
        from appointments.services import appointment_book

        return appointment_book(
            actor=self.front_desk,
            patient=self.patient,
            provider=self.provider,
            location=self.location,
            department=self.department,
            starts_at=next(self.slots),
            duration=dt.timedelta(minutes=30),
        )

    def form(self) -> dict[str, str]:
        start = next(self.slots)
        return {
            "patient": str(self.patient.pk),
            "provider": str(self.provider.pk),
            "location": str(self.location.pk),
            "department": str(self.department.pk),
            "date": f"{start:%Y-%m-%d}",
            "time": f"{start:%H:%M}",
            "duration": "30",
            "booking_key": str(uuid.uuid4()),
        }


def found_clinic() -> Clinic:
    """Migrates the benchmark's database and fills it with one clinic, words and all."""
    from django.core.management import call_command

    from core.models import Role
    from core.tenancy import tenant_scope
    from notifications import default_words
    from tests import factories

    call_command("migrate", verbosity=0)
    tenant = factories.TenantFactory(slug="bench")
    with tenant_scope(tenant.pk):
        default_words.install(tenant.pk)
        location = factories.LocationFactory(tenant=tenant)
        department = factories.DepartmentFactory(tenant=tenant)
        place = {"tenant": tenant, "location": location}
        return Clinic(
            tenant=tenant,
            location=location,
            department=department,
            front_desk=factories.UserFactory(role=Role.FRONT_DESK, **place),
            provider=factories.UserFactory(role=Role.PROVIDER, department=department, **place),
            patient=factories.PatientFactory(tenant=tenant),
        )


@contextlib.contextmanager
def process(name: str, folder: Path, **changed: str) -> Iterator[str]:
    """One process of the demo (web, worker, beat, sandbox), changed by environment; gives web's address."""
    from core.management.commands.demo import demo_children

    port = free_port()
    env = dict(os.environ) | changed
    child = next(child for child in demo_children(env, port) if child.name == name)
    command = [*child.command, *(["--database", str(folder / "sandbox.sqlite3")] if name == "sandbox" else [])]
    with (folder / f"{name}.log").open("ab") as log:
        running = subprocess.Popen(
            command, env=env, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    try:
        if name == "web":
            _wait_for_web(f"http://127.0.0.1:{port}/healthz", running)
        yield f"http://127.0.0.1:{port}"
    finally:
        running.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            running.wait(8)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGKILL)
        running.wait()


def _wait_for_web(address: str, running: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and running.poll() is None:
        try:
            urllib.request.urlopen(address, timeout=2).close()
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
        else:
            return
    raise RuntimeError("the web process does not answer")
