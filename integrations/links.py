"""Makes the addresses inside a message's text clickable. For the email's HTML part and for the sandbox's phone."""

from __future__ import annotations

import re

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

# Not \S: in Arabic texts an address is wrapped in invisible isolates (U+2066 to U+2069), which are no part of it.
_ADDRESS = re.compile(r"https?://[^\s<>\"'\u200e\u200f\u2066-\u2069]+")
_SENTENCE = ".,;:!?)]}،؛؟»"


def link_text(text: str, *, style: str = "") -> SafeString:
    """The escaped text with its addresses as links that open in a new tab and tell nothing about us.

    ``style`` is for mail programs, which know no style sheet.
    """
    looks = f' style="{escape(style)}"' if style else ""
    parts: list[str] = []
    end = 0
    for match in _ADDRESS.finditer(text):
        address = match.group().rstrip(_SENTENCE)
        shown = escape(address)
        parts += [
            escape(text[end : match.start()]),
            f'<a href="{shown}" target="_blank" rel="noopener noreferrer"{looks}>{shown}</a>',
        ]
        end = match.start() + len(address)
    return mark_safe("".join([*parts, escape(text[end:])]))  # noqa: S308  # every part is escaped above
