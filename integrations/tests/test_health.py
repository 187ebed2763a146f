"""The state of sending: the lanes, the providers and what they hold up, and the report of /readyz."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

import pytest
from django.test.utils import CaptureQueriesContext
from django.utils import timezone, translation

from conftest import Clinic
from core.tenancy import tenant_scope
from integrations import breaker, health
from integrations.models import Incident, ProviderState, RateBucket
from notifications.models import Message, MessageAttempt
from notifications.states import Channel, Lane, NotificationType, Outcome, Status

State = ProviderState.State
MINUTE = dt.timedelta(minutes=1)


@pytest.fixture(autouse=True)
def _two_providers(settings: Any) -> None:
    """Two providers carry SMS here, one WhatsApp."""
    settings.SMS_PROVIDER = ["twilio", "unifonic"]
    settings.WHATSAPP_PROVIDER = ["twilio"]
    settings.TWILIO_ACCOUNT_SID = settings.TWILIO_AUTH_TOKEN = "x"
    settings.TWILIO_SMS_FROM = settings.TWILIO_WHATSAPP_FROM = "+15005550006"
    settings.UNIFONIC_APP_SID = settings.UNIFONIC_SENDER_ID = settings.UNIFONIC_WEBHOOK_SECRET = "x"


def message(clinic: Clinic, status: Status, **fields: Any) -> Message:
    """A bare row, past the gate."""
    return Message.objects.create(
        tenant=clinic.tenant,
        patient=clinic.patient,
        status=status,
        dedupe_key=uuid.uuid4().hex,
        language="en",
        body="x",
        **{"channel": Channel.SMS, "notification_type": NotificationType.GENERAL, **fields},
    )


def call(row: Message, outcome: str, *, provider: str = "twilio", took: int | None = 100, **fields: Any) -> None:
    row.attempt_count += 1
    row.save(update_fields=["attempt_count"])
    MessageAttempt.objects.create(
        tenant_id=row.tenant_id,
        message=row,
        number=row.attempt_count,
        provider=provider,
        lease_token=uuid.uuid4(),
        outcome=outcome,
        duration_ms=took,
        **{"started_at": timezone.now(), **fields},
    )


def state(**fields: Any) -> ProviderState:
    return ProviderState.objects.create(**{"provider": "twilio", "channel": Channel.SMS, **fields})


# --- lanes -----------------------------------------------------------------------------------------------------------


def test_the_lanes_count_what_waits_and_what_is_under_way(clinic: Clinic) -> None:
    now = timezone.now()
    message(clinic, Status.QUEUED, lane=Lane.URGENT, next_attempt_at=now - 3 * MINUTE)
    message(clinic, Status.QUEUED, lane=Lane.URGENT, next_attempt_at=now + MINUTE)
    message(clinic, Status.FAILED, lane=Lane.URGENT, next_attempt_at=now - 5 * MINUTE)
    message(clinic, Status.FAILED, lane=Lane.URGENT)
    message(clinic, Status.QUEUED, lane=Lane.BULK, next_attempt_at=now + MINUTE)
    message(clinic, Status.SENDING)
    message(clinic, Status.SENT, next_check_at=now)
    message(clinic, Status.SENT)
    message(clinic, Status.UNCONFIRMED, next_check_at=now)
    message(clinic, Status.DELIVERED, next_check_at=now)

    urgent, normal, bulk = health.lanes()
    assert (urgent.waiting, urgent.retries, urgent.oldest_due) == (2, 1, now - 5 * MINUTE)
    assert (normal.waiting, normal.sending, normal.awaiting_receipt, normal.unconfirmed) == (0, 1, 1, 1)
    assert (bulk.waiting, bulk.oldest_due) == (1, None), "what is planned is not late"


def test_the_lanes_are_the_own_tenants(clinic: Clinic, other_clinic: Clinic) -> None:
    with tenant_scope(other_clinic.tenant.pk):
        message(other_clinic, Status.QUEUED, next_attempt_at=timezone.now())
    assert [lane.waiting for lane in health.lanes()] == [0, 0, 0]


# --- providers -------------------------------------------------------------------------------------------------------


def ways(channel: str) -> dict[tuple[str, str], health.Way]:
    return {(way.provider, way.sender): way for way in health.ways() if way.channel == channel}


def test_without_any_trouble_the_first_provider_is_in_use(clinic: Clinic) -> None:
    found = ways(Channel.SMS)
    assert list(found) == [("twilio", ""), ("unifonic", "")]
    assert [way.is_in_use for way in found.values()] == [True, False]
    assert all(way.state == State.CLOSED for way in found.values())


@pytest.mark.parametrize(
    ("is_open", "in_use"),
    [(State.OPEN, "unifonic"), (State.STOPPED, "unifonic"), (State.HALF_OPEN, "twilio"), (State.CLOSED, "twilio")],
)
def test_the_second_one_is_in_use_while_the_first_lets_nothing_through(
    clinic: Clinic, is_open: str, in_use: str
) -> None:
    state(state=is_open, opened_at=timezone.now())
    assert [way.provider for way in ways(Channel.SMS).values() if way.is_in_use] == [in_use]


def test_a_refused_sender_of_our_own_is_shown_and_one_of_others_is_not(clinic: Clinic) -> None:
    state(sender=clinic.location.sms_sender, state=State.STOPPED, code="21606")
    foreign = state(sender="AMAL", state=State.STOPPED, code="21606")
    default = state(sender=breaker.DEFAULT_SENDER, state=State.STOPPED, code="21606")

    assert set(ways(Channel.SMS)) == {
        ("twilio", ""),
        ("unifonic", ""),
        ("twilio", clinic.location.sms_sender),
        ("twilio", breaker.DEFAULT_SENDER),
    }
    assert foreign not in health.visible_states()
    assert default in health.visible_states()


def test_what_waits_does_not_hide_what_was_sent(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_SAMPLE", 1)
    call(message(clinic, Status.SENT), Outcome.ACCEPTED)
    message(clinic, Status.QUEUED, next_attempt_at=timezone.now())
    assert ways(Channel.SMS)["twilio", ""].numbers == health.Numbers(calls=1, accepted=1, median_ms=100)


def test_a_providers_numbers_are_those_of_the_last_hour_of_the_own_tenant(clinic: Clinic, other_clinic: Clinic) -> None:
    row = message(clinic, Status.SENT)
    call(row, Outcome.TRANSIENT, took=300)
    call(row, Outcome.ACCEPTED, took=100)
    call(row, Outcome.ACCEPTED, took=None)
    call(row, "", took=None)
    call(row, Outcome.NUMBER, started_at=timezone.now() - dt.timedelta(hours=2))
    with tenant_scope(other_clinic.tenant.pk):
        call(message(other_clinic, Status.FAILED), Outcome.NUMBER)

    assert ways(Channel.SMS)["twilio", ""].numbers == health.Numbers(calls=3, accepted=2, median_ms=200)
    assert ways(Channel.SMS)["unifonic", ""].numbers is None
    assert ways(Channel.WHATSAPP)["twilio", ""].numbers is None


@pytest.mark.parametrize(
    ("twilio", "unifonic", "sender_at_twilio", "obstacle"),
    [
        ("", "", "", None),
        (State.OPEN, "", "", None),
        (State.OPEN, State.HALF_OPEN, "", None),
        (State.OPEN, State.OPEN, "", (State.OPEN, "")),
        (State.STOPPED, State.OPEN, "", (State.STOPPED, "")),
        ("", State.OPEN, State.STOPPED, (State.STOPPED, "CLINIC")),
        (State.OPEN, State.OPEN, State.STOPPED, (State.OPEN, "")),
    ],
)
def test_messages_are_held_only_when_no_provider_takes_them(
    clinic: Clinic, twilio: str, unifonic: str, sender_at_twilio: str, obstacle: tuple[str, str] | None
) -> None:
    for provider, sender, its in (
        ("twilio", "", twilio),
        ("unifonic", "", unifonic),
        ("twilio", "CLINIC", sender_at_twilio),
    ):
        if its:
            state(provider=provider, sender=sender, state=its)
    found = health.obstacle(Channel.SMS, "CLINIC")
    assert (found and (found.state, found.sender)) == obstacle
    assert health.obstacle(Channel.WHATSAPP, "") is None


def test_without_a_sender_the_default_one_counts(clinic: Clinic) -> None:
    state(channel=Channel.WHATSAPP, sender=breaker.DEFAULT_SENDER, state=State.STOPPED)
    assert health.obstacle(Channel.WHATSAPP, "") is not None
    assert health.obstacle(Channel.WHATSAPP, "+966500000000") is None


def test_a_code_is_explained_in_the_readers_language() -> None:
    assert health.explain("twilio", "21635") == "This is a landline."
    with translation.override("ar"):
        assert health.explain("twilio", "21635") == "هذا هاتف ثابت."
    assert health.explain("twilio", "00000") == health.explain("pigeon", "21635") == health.explain("", "") == ""


# --- incidents, limits -----------------------------------------------------------------------------------------------


def incident(**fields: Any) -> Incident:
    return Incident.objects.create(
        **{
            "kind": Incident.Kind.OUTAGE,
            "provider": "twilio",
            "channel": Channel.SMS,
            "started_at": timezone.now(),
            **fields,
        }
    )


def test_incidents_are_the_houses_and_the_own_tenants_the_open_ones_first(clinic: Clinic, other_clinic: Clinic) -> None:
    now = timezone.now()
    ended = incident(started_at=now - 9 * MINUTE, ended_at=now - MINUTE)
    earlier = incident(started_at=now - dt.timedelta(days=20), ended_at=now - dt.timedelta(days=19))
    incident(started_at=now - dt.timedelta(days=40), ended_at=now - dt.timedelta(days=31))
    old_and_open = incident(started_at=now - dt.timedelta(days=40))
    own = incident(kind=Incident.Kind.CONFIGURATION, tenant=clinic.tenant, sender="CLINIC")
    incident(kind=Incident.Kind.CONFIGURATION, tenant=other_clinic.tenant, sender="AMAL")
    assert health.incidents() == [own, old_and_open, ended, earlier]


def test_limits_are_those_that_were_set_or_imposed_just_now(clinic: Clinic, other_clinic: Clinic) -> None:
    def bucket(tenant: object, **fields: Any) -> RateBucket:
        return RateBucket.objects.create(tenant=tenant, provider="twilio", **{"channel": Channel.SMS, **fields})

    set_by_hand = bucket(clinic.tenant, sender="A", rate=5)
    paused = bucket(clinic.tenant, sender="B", paused_until=timezone.now() + MINUTE)
    bucket(clinic.tenant, sender="C", paused_until=timezone.now() - MINUTE)
    bucket(clinic.tenant, sender="D")
    bucket(other_clinic.tenant, rate=5)
    assert health.limits() == [set_by_hand, paused]


# --- /readyz ---------------------------------------------------------------------------------------------------------


def test_the_report_counts_all_tenants_and_names_none(clinic: Clinic, other_clinic: Clinic) -> None:
    now = timezone.now()
    message(clinic, Status.QUEUED, next_attempt_at=now - MINUTE)
    message(clinic, Status.QUEUED, next_attempt_at=now + MINUTE)
    with tenant_scope(other_clinic.tenant.pk):
        message(other_clinic, Status.FAILED, next_attempt_at=now - 2 * MINUTE)
        message(other_clinic, Status.QUEUED, lane=Lane.BULK, next_attempt_at=now + MINUTE)
    state(state=State.OPEN)
    state(sender="CLINIC", state=State.STOPPED, code="21606")

    found = health.report()

    normal = found["lanes"]["transactional"]
    assert normal["waiting"] == 2
    assert 120 <= normal["oldest_due_seconds"] < 180
    assert found["lanes"]["urgent"] == found["lanes"]["bulk"] == {"waiting": 0, "oldest_due_seconds": None}
    assert found["providers"] == [{"channel": "SMS", "provider": "twilio", "state": "open", "code": ""}]
    assert found["last_beat_seconds"] is None
    for word in ("CLINIC", str(clinic.tenant.pk), clinic.tenant.slug):
        assert word not in str(found)


def test_the_report_costs_a_handful_of_queries_and_stops_counting(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django.db import connection

    monkeypatch.setattr(health, "COUNTED_AT_MOST", 2)
    for _ in range(3):
        message(clinic, Status.QUEUED, next_attempt_at=timezone.now())
    with CaptureQueriesContext(connection) as queries:
        assert health.report()["lanes"]["transactional"]["waiting"] == 2
    assert len(queries) == 6
