"""Messages that were handed over, and the receipts about them, for the tests of receipts."""

from __future__ import annotations

import uuid
from typing import Any

from django.utils import timezone

from conftest import Clinic
from notifications import lifecycle, receipts
from notifications.models import Message, MessageAttempt, ProviderReceipt
from notifications.states import Outcome, Status

# Twilio's words and codes, as call-backs bring them.
WORDS = {
    "queued": ("queued", ""),
    "sent": ("sent", ""),
    "delivered": ("delivered", ""),
    "dead": ("undelivered", "30005"),
    "transient": ("failed", "30008"),
    "content": ("failed", "30007"),
    "opted out": ("failed", "21610"),
    "read": ("read", ""),
}


def handed_over(clinic: Clinic, status: Status = Status.SENT, **fields: Any) -> Message:
    """A message with one attempt by Twilio; SENDING: its call is still under way."""
    defaults = {
        "tenant_id": clinic.tenant.pk,
        "patient": clinic.patient,
        "channel": "SMS",
        "notification_type": "GENERAL",
        "recipient": clinic.patient.phone,
        "language": "ar",
        "body": "نص",
        "dedupe_key": str(uuid.uuid4()),
    }
    message = Message(**(defaults | fields))
    message.conversation_id = fields.get("conversation_id", message.pk)
    lifecycle.create(message)
    add_attempt(message, 1, is_open=status == Status.SENDING)
    if status not in (Status.SENDING, Status.QUEUED):
        lifecycle.move(message.pk, status, fields={"lease_token": None, "lease_expires_at": None})
    message.refresh_from_db()
    return message


def add_attempt(message: Message, number: int, *, is_open: bool = False, **fields: Any) -> MessageAttempt:
    """The message is SENDING with its ``number``-th attempt."""
    now = timezone.now()
    lease = uuid.uuid4()
    lifecycle.move(
        message.pk,
        Status.SENDING,
        fields={
            "provider": "twilio",
            "attempt_count": number,
            "lease_token": lease,
            "lease_expires_at": now,
            "next_attempt_at": None,
        },
    )
    defaults = {"provider": "twilio", "outcome": "" if is_open else Outcome.ACCEPTED}
    return MessageAttempt.objects.create(
        tenant_id=message.tenant_id,
        message=message,
        number=number,
        lease_token=lease,
        started_at=now,
        finished_at=None if is_open else now,
        **(defaults | fields),
    )


def store(message: Message, name: str, *, attempt: int | None = 1, sid: str = "SM1") -> bool:
    """As the webhook does."""
    word, code = WORDS.get(name, (name, ""))
    return receipts.store(
        provider="twilio",
        message_ref=str(message.pk),
        attempt=attempt,
        provider_message_id=sid,
        status=word,
        error_code=code,
        payload={},
    )


def repeat(message: Message, name: str) -> None:
    """A receipt that is there a second time: past the unique key, as if something else in it was different."""
    word, code = WORDS[name]
    ProviderReceipt.objects.create(
        provider="twilio",
        message_ref=str(message.pk),
        attempt=1,
        provider_message_id="SM1",
        status=word,
        error_code=code,
        dedupe_key=str(uuid.uuid4()),
    )


def hear(message: Message, *names: str, **how: Any) -> Message:
    """Each receipt stored and applied on its own."""
    for name in names:
        store(message, name, **how)
        receipts.apply_stored()
    return checked(message)


def checked(message: Message) -> Message:
    """As it is now. Whatever has happened, its status is the fold of its log and its stamps are in order."""
    message.refresh_from_db()
    logs = list(message.logs.order_by("position").values_list("event", "status", "position"))
    assert lifecycle.fold((event, status) for event, status, _position in logs) == message.status
    assert [position for _event, _status, position in logs] == list(range(1, message.log_position + 1))
    stamps = [at for at in (message.sent_at, message.delivered_at, message.read_at) if at is not None]
    assert stamps == sorted(stamps)
    if message.status in (Status.DELIVERED, Status.READ):
        assert message.sent_at is not None
        assert message.delivered_at is not None
        assert message.failed_at is None
    return message
