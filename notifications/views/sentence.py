"""Why a message went out, and what became of it, in one plain sentence each. Makes no query: the caller hands in the row.

What needs explaining, because it did not go well, is in ``timeline.verdict``.
"""

from __future__ import annotations

import zoneinfo

from django.utils import timezone
from django.utils.translation import gettext as _

from core.models.tenant import in_language
from notifications import registry
from notifications.models import Message
from notifications.states import Channel, Status
from notifications.views.timeline import provider_name
from notifications.views.words import moment


def fate(message: Message, zone: zoneinfo.ZoneInfo) -> str:
    """What became of it so far; empty for what ``timeline.verdict`` explains."""
    provider = provider_name(message.provider) if message.provider else _("the provider")
    match message.status:
        case Status.QUEUED:
            due = message.next_attempt_at
            if due is not None and due > timezone.now():
                return _("It waits and goes by itself at %(time)s.") % {"time": moment(due, zone)}
            return _("It is in the queue and goes within seconds.")
        case Status.SENDING:
            return _("It is being handed to %(provider)s right now.") % {"provider": provider}
        case Status.SENT:
            words = {"provider": provider, "time": moment(message.sent_at, zone) if message.sent_at else ""}
            if message.channel == Channel.EMAIL:
                return _("%(provider)s took it at %(time)s. Email does not report delivery.") % words
            return _("%(provider)s took it at %(time)s; no word of its delivery has come yet.") % words
        case Status.DELIVERED if message.delivered_at is not None:
            at = moment(message.delivered_at, zone)
            if message.channel == Channel.EMAIL:
                return _("It reached the mailbox at %(time)s.") % {"time": at}
            return _("It reached the phone at %(time)s.") % {"time": at}
        case Status.READ if message.read_at is not None:
            return _("It was read at %(time)s.") % {"time": moment(message.read_at, zone)}
    return ""


def occasion(message: Message) -> str:
    """Why there is this message at all."""
    if message.bulk is not None:
        return _("Part of the bulk send “%(name)s”.") % {"name": message.bulk.name}
    if message.event is not None:
        try:
            entry = registry.get(message.event.key)
        except KeyError:
            return ""
        return _("By itself: %(event)s.") % {"event": in_language(entry.name_en, entry.name_ar)}
    if message.sent_by is not None:
        return _("Written by %(name)s.") % {"name": message.sent_by.name}
    return ""
