from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from conftest import Clinic
from integrations import answers, sync
from integrations.messaging_service import MessagingService
from integrations.sms_providers import Kind, LookUp
from integrations.tasks import provider_sync_task
from integrations.tests.fakes import FakeProvider, error
from integrations.tests.handed_over import (
    MINUTE,
    Clock,
    again,
    clock,
    handed_over,
    look_up,
    minutes_until_next,
    unknown,
)
from notifications.models import MessageAttempt
from notifications.states import Status

__all__ = ["clock"]


# --- Who is asked, and how often ------------------------------------------------------------------------------------


def test_a_message_without_a_receipt_is_asked_about_by_its_id(clinic: Clinic, provider: FakeProvider) -> None:
    message = handed_over(clinic)
    provider.found = look_up(cost=Decimal("0.035"), currency="USD")
    assert provider_sync_task() == {"asked": 1, "listed": 0, "moved": 1}
    assert again(message).status == Status.DELIVERED
    assert provider.asked[0]["provider_message_id"] == "SM1"
    assert message.next_check_at is None, "it has all that there is to know"


def test_what_is_not_due_is_left_alone(clinic: Clinic, provider: FakeProvider) -> None:
    message = handed_over(clinic, next_check_at=timezone.now() + MINUTE)
    assert provider_sync_task() == {"asked": 0, "listed": 0, "moved": 0}
    assert again(message).status == Status.SENT


@pytest.mark.parametrize(
    ("age", "minutes"),
    [(dt.timedelta(seconds=30), 2), (10 * MINUTE, 10), (90 * MINUTE, 90), (48 * 60 * MINUTE, 360)],
    ids=["fresh", "ten minutes", "an hour and a half", "two days"],
)
def test_it_is_asked_about_less_and_less_often(
    clinic: Clinic, provider: FakeProvider, age: dt.timedelta, minutes: int
) -> None:
    message = handed_over(clinic, age=age)
    provider.found = look_up("sent")
    provider_sync_task()
    assert again(message).status == Status.SENT
    assert minutes_until_next(message) == minutes


@pytest.mark.parametrize("status", [Status.SENT, Status.UNCONFIRMED])
def test_after_the_horizon_nobody_asks_and_it_stays_as_it_is(
    clinic: Clinic, provider: FakeProvider, status: Status
) -> None:
    message = handed_over(clinic, status, its_id="", age=answers.HORIZON)
    provider.found = error(Kind.AMBIGUOUS, "timeout")
    provider_sync_task()
    assert (again(message).status, message.next_check_at) == (status, None)
    assert provider_sync_task()["asked"] == 0


def test_a_mail_server_is_not_asked_again_and_again(clinic: Clinic, provider: FakeProvider) -> None:
    message = unknown(clinic, channel="EMAIL", recipient="sara@mail.example")
    provider.found = error(Kind.AMBIGUOUS, "no_look_up")
    provider_sync_task()
    assert (again(message).status, message.next_check_at) == (Status.UNCONFIRMED, None)


def test_a_message_whose_adapter_is_gone_waits_for_its_horizon(
    clinic: Clinic, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(name: str) -> FakeProvider:
        raise KeyError(name)

    monkeypatch.setattr("integrations.sms_providers.get", gone)
    message = unknown(clinic)
    provider_sync_task()
    assert again(message).status == Status.UNCONFIRMED
    assert minutes_until_next(message) == 10


def test_one_can_be_asked_about_at_once(clinic: Clinic, provider: FakeProvider) -> None:
    message = handed_over(clinic, next_check_at=timezone.now() + MINUTE)
    provider.found = look_up("read")
    assert MessagingService().update_message_status(message.pk).status == Status.READ


def test_a_message_that_waits_for_nothing_is_not_asked_about(clinic: Clinic, provider: FakeProvider) -> None:
    message = handed_over(clinic, Status.DELIVERED)
    MessageAttempt.objects.update(cost=Decimal("0.035"), currency="USD")
    assert provider_sync_task()["asked"] == 0
    assert again(message).next_check_at is None


# --- Two runs at once -----------------------------------------------------------------------------------------------


def test_two_runs_at_once_ask_once(clinic: Clinic, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    messages = [handed_over(clinic, its_id=f"SM{n}") for n in range(3)]
    others: list[dict[str, int]] = []

    def answer(**query: Any) -> LookUp:
        provider.asked.append(query)
        others.append(provider_sync_task())
        return look_up(its_id=query["provider_message_id"])

    monkeypatch.setattr(provider, "look_up", answer)
    assert provider_sync_task() == {"asked": 3, "listed": 0, "moved": 3}
    assert sorted(query["provider_message_id"] for query in provider.asked) == ["SM0", "SM1", "SM2"]
    assert all(run["asked"] == 0 for run in others)
    assert {again(message).status for message in messages} == {Status.DELIVERED}


@pytest.mark.django_db(transaction=True)
def test_no_transaction_is_open_while_a_provider_is_asked(
    clinic: Clinic, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    unknown(clinic)
    handed_over(clinic)
    open_ones: list[bool] = []

    def answer(**query: Any) -> None:
        open_ones.append(connection.in_atomic_block)

    def sleep(seconds: float) -> None:
        open_ones.append(connection.in_atomic_block)

    monkeypatch.setattr(provider, "look_up", answer)
    monkeypatch.setattr(clock, "sleep", sleep)
    provider_sync_task()
    assert open_ones == [False] * 4


# --- Politeness -----------------------------------------------------------------------------------------------------


def test_single_questions_keep_their_pace(clinic: Clinic, provider: FakeProvider, clock: Clock) -> None:
    for n in range(21):
        handed_over(clinic, its_id=f"SM{n}")
    provider.found = look_up("sent")
    assert provider_sync_task()["asked"] == 21
    assert sum(clock.slept) == pytest.approx(20 / sync.RATE)


def test_a_run_ends_in_time_and_the_rest_comes_back(
    clinic: Clinic, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    messages = [handed_over(clinic, its_id=f"SM{n}") for n in range(5)]

    def slowly(**query: Any) -> LookUp:
        clock.now += 15
        return look_up("delivered", query["provider_message_id"])

    monkeypatch.setattr(provider, "look_up", slowly)
    assert provider_sync_task()["asked"] == 3
    left = [message for message in messages if again(message).status == Status.SENT]
    assert len(left) == 2
    assert {minutes_until_next(message) for message in left} <= {1, 2}


@pytest.mark.parametrize(
    ("refusal", "asked"),
    [
        (error(Kind.TRANSIENT, "20429"), 1),
        (error(Kind.TRANSIENT, "busy", retry_after=30), 1),
        (error(Kind.AMBIGUOUS, "ReadTimeout"), 3),
        (error(Kind.CONFIGURATION, "20003"), 3),
    ],
    ids=["too many", "retry after", "hangs", "our account"],
)
def test_a_provider_that_has_enough_is_left_in_peace(
    clinic: Clinic, provider: FakeProvider, refusal: Any, asked: int
) -> None:
    messages = [handed_over(clinic, its_id=f"SM{n}") for n in range(6)]
    provider.found = refusal
    assert provider_sync_task()["asked"] == asked
    for message in messages:
        assert again(message).status == Status.SENT
        assert message.next_check_at is not None


def test_one_provider_that_is_down_does_not_keep_another_from_being_asked(
    clinic: Clinic, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    down = FakeProvider(found=error(Kind.AMBIGUOUS, "ReadTimeout"), name="down")
    monkeypatch.setattr("integrations.sms_providers.get", lambda name: down if name == "down" else provider)
    for n in range(6):
        handed_over(clinic, its_id=f"SM{n}")
    MessageAttempt.objects.update(provider="down")
    message = handed_over(clinic, its_id="SM9")
    provider.found = look_up(its_id="SM9")
    provider_sync_task()
    assert len(down.asked) == 3
    assert again(message).status == Status.DELIVERED


def test_an_answer_that_nobody_foresaw_stops_no_other(
    clinic: Clinic, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    messages = [handed_over(clinic, its_id=f"SM{n}") for n in range(3)]

    def strangely(**query: Any) -> LookUp:
        if query["provider_message_id"] == "SM0":
            raise TypeError("a date that is none")
        # More than the column holds, on a database that minds.
        segments = 2**40 if query["provider_message_id"] == "SM1" else 1
        return look_up("delivered", query["provider_message_id"], segments=segments)

    monkeypatch.setattr(provider, "look_up", strangely)
    assert provider_sync_task()["asked"] == 3
    assert [again(message).status for message in messages][::2] == [Status.SENT, Status.DELIVERED]
    assert messages[0].next_check_at is not None


def test_unknown_outcomes_go_first(clinic: Clinic, other_clinic: Clinic, provider: FakeProvider) -> None:
    for n in range(2):
        handed_over(other_clinic, its_id=f"SM{n}")
    first = {str(unknown(clinic).pk) for _ in range(2)}
    provider.found = error(Kind.AMBIGUOUS, "no_look_up")
    assert provider_sync_task()["asked"] == 4
    assert {query["message_id"] for query in provider.asked[:2]} == first


def test_when_a_run_cannot_take_all_it_takes_unknown_outcomes_then_receipts_then_prices(
    clinic: Clinic, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    long_ago = timezone.now() - 60 * MINUTE
    handed_over(clinic, Status.DELIVERED, its_id="SM1", next_check_at=long_ago - MINUTE)
    handed_over(clinic, Status.SENT, its_id="SM2", next_check_at=long_ago)
    unknown(clinic)
    monkeypatch.setattr(sync, "TAKE", 1)
    provider.found = error(Kind.AMBIGUOUS, "no_look_up")
    for _ in range(3):
        provider_sync_task()
    assert [query["provider_message_id"] for query in provider.asked] == ["", "SM2", "SM1"]


# --- The list -------------------------------------------------------------------------------------------------------


def test_many_are_found_in_the_providers_list(clinic: Clinic, provider: FakeProvider) -> None:
    messages = [handed_over(clinic, its_id=f"SM{n}", body=f"{n}") for n in range(sync.MANY)]
    missing = handed_over(clinic, its_id="SMx")
    doubtful = unknown(clinic)
    provider.listed = [look_up("delivered", f"SM{n}") for n in range(sync.MANY)] + [look_up("failed", "SMstranger")]
    provider.found = look_up("sent", "SMx")
    counts = provider_sync_task()
    assert (counts["listed"], counts["asked"]) == (sync.MANY, 2)
    assert {again(message).status for message in messages} == {Status.DELIVERED}
    assert again(missing).status == Status.SENT
    assert {query["message_id"] for query in provider.asked} == {str(missing.pk), str(doubtful.pk)}


def test_the_list_is_read_only_as_far_as_it_is_of_use(
    clinic: Clinic, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(sync.MANY):
        handed_over(clinic, its_id=f"SM{n}", body=f"{n}")
    read: list[int] = []
    spans: list[tuple[dt.datetime, dt.datetime]] = []

    def pages(sent_after: dt.datetime, sent_before: dt.datetime) -> Any:
        spans.append((sent_after, sent_before))
        for n in range(10_000):
            read.append(n)
            yield look_up("delivered", f"SM{n}")

    monkeypatch.setattr(provider, "look_up_many", pages)
    assert provider_sync_task()["listed"] == sync.MANY
    assert len(read) == sync.MANY
    began = timezone.now() - 10 * MINUTE
    assert spans[0][0] < began < spans[0][1]


def test_an_endless_list_is_not_read_to_its_end(
    clinic: Clinic, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(sync.MANY):
        handed_over(clinic, its_id=f"SM{n}", body=f"{n}")
    read: list[int] = []

    def pages(sent_after: dt.datetime, sent_before: dt.datetime) -> Any:
        while True:
            read.append(1)
            yield look_up("delivered", "SMstranger")

    monkeypatch.setattr(provider, "look_up_many", pages)
    monkeypatch.setattr(sync, "LISTED_AT_MOST", 100)
    provider.found = look_up("sent")
    assert provider_sync_task()["asked"] == sync.MANY
    assert len(read) == 100


def test_a_list_that_is_refused_ends_the_run(
    clinic: Clinic, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(sync.MANY):
        handed_over(clinic, its_id=f"SM{n}", body=f"{n}")

    def pages(sent_after: dt.datetime, sent_before: dt.datetime) -> Any:
        yield look_up("delivered", "SM0")
        raise error(Kind.TRANSIENT, "20429")

    monkeypatch.setattr(provider, "look_up_many", pages)
    assert provider_sync_task() == {"asked": 0, "listed": 1, "moved": 1}


@pytest.mark.parametrize("word", ["sent", "delivered"])
def test_a_run_over_many_costs_few_statements(clinic: Clinic, provider: FakeProvider, word: str) -> None:
    def statements(count: int) -> int:
        for n in range(count):
            handed_over(clinic, its_id=f"{count}-{n}", body=f"{n}")
        provider.listed = [look_up(word, f"{count}-{n}", cost=Decimal("0.035")) for n in range(count)]
        with CaptureQueriesContext(connection) as asked:
            assert provider_sync_task()["listed"] == count
        return len(asked)

    assert statements(sync.MANY) == statements(3 * sync.MANY)


# --- Walls ----------------------------------------------------------------------------------------------------------


def test_every_tenant_has_its_turn_and_keeps_to_itself(
    clinic: Clinic, other_clinic: Clinic, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sync, "TAKE", 6)
    monkeypatch.setattr(sync, "SHARE", 1)
    monkeypatch.setattr("random.shuffle", lambda tenants: tenants.sort(key=lambda pk: pk != clinic.tenant.pk))
    large = [handed_over(clinic, its_id=f"SM{n}") for n in range(10)]
    small = handed_over(other_clinic, its_id="SM1")
    provider.found = look_up()
    assert provider_sync_task()["asked"] == 4
    assert again(small).status == Status.DELIVERED
    assert sum(again(message).status == Status.DELIVERED for message in large) == 3


def test_the_same_id_in_two_houses_settles_each_by_its_own(
    clinic: Clinic, other_clinic: Clinic, provider: FakeProvider
) -> None:
    ours, theirs = handed_over(clinic), handed_over(other_clinic, next_check_at=None)
    provider.found = look_up()
    provider_sync_task()
    assert again(ours).status == Status.DELIVERED
    assert again(theirs).status == Status.SENT


def test_a_suspended_tenant_is_not_asked_for(clinic: Clinic, provider: FakeProvider) -> None:
    handed_over(clinic)
    type(clinic.tenant).objects.filter(pk=clinic.tenant.pk).update(is_active=False)
    assert provider_sync_task()["asked"] == 0
