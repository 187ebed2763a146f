"""Writes back to the number that has written: acknowledgements of the house, and what it means that a number is wrong.

An acknowledgement is a message like any other, under the gate, in the urgent lane: who has just written is awake, so quiet
hours do not hold it. It goes to the very number, over the channel and from the sender that were used.
"""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from core import discretion, patients, phone
from core.access import Can
from core.contacts import Contact, recipients_for
from core.errors import DomainError
from core.models import Location, Patient, User
from core.permissions import demand
from integrations import outbox
from integrations.outbox import Origin
from notifications import conversations, gate, questions, reply_answers
from notifications.models import Conversation, InboundMessage, Message
from notifications.questions import Look
from notifications.rendering import Code, Words
from notifications.states import Channel, Lane, NotificationType, Reason
from notifications.suppression import suppressed

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
    reader = reader_at(reply, about)
    location = look.location if look is not None else _some_location()
    number = phone.display(location.phone) if location is not None else ""
    values = {
        "phone": Code(number) if number else reply_answers.NO_PHONE,
        # About no place in particular: where one of them must not be named, nothing is.
        "clinic_name": discretion.names_for(
            about.tenant,
            look.location if look is not None else discretion.strictest(Location.objects.filter(is_active=True)),
        ),
        **{name: value for name, value in context.items() if value is not None},
    }
    message = Message(
        tenant_id=reply.tenant_id,
        patient=about,
        # Of two whom one message asks about, one may be its reader and the other the reader's child.
        guardian=reader.guardian if reader is not None else last.guardian,
        channel=reply.channel,
        notification_type=NotificationType.GENERAL,
        recipient=reply.sender,
        language=last.language,
        body=reply_answers.write(words, last.language, **values),
        dedupe_key=f"{questions.ANSWER_KEY}{reply.pk}",
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


def is_reader(reply: InboundMessage, patient: Patient) -> bool:
    """Who writes is still told about this patient, at this number: else nobody acts on their word."""
    return reader_at(reply, patient) is not None


def reader_at(reply: InboundMessage, patient: Patient) -> Contact | None:
    """The one of this patient's readers who has the number that has written; None also where it is known to be wrong."""
    last = reply.in_reply_to
    if last is None or suppressed(reply.channel, [reply.sender]).get(reply.sender) == Reason.WRONG_NUMBER:
        return None
    found = recipients_for([patient], notification_type=last.notification_type)[patient.pk]
    return next((one for one in found if one.phone == reply.sender), None) if not isinstance(found, str) else None


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


@transaction.atomic
def answer_by_hand(*, conversation: Conversation, actor: User, channel: str, body: str, key: uuid.UUID) -> Message:
    """A person's words to the number of the conversation. The same ``key`` again is the same message.

    Free words go over WhatsApp only within a day of the patient's last message there (its policy); later an approved
    template or an SMS has to do. Raises ``DomainError``.
    """
    demand(actor, Can.SEND_MESSAGES, conversation)
    if channel not in (Channel.SMS, Channel.WHATSAPP):
        raise DomainError(_("Choose SMS or WhatsApp."), code="channel_unknown")
    if not body.strip():
        raise DomainError(_("Write the message first."), code="body_empty")
    if channel == Channel.WHATSAPP and conversations.window_until(conversation) is None:
        raise DomainError(
            _("WhatsApp takes free words only within a day of the patient's last message. Send an SMS or a template."),
            code="window_closed",
        )
    last = conversations.last_message(conversation)
    if last is None or last.patient is None:
        raise DomainError(_("Nobody knows whom this number belongs to."), code="patient_unknown")
    same_channel = last if last.channel == channel else conversations.last_message(conversation, channel)
    message = Message(
        tenant_id=conversation.tenant_id,
        patient=last.patient,
        guardian_id=last.guardian_id,
        channel=channel,
        notification_type=NotificationType.GENERAL,
        recipient=conversation.address,
        language=last.language,
        body=body.strip(),
        dedupe_key=f"answer:{actor.pk}:{key}",
    )
    sent = outbox.write(
        message,
        origin=Origin(sent_by=actor, sender=same_channel.sender if same_channel is not None else None),
        refusal=_refusal(message),
        template=None,
        context={},
    )
    conversations.note_replied(conversation=conversation, actor=actor)
    return sent


def number_is_wrong(reply: InboundMessage) -> None:
    """Whoever has the phone is not whom we wrote to."""
    patients.number_is_wrong(phone=reply.sender)
