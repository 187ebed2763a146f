"""The page about sending: who may open it, what it says, and the button that tries a provider again."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterator
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from conftest import Clinic
from core import health as life
from core.models import AuditEvent, Heartbeat
from integrations import breaker, credentials
from integrations.models import Incident, ProviderState, RateBucket
from integrations.tests.test_health import call, incident, message, state
from notifications.states import Channel, Lane, Outcome, Status
from notifications.views.words import hours_or_days, milliseconds, span

PAGE = "/notifications/operations/"
HTMX = {"HX-Request": "true"}
State = ProviderState.State
MINUTE = dt.timedelta(minutes=1)


@pytest.fixture(autouse=True)
def _noon() -> Iterator[None]:
    """Some minutes ago is today: the page says another day's moments with their day."""
    with time_machine.travel(dt.datetime.now(ZoneInfo("Asia/Riyadh")).replace(hour=12, minute=0)):
        yield


@pytest.fixture(autouse=True)
def _alive(_noon: None, db: None, settings: Any) -> None:
    """Worker and beat live; two providers carry SMS, one WhatsApp."""
    life.sign_of_life("worker")
    life.sign_of_life("beat")
    settings.SMS_PROVIDER = ["twilio", "unifonic"]
    settings.WHATSAPP_PROVIDER = ["twilio"]
    settings.TWILIO_ACCOUNT_SID = settings.TWILIO_AUTH_TOKEN = "x"
    settings.TWILIO_SMS_FROM = settings.TWILIO_WHATSAPP_FROM = "+15005550006"
    settings.UNIFONIC_APP_SID = settings.UNIFONIC_SENDER_ID = settings.UNIFONIC_WEBHOOK_SECRET = "x"


def page(clinic: Clinic) -> str:
    answer = clinic.client(clinic.admin).get(PAGE)
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


def again(row: ProviderState) -> str:
    return reverse("notifications:operations_start_again", args=[row.pk])


def clock(clinic: Clinic, value: dt.datetime) -> str:
    return f"{timezone.localtime(value, clinic.location.zone):%H:%M}"


# --- who may enter ---------------------------------------------------------------------------------------------------


def test_the_page_is_the_admins(clinic: Clinic, client: Client) -> None:
    row = state(state=State.OPEN, opened_at=timezone.now())
    assert clinic.client(clinic.admin).get(PAGE).status_code == 200
    for user in (clinic.front_desk, clinic.provider, clinic.patient_user):
        assert clinic.client(user).get(PAGE).status_code == 403
        assert clinic.client(user).post(again(row)).status_code == 403
    assert client.get(PAGE).status_code == 302
    assert client.get(PAGE, headers=HTMX).status_code == 401


def test_only_the_admins_side_bar_leads_to_it(clinic: Clinic) -> None:
    inbox = reverse("notifications:inbox")
    assert f'href="{PAGE}"' in clinic.client(clinic.admin).get(inbox).content.decode()
    for user in (clinic.front_desk, clinic.provider, clinic.patient_user):
        assert PAGE not in clinic.client(user).get(inbox).content.decode()
    assert f'href="{PAGE}" aria-current="page"' in page(clinic)


# --- calm and trouble ------------------------------------------------------------------------------------------------


def test_when_all_is_well_the_page_says_so_first(clinic: Clinic) -> None:
    text = page(clinic)
    assert "All is well" in text
    assert "Needs attention" not in text
    assert "Try again now" not in text
    assert text.count("Running") == 2
    assert "None." in text


def test_a_provider_that_is_down_says_since_when_and_who_carries_on(clinic: Clinic) -> None:
    since = timezone.now() - 9 * MINUTE
    row = state(state=State.OPEN, opened_at=since, retry_at=timezone.now() + 5 * MINUTE)
    text = page(clinic)
    assert f"Twilio has been down for SMS since {clock(clinic, since)}." in text
    assert "Messages go over Unifonic meanwhile." in text
    assert "Next try at" in text
    assert 'class="note warn"' in text, "the patients get their messages"
    assert "All is well" not in text
    ProviderState.objects.filter(pk=row.pk).update(retry_at=timezone.now() + MINUTE / 2)
    assert "It is tried again within a minute." in page(clinic)


def test_without_a_second_provider_the_messages_wait(clinic: Clinic) -> None:
    state(channel=Channel.WHATSAPP, state=State.OPEN, opened_at=timezone.now(), retry_at=timezone.now())
    text = page(clinic)
    assert "Messages wait and go by themselves when it answers again. It is tried again with the next message." in text
    assert 'class="note bad"' in text


def test_a_refused_account_and_a_refused_sender_are_explained(clinic: Clinic) -> None:
    state(channel=Channel.WHATSAPP, state=State.STOPPED, code="20003", opened_at=timezone.now())
    state(sender=clinic.location.sms_sender, state=State.STOPPED, code="21606", opened_at=timezone.now())
    state(sender=breaker.DEFAULT_SENDER, state=State.STOPPED, code="made_up", opened_at=timezone.now())
    text = page(clinic)
    assert "Twilio refuses our account or settings for WhatsApp." in text
    assert "Twilio refused our credentials (code 20003). Messages wait until somebody has mended it." in text
    assert "Twilio refuses the sender “CLINIC” for SMS." in text
    assert "The sender cannot send messages (code 21606). Messages go over Unifonic meanwhile." in text
    assert "Twilio refuses the sender “default” for SMS." in text


def test_a_provider_that_is_being_tried_stays_in_sight_but_needs_no_button(clinic: Clinic) -> None:
    state(channel=Channel.WHATSAPP, state=State.HALF_OPEN, opened_at=timezone.now())
    text = page(clinic)
    assert "It is being tried with a few messages." in text
    assert "Try again now" not in text


@pytest.mark.parametrize(
    ("lane", "minutes", "words"),
    [
        (Lane.URGENT, 2, "An urgent message has been waiting for 2 min."),
        (Lane.TRANSACTIONAL, 3, "A message has been waiting for 3 min."),
        (Lane.TRANSACTIONAL, 1, ""),
        (Lane.BULK, 90, ""),
    ],
)
def test_what_waits_too_long_is_told(clinic: Clinic, lane: Lane, minutes: int, words: str) -> None:
    message(clinic, Status.QUEUED, lane=lane, next_attempt_at=timezone.now() - minutes * MINUTE)
    text = page(clinic)
    assert words in text
    assert ("All is well" in text) is not bool(words)


def test_a_provider_in_trouble_explains_the_waiting(clinic: Clinic) -> None:
    state(channel=Channel.WHATSAPP, state=State.OPEN, opened_at=timezone.now())
    message(clinic, Status.QUEUED, channel=Channel.WHATSAPP, next_attempt_at=timezone.now() - 9 * MINUTE)
    assert "has been waiting for" not in page(clinic)


def test_silent_workers_are_the_first_thing_to_know(clinic: Clinic) -> None:
    seen = timezone.now() - 5 * MINUTE
    Heartbeat.objects.filter(name="worker").update(at=seen)
    text = page(clinic)
    assert f"Nothing is being sent: the workers have been silent since {clock(clinic, seen)}." in text
    Heartbeat.objects.all().delete()
    text = page(clinic)
    assert "Nothing is being sent: no worker has been started yet." in text
    assert text.count("Never started") == 2


def test_a_silent_clock_is_not_taken_for_silent_workers(clinic: Clinic) -> None:
    seen = timezone.now() - 5 * MINUTE
    Heartbeat.objects.update_or_create(name="beat", defaults={"at": seen})
    Heartbeat.objects.filter(name="worker").update(at=seen - dt.timedelta(seconds=9))
    text = page(clinic)
    assert f"the clock of the system has been silent since {clock(clinic, seen)}." in text
    assert "Nothing is being sent" not in text


def test_the_numbers_lead_to_the_messages(clinic: Clinic) -> None:
    row = message(clinic, Status.UNCONFIRMED, next_check_at=timezone.now())
    call(row, Outcome.TRANSIENT, took=1240)
    text = page(clinic)
    assert reverse("notifications:message_list") + "?status=UNCONFIRMED" in text
    assert "0% of 1 message accepted, answers in 1.2 s" in text
    assert "Nothing sent over it in the last hour" in text


def test_incidents_and_limits_are_put_into_words(clinic: Clinic) -> None:
    now = timezone.now().replace(hour=12, minute=0, second=0)
    began = now - dt.timedelta(days=3)
    incident(
        started_at=began, ended_at=began + 75 * MINUTE, code="20503", detail="Not shown: the code has its own words."
    )
    incident(kind=Incident.Kind.EXPIRED, provider="", channel="", tenant=clinic.tenant, detail="14", code="2026-01-01")
    RateBucket.objects.create(tenant=clinic.tenant, provider="twilio", channel=Channel.SMS, sender="CLINIC", rate=10)
    text = page(clinic)
    assert "Provider down · Twilio · SMS" in text
    assert "Twilio was not available and may have accepted the message (code 20503)." in text
    assert f"{clock(clinic, began)} to {clock(clinic, began + 75 * MINUTE)}, 1 h 15 min" in text
    assert "14 messages could no longer be of use and were not sent." in text
    assert "2026-01-01" not in text
    assert "10 a second" in text


def test_incidents_of_our_own_are_put_into_words(clinic: Clinic) -> None:
    ours = {"provider": "", "channel": "", "tenant": clinic.tenant}
    incident(**ours, kind=Incident.Kind.QUEUE, sender=Lane.URGENT.name)
    incident(**ours, kind=Incident.Kind.EVENTS)
    incident(provider="", channel="", kind=Incident.Kind.BEAT)
    incident(
        **ours | {"channel": Channel.SMS},
        kind=Incident.Kind.SETTINGS,
        sender="21408",
        detail="Refused.",
        code="2026-01-01",
    )
    text = page(clinic)
    assert "Messages wait too long · Urgent" in text
    assert "Messages waited although the providers were working." in text
    assert "What had happened was told late, or not to everybody." in text
    assert "Reminders, next tries and other work at its time had to wait." in text
    assert "Messages refused because of our settings · SMS" in text
    assert "Refused (code 21408)." in text
    assert "2026-01-01" not in text


def test_without_a_provider_the_page_says_that_too(clinic: Clinic, settings: Any) -> None:
    settings.SMS_PROVIDER, settings.WHATSAPP_PROVIDER, settings.EMAIL_URL = [], [], ""
    assert "No provider is set up, so nothing can be sent." in page(clinic)


def test_the_page_makes_a_fixed_number_of_queries(clinic: Clinic) -> None:
    admin = clinic.client(clinic.admin)

    def count() -> int:
        # Which accounts there are is asked once in two seconds; here each time.
        credentials.forget()
        with CaptureQueriesContext(connection) as queries:
            assert admin.get(PAGE).status_code == 200
        return len(queries)

    few = count()
    state(state=State.OPEN, opened_at=timezone.now())
    for lane in Lane:
        call(message(clinic, Status.SENT, lane=lane, next_check_at=timezone.now()), Outcome.ACCEPTED)
        message(clinic, Status.QUEUED, lane=lane, next_attempt_at=timezone.now())
    incident()
    assert count() == few <= 12


# --- it refreshes itself ---------------------------------------------------------------------------------------------


def test_it_asks_again_and_gets_nothing_while_nothing_changes(clinic: Clinic) -> None:
    admin = clinic.client(clinic.admin)
    first = admin.get(PAGE)
    assert 'data-refresh-ms="10000"' in first.content.decode()
    seen = {"seen": first.context["tag"]}
    assert admin.get(PAGE, seen, headers=HTMX).status_code == 204

    state(state=State.OPEN, opened_at=timezone.now())
    fragment = admin.get(PAGE, seen, headers=HTMX)
    assert " ".join(fragment.content.decode().split()).startswith('<div class="stack" id="operations-live"')
    assert "HX-Request" in fragment.headers["Vary"]
    assert "Try again now" in fragment.content.decode()


# --- the button ------------------------------------------------------------------------------------------------------


def test_the_button_tries_the_provider_again_and_is_audited(clinic: Clinic) -> None:
    later = timezone.now() + 9 * MINUTE
    row = state(state=State.STOPPED, code="20003", opened_at=timezone.now(), retry_at=later)
    answer = clinic.client(clinic.admin).post(again(row), follow=True)
    assert answer.redirect_chain == [(PAGE, 302)]
    assert "Twilio is tried again with the next message." in answer.content.decode()
    row.refresh_from_db()
    assert row.retry_at is not None
    assert row.retry_at <= timezone.now()
    assert AuditEvent.objects.get(action="provider.started_again").actor == clinic.admin


def test_the_button_is_a_post_with_a_token(clinic: Clinic) -> None:
    row = state(state=State.OPEN, opened_at=timezone.now(), retry_at=timezone.now() + MINUTE)
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(clinic.admin, backend="core.auth.AccountBackend")
    assert strict.get(again(row)).status_code == 405
    assert strict.post(again(row)).status_code == 403
    text = page(clinic)
    assert "csrfmiddlewaretoken" in text
    assert again(row) in text
    assert 'Try again now<span class="vh">: Twilio, SMS</span>' in text


def test_another_clinics_sender_cannot_be_tried(clinic: Clinic, other_clinic: Clinic) -> None:
    row = state(sender="NOOR", state=State.STOPPED, opened_at=timezone.now(), retry_at=timezone.now() + MINUTE)
    admin = clinic.client(clinic.admin)
    assert admin.post(again(row)).status_code == 404
    assert admin.post(reverse("notifications:operations_start_again", args=[uuid.uuid4()])).status_code == 404
    assert "NOOR" not in page(clinic)


# --- words -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(-5, "0 s"), (59, "59 s"), (60, "1 min"), (3599, "59 min"), (7800, "2 h 10 min"), (273_600, "3 d 4 h")],
)
def test_a_span_is_said_shortly(seconds: int, words: str) -> None:
    assert span(dt.timedelta(seconds=seconds)) == words


@pytest.mark.parametrize(
    ("hours", "words"),
    [(0.5, "1 hour"), (1, "1 hour"), (3.9, "3 hours"), (47, "47 hours"), (48, "2 days"), (80, "3 days")],
)
def test_how_long_ago_is_said_in_full(hours: float, words: str) -> None:
    assert hours_or_days(dt.timedelta(hours=hours)) == words


def test_milliseconds_become_seconds_when_there_are_many() -> None:
    assert (milliseconds(999), milliseconds(1250)) == ("999 ms", "1.2 s")
