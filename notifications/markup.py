"""WhatsApp's one mark-up that our words use: ``*bold*``. Shown as the phone shows it, and left out of previews.

Source: WhatsApp's help on formatting; the stars hug the words and stay on one line. Must never import a model.
"""

from __future__ import annotations

import re

from django.utils.html import conditional_escape
from django.utils.safestring import SafeString, mark_safe

from notifications.states import Channel

_BOLD = re.compile(r"\*(\S(?:[^*\n]*\S)?)\*")


def as_shown(text: str, channel: str) -> SafeString:
    """The escaped text; on WhatsApp with its bold words. HTML that is marked safe stays as it is."""
    escaped = conditional_escape(text)
    return mark_safe(_BOLD.sub(r"<strong>\1</strong>", escaped)) if channel == Channel.WHATSAPP else escaped  # noqa: S308


def plain(text: str, channel: str) -> str:
    """The words alone, for a preview."""
    return _BOLD.sub(r"\1", text) if channel == Channel.WHATSAPP else text
