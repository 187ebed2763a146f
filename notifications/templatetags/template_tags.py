"""Template filters for the pages of templates: a version's badge, a price, placeholders made visible."""

from __future__ import annotations

import re

from django import template
from django.utils.html import escape, format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext

from notifications.models import TemplateVersion
from notifications.prices import Price

register = template.Library()

_TONES = {
    "DRAFT": "info",
    "IN_REVIEW": "warn",
    "PUBLISHED": "ok",
    "SUPERSEDED": "",
    "REJECTED": "bad",
    "WITHDRAWN": "",
}
_PLACEHOLDER = re.compile(r"\{\w+\}")


@register.simple_tag
def version_badge(version: TemplateVersion) -> SafeString:
    """Its state as a word in a soft colour."""
    return format_html('<span class="st {}">{}</span>', _TONES[version.state], version.get_state_display())


@register.filter
def price(value: Price | None) -> SafeString | str:
    """“0.031 SAR” without needless zeros; two decimals at least."""
    if value is None:
        return ""
    whole, _dot, decimals = f"{value.amount.normalize():f}".partition(".")
    return format_html("<bdi class='num'>{}.{} {}</bdi>", whole, decimals.ljust(2, "0"), gettext(value.currency))


@register.filter
def marked(text: str) -> SafeString:
    """The words as they are written, each placeholder as one unbroken piece."""
    parts: list[str] = []
    end = 0
    for match in _PLACEHOLDER.finditer(text):
        parts += [escape(text[end : match.start()]), f'<span class="x-ph" dir="ltr">{escape(match.group())}</span>']
        end = match.end()
    return mark_safe("".join([*parts, escape(text[end:])]))  # noqa: S308  # every part is escaped above
