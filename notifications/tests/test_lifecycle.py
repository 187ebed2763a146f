from __future__ import annotations

import datetime as dt
import itertools
import uuid

import pytest
from django.utils import timezone

from conftest import Clinic
from notifications import lifecycle
from notifications.models import Message
from notifications.states import RETRY_JITTER, TRANSITIONS, Reason, Status


def make(clinic: Clinic, **fields: object) -> Message:
    defaults: dict[str, object] = {
        "tenant_id": clinic.tenant.pk,
        "patient": clinic.patient,
        "channel": "SMS",
        "notification_type": "GENERAL",
        "recipient": "+966501234567",
        "language": "ar",
        "body": "نص",
        "dedupe_key": str(uuid.uuid4()),
    }
    return lifecycle.create(Message(**(defaults | fields)))


def log_of(message: Message) -> list[str]:
    return list(message.logs.values_list("event", flat=True))


def status_of(message: Message) -> str:
    message.refresh_from_db()
    folded = lifecycle.fold(message.logs.values_list("event", "status"))
    assert folded == message.status, "the status is the fold of the log"
    return message.status


def test_a_new_message_is_created_and_queued(clinic: Clinic) -> None:
    message = make(clinic)
    assert log_of(message) == ["CREATED", "QUEUED"]
    assert status_of(message) == Status.QUEUED


def test_the_happy_way_writes_one_row_a_move(clinic: Clinic) -> None:
    message = make(clinic)
    for status in (Status.SENDING, Status.SENT, Status.DELIVERED, Status.READ):
        assert lifecycle.move(message.pk, status)
    assert log_of(message) == ["CREATED", "QUEUED", "SENDING", "SENT", "DELIVERED", "READ"]
    message.refresh_from_db()
    assert message.sent_at <= message.delivered_at <= message.read_at


@pytest.mark.parametrize(("start", "end"), list(itertools.product(Status, Status)))
def test_only_the_moves_of_the_table_happen(clinic: Clinic, start: Status, end: Status) -> None:
    message = make(clinic)
    Message.objects.filter(pk=message.pk).update(status=start)
    rows_before = message.logs.count()
    moved = lifecycle.move(message.pk, end)
    assert moved == (end in TRANSITIONS[start])
    assert message.logs.count() == rows_before + moved


@pytest.mark.parametrize("order", list(itertools.permutations([Status.SENT, Status.DELIVERED, Status.READ])))
def test_receipts_in_any_order_end_the_same(clinic: Clinic, order: tuple[Status, ...]) -> None:
    message = make(clinic)
    lifecycle.move(message.pk, Status.SENDING)
    for status in (*order, *order):
        lifecycle.move(message.pk, status)
    assert status_of(message) == Status.READ
    assert message.delivered_at is not None


def test_a_late_hard_bounce_corrects_delivered(clinic: Clinic) -> None:
    message = make(clinic)
    for status in (Status.SENDING, Status.SENT, Status.DELIVERED):
        lifecycle.move(message.pk, status)
    message.refresh_from_db()
    assert lifecycle.fail(message, bounced=True, may_retry=False)
    assert status_of(message) == Status.BOUNCED


def test_a_soft_failure_does_not_undo_delivered(clinic: Clinic) -> None:
    message = make(clinic)
    for status in (Status.SENDING, Status.SENT, Status.DELIVERED):
        lifecycle.move(message.pk, status)
    assert not lifecycle.fail(message, bounced=False, may_retry=True)
    assert status_of(message) == Status.DELIVERED


def test_a_lost_lease_cannot_write(clinic: Clinic) -> None:
    message = make(clinic)
    ours, theirs = uuid.uuid4(), uuid.uuid4()
    lifecycle.move(message.pk, Status.SENDING, fields={"lease_token": ours})
    assert not lifecycle.move(message.pk, Status.SENT, lease=theirs)
    assert lifecycle.move(message.pk, Status.SENT, lease=ours)


@pytest.mark.parametrize(("retry_count", "seconds"), [(0, 60), (1, 120), (2, 240)])
def test_retries_wait_60_120_and_240_seconds(clinic: Clinic, retry_count: int, seconds: int) -> None:
    message = make(clinic, retry_count=retry_count)
    lifecycle.move(message.pk, Status.SENDING)
    lifecycle.fail(message, bounced=False, may_retry=True, code="30008")
    message.refresh_from_db()
    wait = message.next_attempt_at - timezone.now()
    assert dt.timedelta(seconds=seconds - 5) < wait <= dt.timedelta(seconds=seconds * (1 + RETRY_JITTER))
    assert message.can_retry()


def test_after_three_retries_it_has_failed_for_good(clinic: Clinic) -> None:
    message = make(clinic, retry_count=3, fallback_channels=["EMAIL"])
    lifecycle.move(message.pk, Status.SENDING)
    lifecycle.fail(message, bounced=False, may_retry=True)
    message.refresh_from_db()
    assert message.next_attempt_at is None
    assert message.fallback_due_at is not None
    assert not message.can_retry()


def test_no_retry_is_planned_past_the_deadline(clinic: Clinic) -> None:
    message = make(clinic, expires_at=timezone.now() + dt.timedelta(seconds=30))
    lifecycle.move(message.pk, Status.SENDING)
    lifecycle.fail(message, bounced=False, may_retry=True)
    message.refresh_from_db()
    assert message.next_attempt_at is None


@pytest.mark.parametrize(
    ("reason", "status"),
    [
        (Reason.STALE_VERSION, Status.CANCELLED),
        (Reason.PAST_DUE, Status.EXPIRED),
        (Reason.OPT_OUT_CHANNEL, Status.SUPPRESSED),
    ],
)
def test_a_refusal_ends_in_its_own_status_with_the_reason(clinic: Clinic, reason: Reason, status: Status) -> None:
    message = make(clinic)
    assert lifecycle.refuse(message.pk, reason)
    assert status_of(message) == status
    assert message.reason == reason


def test_a_change_of_the_object_cancels_what_waits_and_nothing_else(clinic: Clinic) -> None:
    visit = uuid.uuid4()
    waiting = make(clinic, object_id=visit, object_version=1)
    current = make(clinic, object_id=visit, object_version=2)
    sent = make(clinic, object_id=visit, object_version=1)
    lifecycle.move(sent.pk, Status.SENDING)
    assert lifecycle.cancel_for_object(visit, 2, Reason.STALE_VERSION) == 1
    assert [status_of(m) for m in (waiting, current, sent)] == [Status.CANCELLED, Status.QUEUED, Status.SENDING]


def test_the_log_cannot_be_changed(clinic: Clinic) -> None:
    row = make(clinic).logs.first()
    with pytest.raises(TypeError):
        row.save()
