"""What the pages of numbers share: changes against the period before, sparklines, links to the messages behind a figure.

Finished words and numbers, no queries.
"""

from __future__ import annotations

import datetime as dt
import zoneinfo
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from urllib.parse import urlencode

from django.urls import reverse
from django.utils.dateformat import format as format_date
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from core.templatetags.agdar_ui import day_text
from notifications.rollup_sources import Span

# Fewer than this many before, and a change in per cent is noise: "+900%" of one message.
_ENOUGH = 10
_SPARK = (96, 36)
# channel → the colour of its bars, everywhere
COLOURS = {"SMS": "--ch-sms", "WHATSAPP": "--ch-wa", "EMAIL": "--ch-email"}


@dataclass(frozen=True, slots=True)
class Change:
    """Against the period before. ``tone``: "up" (good), "down" (bad) or empty."""

    text: str
    tone: str


@dataclass(frozen=True, slots=True)
class Card:
    """One big number. ``line`` and ``area`` are the paths of its sparkline, empty without one."""

    label: str
    icon: str
    value: str
    unit: str = ""
    change: Change | None = None
    hint: str = ""
    url: str = ""
    line: str = ""
    area: str = ""


def change_of(now: int | Decimal, before: int | Decimal, *, more_is: str = "") -> Change | None:
    """In per cent. ``more_is``: "good", "bad" or neither. None where there is too little to compare with."""
    if before < _ENOUGH:
        return None
    per_cent = round(float((now - before) / before * 100), 1)
    return Change(_signed(per_cent, "%"), _tone(per_cent, more_is))


def points_of(now: float, before: float, messages_before: int, *, more_is: str = "good") -> Change | None:
    """Between two rates, in points of a hundred."""
    if messages_before < _ENOUGH:
        return None
    points = round(now - before, 1)
    return Change(_("%(points)s points") % {"points": _signed(points)}, _tone(points, more_is))


def _signed(value: float, unit: str = "") -> str:
    # A real minus sign is as wide as the plus; left to right, so that an Arabic line leaves it in front.
    return f"\u2066{'+' if value > 0 else '−' if value < 0 else '±'}{abs(value):,.1f}{unit}\u2069"


def _tone(value: float, more_is: str) -> str:
    if not value or not more_is:
        return ""
    return "up" if (value > 0) == (more_is == "good") else "down"


def compared(span: Span) -> str:
    """“vs. the 7 days before”."""
    days = (span.last - span.first).days + 1
    return ngettext("vs. the day before", "vs. the %(days)s days before", days) % {"days": days}


def spark(values: Sequence[float]) -> tuple[str, str]:
    """The paths of a line and of the area under it, in a box of 96 × 36."""
    if len(values) < 2 or not any(values):
        return "", ""
    width, height = _SPARK
    low, high = min(values), max(values)
    room = (high - low) or 1
    points = [
        f"{width * place / (len(values) - 1):.1f} {height - 3 - (height - 6) * (value - low) / room:.1f}"
        for place, value in enumerate(values)
    ]
    line = "M" + " L".join(points)
    return line, f"{line} L{width} {height} L0 {height} Z"


def messages_url(span: Span, **filters: str) -> str:
    """The list of the messages behind a figure. Filters without a value are left out."""
    days = {"since": span.first.isoformat(), "until": span.last.isoformat()}
    wanted = {name: value for name, value in {**days, **filters}.items() if value}
    return f"{reverse('notifications:message_list')}?{urlencode(wanted)}"


def figure_url(span: Span, **figure: str) -> str:
    """The messages behind a figure that the list has no filter for."""
    days = {"since": span.first.isoformat(), "until": span.last.isoformat()}
    return f"{reverse('notifications:figure_messages')}?{urlencode({**days, **figure})}"


def on(day: dt.date, zone: zoneinfo.ZoneInfo) -> Span:
    return Span(day, day, zone)


def step_label(first: dt.date, unit: str) -> str:
    """Under a bar: “23 Nov”, “Nov 2026”."""
    return format_date(first, "M Y" if unit == "month" else "j M")


def step_title(first: dt.date, last: dt.date) -> str:
    """In a table: the day, or from when to when."""
    if first == last:
        return day_text(first)
    return _("%(first)s – %(last)s") % {"first": day_text(first), "last": day_text(last)}


def number(value: int) -> str:
    return f"{value:,}"


def money(amount: Decimal, currency: str, *, places: int = 2) -> str:
    """“1,250.40 SAR”. The price of one message has more places."""
    return f"{amount:,.{places}f} {_(currency)}"
