"""A beat that has fallen silent is seen by the workers, told to every clinic's admins, and closed when it ticks again."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
from celery import current_app as app
from django.utils import timezone
from kombu.exceptions import OperationalError

from agdar import life
from conftest import Clinic
from core.health import SILENCE_ALLOWED, sign_of_life
from core.models import Heartbeat
from core.tenancy import tenant_scope
from integrations import beat_watch
from integrations.models import Incident
from integrations.tests.test_breaker import Clock, at_once, clock
from integrations.tests.test_incidents import bells
from notifications.models import Notification
from tests.processes import House, house, wait_for

__all__ = ["clock", "house"]
pytestmark = pytest.mark.django_db

SECOND = dt.timedelta(seconds=1)


def test_every_clinics_admins_hear_once_that_the_clock_stands_still_and_that_it_ticks_again(
    clinic: Clinic, other_clinic: Clinic, clock: Clock
) -> None:
    sign_of_life("beat")
    silent_since = timezone.now()
    clock.on(seconds=91)
    assert [beat_watch.watch() for _ in range(3)] == [True, None, None]
    incident = Incident.objects.get()
    assert (incident.kind, incident.tenant_id, incident.started_at) == ("beat", None, silent_since)
    for house_ in (clinic, other_clinic):
        (bell,) = bells(house_)
        assert bell.title == "Reminders are not being sent: the clock of the system stands still"
        assert bell.needs_acknowledgement
    clock.on(minutes=5)
    sign_of_life("beat")
    assert [beat_watch.watch() for _ in range(3)] == [False, None, None]
    for house_ in (clinic, other_clinic):
        began, over = bells(house_)
        assert began.resolved_at is not None
        assert over.title == "Reminders are being sent again"
        assert not over.is_critical
    incident.refresh_from_db()
    assert incident.ended_at == timezone.now()


def test_a_restart_fits_into_the_patience(clinic: Clinic, clock: Clock) -> None:
    sign_of_life("beat")
    clock.on(seconds=SILENCE_ALLOWED.total_seconds() + 29)
    assert beat_watch.watch() is None


def test_a_beat_that_was_never_started_is_silent_since_the_workers_are_there(clinic: Clinic, clock: Clock) -> None:
    assert beat_watch.watch() is None
    sign_of_life("worker")
    assert beat_watch.watch() is None
    clock.on(seconds=91)
    assert beat_watch.watch() is True
    sign_of_life("worker")
    assert beat_watch.watch() is None, "another worker was started: that is no beat"
    assert Incident.objects.get().ended_at is None
    sign_of_life("beat")
    assert beat_watch.watch() is False


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_workers_that_look_at_once_tell_it_once(clinic: Clinic) -> None:
    Heartbeat.objects.create(name="beat", at=timezone.now() - 300 * SECOND)
    assert sorted(map(bool, at_once(6, lambda _worker: beat_watch.watch()))) == [False] * 5 + [True]
    assert len(bells(clinic)) == 1


# --- The workers' timer ----------------------------------------------------------------------------------------------


class Timer:
    """A consumer with a timer that remembers what was asked of it."""

    def __init__(self) -> None:
        self.app, self.timer = app, self
        self.asked: list[tuple[float, Any]] = []
        self.cancelled = 0

    def call_repeatedly(self, seconds: float, function: Any, args: Any) -> Timer:
        self.asked.append((seconds, function))
        return self

    def cancel(self) -> None:
        self.cancelled += 1


def test_every_worker_has_the_watch_and_a_lost_broker_doubles_no_timer() -> None:
    assert life.BeatWatch in app.steps["consumer"]
    consumer = Timer()
    step = life.BeatWatch(consumer)
    step.start(consumer)
    step.start(consumer)
    assert [seconds for seconds, _function in consumer.asked] == [life.WATCH_SECONDS] * 2
    assert consumer.cancelled == 1
    step.shutdown(consumer)
    assert consumer.cancelled == 2


def test_a_broker_that_is_away_does_not_end_the_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **options: Any) -> None:
        raise OperationalError("away")

    monkeypatch.setattr(app, "send_task", refuse)
    life.BeatWatch._ring(app)


def test_the_watch_rings_a_task_that_exists() -> None:
    app.loader.import_default_modules()
    assert "integrations.tasks.watch_beat_task" in app.tasks


@pytest.mark.worker
@pytest.mark.django_db(transaction=True)
def test_real_workers_without_a_beat_tell_the_admins_and_a_beat_ends_it(
    clinic: Clinic, house: House, tmp_path: Path
) -> None:
    """Two workers, so that two watch. Their timers are shortened; the silence is already old."""
    Heartbeat.objects.create(name="beat", at=timezone.now() - 300 * SECOND)
    script = tmp_path / "worker.py"
    script.write_text(
        "import sys; from agdar import life; life.WATCH_SECONDS = 1.0; from celery.__main__ import main; sys.exit(main())"
    )
    house.env["PYTHONPATH"] = str(Path(life.__file__).parents[1])
    for name in ("worker", "worker-2"):
        house.start(
            name, str(script), "-A", "agdar", "worker", "-c", "1", "-n", f"{name}@%h", "-Q", "urgent,default,beat",
            "-l", "warning", "--without-gossip", "--without-mingle",
        )  # fmt: skip

    def titles() -> list[str]:
        with tenant_scope(clinic.tenant.pk):
            return list(
                Notification.objects.filter(user=clinic.admin).order_by("created_at").values_list("title", flat=True)
            )

    stands_still = "Reminders are not being sent: the clock of the system stands still"
    wait_for(lambda: titles() == [stands_still], seconds=60, what="the admin's bell says that the clock stands still")
    house.start_beat()
    wait_for(
        lambda: titles() == [stands_still, "Reminders are being sent again"],
        seconds=60,
        what="the bell says that it ticks again",
    )
    incident = Incident.objects.get(kind=Incident.Kind.BEAT)
    assert incident.ended_at is not None
