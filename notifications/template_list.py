"""The list of templates: filters, and how much each is used. Reads only.

A clinic has some dozens of templates, so they are all read and the search runs over the names as the reader sees them.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.db.models import Count, Max, QuerySet
from django.utils import timezone

from notifications import default_words
from notifications.models import Message, MessageTemplate, TemplateVersion
from notifications.models.template import OPEN
from notifications.template_checks import plainer

USAGE_DAYS = 30
# Begins the dedupe key of a test to oneself. Tests carry no template, so they are no use of one.
TEST_KEY = "test:"


@dataclass(frozen=True, slots=True)
class Usage:
    """Of the last 30 days."""

    count: int = 0
    last_at: dt.datetime | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the list. ``open`` is the version that is being worked on."""

    template: MessageTemplate
    title: str
    usage: Usage
    open: TemplateVersion | None


def rows(
    *, search: str = "", channel: str = "", notification_type: str = "", state: str = "", active: str = ""
) -> list[Row]:
    """What the filters leave, by name. Three queries, however many there are."""
    open_versions = {row.template_id: row for row in TemplateVersion.objects.filter(state__in=OPEN).defer("variables")}
    used = usage()
    found = [
        Row(template, default_words.title(template), used.get(template.pk, Usage()), open_versions.get(template.pk))
        for template in _templates(channel, notification_type, active)
    ]
    wanted = [row for row in found if _is_in(row, state) and _matches(row, search)]
    return sorted(wanted, key=lambda row: (row.title.casefold(), row.template.channel))


def usage(template: MessageTemplate | None = None) -> Mapping[uuid.UUID, Usage]:
    """Template id → its messages of the last 30 days, One query over an index."""
    since = timezone.now() - dt.timedelta(days=USAGE_DAYS)
    messages = Message.objects.filter(created_at__gte=since, template__isnull=False)
    if template is not None:
        messages = messages.filter(template=template)
    counted = messages.order_by().values_list("template_id").annotate(count=Count("pk"), last_at=Max("created_at"))
    return {pk: Usage(count, last_at) for pk, count, last_at in counted}


def _templates(channel: str, notification_type: str, active: str) -> QuerySet[MessageTemplate]:
    found = MessageTemplate.objects.filter(archived_at__isnull=active != "archived")
    if active in ("on", "off"):
        found = found.filter(is_active=active == "on")
    if channel:
        found = found.filter(channel=channel)
    if notification_type:
        found = found.filter(notification_type=notification_type)
    return found


def _is_in(row: Row, state: str) -> bool:
    match state:
        case "draft":
            return row.open is not None and row.open.state == TemplateVersion.State.DRAFT
        case "review":
            return row.open is not None and row.open.state == TemplateVersion.State.IN_REVIEW
        case "published":
            return row.template.version > 0
    return True


def _matches(row: Row, search: str) -> bool:
    """Every word stands in the name, the code or the words that are sent."""
    texts: Sequence[str] = (row.title, row.template.name, row.template.code, row.template.body_en, row.template.body_ar)
    where = plainer(" ".join(texts))
    return all(word in where for word in plainer(search).split())
