"""What goes out with a message beside its own words: an email's letterhead and picture, WhatsApp's approved content.

Read for a whole batch of one tenant at once, in the claim; a call of a provider makes no query. What belongs to the object
of a message (a visit's calendar entry, plain paper for a place that must not be named) comes from the app that knows it.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from core.models import Patient
from integrations.sms_providers import Approved
from notifications import branding, preference_links, short_links, whatsapp_approval
from notifications.models import Message, WhatsAppContent
from notifications.states import Channel, NotificationType

# Messages of patients about objects of one type → message id → further fields of their ``Outgoing``.
Enclose = Callable[[Sequence[Message]], Mapping[uuid.UUID, Mapping[str, Any]]]
_OF_OBJECTS: dict[str, Enclose] = {}


def register(object_type: str, enclose: Enclose) -> None:
    """Called once, when its app starts. ``object_type`` is the one on the messages: ``appointments.appointment``."""
    if object_type in _OF_OBJECTS:
        raise ValueError(f"enclosures of {object_type} are registered already")
    _OF_OBJECTS[object_type] = enclose


def enclosures_of(tenant_id: uuid.UUID, messages: Sequence[Message]) -> dict[uuid.UUID, dict[str, Any]]:
    """Message id → further fields of its ``Outgoing``. The tenant's scope is open."""
    found: dict[uuid.UUID, dict[str, Any]] = {}
    emails = [message for message in messages if message.channel == Channel.EMAIL]
    if emails:
        found |= _paper(tenant_id, emails)
    whatsapp = [message.pk for message in messages if message.channel == Channel.WHATSAPP]
    if whatsapp:
        for row in WhatsAppContent.objects.filter(message__in=whatsapp):
            approved = Approved(row.content_sid, whatsapp_approval.as_json(row.variables))
            found[row.message_id] = {"approved": approved}
    for object_type, enclose in _OF_OBJECTS.items():
        own = [message for message in messages if message.object_type == object_type and message.patient_id]
        for message_id, fields in enclose(own).items() if own else ():
            found[message_id] = {**found.get(message_id, {}), **fields}
    return found


def _paper(tenant_id: uuid.UUID, emails: Sequence[Message]) -> dict[uuid.UUID, dict[str, Any]]:
    # Staff are nobody's audience: they have their preferences in the house, and their opening is not counted.
    strangers = _strangers(emails)
    links = {email.pk: _links(email) for email in emails if email.patient_id and email.pk not in strangers}
    brand = branding.brand_of(tenant_id)
    if brand is None:
        return links
    heads = branding.letterheads(brand)
    return {
        email.pk: {
            "letterhead": heads[email.language],
            "pixel_url": short_links.pixel_address(email.pk) if brand.track_opens and email.patient_id else "",
            **links.get(email.pk, {}),
        }
        for email in emails
    }


def _strangers(emails: Sequence[Message]) -> set[uuid.UUID]:
    """Bills to somebody who only pays: the patient's wishes are not theirs to see or change."""
    bills = [one for one in emails if one.notification_type == NotificationType.BILLING and not one.guardian_id]
    if not bills:
        return set()
    own: dict[uuid.UUID | None, str] = {}
    for patient in Patient.objects.filter(pk__among={one.patient_id for one in bills}).only("email"):
        own[patient.pk] = patient.email.casefold()
    return {one.pk for one in bills if one.recipient.casefold() != own.get(one.patient_id)}


def _links(email: Message) -> dict[str, Any]:
    return {
        "preferences_url": preference_links.link_for_message(email),
        "unsubscribe_url": preference_links.unsubscribe_address(email),
    }
