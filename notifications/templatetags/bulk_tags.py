"""The words of the bulk pages that a template asks for: badge and numbers. Never queries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from core.templatetags.agdar_ui import STATUS_CLASSES
from notifications.models import BulkSend

register = template.Library()


@register.simple_tag
def bulk_badge(bulk: BulkSend) -> SafeString:
    """The state as a dot with a word."""
    return format_html(
        '<span class="st {}">{}</span>', STATUS_CLASSES["notifications.BulkSend"][bulk.state], bulk.get_state_display()
    )


@register.filter
def whole(number: int | None) -> str:
    """100000 → 100,000, in both languages."""
    return f"{number or 0:,}"


@register.filter
def total(rows: Iterable[Mapping[str, Any]]) -> int:
    """The sum of their counts."""
    return sum(row["count"] for row in rows)
