"""The dashboard, the analytics and the messages behind a figure: who sees them, what they say, and of whom."""

from __future__ import annotations

import csv
import datetime as dt
import io
import uuid
import zoneinfo
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.urls import reverse
from django.utils import timezone

from appointments.models import Appointment
from conftest import Clinic
from core.models import Location
from core.tenancy import tenant_scope
from notifications import analytics, figure_rows, rollup_sources, rollups
from notifications.models import (
    Dimension,
    Escalation,
    LinkClick,
    Message,
    MessageAttempt,
    MessageTemplate,
    NotificationEvent,
    ShortLink,
    SuppressedAddress,
)
from notifications.tests.test_rollups import RIYADH, afternoon, days_ago, written  # noqa: F401  # for every test
from notifications.views import figures
from tests.factories import AppointmentFactory

DASHBOARD = "/notifications/"
ANALYTICS = "/notifications/analytics/"


def visit(clinic: Clinic, at: dt.datetime, status: str = "COMPLETED", **fields: Any) -> Appointment:
    return AppointmentFactory(
        tenant=clinic.tenant,
        patient=clinic.patient,
        provider=clinic.provider,
        location=clinic.location,
        department=clinic.department,
        starts_at=at,
        status=status,
        number=uuid.uuid4().hex[:12],
        **fields,
    )


def busy(clinic: Clinic) -> None:
    """Something for every table, of days that are kept and of today."""
    template = MessageTemplate.objects.create(
        tenant=clinic.tenant, code="t", name="Spring words", channel="SMS", notification_type="REMINDER", body_en="Hi"
    )
    came, missed = visit(clinic, days_ago(2)), visit(clinic, days_ago(3), "NO_SHOW")
    paid = {"cost": "0.10", "currency": "SAR", "provider": "twilio", "template": template}
    about = {"object_type": "appointments.appointment", "object_id": came.pk}
    clicked = written(clinic, days_ago(2), sent_at=days_ago(2), **paid, **about)
    written(clinic, days_ago(2), "READ", channel="WHATSAPP", sent_at=days_ago(2), **paid)
    written(clinic, days_ago(3), "FAILED", error_code="30003", provider="twilio", sent_at=days_ago(3))
    written(clinic, days_ago(3), "SUPPRESSED", reason="opt_out:channel", channel="EMAIL")
    written(clinic, timezone.now(), "SENT", sent_at=timezone.now(), **paid)
    link = ShortLink.objects.create(
        tenant=clinic.tenant, code="abc", target="/c/x/", message=clicked, language="en", expires_at=timezone.now()
    )
    LinkClick.objects.create(tenant=clinic.tenant, message=clicked, link=link, kind="CLICK")
    LinkClick.objects.create(tenant=clinic.tenant, message=clicked, link=link, kind="CLICK", is_suspicious=True)
    MessageAttempt.objects.create(
        tenant=clinic.tenant,
        message=clicked,
        number=1,
        provider="twilio@4f9a0c21de",
        lease_token=uuid.uuid4(),
        started_at=days_ago(2),
        outcome="accepted",
        duration_ms=180,
    )
    SuppressedAddress.objects.create(tenant=clinic.tenant, channel="SMS", address="+966500000001", reason="opted_out")
    for minutes, status in ((2, "STOPPED"), (9, "STOPPED"), (30, "EXHAUSTED")):
        event = NotificationEvent.objects.create(
            tenant=clinic.tenant, key="appointment.arrived", dedupe_key=f"a{minutes}", object_id=missed.pk
        )
        alert = Escalation.objects.create(tenant=clinic.tenant, event=event, due_at=timezone.now())
        Escalation.objects.filter(pk=alert.pk).update(
            created_at=days_ago(2),
            stopped_at=days_ago(2) + dt.timedelta(minutes=minutes, seconds=5),
            status=status,
            stop_reason="acknowledged" if status == "STOPPED" else "",
        )


def text(response: Any) -> str:
    return " ".join(response.content.decode().split())


# --- who -------------------------------------------------------------------------------------------------------------


def test_the_dashboard_is_for_those_who_see_messages(clinic: Clinic) -> None:
    assert clinic.client(clinic.admin).get(DASHBOARD).status_code == 200
    assert clinic.client(clinic.front_desk).get(DASHBOARD).status_code == 200
    for user in (clinic.provider, clinic.patient_user):
        assert clinic.client(user).get(DASHBOARD).url == reverse("notifications:inbox")


@pytest.mark.parametrize("address", [ANALYTICS, f"{ANALYTICS}messages/?stage=sent"])
def test_the_analytics_are_for_admins(clinic: Clinic, address: str) -> None:
    assert clinic.client(clinic.admin).get(address).status_code == 200
    for user in (clinic.front_desk, clinic.provider, clinic.patient_user):
        assert clinic.client(user).get(address).status_code == 403


def test_nothing_of_another_clinic_is_shown(clinic: Clinic, other_clinic: Clinic) -> None:
    busy(clinic)
    client = other_clinic.client(other_clinic.admin)
    assert "No messages in this period." in text(client.get(DASHBOARD))
    assert "No messages in this period." in text(client.get(ANALYTICS))
    address = f"{ANALYTICS}messages/?department={clinic.department.pk}&range=30"
    assert client.get(address).status_code == 404


# --- the dashboard ---------------------------------------------------------------------------------------------------


def test_the_dashboard_tells_the_numbers_and_leads_to_their_messages(clinic: Clinic) -> None:
    busy(clinic)
    rollups.catch_up(clinic.tenant.pk)
    response = clinic.client(clinic.front_desk).get(DASHBOARD)
    cards = {card.label: card for card in response.context["cards"]}
    assert cards["Messages"].value == "5"
    assert cards["Success rate"].value == "40.0"
    assert cards["Needs attention"].value == "1"
    for row in response.context["statuses"]:
        query = parse_qs(urlsplit(row["url"]).query)
        found = clinic.client(clinic.front_desk).get(row["url"])
        assert found.status_code == 200
        assert Message.objects.filter(status=query["status"][0]).count() == row["number"]
    assert sum(row["number"] for row in response.context["channels"]) == 5
    assert [row["total"] for row in response.context["trend"]["rows"]] == [0, 0, 0, 2, 2, 0, 1]


def test_the_dashboard_compares_with_the_days_before(clinic: Clinic) -> None:
    for days in range(14):
        for _ in range(2 if days < 7 else 3):
            written(clinic, days_ago(days, 0))
    response = clinic.client(clinic.admin).get(DASHBOARD)
    card = response.context["cards"][0]
    assert card.value == "14"
    assert "33.3%" in card.change.text
    assert "vs. the 7 days before" in text(response)


def test_the_dashboard_takes_as_many_queries_for_many_messages_as_for_few(
    clinic: Clinic, django_assert_num_queries: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Who has an account of their own is asked anew every other second; that is no matter of messages.
    monkeypatch.setattr("integrations.credentials.KNOWN_FOR", 3600.0)
    client = clinic.client(clinic.front_desk)
    client.get(DASHBOARD)
    busy(clinic)
    rollups.catch_up(clinic.tenant.pk)
    for _ in range(2):
        with django_assert_num_queries(10):
            client.get(DASHBOARD)
        for _more in range(12):
            written(clinic, timezone.now())


def test_the_dashboard_says_nothing_when_nothing_has_changed(clinic: Clinic) -> None:
    busy(clinic)
    client = clinic.client(clinic.front_desk)
    tag = client.get(DASHBOARD).context["tag"]
    htmx = {"HX-Request": "true"}
    assert client.get(DASHBOARD, {"seen": tag}, headers=htmx).status_code == 204
    written(clinic, timezone.now(), "FAILED")
    changed = client.get(DASHBOARD, {"seen": tag}, headers=htmx)
    assert changed.status_code == 200
    assert "<html" not in text(changed)


# --- the analytics ---------------------------------------------------------------------------------------------------


def test_the_analytics_tell_everything(clinic: Clinic) -> None:
    busy(clinic)
    rollups.catch_up(clinic.tenant.pk)
    told = clinic.client(clinic.admin).get(ANALYTICS, {"range": "7"}).context["told"]

    def cells(table: Any) -> dict[str, list[str]]:
        return {line.label: list(line.cells) for line in table.lines}

    assert cells(told.funnel) == {
        "Sent": ["4", "100.0%"],
        "Delivered": ["2", "50.0%"],
        "Read": ["1", "25.0%"],
        "Link opened": ["1", "25.0%"],
    }
    assert cells(told.channels)["SMS"] == ["3", "33.3%", "–", "1", "0.20 SAR", "0.1000 SAR"]
    assert cells(told.templates) == {"Spring words": ["3", "66.7%", "50.0%", "50.0%", "0.30 SAR"]}
    assert cells(told.departments)[clinic.department.name] == ["1", "100.0%", "0.10 SAR", "0.1000 SAR"]
    assert cells(told.causes) == {
        "The phone is switched off or out of reach": ["SMS", "1", "50.0%"],
        "The patient switched this channel off": ["Email", "1", "50.0%"],
    }
    assert cells(told.providers) == {"Twilio": ["SMS", "1", "100.0%", "200 ms", "200 ms"]}
    assert cells(told.attendance)["Without a reminder"] == ["1", "1", "100.0%"]
    assert cells(told.attendance)["With a reminder"] == ["1", "0", "0.0%"]
    assert cells(told.opt_outs)["SMS"] == ["1", "3", "333.3"]
    assert cells(told.answers)["2 to 5 minutes"] == ["1", "33.3%"]
    assert cells(told.answers)["By nobody"] == ["1", "33.3%"]
    assert told.answer_facts[0][:2] == ("Half were answered within", "3 minutes")
    assert told.answer_facts[1][1] == "33.3%"


def test_every_figure_leads_to_as_many_messages(clinic: Clinic) -> None:
    busy(clinic)
    rollups.catch_up(clinic.tenant.pk)
    client = clinic.client(clinic.admin)
    told = client.get(ANALYTICS, {"range": "7"}).context["told"]
    seen = 0
    for table, place in ((told.funnel, 0), (told.causes, 1), (told.departments, 0)):
        for line in table.lines:
            assert len(client.get(line.url).context["page"].rows) == int(line.cells[place]), line.label
            seen += 1
    assert seen == 8


def test_causes_are_the_other_side_of_their_rule(clinic: Clinic) -> None:
    for provider, code, reason, status in (
        ("twilio", "30003", "", "FAILED"),
        ("twilio@4f9a0c21de", "30003", "", "BOUNCED"),
        ("twilio", "30003", "contact_undeliverable", "BOUNCED"),
        ("unifonic", "30003", "", "FAILED"),
        ("", "", "opt_out:type", "SUPPRESSED"),
        ("", "", "", "FAILED"),
        # Not among what did not arrive.
        ("twilio", "30003", "", "SENT"),
    ):
        written(clinic, days_ago(0, 0), status, provider=provider, error_code=code, reason=reason)
    span = analytics.last_days(1)
    found = {key.key: counts.messages for key, counts in rollup_sources.count(span, [Dimension.CAUSE]).items()}
    assert found == {"twilio:30003": 3, "unifonic:30003": 1, "opt_out:type": 1, "": 1}
    for cause, n in found.items():
        assert figure_rows.rows(span, cause=cause).count() == n, cause


def test_the_file_holds_the_tables_and_no_formula(clinic: Clinic) -> None:
    busy(clinic)
    MessageTemplate.objects.update(name="=1+1")
    response = clinic.client(clinic.admin).get(ANALYTICS, {"range": "7", "format": "csv"})
    assert response["Content-Type"].startswith("text/csv")
    body = b"".join(response.streaming_content).decode()
    rows = list(csv.reader(io.StringIO(body.removeprefix("\ufeff"))))
    assert ["SMS", "3", "33.3%", "–", "1", "0.20 SAR", "0.1000 SAR"] in rows
    assert any(row and row[0] == "'=1+1" for row in rows)


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"since": "2026-05-02", "until": "2026-05-01"}, "The last day is before the first one."),
        ({"since": "2001-01-01"}, "At most three years can be shown at once."),
        ({"since": "2999-01-01"}, "This day has not come yet."),
    ],
)
def test_impossible_ranges_are_refused_in_words(clinic: Clinic, query: dict[str, str], words: str) -> None:
    response = clinic.client(clinic.admin).get(ANALYTICS, query)
    assert response.status_code == 422
    assert words in text(response)


@pytest.mark.parametrize("preset", ["7", "30", "90", "month", "last_month", "365", "nonsense"])
def test_every_preset_shows_a_page(clinic: Clinic, preset: str) -> None:
    busy(clinic)
    assert clinic.client(clinic.admin).get(ANALYTICS, {"range": preset}).status_code == 200


def test_a_series_is_cut_into_weeks_from_sunday_and_months(clinic: Clinic) -> None:
    span = rollup_sources.Span(dt.date(2026, 1, 28), dt.date(2026, 3, 2), RIYADH)
    weeks, months = analytics.steps(span, "week"), analytics.steps(span, "month")
    assert (weeks[0].first, weeks[0].last) == (dt.date(2026, 1, 28), dt.date(2026, 1, 31))
    assert weeks[1].first.strftime("%A") == "Sunday"
    assert [(step.first.day, step.last.day) for step in months] == [(28, 31), (1, 28), (1, 2)]


def test_the_year_takes_as_many_queries_as_the_week(clinic: Clinic, django_assert_num_queries: Any) -> None:
    busy(clinic)
    while rollups.catch_up(clinic.tenant.pk)["left"]:
        pass
    client = clinic.client(clinic.admin)
    client.get(ANALYTICS)
    for preset in ("7", "365"):
        with django_assert_num_queries(15):
            client.get(ANALYTICS, {"range": preset})


def test_the_day_is_the_clinics_own(clinic: Clinic) -> None:
    """Half past eleven in the evening in Riyadh is the same day there, whatever the server's clock says."""
    written(clinic, days_ago(1, 23))
    assert [row["total"] for row in clinic.client(clinic.admin).get(DASHBOARD).context["trend"]["rows"]][-2:] == [1, 0]
    Location.objects.update(timezone="Pacific/Auckland")
    with tenant_scope(clinic.tenant.pk):
        there = days_ago(1, 23).astimezone(zoneinfo.ZoneInfo("Pacific/Auckland")).date()
        assert [step.first for step in analytics.series(analytics.last_days(4)) if step.all.messages] == [there]


def test_changes_of_very_little_are_not_told() -> None:
    assert figures.change_of(9, 3) is None
    change = figures.change_of(90, 100, more_is="bad")
    assert change is not None
    assert change.tone == "up"
    assert "10.0%" in change.text
