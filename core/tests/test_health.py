"""/healthz, /readyz, ``manage.py alive`` and the signs of life behind them."""

from __future__ import annotations

import datetime as dt
import re

import pytest
from celery import current_app
from django.core.management import CommandError, call_command
from django.db import DatabaseError
from django.test import Client
from django.utils import timezone

from agdar.life import LifeSignScheduler, worker_is_ready
from core import health
from core.models import Heartbeat


@pytest.fixture
def _all_alive(db: None) -> None:
    health.sign_of_life("worker")
    health.sign_of_life("beat")


def test_healthz_asks_nobody(client: Client) -> None:
    """No database fixture: a query would fail the test."""
    response = client.get("/healthz")
    assert (response.status_code, response.content) == (200, b"ok")


@pytest.mark.usefixtures("_all_alive")
def test_readyz_names_every_part(client: Client) -> None:
    response = client.get("/readyz")
    assert response.status_code == 200
    answer = response.json()
    assert answer["status"] == "ok"
    assert answer["checks"] == {"database": "ok", "migrations": "ok", "broker": "ok", "worker": "ok", "beat": "ok"}
    assert set(answer) == {"status", "checks", "delivery"}
    assert answer["delivery"]["last_beat_seconds"] == 0
    assert "no-store" in response.headers["Cache-Control"]


@pytest.mark.usefixtures("_all_alive")
def test_a_silent_worker_is_503_and_beat_is_still_fine(client: Client) -> None:
    Heartbeat.objects.filter(name="worker").update(at=timezone.now() - dt.timedelta(seconds=75))
    response = client.get("/readyz")
    assert response.status_code == 503
    assert re.fullmatch(r"no sign of life for \d+ s", response.json()["checks"]["worker"])
    assert response.json()["checks"]["beat"] == "ok"


@pytest.mark.django_db
def test_before_the_first_sign_nothing_is_ready(client: Client) -> None:
    response = client.get("/readyz")
    assert response.status_code == 503
    assert response.json()["checks"]["worker"] == response.json()["checks"]["beat"] == "no sign of life yet"


@pytest.mark.usefixtures("_all_alive")
@pytest.mark.parametrize("url", ["redis://:secret@127.0.0.1:1/0", "sqlite:////nowhere/at/all/broker.sqlite3"])
def test_a_broker_that_is_away_is_told_without_its_address(
    client: Client, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setattr(current_app.conf, "broker_url", url)
    response = client.get("/readyz")
    assert response.status_code == 503
    assert response.json()["checks"]["broker"] == "not reachable"
    assert "secret" not in response.content.decode()


@pytest.mark.usefixtures("_all_alive")
def test_a_database_that_is_away_is_an_answer_not_a_crash(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def away() -> str:
        raise DatabaseError("could not connect to db.internal")

    monkeypatch.setitem(health.CHECKS, "database", away)
    response = client.get("/readyz")
    assert response.status_code == 503
    assert response.json()["checks"]["database"] == "database error"
    assert b"internal" not in response.content


@pytest.mark.usefixtures("_all_alive")
def test_a_report_decides_nothing(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def away() -> dict[str, object]:
        raise DatabaseError("could not connect to db.internal")

    monkeypatch.setitem(health._REPORTS, "delivery", away)
    response = client.get("/readyz")
    assert response.status_code == 200
    assert response.json()["delivery"] is None


@pytest.mark.parametrize("name", ["delivery", "checks", "status"])
def test_a_report_needs_a_name_of_its_own(name: str) -> None:
    with pytest.raises(health.DuplicateReport):
        health.register_report(name, dict)


def test_health_is_only_read(client: Client) -> None:
    assert client.post("/healthz").status_code == 405
    assert client.post("/readyz").status_code == 405


@pytest.mark.usefixtures("_all_alive")
def test_alive_answers_with_an_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("alive", "beat")
    assert capsys.readouterr().out == "beat: ok\n"
    Heartbeat.objects.all().delete()
    with pytest.raises(CommandError, match="worker: no sign of life yet"):
        call_command("alive", "worker")
    with pytest.raises(CommandError, match="web:"):
        call_command("alive", "web", "--port", "1")


@pytest.mark.django_db(transaction=True)
def test_a_worker_that_is_ready_gives_its_first_sign_at_once() -> None:
    worker_is_ready()
    assert health.check_worker() == "ok"


@pytest.mark.django_db(transaction=True)
def test_beat_signs_at_its_ticks(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    scheduler = LifeSignScheduler(current_app, schedule_filename=f"{tmp_path}/schedule", lazy=True)
    monkeypatch.setattr("celery.beat.PersistentScheduler.tick", lambda self: 1.0)
    assert scheduler.tick() == 1.0
    assert health.check_beat() == "ok"
    Heartbeat.objects.all().delete()
    scheduler.tick()
    assert not Heartbeat.objects.exists(), "once in ten seconds is enough"
