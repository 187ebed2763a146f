"""The token buckets: never faster than allowed, urgent before bulk, and still after a 429."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import time_machine
from django.db import transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import Clinic
from core.models import AuditEvent, User
from core.tenancy import system_scope
from integrations import rates, sms_providers
from integrations.models import ProviderState, RateBucket
from integrations.tests.fakes import FakeProvider
from integrations.tests.test_breaker import at_once
from notifications.states import Lane

pytestmark = pytest.mark.django_db


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeProvider:
    """Carries SMS, ten messages a second."""
    provider = FakeProvider(limit=10.0)
    monkeypatch.setattr(sms_providers, "providers_for", lambda channel: [provider] if channel == "SMS" else [])
    return provider


@pytest.fixture
def clock() -> Iterator[Any]:
    with time_machine.travel("2026-11-23T08:00:00Z", tick=False) as traveller:
        yield traveller


def take(
    clinic: Clinic, provider: FakeProvider, wanted: int = 1, lane: Lane = Lane.TRANSACTIONAL, sender: str = ""
) -> int:
    return rates.take(
        tenant_id=clinic.tenant.pk,
        provider=provider,  # type: ignore[arg-type]
        channel="SMS",
        sender=sender,
        wanted=wanted,
        lane=lane,
    )


def pause(clinic: Clinic, seconds: float | None = None) -> dt.timedelta:
    """How long the pause lasts from now."""
    rates.pause(tenant_id=clinic.tenant.pk, provider_name="fake", channel="SMS", sender="", seconds=seconds)
    until = RateBucket.objects.get(sender="").paused_until
    assert until is not None
    return until - timezone.now()


def seconds(number: float) -> dt.timedelta:
    return dt.timedelta(seconds=number)


# --- The numbers -----------------------------------------------------------------------------------------------------


STEPS = st.lists(st.tuples(st.floats(0, 5), st.integers(0, 50), st.sampled_from(Lane)), min_size=1, max_size=60)


@given(rate=st.floats(0.05, 500), steps=STEPS)
@settings(max_examples=300, deadline=None)
def test_never_more_than_the_burst_and_the_rate_allow(rate: float, steps: list[tuple[float, int, Lane]]) -> None:
    """In every stretch of time, not only from the beginning."""
    tokens, at, taken = rates.burst_of(rate), 0.0, [(0.0, 0)]
    for later, wanted, lane in steps:
        at += later
        tokens = rates.refilled(tokens, rate, later)
        number = rates.granted(tokens, rate, wanted=wanted, lane=lane)
        assert 0 <= number <= wanted
        tokens -= number
        taken.append((at, number))
    for start in range(len(taken)):
        for end in range(start, len(taken)):
            total = sum(number for _at, number in taken[start : end + 1])
            assert total <= rates.burst_of(rate) + rate * (taken[end][0] - taken[start][0]) + 1e-3


@given(rate=st.floats(0.05, 500), steps=STEPS, waits=st.floats(0, 5))
@settings(max_examples=300, deadline=None)
def test_bulk_leaves_a_fifth_for_the_others(rate: float, steps: list[tuple[float, int, Lane]], waits: float) -> None:
    tokens = rates.burst_of(rate)
    for later, wanted, _lane in steps:
        before = rates.refilled(tokens, rate, later)
        number = rates.granted(before, rate, wanted=wanted, lane=Lane.BULK)
        tokens = before - number
        if number:
            assert tokens + 1 > rates.KEPT_FROM_BULK * rates.burst_of(rate), "more than the fifth before the last one"


@given(rate=st.floats(0.05, 500), tokens=st.floats(0, 500), lane=st.sampled_from(Lane))
@settings(max_examples=300, deadline=None)
def test_who_waits_as_long_as_told_finds_a_token(rate: float, tokens: float, lane: Lane) -> None:
    tokens = min(tokens, rates.burst_of(rate))
    wait = rates.seconds_until(tokens, rate, lane=lane)
    assert (wait == 0) == (rates.granted(tokens, rate, wanted=1, lane=lane) == 1)
    assert rates.granted(rates.refilled(tokens, rate, wait + 1e-9), rate, wanted=1, lane=lane) == 1


def test_a_clock_that_goes_back_makes_no_tokens() -> None:
    assert rates.refilled(3.0, 10.0, -60.0) == 3.0


# --- Taking ----------------------------------------------------------------------------------------------------------


def test_without_a_limit_everything_goes_and_no_row_is_made(
    clinic: Clinic, fake: FakeProvider, django_assert_num_queries: Callable[..., Any]
) -> None:
    fake.limit = None
    with transaction.atomic(), django_assert_num_queries(1):
        assert take(clinic, fake, 10_000) == 10_000
    assert not RateBucket.objects.exists()


def test_a_second_s_worth_at_once_and_then_the_rate(clinic: Clinic, fake: FakeProvider, clock: Any) -> None:
    assert take(clinic, fake, 50) == 10
    assert take(clinic, fake, 50) == 0
    clock.shift(seconds(0.35))
    assert take(clinic, fake, 50) == 3
    clock.shift(seconds(0.06))
    assert take(clinic, fake, 50) == 1, "the half token of before was not lost"
    clock.shift(seconds(60))
    assert take(clinic, fake, 50) == 10, "it holds no more than a second's worth"


def test_a_sender_of_one_message_in_ten_seconds_gets_one(clinic: Clinic, fake: FakeProvider, clock: Any) -> None:
    fake.limit = 0.1
    assert take(clinic, fake, 5, Lane.BULK) == 1
    clock.shift(seconds(9.9))
    assert take(clinic, fake, 5) == 0
    clock.shift(seconds(0.1))
    assert take(clinic, fake, 5) == 1


def test_bulk_stops_early_and_the_urgent_find_what_is_left(clinic: Clinic, fake: FakeProvider, clock: Any) -> None:
    assert take(clinic, fake, 50, Lane.BULK) == 8
    assert take(clinic, fake, 50, Lane.BULK) == 0
    assert take(clinic, fake, 1, Lane.URGENT) == 1
    assert take(clinic, fake, 50, Lane.TRANSACTIONAL) == 1


def test_senders_and_clinics_have_their_own_buckets(
    clinic: Clinic, other_clinic: Clinic, fake: FakeProvider, clock: Any
) -> None:
    assert take(clinic, fake, 50) == 10
    assert take(clinic, fake, 50, sender="CLINIC") == 10
    assert take(other_clinic, fake, 50) == 10


def test_the_rate_of_the_row_wins_over_the_provider_s(clinic: Clinic, fake: FakeProvider, clock: Any) -> None:
    take(clinic, fake, 50)
    RateBucket.objects.update(rate=2.0)
    clock.shift(seconds(60))
    assert take(clinic, fake, 50) == 2
    RateBucket.objects.update(rate=0)
    clock.shift(seconds(60))
    assert take(clinic, fake, 50) == 0
    assert rates.blocked(clinic.tenant.pk) == [("SMS", "")]
    assert rates.seconds_until_free([clinic.tenant.pk], lane=Lane.URGENT) is None, "no moment to wait for"


def test_a_claim_that_fails_takes_nothing(clinic: Clinic, fake: FakeProvider, clock: Any) -> None:
    take(clinic, fake, 1)
    with transaction.atomic():
        assert take(clinic, fake, 50) == 9
        transaction.set_rollback(True)
    assert take(clinic, fake, 50) == 9


# --- 429 -------------------------------------------------------------------------------------------------------------


def test_a_pause_is_as_long_as_the_provider_says(clinic: Clinic, fake: FakeProvider, clock: Any) -> None:
    assert pause(clinic, 7.5) == seconds(7.5)
    clock.shift(seconds(7.4))
    assert take(clinic, fake) == 0
    clock.shift(seconds(0.1))
    assert take(clinic, fake) == 0, "it starts again from an empty bucket"
    clock.shift(seconds(0.1))
    assert take(clinic, fake) == 1


def test_without_a_word_the_pauses_double_up_to_half_a_minute(clinic: Clinic, fake: FakeProvider, clock: Any) -> None:
    waits = []
    for _again in range(8):
        wait = pause(clinic)
        waits.append(wait.total_seconds())
        clock.shift(wait)
    assert waits == [1, 2, 4, 8, 16, 30, 30, 30]


def test_after_a_minute_of_peace_the_next_pause_is_short_again(clinic: Clinic, fake: FakeProvider, clock: Any) -> None:
    for _again in range(4):
        clock.shift(pause(clinic))
    clock.shift(seconds(30))
    assert take(clinic, fake) == 1
    assert RateBucket.objects.get().pauses == 4
    clock.shift(seconds(30))
    assert take(clinic, fake) == 1
    row = RateBucket.objects.get()
    assert (row.pauses, row.paused_until) == (0, None)
    assert pause(clinic) == seconds(1)


def test_peace_counts_for_the_next_pause_even_if_nothing_was_taken(clinic: Clinic, clock: Any) -> None:
    clock.shift(pause(clinic))
    clock.shift(pause(clinic) + seconds(60))
    assert pause(clinic) == seconds(1)


def test_answers_that_were_under_way_make_a_pause_no_longer(clinic: Clinic, clock: Any) -> None:
    pause(clinic)
    clock.shift(seconds(0.5))
    assert pause(clinic) == seconds(0.5)
    assert RateBucket.objects.get().pauses == 1


def test_of_two_told_pauses_the_later_end_counts(clinic: Clinic, clock: Any) -> None:
    pause(clinic, 5)
    assert pause(clinic, 20) == seconds(20)
    assert pause(clinic, 10) == seconds(20)


@pytest.mark.parametrize("nonsense", [float("nan"), float("inf"), -5.0, 0.0])
def test_a_nonsense_retry_after_is_none(clinic: Clinic, clock: Any, nonsense: float) -> None:
    assert pause(clinic, nonsense) == seconds(1)


def test_a_retry_after_of_days_is_an_hour(clinic: Clinic, clock: Any) -> None:
    assert pause(clinic, 86_400.0) == dt.timedelta(hours=1)


def test_a_pause_holds_also_a_sender_without_a_limit(clinic: Clinic, fake: FakeProvider, clock: Any) -> None:
    fake.limit = None
    pause(clinic, 3)
    assert take(clinic, fake, 50) == 0
    assert take(clinic, fake, 50, sender="OTHER") == 50
    clock.shift(seconds(3))
    assert take(clinic, fake, 50) == 50


# --- What the claim skips --------------------------------------------------------------------------------------------


def test_what_is_paused_or_empty_is_blocked(
    clinic: Clinic, other_clinic: Clinic, fake: FakeProvider, clock: Any
) -> None:
    take(clinic, fake, 10, sender="EMPTY")
    take(clinic, fake, 5, sender="HALF")
    pause(clinic, 30)
    assert sorted(rates.blocked(clinic.tenant.pk)) == [("SMS", ""), ("SMS", "EMPTY")]
    assert rates.blocked(other_clinic.tenant.pk) == []
    assert rates.seconds_until_free([clinic.tenant.pk], lane=Lane.URGENT) == pytest.approx(0.1)
    clock.shift(seconds(0.1))
    assert rates.blocked(clinic.tenant.pk) == [("SMS", "")]
    assert rates.seconds_until_free([clinic.tenant.pk], lane=Lane.URGENT) == pytest.approx(29.9)
    assert rates.seconds_until_free([other_clinic.tenant.pk], lane=Lane.URGENT) is None


def test_bulk_is_blocked_while_only_the_others_share_is_left(clinic: Clinic, fake: FakeProvider, clock: Any) -> None:
    take(clinic, fake, 50, Lane.BULK)
    assert rates.blocked(clinic.tenant.pk, lane=Lane.BULK) == [("SMS", "")]
    assert rates.blocked(clinic.tenant.pk, lane=Lane.TRANSACTIONAL) == []


def test_the_bucket_of_a_provider_that_is_down_blocks_nothing(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch, clock: Any
) -> None:
    both = [FakeProvider(name="fake"), FakeProvider(name="second")]
    monkeypatch.setattr(sms_providers, "providers_for", lambda channel: both)
    pause(clinic, 30)
    assert rates.blocked(clinic.tenant.pk) == [("SMS", "")]
    later = timezone.now() + seconds(10)
    ProviderState.objects.create(provider="fake", channel="SMS", state=ProviderState.State.OPEN, retry_at=later)
    assert rates.blocked(clinic.tenant.pk) == [], "the second carries it"


def test_asking_costs_one_query_while_nothing_is_blocked(
    clinic: Clinic, fake: FakeProvider, django_assert_num_queries: Callable[..., Any]
) -> None:
    for sender in ("A", "B", "C"):
        take(clinic, fake, 1, sender=sender)
    with django_assert_num_queries(1):
        assert rates.blocked(clinic.tenant.pk) == []


# --- At the same moment ----------------------------------------------------------------------------------------------


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("is_new", [True, False])
def test_workers_that_take_at_once_get_no_more_than_there_is(
    clinic: Clinic, fake: FakeProvider, clock: Any, is_new: bool
) -> None:
    fake.limit = 60.0
    if not is_new:
        RateBucket.objects.create(tenant=clinic.tenant, provider="fake", channel="SMS")

    def claims(_worker: int) -> int:
        return sum(take(clinic, fake, 1) for _batch in range(20))

    assert sum(int(str(number)) for number in at_once(6, claims)) == 60
    assert RateBucket.objects.count() == 1


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_workers_that_are_refused_at_once_make_one_pause(clinic: Clinic, clock: Any) -> None:
    at_once(6, lambda _worker: pause(clinic))
    assert RateBucket.objects.get().pauses == 1


# --- The support console ---------------------------------------------------------------------------------------------


@pytest.fixture
def support(db: None) -> Client:
    client = Client()
    user = User.accounts.create_superuser("support@agdar.example", "correct-horse-battery")
    client.force_login(user, backend="core.auth.AccountBackend")
    return client


def test_support_sets_a_limit_and_the_trail_says_so(clinic: Clinic, support: Client) -> None:
    fields = {"tenant": str(clinic.tenant.pk), "provider": "twilio", "channel": "SMS", "sender": "CLINIC"}
    address = reverse("admin:integrations_ratebucket_add")
    assert support.post(address, {**fields, "rate": "4.5"}).status_code == 302
    row = RateBucket.objects.get()
    assert (row.tenant, row.sender, row.rate) == (clinic.tenant, "CLINIC", 4.5)
    assert support.post(address, {**fields, "rate": "1"}).status_code == 200, "there is one already"
    assert AuditEvent.objects.get(action="rate.updated").after["rate"] == 4.5


def test_support_changes_only_the_speed(clinic: Clinic, support: Client) -> None:
    row = RateBucket.objects.create(
        tenant=clinic.tenant, provider="twilio", channel="SMS", sender="CLINIC", rate=4.5, tokens=2
    )
    address = reverse("admin:integrations_ratebucket_change", args=[row.pk])
    assert support.get(address).status_code == 200
    assert support.post(address, {"rate": "-1"}).status_code == 200
    assert support.post(address, {"rate": "9", "sender": "OTHER", "tokens": "99"}).status_code == 302
    row.refresh_from_db()
    assert (row.rate, row.sender, row.tokens) == (9.0, "CLINIC", 2.0)
    trail = AuditEvent.objects.get(action="rate.updated")
    assert (trail.before["rate"], trail.after["rate"]) == (4.5, 9.0)


@pytest.mark.parametrize("name", ["providerstate", "incident", "ratebucket"])
def test_the_lists_open_and_nothing_is_deleted(clinic: Clinic, support: Client, name: str) -> None:
    assert support.get(reverse(f"admin:integrations_{name}_changelist")).status_code == 200
    assert support.get(reverse(f"admin:integrations_{name}_delete", args=[uuid.uuid4()])).status_code in (302, 403)


def test_support_starts_a_stopped_provider_again(clinic: Clinic, support: Client) -> None:
    row = ProviderState.objects.create(
        provider="twilio",
        channel="SMS",
        state=ProviderState.State.STOPPED,
        code="20003",
        retry_at=timezone.now() + dt.timedelta(hours=1),
    )
    address = reverse("admin:integrations_providerstate_changelist")
    answer = support.post(address, {"action": "start_again", "_selected_action": [str(row.pk)]})
    assert answer.status_code == 302
    row.refresh_from_db()
    assert row.retry_at is not None
    assert row.retry_at <= timezone.now()
    with system_scope("the trail of every clinic"):
        assert AuditEvent.objects.filter(action="provider.started_again").exists()
