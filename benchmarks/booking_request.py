"""The booking form, posted to a real gunicorn, while nothing answers at the broker's address.

Floor: the same request to the same code with the broker up. The two take turns, so that noise hits both.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from pathlib import Path

import requests

from benchmarks import house
from benchmarks.measure import Measure, p95

SAMPLES = 100
GOAL_MS = 150.0


def run(folder: Path, clinic: house.Clinic) -> Iterator[Measure]:
    session = _signed_in(clinic)
    with house.process("web", folder, CELERY_BROKER_URL=house.DEAD_BROKER) as down, house.process("web", folder) as up:
        for address in (down, up):
            _book(session, address, clinic)  # imports, templates, connections
        samples: dict[str, list[float]] = {down: [], up: []}
        for _ in range(SAMPLES):
            for address, times in samples.items():
                times.append(_book(session, address, clinic))
    yield Measure("booking_request_broker_down_p95", p95(samples[down]), "ms", p95(samples[up]), GOAL_MS)


def _signed_in(clinic: house.Clinic) -> requests.Session:
    """The front desk's browser; both servers share the database, so one session serves both."""
    from django.test import Client

    client = Client()
    client.force_login(clinic.front_desk, backend="core.auth.AccountBackend")
    session = requests.Session()
    session.trust_env = False
    token = secrets.token_hex(16)
    session.cookies.update({"sessionid": client.cookies["sessionid"].value, "csrftoken": token})
    session.headers["X-CSRFToken"] = token
    return session


def _book(session: requests.Session, address: str, clinic: house.Clinic) -> float:
    from django.urls import reverse

    form = clinic.form()
    began = time.perf_counter()
    response = session.post(address + reverse("appointments:create"), data=form, allow_redirects=False, timeout=30)
    elapsed = (time.perf_counter() - began) * 1000
    if response.status_code != 302:
        raise RuntimeError(f"the booking was refused with status {response.status_code}")
    return elapsed
