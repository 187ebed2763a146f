"""The words of a send: chosen from the templates or written for it, checked against what the audience has values for."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.utils.translation import gettext as _

from core import discretion
from core.errors import DomainError
from core.models import Location, Tenant
from integrations.bulk.audience import ALWAYS
from integrations.bulk_send import Frame, Job
from notifications import bulk_values, rendering
from notifications.bulk_states import TYPE_OF_CLASS, MessageClass, class_of
from notifications.models import BulkSend, MessageTemplate
from notifications.rendering import Code
from notifications.states import Channel, Lane, NotificationType

TEXTS = ("subject_en", "subject_ar", "body_en", "body_ar")
# Words that no template holds cannot go over WhatsApp: outside a conversation it takes approved templates only.
OWN_CHANNELS = (Channel.SMS, Channel.EMAIL)
# An urgent notice to a few goes before the large sends; to many it would stand in the way of confirmations.
URGENT_MOST = 1000


def variables_of(bulk: BulkSend) -> list[str]:
    """The placeholders that every recipient of the send has a value for."""
    return [*ALWAYS, *(name for name in bulk.variables if name not in ALWAYS)]


def used_in(texts: Iterable[str]) -> set[str]:
    """The placeholders in some texts. Raises ``rendering.TemplateError`` for one that is none."""
    return {name for text in texts for name in rendering.placeholders(text)}


def usable_templates(bulk: BulkSend) -> list[MessageTemplate]:
    """The active templates whose class is the send's and whose placeholders all have values."""
    known = set(variables_of(bulk))
    rows = MessageTemplate.objects.filter(is_active=True, archived_at=None).exclude(
        notification_type=NotificationType.STAFF
    )
    found = []
    for row in rows.order_by("name", "pk"):
        if class_of(row.notification_type) != bulk.message_class:
            continue
        try:
            used = used_in(getattr(row, name) for name in TEXTS)
        except rendering.TemplateError:
            continue
        if used <= known:
            found.append(row)
    return found


def from_templates(templates: Sequence[MessageTemplate]) -> dict[str, dict[str, Any]]:
    """The published words of some templates, one a channel, as they are now."""
    return {
        row.channel: {
            **{name: getattr(row, name) for name in TEXTS},
            "template_id": str(row.pk),
            "code": row.code,
            "version": row.version,
            "type": row.notification_type,
            "name": row.name,
        }
        for row in templates
    }


def own(bulk: BulkSend, texts: Mapping[str, str], channels: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Words written for this send, for each of the channels. Raises ``DomainError`` for a placeholder without values."""
    cleaned = {name: texts.get(name, "").strip() for name in TEXTS}
    if not cleaned["body_en"] or not cleaned["body_ar"]:
        missing = "body_en" if not cleaned["body_en"] else "body_ar"
        raise DomainError(
            _("Write the message in both languages: each reads it in their own."), code=f"{missing}_missing"
        )
    check_names(bulk, cleaned)
    return {
        str(channel): {
            **cleaned,
            "template_id": "",
            "code": "",
            "version": 0,
            "type": TYPE_OF_CLASS[bulk.message_class],
        }
        for channel in channels
    }


def check_names(bulk: BulkSend, texts: Mapping[str, str]) -> None:
    known = variables_of(bulk)
    for name, text in texts.items():
        try:
            rendering.check_text(text, known)
        except rendering.TemplateError as error:
            raise DomainError(str(error), code=f"{name}_placeholder") from error


def templates_of(bulk: BulkSend) -> dict[str, MessageTemplate]:
    """The frozen words as templates, one a channel; not rows of the database."""
    known = variables_of(bulk)
    found = {}
    for channel, words in bulk.words.items():
        template = MessageTemplate(
            tenant_id=bulk.tenant_id,
            code=words["code"],
            channel=channel,
            notification_type=words["type"],
            version=words["version"],
            variables=known,
            **{name: words[name] for name in TEXTS},
        )
        if words["template_id"]:
            template.pk = uuid.UUID(words["template_id"])
        found[channel] = template
    return found


def lane_of(bulk: BulkSend) -> Lane:
    few = int(bulk.totals.get("send", 0)) <= URGENT_MOST
    return Lane.TRANSACTIONAL if bulk.is_urgent and bulk.message_class == MessageClass.SERVICE and few else Lane.BULK


def job_of(bulk: BulkSend) -> Job:
    """What renders and writes the messages of a send."""
    return Job(
        bulk.tenant_id,
        templates_of(bulk),
        channel=bulk.channel or None,
        context=context_of(bulk),
        sent_by_id=bulk.created_by_id,
        key=str(bulk.pk),
        frame=Frame(bulk.pk, lane_of(bulk), bulk.object_type, bulk.expires_at),
        switched_off=switched_off(bulk),
    )


def switched_off(bulk: BulkSend) -> set[str]:
    """Channels whose template nobody may send with any more: the words stay frozen, and the way out is closed."""
    chosen = {channel: words["template_id"] for channel, words in bulk.words.items() if words["template_id"]}
    if not chosen:
        return set()
    active = MessageTemplate.objects.filter(pk__in=chosen.values(), is_active=True).values_list("pk", flat=True)
    ready = {str(pk) for pk in active}
    return {channel for channel, pk in chosen.items() if pk not in ready}


def context_of(bulk: BulkSend) -> dict[str, Any]:
    """The values that all recipients share: the clinic, and the place that the audience was chosen by."""
    context: dict[str, Any] = {"clinic_name": Tenant.objects.get(pk=bulk.tenant_id)}
    location_id = bulk.audience.get("location")
    location = Location.objects.filter(pk=location_id).first() if location_id else None
    if location is not None:
        context["location_name"] = location
        if location.phone:
            context["phone"] = Code(location.phone)
    context = dict(discretion.discreet_context(context, location))
    context |= {name: bulk_values.unpack(value) for name, value in bulk.audience.get("values", {}).items()}
    return context
