"""Messages that were handed over, for tests of what is asked about them."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.utils import timezone

from conftest import Clinic
from core.tenancy import tenant_scope
from integrations import sync
from integrations.sms_providers import LookUp
from notifications import lifecycle
from notifications.models import Message, MessageAttempt
from notifications.states import Outcome, Status

MINUTE = dt.timedelta(minutes=1)
MOBILE = "+966501234100"


class Clock:
    """``time`` as sync sees it: sleeping costs nothing but is counted."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The pace of the questions, without its waiting."""
    made = Clock()
    monkeypatch.setattr(sync, "time", made)
    return made


def handed_over(
    clinic: Clinic,
    status: Status = Status.SENT,
    *,
    its_id: str = "SM1",
    age: dt.timedelta = 10 * MINUTE,
    body: str = "Your visit is tomorrow.",
    **fields: Any,
) -> Message:
    """A message that was handed over ``age`` ago and is due to be asked about."""
    began = timezone.now() - age
    with tenant_scope(clinic.tenant.pk):
        message = lifecycle.create(
            Message(
                tenant=clinic.tenant,
                patient=clinic.patient,
                channel=fields.pop("channel", "SMS"),
                notification_type="GENERAL",
                recipient=fields.pop("recipient", MOBILE),
                language="en",
                body=body,
                provider="fake",
                dedupe_key=fields.pop("dedupe_key", None) or f"sync:{Message.objects.count()}:{clinic.tenant.slug}",
            )
        )
        lifecycle.move(message.pk, Status.SENDING)
        attempt(message, began=began, its_id=its_id, outcome="" if status == Status.SENDING else None)
        if status != Status.SENDING:
            lifecycle.move(message.pk, status, fields={"provider_message_id": its_id})
        Message.objects.filter(pk=message.pk).update(
            **{"next_check_at": timezone.now(), "attempt_count": 1, "sent_at": began, **fields}
        )
        message.refresh_from_db()
    return message


def attempt(
    message: Message,
    *,
    began: dt.datetime,
    its_id: str = "",
    number: int = 1,
    outcome: str | None = None,
    **fields: Any,
) -> MessageAttempt:
    if outcome is None:
        outcome = Outcome.ACCEPTED if its_id else Outcome.AMBIGUOUS
    return MessageAttempt.objects.create(
        tenant_id=message.tenant_id,
        message=message,
        number=number,
        provider="fake",
        lease_token=message.pk,
        started_at=began,
        finished_at=began + dt.timedelta(seconds=1) if outcome else None,
        provider_message_id=its_id,
        outcome=outcome,
        **fields,
    )


def unknown(clinic: Clinic, **fields: Any) -> Message:
    return handed_over(clinic, Status.UNCONFIRMED, its_id="", **fields)


def again(message: Message) -> Message:
    with tenant_scope(message.tenant_id):
        message.refresh_from_db()
        assert lifecycle.fold(message.logs.values_list("event", "status")) == message.status
    return message


def last_attempt(message: Message) -> MessageAttempt:
    return message.attempts.order_by("number").last()


def make_due(*messages: Message) -> None:
    Message.objects.filter(pk__in=[message.pk for message in messages]).update(next_check_at=timezone.now())


def minutes_until_next(message: Message) -> int:
    next_check_at = again(message).next_check_at
    assert next_check_at is not None
    return round((next_check_at - timezone.now()) / MINUTE)


def look_up(status: str = "delivered", its_id: str = "SM1", **fields: Any) -> LookUp:
    return LookUp(status=status, provider_message_id=its_id, **fields)
