"""The outbox: renders, freezes and inserts one message with its log, and rings the worker's doorbell on commit.

``MessagingService`` decides who gets what; this is the only place that makes a ``Message`` row.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import parseaddr, quote
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from core import discretion
from core.errors import DomainError
from core.models import Location, User
from core.queueing import ring
from integrations import whatsapp
from notifications import capabilities, desk_tasks, lifecycle, segments, short_links
from notifications.models import Message, MessageTemplate, NotificationEvent, ShortLink
from notifications.rendering import TemplateError
from notifications.states import USEFUL_FOR, Channel, Lane, Reason, TaskKind

# Each lane's queue; docs/operations.md says which workers serve it.
QUEUE_OF_LANE = {Lane.URGENT: "urgent", Lane.TRANSACTIONAL: "default", Lane.BULK: "bulk"}
# What the same dedupe key must not bring in two forms.
CONTENT = ("channel", "recipient", "subject", "body")


class MessageConflict(DomainError):
    """The same dedupe key came with other content."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a message comes from: its event, the object it links to, its deadline, who pressed the button."""

    event: NotificationEvent | None = None
    object_type: str = ""
    object_id: uuid.UUID | None = None
    object_version: int = 0
    location: Location | None = None
    useful_until: dt.datetime | None = None
    sent_by: User | None = None
    conversation_id: uuid.UUID | None = None
    # The event itself is void by now (moved, cancelled, past): the row is written, but refused.
    refusal: Reason | None = None
    fallback_channels: Sequence[str] = ()
    lane: Lane = Lane.TRANSACTIONAL
    # Who writes; None: the sender of the location. An answer comes from whom the patient has written to.
    sender: str | None = None
    # What the CREATED row of the timeline should tell: channels that were passed over, the channel before.
    details: Mapping[str, Any] = field(default_factory=dict)


def write(
    message: Message,
    *,
    origin: Origin,
    refusal: Reason | None,
    template: MessageTemplate | None,
    context: Mapping[str, Any],
) -> Message:
    """Renders, freezes and inserts; the unique dedupe key decides between two that come at once."""
    error = ""
    links: list[ShortLink] = []
    is_discreet = message.patient_id is not None and discretion.is_discreet(origin.location)
    if is_discreet:
        context = discretion.discreet_context(context, origin.location)
    message.sender = origin.sender if origin.sender is not None else sender_for(origin.location, message.channel)
    if template is not None:
        context = capabilities.suited(message, context, sender=message.sender)
        message.template, message.template_version = template, template.version
        # Before the words are frozen and their segments counted.
        context, links = short_links.shorten(message, context, on_own_host=not is_discreet)
        try:
            message.body = template.render(message.language, **context)
            message.subject = template.render_subject(message.language, **context)
        except TemplateError as problem:
            if origin.event is None:
                raise
            refusal, error = refusal or Reason.VARIABLE_MISSING, str(problem)
    elif not message.body:
        refusal = refusal or Reason.TEMPLATE_MISSING
    refusal = origin.refusal or refusal
    message.event = origin.event
    message.object_type, message.object_id = origin.object_type, origin.object_id
    message.object_version = origin.object_version
    message.lane = origin.lane
    message.expires_at = origin.useful_until or timezone.now() + USEFUL_FOR[message.notification_type]
    message.sent_by = origin.sent_by
    message.fallback_channels = [str(channel) for channel in origin.fallback_channels]
    message.conversation_id = origin.conversation_id or message.pk
    if is_discreet and origin.location is not None and message.channel == Channel.EMAIL:
        message.sender = _discreet_sender(message, origin.location)
    message.segments = segments.count(message.body).parts if message.channel == Channel.SMS else 0
    if refusal is None and message.expires_at <= timezone.now():
        refusal = Reason.PAST_DUE
    details = {**origin.details, **({"error": error} if error else {})}
    try:
        with transaction.atomic():
            lifecycle.create(message, refusal=refusal, details=details)
            if refusal is Reason.VARIABLE_MISSING:
                _ask_for_data(message)
            if refusal is None:
                if content := whatsapp.content_for(message, template, context):
                    content.save()
                ShortLink.objects.bulk_create(links)
                enqueue_send(message)
    except IntegrityError:
        return _existing(message)
    return message


def _ask_for_data(message: Message) -> None:
    """The template says something that nobody has written down: this message stops, and a person is told of it, once
    for all that was to be said about the same thing.
    """
    desk_tasks.open_task(
        TaskKind.TEMPLATE_DATA,
        tenant_id=message.tenant_id,
        key=str(message.object_id or message.patient_id or message.template_id),
        patient=message.patient,
        obj=message,
    )


def _existing(message: Message) -> Message:
    there = Message.objects.filter(tenant_id=message.tenant_id, dedupe_key=message.dedupe_key).first()
    if there is None:
        raise ValueError("a message breaks a rule of the database")
    refuse_other_content(there, message)
    return there


def refuse_other_content(there: Message, message: Message) -> None:
    """Raises ``MessageConflict`` when a dedupe key comes back with other words or another address."""
    if _fingerprint(there) != _fingerprint(message):
        raise MessageConflict(
            _("This was sent before with other content. Start a new message."), code="dedupe_conflict"
        )


def enqueue_send(message: Message) -> None:
    """Rings the bell of the message's lane after the commit."""
    ring_on_commit(Lane(message.lane))


def ring_on_commit(lane: Lane) -> None:
    transaction.on_commit(lambda: ring_for(lane))


def ring_for(lane: Lane) -> None:
    """Tells the workers that something waits in a lane. One ring is enough for any number of messages."""
    from integrations.tasks import drain_task

    ring(drain_task, lane.value, queue=QUEUE_OF_LANE[lane])


def sender_for(location: Location | None, channel: str) -> str:
    """The location's own sender identity; empty means the provider's default."""
    if location is None:
        return ""
    return {
        Channel.SMS: location.sms_sender,
        Channel.WHATSAPP: location.whatsapp_sender,
        Channel.EMAIL: location.email_sender or settings.DEFAULT_FROM_EMAIL,
    }[Channel(channel)]


def _discreet_sender(message: Message, location: Location) -> str:
    """The same address under the discreet name: a list of mails shows the name."""
    _name, address = parseaddr(message.sender)
    name = discretion.discreet_name(location).name_in(message.language)
    return f'"{quote(name)}" <{address}>' if address else ""


def _fingerprint(message: Message) -> tuple[str, ...]:
    return tuple(str(getattr(message, name)) for name in CONTENT)
