"""The breaker, played with a clock that stands still: what opens it, what closes it, who may probe."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import Clinic
from core.models import AuditEvent, User
from core.tenancy import system_scope
from integrations import breaker, sms_providers
from integrations import breaker_rules as rules
from integrations.models import Incident, ProviderState
from integrations.sms_providers import Accepted, Call, Kind, Outgoing, ProviderError, Scope
from integrations.tests.fakes import FakeProvider

State = ProviderState.State
pytestmark = pytest.mark.django_db

OK = Accepted("SM1")
HUNG = ProviderError(Kind.AMBIGUOUS, code="ReadTimeout", detail="The connection broke.")
AWAY = ProviderError(Kind.TRANSIENT, code="ConnectionError")
BROKEN = ProviderError(Kind.TRANSIENT, code="20503", response={"status": 503, "code": "20503"})
TOO_MANY = ProviderError(Kind.TRANSIENT, code="20429", response={"status": 429})
DEAD = ProviderError(Kind.NUMBER, code="21211", response={"status": 400})
OUR_ACCOUNT = ProviderError(Kind.CONFIGURATION, code="20003", scope=Scope.ACCOUNT, response={"status": 401})
OUR_SENDER = ProviderError(Kind.CONFIGURATION, code="21606", scope=Scope.SENDER, response={"status": 400})
OUR_MESSAGE = ProviderError(Kind.CONFIGURATION, code="21408", response={"status": 400})
Result = Accepted | ProviderError


def call(result: Result, milliseconds: int = 50) -> Call:
    return Call(Outgoing("id", "SMS", "+966501234567", "", "", "x", "en", "", None), result, milliseconds)


def report(*results: Result, ms: int = 50, name: str = "first", sender: str = "", **fields: Any) -> ProviderState:
    fields = {"tenant_id": None, **fields}
    breaker.report(name, "SMS", sender, [call(result, ms) for result in results], **fields)
    return state(name)


def state(name: str = "first", sender: str = "") -> ProviderState:
    return ProviderState.objects.get(provider=name, channel="SMS", sender=sender)


def chosen(sender: str = "") -> str | None:
    found = breaker.choose("SMS", sender)
    return found.name if found else None


@dataclass
class Clock:
    """Stands still until it is told to go on."""

    traveller: Any

    def on(self, **by: float) -> None:
        self.traveller.shift(dt.timedelta(**by))


@pytest.fixture
def clock() -> Iterator[Clock]:
    with time_machine.travel("2026-11-23T08:00:00Z", tick=False) as traveller:
        yield Clock(traveller)


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """SMS has one provider."""
    fakes = [FakeProvider(name="first")]
    monkeypatch.setattr(sms_providers, "providers_for", lambda channel: fakes if channel == "SMS" else [])


@pytest.fixture
def two(monkeypatch: pytest.MonkeyPatch) -> None:
    """SMS has a second provider."""
    fakes = [FakeProvider(name="first"), FakeProvider(name="second")]
    monkeypatch.setattr(sms_providers, "providers_for", lambda channel: fakes if channel == "SMS" else [])


def opened(clock: Clock) -> None:
    """The first provider has just gone down."""
    assert report(*[HUNG] * 5).state == State.OPEN


def probing(clock: Clock) -> None:
    """The first provider was down; the turn to probe it is ours."""
    opened(clock)
    clock.on(seconds=10)
    assert chosen() == "first"


# --- What opens it ---------------------------------------------------------------------------------------------------


def test_a_provider_nobody_has_called_yet_is_chosen(alone: None) -> None:
    assert chosen() == "first"
    assert breaker.allowance("first", "SMS", "") is None
    assert not breaker.held("SMS")


@pytest.mark.parametrize("bad", [HUNG, AWAY, BROKEN], ids=["hung", "away", "broken"])
def test_half_of_five_calls_without_a_clean_answer_open_it(alone: None, clock: Clock, bad: ProviderError) -> None:
    assert report(OK, OK, bad, bad).state == State.CLOSED, "four calls prove nothing"
    assert report(bad).state == State.OPEN
    assert chosen() is None
    assert breaker.held("SMS")


def test_less_than_half_does_not_open_it(alone: None, clock: Clock) -> None:
    assert report(*[OK] * 6, *[HUNG] * 5).state == State.CLOSED


@pytest.mark.parametrize("clean", [TOO_MANY, DEAD, OUR_MESSAGE], ids=lambda error: error.code)
def test_a_clean_refusal_proves_that_it_works(alone: None, clock: Clock, clean: ProviderError) -> None:
    assert report(*[clean] * 20).state == State.CLOSED
    assert chosen() == "first"


def test_the_former_half_minute_counts_and_the_one_before_does_not(alone: None, clock: Clock) -> None:
    report(HUNG, HUNG, HUNG)
    clock.on(seconds=59)
    assert report(HUNG).former_calls == 3
    clock.on(seconds=31)
    assert report(HUNG, HUNG).state == State.CLOSED, "the first three are forgotten"
    assert report(HUNG, HUNG, HUNG).state == State.OPEN


def test_good_calls_of_the_former_half_minute_count_too(alone: None, clock: Clock) -> None:
    report(*[OK] * 20)
    clock.on(seconds=31)
    assert report(*[HUNG] * 10).state == State.CLOSED
    assert report(*[HUNG] * 10).state == State.OPEN


def test_slowness_opens_it_where_somebody_else_is_there(two: None, clock: Clock) -> None:
    report(*[OK] * 5, ms=5001)
    assert state().state == State.OPEN
    assert chosen() == "second"
    assert Incident.objects.get().code == "slow"


def test_slowness_alone_does_not_stop_the_only_provider(alone: None, clock: Clock) -> None:
    assert report(*[OK] * 50, ms=9000).state == State.CLOSED


# --- What closes it --------------------------------------------------------------------------------------------------


def test_the_second_provider_takes_over_and_the_first_is_tried_again(two: None, clock: Clock) -> None:
    opened(clock)
    assert chosen() == "second"
    assert not breaker.held("SMS")
    clock.on(seconds=9)
    assert chosen() == "second"
    clock.on(seconds=1)
    assert chosen() == "first"
    assert breaker.allowance("first", "SMS", "") == 3
    assert chosen() == "second", "one prober at a time"


def test_five_good_probes_in_a_row_close_it(alone: None, clock: Clock) -> None:
    probing(clock)
    assert report(OK, OK, OK).state == State.HALF_OPEN
    assert chosen() == "first", "the turn is free again"
    assert report(OK, DEAD).state == State.CLOSED, "a dead number is a good probe"
    assert breaker.allowance("first", "SMS", "") is None


def test_one_bad_probe_opens_it_for_longer(alone: None, clock: Clock) -> None:
    probing(clock)
    row = report(OK, HUNG, OK)
    assert (row.state, row.openings, row.probes_good) == (State.OPEN, 2, 0)
    clock.on(seconds=19)
    assert chosen() is None
    clock.on(seconds=1)
    assert chosen() == "first"


def test_a_slow_probe_is_not_a_good_one(two: None, clock: Clock) -> None:
    probing(clock)
    clock.on(seconds=6)
    assert report(OK, OK, ms=6000).state == State.OPEN


def test_the_wait_never_grows_beyond_half_a_minute(alone: None, clock: Clock) -> None:
    opened(clock)
    for _again in range(12):
        clock.on(seconds=30)
        assert chosen() == "first"
        row = report(HUNG)
        assert row.retry_at - timezone.now() <= dt.timedelta(seconds=30)


def test_a_probe_that_hung_has_waited_already(alone: None, clock: Clock) -> None:
    opened(clock)
    clock.on(seconds=10)
    assert chosen() == "first"
    clock.on(seconds=20)
    row = report(HUNG, ms=20_000)
    assert row.retry_at == timezone.now() + dt.timedelta(seconds=5)


def test_the_turn_of_a_dead_prober_passes_on(alone: None, clock: Clock) -> None:
    probing(clock)
    clock.on(seconds=24)
    assert chosen() is None
    clock.on(seconds=1)
    assert chosen() == "first"


def test_a_turn_that_was_not_used_is_given_back(alone: None, clock: Clock) -> None:
    probing(clock)
    assert report().state == State.HALF_OPEN
    assert chosen() == "first"


def test_news_from_before_the_opening_judge_no_probe(alone: None, clock: Clock) -> None:
    probing(clock)
    assert report(*[HUNG] * 4).state == State.HALF_OPEN, "no probe has four calls"
    assert report(HUNG, ms=15_000).state == State.HALF_OPEN, "it began before the turn"
    assert report(*[OK] * 200).probes_good == 0


def test_news_from_before_the_opening_do_not_close_it_nor_make_it_wait_longer(alone: None, clock: Clock) -> None:
    opened(clock)
    before = state().retry_at
    for results in ([OK] * 50, [HUNG] * 50):
        row = report(*results)
        assert (row.state, row.retry_at) == (State.OPEN, before)


def test_calls_that_began_before_it_closed_do_not_open_it(alone: None, clock: Clock) -> None:
    probing(clock)
    report(OK, OK, OK)
    assert report(OK, OK).state == State.CLOSED
    clock.on(seconds=1)
    assert report(*[HUNG] * 10, ms=15_000).state == State.CLOSED


def test_a_provider_that_alternates_does_not_flap(alone: None, clock: Clock) -> None:
    """Every other call fails, for ten minutes: it is open all of the time and tells once."""
    opened(clock)
    for _second in range(600):
        clock.on(seconds=1)
        if chosen() == "first":
            assert report(OK, HUNG, OK).state == State.OPEN
        breaker.settle()
    assert Incident.objects.count() == 1


def test_a_provider_that_dies_under_load_each_time_tells_once(alone: None, clock: Clock) -> None:
    """Its probes are fine, then it breaks down under the backlog: one incident, and the waits grow."""
    opened(clock)
    closings = 0
    for _second in range(600):
        clock.on(seconds=1)
        breaker.settle()
        if chosen() != "first":
            continue
        row = report(OK, OK, OK) if breaker.allowance("first", "SMS", "") else report(*[HUNG] * 20)
        closings += row.state == State.CLOSED
    assert 15 < closings <= 21, "30 s each, not 10"
    assert Incident.objects.count() == 1


def test_its_openings_are_forgotten_after_five_minutes_of_peace(alone: None, clock: Clock) -> None:
    probing(clock)
    report(HUNG)
    clock.on(seconds=20)
    chosen()
    report(OK, OK, OK)
    assert report(OK, OK).openings == 2
    clock.on(minutes=4, seconds=59)
    assert report(OK).openings == 2
    clock.on(seconds=1)
    assert report(OK).openings == 0
    assert report(*[HUNG] * 5).retry_at == timezone.now() + dt.timedelta(seconds=10)


def test_good_probes_and_no_more_traffic_close_it_in_the_end(alone: None, clock: Clock) -> None:
    probing(clock)
    assert report(OK).state == State.HALF_OPEN
    clock.on(seconds=59)
    breaker.settle()
    assert state().state == State.HALF_OPEN
    clock.on(seconds=1)
    breaker.settle()
    assert state().state == State.CLOSED


@given(st.lists(st.tuples(st.integers(0, 40), st.lists(st.sampled_from([OK, HUNG, DEAD]), max_size=8)), max_size=40))
@settings(max_examples=200, deadline=None)
def test_whatever_is_reported_everything_may_go_within_a_minute_of_the_faults_end(
    story: list[tuple[int, list[Result]]],
) -> None:
    """Any story of a fault, over the rules alone; then the provider works, and is asked every second."""
    row = ProviderState(provider="first", channel="SMS")
    now = dt.datetime(2026, 11, 23, 8, tzinfo=dt.UTC)

    def probe(results: list[Result]) -> None:
        if row.state != State.CLOSED:
            if not rules.is_due(row, now):
                return
            row.state, row.retry_at = State.HALF_OPEN, now + rules.TURN
            results = results[: rules.PROBES]
        rules.note(row, rules.tally_of([call(result) for result in results]), None, now, has_other=False)

    for seconds, results in story:
        now += dt.timedelta(seconds=seconds)
        probe(results)
        assert 0 <= row.openings <= 100
    for _second in range(60):
        now += dt.timedelta(seconds=1)
        probe([OK] * 50)
    assert row.state == State.CLOSED


# --- Refused: the account, a sender ----------------------------------------------------------------------------------


def test_a_refused_account_stops_everything_over_it(two: None, clock: Clock, clinic: Clinic) -> None:
    row = report(OK, OUR_ACCOUNT, tenant_id=clinic.tenant.pk)
    assert (row.state, row.code) == (State.STOPPED, "20003")
    assert chosen() == chosen("CLINIC") == "second"
    incident = Incident.objects.get()
    assert (incident.kind, incident.tenant_id, incident.sender) == ("configuration", None, "")


def test_a_stopped_account_is_probed_by_one_message_each_time_later(alone: None, clock: Clock) -> None:
    report(OUR_ACCOUNT)
    for minutes in (5, 15, 30, 30):
        clock.on(minutes=minutes, seconds=-1)
        assert chosen() is None
        clock.on(seconds=1)
        assert chosen() == "first"
        assert breaker.allowance("first", "SMS", "") == 1
        assert report(OUR_ACCOUNT).state == State.STOPPED
    assert Incident.objects.count() == 1


def test_a_probe_that_is_taken_starts_a_stopped_account_again(alone: None, clock: Clock) -> None:
    report(OUR_ACCOUNT)
    clock.on(minutes=5)
    assert chosen() == "first"
    row = report(OK)
    assert (row.state, row.code) == (State.CLOSED, "")
    assert breaker.allowance("first", "SMS", "") is None


def test_a_probe_without_an_answer_says_nothing_about_the_account(alone: None, clock: Clock) -> None:
    report(OUR_ACCOUNT)
    clock.on(minutes=5)
    chosen()
    row = report(HUNG)
    assert (row.state, row.retry_at - timezone.now()) == (State.STOPPED, dt.timedelta(seconds=30))


def test_refusals_that_were_under_way_do_not_make_the_stop_longer(alone: None, clock: Clock) -> None:
    before = report(OUR_ACCOUNT).retry_at
    clock.on(seconds=3)
    assert report(OUR_ACCOUNT, OUR_ACCOUNT).retry_at == before


def test_a_refused_sender_stops_only_itself(alone: None, clock: Clock, clinic: Clinic) -> None:
    report(OK, OUR_SENDER, sender="CLINIC", tenant_id=clinic.tenant.pk)
    assert state(sender="CLINIC").state == State.STOPPED
    assert state().state == State.CLOSED
    assert chosen("CLINIC") is None
    assert chosen("OTHER") == chosen("") == "first"
    assert not breaker.held("SMS")
    incident = Incident.objects.get()
    assert (incident.tenant_id, incident.sender) == (clinic.tenant.pk, "CLINIC")


def test_a_refused_default_sender_stops_those_without_a_name(alone: None, clock: Clock, clinic: Clinic) -> None:
    report(OUR_SENDER, tenant_id=clinic.tenant.pk)
    assert chosen("") is None
    assert chosen("CLINIC") == "first"
    assert Incident.objects.get().tenant_id is None, "everybody uses it"


def test_a_refused_sender_goes_again_by_its_own_probe(alone: None, clock: Clock) -> None:
    report(OUR_SENDER, sender="CLINIC")
    clock.on(minutes=5)
    assert chosen("OTHER") == "first"
    assert breaker.allowance("first", "SMS", "OTHER") is None
    report(OK, sender="OTHER")
    assert chosen("CLINIC") == "first"
    assert breaker.allowance("first", "SMS", "CLINIC") == 1
    report(OK, sender="CLINIC")
    assert state(sender="CLINIC").state == State.CLOSED


def test_a_refused_sender_that_comes_back_from_an_outage_needs_both_turns(alone: None, clock: Clock) -> None:
    report(OUR_SENDER, sender="CLINIC")
    clock.on(minutes=5, seconds=-5)
    report(*[HUNG] * 5)
    clock.on(seconds=5)
    assert chosen("CLINIC") is None, "the sender may be tried, its provider not yet"
    clock.on(seconds=5)
    assert chosen("CLINIC") == "first"
    assert breaker.allowance("first", "SMS", "CLINIC") == 1


def test_an_error_of_one_message_stops_nothing(alone: None, clock: Clock) -> None:
    assert report(*[OUR_MESSAGE] * 9).state == State.CLOSED
    assert not Incident.objects.exists()


def test_a_refusal_ends_the_outage_before_it(alone: None, clock: Clock) -> None:
    probing(clock)
    row = report(OUR_ACCOUNT)
    assert (row.state, row.retry_at - timezone.now()) == (State.STOPPED, dt.timedelta(minutes=5))
    assert list(Incident.objects.filter(ended_at=None).values_list("kind", flat=True)) == ["configuration"]


def test_an_admin_starts_it_again_and_the_trail_says_so(alone: None, clock: Clock, clinic: Clinic) -> None:
    report(OUR_ACCOUNT)
    breaker.start_again(state().pk, clinic.admin)
    trail = AuditEvent.objects.get(action="provider.started_again")
    assert (trail.actor, trail.after["provider"]) == (clinic.admin, "first")
    assert (trail.object_type, trail.object_id) == ("integrations.providerstate", state().pk)
    assert chosen() == "first"
    assert breaker.allowance("first", "SMS", "") == 1
    row = report(OUR_ACCOUNT)
    assert row.retry_at - timezone.now() == dt.timedelta(minutes=5), "the waits begin anew"


def test_support_is_in_the_trail_of_every_clinic(
    alone: None, clock: Clock, clinic: Clinic, other_clinic: Clinic
) -> None:
    report(OUR_ACCOUNT)
    support = User.accounts.create_superuser("support@agdar.example", "correct-horse-battery")
    breaker.start_again(state().pk, support)
    with system_scope("the trails of both"):
        assert AuditEvent.objects.filter(action="provider.started_again", actor=support).count() == 2


def test_starting_again_what_works_does_nothing(alone: None, clock: Clock, clinic: Clinic) -> None:
    report(OK)
    breaker.start_again(state().pk, clinic.admin)
    assert state().state == State.CLOSED
    assert not AuditEvent.objects.filter(action="provider.started_again").exists()


# --- Who carries it --------------------------------------------------------------------------------------------------


def test_nothing_is_chosen_for_a_channel_that_is_switched_off(alone: None) -> None:
    assert breaker.choose("EMAIL", "") is None
    assert not breaker.held("EMAIL")


def test_a_channel_is_held_only_when_all_its_providers_are(two: None, clock: Clock) -> None:
    report(*[HUNG] * 5)
    assert breaker.held_channels() == set()
    report(*[HUNG] * 5, name="second")
    assert breaker.held_channels() == {"SMS"}
    clock.on(seconds=10)
    assert breaker.held_channels() == set(), "it may be probed"


def test_a_sender_is_held_when_each_provider_refuses_it_or_is_down(two: None, clock: Clock) -> None:
    report(OUR_SENDER, sender="CLINIC")
    report(OUR_SENDER)
    assert breaker.held_places() == set(), "the second carries them"
    report(*[HUNG] * 5, name="second")
    assert breaker.held_places() == {("SMS", "CLINIC"), ("SMS", "")}
    assert not breaker.held("SMS"), "others go over the first"
    report(*[HUNG] * 5)
    assert ("SMS", None) in breaker.held_places()


def test_choosing_costs_one_query_while_all_is_well(two: None, django_assert_num_queries: Callable[..., Any]) -> None:
    report(OK)
    with django_assert_num_queries(1):
        chosen("CLINIC")


def test_asking_who_would_carry_it_takes_no_turn(alone: None, clock: Clock) -> None:
    opened(clock)
    clock.on(seconds=10)
    assert breaker.would_choose("SMS", "") is not None
    assert breaker.would_choose("SMS", "") is not None
    assert state().state == State.OPEN


@pytest.mark.parametrize(
    ("sender", "elsewhere"),
    [
        ("CLINIC", "CLINIC"),
        ("عيادات", "عيادات"),
        ("Clinic <mail@clinic.example>", "Clinic <mail@clinic.example>"),
        ("+966501234567", ""),
        ("966501234567", ""),
        ("MG0123456789abcdef0123456789abcdef", ""),
        ("", ""),
    ],
)
def test_a_name_goes_everywhere_and_a_number_only_to_its_provider(two: None, sender: str, elsewhere: str) -> None:
    first, second = sms_providers.providers_for("SMS")
    assert breaker.sender_at(first, "SMS", sender) == sender
    assert breaker.sender_at(second, "SMS", sender) == elsewhere


# --- At the same moment ----------------------------------------------------------------------------------------------


def at_once(number: int, act: Callable[[int], object]) -> list[object]:
    """Runs the act in threads that start together, each with a connection of its own."""
    start = threading.Barrier(number)
    results: list[object] = [None] * number

    def run(index: int) -> None:
        try:
            start.wait(timeout=10)
            results[index] = act(index)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=[index]) for index in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
        assert not thread.is_alive(), "they wait for each other"
    return results


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_workers_that_report_at_once_lose_no_call(alone: None) -> None:
    at_once(6, lambda _worker: [report(OK, OK, HUNG) for _batch in range(5)])
    row = state()
    assert (row.calls + row.former_calls, row.failures + row.former_failures) == (90, 30)


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_workers_that_see_it_fail_at_once_open_it_once(clinic: Clinic, other_clinic: Clinic, alone: None) -> None:
    at_once(6, lambda _worker: report(*[HUNG] * 10))
    assert state().openings == 1
    assert Incident.objects.count() == 1


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("kind", [HUNG, OUR_ACCOUNT], ids=["down", "stopped"])
def test_one_of_those_who_ask_at_once_may_probe(alone: None, kind: ProviderError) -> None:
    report(*[kind] * 5)
    ProviderState.objects.update(retry_at=timezone.now())
    assert sorted(map(str, at_once(6, lambda _worker: chosen()))) == [*["None"] * 5, "first"]
