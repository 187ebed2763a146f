"""Writes back to the number that has written: acknowledgements of the house, and what it means that a number is wrong.

An acknowledgement is a message like any other, under the gate, in the urgent lane: who has just written is awake, so quiet
hours do not hold it. It goes to the very number, over the channel and from the sender that were used.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.utils import timezone

from core import discretion, patients, phone
from core.contacts import Contact
from core.models import Location
from integrations import outbox
from integrations.outbox import Origin
from notifications import gate, reply_answers
from notifications.models import InboundMessage, Message
from notifications.questions import Look
from notifications.rendering import Code, Words
from notifications.states import Lane, NotificationType, Reason

# Later it would answer something else (clinic.md 6.2).
USEFUL_FOR = dt.timedelta(hours=1)


def code(text: str) -> Code:
    return Code(text)


def answer(reply: InboundMessage, words: Words, *, look: Look | None = None, **context: Any) -> Message | None:
    """Sends the one acknowledgement of a reply; its key makes it one. None when nobody knows whom it would be about."""
    about = look.patient if look is not None else reply.patient
    last = reply.in_reply_to
    if about is None or last is None:
        return None
    location = look.location if look is not None else _some_location()
    number = phone.display(location.phone) if location is not None else ""
    values = {
        "phone": Code(number) if number else reply_answers.NO_PHONE,
        "clinic_name": discretion.names_for(about.tenant, look.location if look is not None else None),
        **{name: value for name, value in context.items() if value is not None},
    }
    message = Message(
        tenant_id=reply.tenant_id,
        patient=about,
        guardian_id=last.guardian_id,
        channel=reply.channel,
        notification_type=NotificationType.GENERAL,
        recipient=reply.sender,
        language=last.language,
        body=reply_answers.write(words, last.language, **values),
        dedupe_key=f"reply:{reply.pk}",
    )
    return outbox.write(
        message,
        origin=Origin(
            object_type=look.thing.object_type if look is not None else "",
            object_id=look.thing.object_id if look is not None else None,
            location=location,
            useful_until=timezone.now() + USEFUL_FOR,
            lane=Lane.URGENT,
            sender=last.sender,
        ),
        refusal=_refusal(message),
        template=None,
        context={},
    )


def _some_location() -> Location | None:
    """For the phone number, where the reply is about no place in particular."""
    return Location.objects.filter(is_active=True).exclude(phone="").order_by("pk").first()


def _refusal(message: Message) -> Reason | None:
    reader = gate.reader_of(message)
    if not isinstance(reader, Contact):
        return Reason(reader)
    if message.patient is None:
        return Reason.NO_CONTACT
    return gate.refusal_for_patient(
        patient=message.patient,
        preference=gate.preference_of(message.patient),
        channel=message.channel,
        notification_type=message.notification_type,
        contact=reader,
    )


def number_is_wrong(reply: InboundMessage) -> None:
    """Whoever has the phone is not whom we wrote to."""
    patients.number_is_wrong(phone=reply.sender)
