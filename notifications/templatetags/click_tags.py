"""When a message's link and an email were first opened, for the message's page."""

from __future__ import annotations

import datetime as dt

from django import template
from django.db.models import Min

from notifications.models import LinkClick, Message

register = template.Library()


@register.simple_tag
def first_openings(message: Message) -> dict[str, dt.datetime]:
    """Kind (CLICK, OPEN) → the first time a person did it; a kind that is missing proves nothing. One query."""
    rows = LinkClick.objects.filter(message=message, is_suspicious=False).order_by().values_list("kind")
    return dict(rows.annotate(first=Min("created_at")))
