"""The words of the page: icons, badges, times, phones, money, form fields.

Everything that is a number, a time or an address comes wrapped in ``<bdi>``, so that it cannot jump about in an
Arabic sentence. Badges are chosen here and nowhere else. Must never query.
"""

from __future__ import annotations

import datetime as dt
import functools
import math
import zoneinfo
from decimal import Decimal
from typing import Any

from django import template
from django.forms import BoundField, CheckboxInput, CheckboxSelectMultiple, RadioSelect
from django.template.defaultfilters import stringfilter
from django.templatetags.static import static
from django.utils import timezone, translation
from django.utils.dateformat import format as format_date
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from core import phone as phones

register = template.Library()

# model → status → the badge's colour: ok, bad, warn, info, or "" for grey. One map for the whole product.
STATUS_CLASSES: dict[str, dict[str, str]] = {
    "notifications.Message": {
        "QUEUED": "",
        "SENDING": "info",
        "SENT": "info",
        "DELIVERED": "ok",
        "READ": "ok",
        "FAILED": "bad",
        "BOUNCED": "bad",
        "SUPPRESSED": "warn",
        "CANCELLED": "",
        "EXPIRED": "warn",
        "UNCONFIRMED": "warn",
    },
    "notifications.MessageExport": {"QUEUED": "", "RUNNING": "info", "READY": "ok", "FAILED": "bad", "EXPIRED": ""},
    "notifications.BulkSend": {
        "DRAFT": "",
        "CHECKED": "info",
        "AWAITING": "warn",
        "SCHEDULED": "info",
        "STARTING": "info",
        "RUNNING": "info",
        "PAUSED": "warn",
        "STOPPED": "bad",
        "DONE": "ok",
    },
    "appointments.Appointment": {
        "BOOKED": "info",
        "CONFIRMED": "ok",
        "RESCHEDULED": "warn",
        "ARRIVED": "info",
        "IN_PROGRESS": "info",
        "COMPLETED": "ok",
        "CANCELLED": "bad",
        "NO_SHOW": "bad",
        "ENTERED_IN_ERROR": "",
    },
    "appointments.Reminder": {"PLANNED": "info", "SENT": "ok", "CANCELLED": "", "EXPIRED": "warn"},
    "finance.Invoice": {"ISSUED": "info", "PART_PAID": "warn", "PAID": "ok", "VOID": "", "REFUNDED": ""},
    "core.RightsRequest": {"OPEN": "info", "RUNNING": "warn", "DONE": "ok", "REFUSED": "bad", "WITHDRAWN": ""},
    "core.SubjectExport": {"QUEUED": "", "RUNNING": "info", "READY": "ok", "FAILED": "bad", "EXPIRED": ""},
    "core.ConsentVerification": {"VERIFIED": "ok", "MISSING": "warn", "EXPIRED": "warn", "WITHDRAWN": "bad"},
}

# channel → icon, word
CHANNELS = {
    "SMS": ("device-mobile", _("SMS")),
    "WHATSAPP": ("brand-whatsapp", _("WhatsApp")),
    "EMAIL": ("mail", _("Email")),
    "IN_APP": ("bell", _("In-app")),
}

# the tone of an in-app notification or of a toast → tile colour, icon
LEVELS = {
    "INFO": ("info", "info-circle"),
    "SUCCESS": ("ok", "circle-check"),
    "WARNING": ("warn", "alert-triangle"),
    "ERROR": ("bad", "alert-circle"),
}

# the first that fits the event's key → icon of its notification; without one the tone's own
EVENT_ICONS = (
    ("appointment.arrived", "door-enter"),
    ("appointment.cancelled", "calendar-x"),
    ("appointment.no_show", "user-x"),
    ("appointment.confirmed", "calendar-check"),
    ("appointment.rescheduled", "calendar-time"),
    ("appointment.", "calendar-event"),
    ("billing.", "receipt"),
    ("results.", "flask"),
    ("message.", "message-circle"),
    ("staff.announcement", "speakerphone"),
    ("staff.cover", "user-check"),
)

_CURRENCIES = {"SAR": _("SAR")}


# --- icons, badges, people -------------------------------------------------------------------------------------------
@register.simple_tag
@functools.lru_cache(maxsize=512)
def icon(name: str, classes: str = "") -> SafeString:
    """``{% icon "send" "i-sm i-dir" %}``. Always decoration: the words stand beside it or in a hidden text."""
    return format_html(
        '<svg class="i {}" aria-hidden="true" focusable="false"><use href="{}#{}"></use></svg>',
        classes,
        static("icons.svg"),
        name,
    )


@register.filter
def status_class(obj: Any) -> str:
    """The colour of a row's status. An unknown status is an error, not a grey badge."""
    return STATUS_CLASSES[obj._meta.label][obj.status]


@register.simple_tag
def status_badge(obj: Any) -> SafeString:
    """``<span class="st ok">Delivered</span>`` for anything with a status."""
    return format_html('<span class="st {}">{}</span>', status_class(obj), obj.get_status_display())


@register.simple_tag
def channel_icon(channel: str, classes: str = "i-sm") -> SafeString:
    return icon(CHANNELS[str(channel)][0], classes)


@register.simple_tag
def channel_label(channel: str) -> SafeString:
    """Icon and word of SMS, WHATSAPP, EMAIL or IN_APP."""
    name, word = CHANNELS[str(channel)]
    return format_html('<span class="lbl">{}{}</span>', icon(name, "i-sm"), word)


@register.simple_tag
def level_tile(level: str, size: str = "") -> SafeString:
    """The coloured tile of a notification: INFO, SUCCESS, WARNING or ERROR."""
    tone, name = LEVELS[str(level)]
    return format_html('<span class="tile {} {}">{}</span>', size, tone, icon(name, "i-sm" if size == "sm" else ""))


@register.simple_tag
def notification_tile(notification: Any) -> SafeString:
    """The tone's colour with the icon of what happened."""
    tone, name = LEVELS[notification.notification_type]
    name = next((icon_name for start, icon_name in EVENT_ICONS if notification.event_key.startswith(start)), name)
    return format_html('<span class="tile {}">{}</span>', tone, icon(name))


@register.filter
def toast_level(level_tag: str) -> str:
    """The tone of a message of ``django.contrib.messages``."""
    return "INFO" if level_tag == "debug" else level_tag.upper()


@register.simple_tag
def avatar(obj: Any, size: str = "") -> SafeString:
    """Two letters in a circle, in the reader's script. The name stands beside it, so it is hidden from readers."""
    return format_html('<span class="avatar-x {}" aria-hidden="true">{}</span>', size, initials(obj))


@register.filter
def initials(obj: Any) -> str:
    """“Sara Al-Mutairi” → SM, «سارة المطيري» → سم."""
    arabic = (translation.get_language() or "").startswith("ar")
    name = (arabic and obj.name_ar) or obj.name_en or obj.name_ar
    words = [word.removeprefix("ال").removeprefix("Al-").removeprefix("al-") or word for word in name.split()]
    return "".join(word[0] for word in words[:1] + words[1:][-1:]).upper()


# --- times: always on the wall clock of a place ----------------------------------------------------------------------
def _local(value: dt.datetime, place: Any) -> dt.datetime:
    """``place`` is a location, a zone name, a zone, or empty for the clinic's usual zone."""
    if isinstance(place, str) and place:
        return timezone.localtime(value, zoneinfo.ZoneInfo(place))
    return timezone.localtime(value, getattr(place, "zone", None) or (place or None))


def _bdi(text: object, *, ltr: bool = False) -> SafeString:
    return format_html('<bdi dir="ltr" class="num">{}</bdi>' if ltr else '<bdi class="num">{}</bdi>', text)


def clock_text(value: dt.datetime, place: Any = None) -> str:
    return f"{_local(value, place):%H:%M}"


def day_text(value: dt.date | dt.datetime, place: Any = None) -> str:
    """“Mon 23 Nov”, «الاثنين 23 نوفمبر»; with the year when it is not this one."""
    day = _local(value, place) if isinstance(value, dt.datetime) else value
    # Arabic has no short names of days that anybody uses.
    pattern = "l j F" if (translation.get_language() or "").startswith("ar") else "D j M"
    return format_date(day, pattern if day.year == timezone.localdate().year else f"{pattern} Y")


def daytime_text(value: dt.datetime, place: Any = None) -> str:
    return gettext("%(day)s, %(time)s") % {"day": day_text(value, place), "time": clock_text(value, place)}


@register.filter
def clock(value: dt.datetime | None, place: Any = None) -> SafeString | str:
    """10:05"""
    return _bdi(clock_text(value, place), ltr=True) if value else ""


@register.filter
def clock_seconds(value: dt.datetime | None, place: Any = None) -> SafeString | str:
    """10:05:09, for timelines."""
    return _bdi(f"{_local(value, place):%H:%M:%S}", ltr=True) if value else ""


@register.filter
def day(value: dt.date | dt.datetime | None, place: Any = None) -> SafeString | str:
    """Mon 23 Nov"""
    return _bdi(day_text(value, place)) if value else ""


@register.filter
def daytime(value: dt.datetime | None, place: Any = None) -> SafeString | str:
    """Mon 23 Nov, 10:05"""
    return _bdi(daytime_text(value, place)) if value else ""


@register.filter
def minutes(value: dt.timedelta) -> int:
    """How many minutes to wait, counting a begun one."""
    return math.ceil(value.total_seconds() / 60)


# --- addresses and money ---------------------------------------------------------------------------------------------
@register.filter
@stringfilter
def phone(value: str) -> SafeString | str:
    """``+966501234567`` → +966 50 123 4567, left to right and in one line: broken, its halves stand in the wrong order."""
    return format_html('<bdi dir="ltr" class="num nw">{}</bdi>', phones.display(value)) if value else ""


@register.filter
@stringfilter
def ltr(value: str) -> SafeString | str:
    """A number, code, link or email inside any sentence."""
    return _bdi(value, ltr=True) if value else ""


@register.filter
def money(minor: int | None, currency: str = "SAR") -> SafeString | str:
    """Minor units: 125000 → 1,250.00 SAR."""
    if minor is None:
        return ""
    return _bdi(f"{Decimal(minor) / 100:,.2f} {_CURRENCIES.get(currency, currency)}")


# --- forms and lists -------------------------------------------------------------------------------------------------
@register.inclusion_tag("partials/field.html")
def field(bound: BoundField, **attrs: str) -> dict[str, Any]:
    """Label, control, help and errors, tied together. Extra arguments become attributes: ``placeholder="…"``.

    An underscore in a name becomes a hyphen, so ``hx_get=url`` is ``hx-get``.
    """
    widget = bound.field.widget
    return {
        "field": bound,
        "control": control(bound, **attrs),
        "is_check": isinstance(widget, CheckboxInput),
        "is_group": isinstance(widget, RadioSelect | CheckboxSelectMultiple),
    }


@register.simple_tag
def control(bound: BoundField, **attrs: str) -> SafeString:
    """The control alone, for a layout of its own."""
    widget = bound.field.widget
    extra: dict[str, str | bool] = {name.replace("_", "-"): value for name, value in attrs.items()}
    if not isinstance(widget, CheckboxInput | RadioSelect | CheckboxSelectMultiple):
        extra["class"] = " ".join(filter(None, ("in", widget.attrs.get("class"), attrs.get("class"))))
    return bound.as_widget(attrs=extra)


@register.inclusion_tag("partials/form_errors.html")
def form_errors(form: Any) -> dict[str, Any]:
    """The summary above a refused form; it takes the focus."""
    return {"form": form, "fields": [bound for bound in form if bound.errors]}


@register.simple_tag(takes_context=True)
def query(context: dict[str, Any], **changes: object) -> str:
    """The address's query with some values changed: ``?{% query page=2 %}``. None takes one away."""
    values = context["request"].GET.copy()
    for name, value in changes.items():
        if value is None:
            values.pop(name, None)
        else:
            values[name] = str(value)
    return str(values.urlencode())
