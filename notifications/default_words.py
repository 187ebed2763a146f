"""Gives a tenant the words it starts with: one template for every event, audience and channel of the registry."""

from __future__ import annotations

import uuid
from typing import Any

from django.db import transaction
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from core.models.tenant import in_language
from notifications import registry, rendering
from notifications.models import MessageTemplate, TemplateVersion
from notifications.registry import Audience, EventType
from notifications.states import Channel

_AUDIENCES = {
    Audience.PATIENT: _("Patient"),
    Audience.PROVIDER: _("Provider"),
    Audience.FRONT_DESK: _("Front desk"),
    Audience.ADMIN: _("Admin"),
}


def install(tenant_id: uuid.UUID) -> int:
    """Creates what is missing and returns how many; a template that is there keeps its words."""
    there = set(MessageTemplate.objects.filter(tenant_id=tenant_id).values_list("code", "channel"))
    new = [template for template in _templates(tenant_id) if (template.code, template.channel) not in there]
    with transaction.atomic():
        MessageTemplate.objects.bulk_create(new, ignore_conflicts=True)
        # Of two set-ups at once one writes the rows; the versions belong to those that are there.
        written = MessageTemplate.objects.filter(pk__in=[template.pk for template in new])
        TemplateVersion.objects.bulk_create([TemplateVersion.published(template) for template in written])
    return len(new)


def title(template: MessageTemplate) -> str:
    """The name in the reader's language. A name that somebody has given it is shown as it is."""
    for entry in registry.all_events():
        for audience, label in _AUDIENCES.items():
            if entry.template_code(audience) == template.code and template.name == _name(
                entry, audience, template.channel
            ):
                return gettext("%(event)s: %(audience)s, %(channel)s") % {
                    "event": in_language(entry.name_en, entry.name_ar),
                    "audience": label,
                    "channel": Channel(template.channel).label,
                }
    return template.name


def _name(entry: EventType, audience: Audience, channel: str) -> str:
    return f"{entry.name_en}: {audience.value}, {channel.lower()}"


def _templates(tenant_id: uuid.UUID) -> list[MessageTemplate]:
    return [MessageTemplate(tenant_id=tenant_id, **row) for row in rows()]


def rows() -> list[dict[str, Any]]:
    """A template's columns for every event, audience and channel. The migrations that bring new words read it too."""
    found = []
    for entry in registry.all_events():
        for delivery in entry.deliveries:
            for words in delivery.words:
                found.append(
                    {
                        "code": entry.template_code(delivery.audience),
                        "name": _name(entry, delivery.audience, words.channel),
                        "channel": words.channel,
                        "notification_type": entry.notification_type,
                        "subject_en": words.subject_en,
                        "subject_ar": words.subject_ar,
                        "body_en": words.body_en,
                        "body_ar": words.body_ar,
                        # What the event can offer, so that an admin may use all of it.
                        "variables": sorted(entry.example),
                    }
                )
                for text in (words.subject_en, words.subject_ar, words.body_en, words.body_ar):
                    rendering.check_text(text, entry.example)
    return found
