"""Sentences about templates and their versions, for the pages."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from dataclasses import dataclass

from django.utils.translation import gettext as _

from core.templatetags.agdar_ui import daytime_text
from notifications import template_context
from notifications.models import MessageTemplate, TemplateVersion
from notifications.registry import Audience
from notifications.states import Channel

S = TemplateVersion.State


@dataclass(frozen=True, slots=True)
class HistoryLine:
    """One version in the history, with what may be done with it."""

    version: TemplateVersion
    sentence: str
    # Brought back at once: its words were reviewed when they were published.
    may_return: bool
    # A new draft can begin from its words.
    may_begin: bool


def history_line(version: TemplateVersion, zone: zoneinfo.ZoneInfo) -> HistoryLine:
    return HistoryLine(
        version=version,
        sentence=state_sentence(version, zone),
        may_return=version.state == S.SUPERSEDED,
        may_begin=version.state in (S.REJECTED, S.WITHDRAWN, S.SUPERSEDED),
    )


def state_sentence(version: TemplateVersion, zone: zoneinfo.ZoneInfo) -> str:
    """What became of it, by whom and when."""
    author = version.author.name if version.author is not None else ""
    reviewer = version.reviewer.name if version.reviewer is not None else ""
    when = {
        "author": author,
        "reviewer": reviewer,
        "time": _time(version.decided_at or version.submitted_at or version.updated_at, zone),
        "number": version.restores or 0,
    }
    if version.restores:
        return _("Version %(number)d brought back by %(author)s, %(time)s") % when
    match version.state:
        case S.DRAFT:
            return _("Begun by %(author)s, last saved %(time)s") % {**when, "time": _time(version.updated_at, zone)}
        case S.IN_REVIEW:
            return _("Written by %(author)s, waiting for another admin since %(time)s") % when
        case S.REJECTED:
            return _("Written by %(author)s, sent back by %(reviewer)s, %(time)s") % when
        case S.WITHDRAWN:
            return _("Written by %(author)s, discarded %(time)s") % when
    if not author:
        return _("The words that the clinic started with")
    return _("Written by %(author)s, published by %(reviewer)s, %(time)s") % when


def off_sentence(template: MessageTemplate) -> str:
    """What happens, or no longer happens, while it is switched off."""
    found = template_context.entry_of(template.code)
    channel = Channel(template.channel).label
    if found is None:
        return _("While it is off, it cannot be chosen for a bulk send.")
    if found[1] is not Audience.PATIENT:
        return _("While it is off, staff get the short notice of the bell by email instead.")
    others = MessageTemplate.objects.filter(code=template.code, is_active=True).exclude(pk=template.pk)
    names = [str(Channel(other).label) for other in others.order_by("channel").values_list("channel", flat=True)]
    if not names:
        return _("While it is off, patients do not get this message at all; it is noted as not sent.")
    return _("While it is off, patients get this message not over %(channel)s, only over: %(others)s.") % {
        "channel": channel,
        "others": _(", ").join(names),
    }


def _time(moment: dt.datetime, zone: zoneinfo.ZoneInfo) -> str:
    return daytime_text(moment, zone)
