"""What a template may say: the placeholders of its event, their labels, and values to look at it with.

A template of an event is filled by that event. Any other is the clinic's own, for bulk sends: it knows the patient and the
clinic, and the names that its author declares (the columns of an uploaded list).
"""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from notifications import registry
from notifications.models import MessageTemplate
from notifications.registry import Audience, EventType
from notifications.rendering import Code, Link, LocalDate, LocalTime, Money, Words

# What a bulk send knows of everybody (``integrations/bulk_send.py`` and the bulk pages fill it).
BULK_EXAMPLE: Mapping[str, Any] = {
    "patient_name": Words("Sara Al-Mutairi", "سارة المطيري"),
    "clinic_name": Words("Noor Clinics", "عيادات النور"),
}

LABELS: Mapping[str, Promise] = {
    "patient_name": _("Patient's name"),
    "recipient_name": _("Reader's name"),
    "greeting": _("Greeting that fits the reader"),
    "patient_title": _("The patient's form of address"),
    "provider_name": _("Provider's name"),
    "clinic_name": _("Clinic's name"),
    "location_name": _("Location"),
    "date": _("Date"),
    "time": _("Time"),
    "old_date": _("Date before"),
    "old_time": _("Time before"),
    "due_date": _("Due date"),
    "number": _("Number"),
    "phone": _("Clinic's phone"),
    "link": _("Link"),
    "link_note": _("What the link is for"),
    "reason": _("Reason"),
    "next_steps": _("Next steps"),
    "open_points": _("Open points"),
    "amount": _("Amount"),
    "open_amount": _("Amount still open"),
    "paid_amount": _("Amount paid"),
    "refunded_amount": _("Amount given back"),
    "opt_out_link": _("Link to opt out"),
}

# Long ones as they come in the region; the worst case is counted with them.
_LONG_NAME = Words("Abdulrahman Abdulaziz Al-Mutairi", "عبدالرحمن عبدالعزيز المطيري")
_LONG_TEXTS: Mapping[str, Any] = {
    "patient_name": _LONG_NAME,
    "recipient_name": _LONG_NAME,
    "provider_name": Words("Dr. Mohammed Abdulrahman Al-Ghamdi", "د. محمد عبدالرحمن الغامدي"),
    "clinic_name": Words("Al-Noor Specialist Medical Centres", "مراكز النور الطبية التخصصية"),
    "location_name": Words("King Abdullah Road Branch", "فرع طريق الملك عبدالله"),
    "reason": Words(
        "the provider is away for the whole of that week and comes back after the holiday",
        "اعتذار مقدم الخدمة طوال ذلك الأسبوع والعودة بعد الإجازة",
    ),
    "next_steps": Words(
        "Drink plenty of water, rest for two days and take the tablets that you were given after each meal.",
        "الإكثار من السوائل والراحة يومين وتناول الأقراص الموصوفة بعد كل وجبة.",
    ),
}


@dataclass(frozen=True, slots=True)
class Placeholder:
    """A chip of the editor."""

    name: str
    label: str | Promise
    example: Any


@functools.cache
def _entries() -> Mapping[str, tuple[EventType, Audience]]:
    return {
        entry.template_code(delivery.audience): (entry, delivery.audience)
        for entry in registry.all_events()
        for delivery in entry.deliveries
    }


def entry_of(code: str) -> tuple[EventType, Audience] | None:
    """The event and audience whose words these are; None for a template of the clinic's own."""
    return _entries().get(code)


def default_words(code: str, channel: str) -> registry.Words | None:
    """What the event says out of the box over that channel."""
    found = entry_of(code)
    if found is None:
        return None
    entry, audience = found
    return next(
        (
            words
            for delivery in entry.deliveries
            if delivery.audience is audience
            for words in delivery.words
            if words.channel == channel
        ),
        None,
    )


def known_names(template: MessageTemplate, variables: Sequence[str]) -> list[str]:
    """The placeholders that whoever fills the template has a value for. An event's cannot be added to."""
    found = entry_of(template.code)
    if found is not None:
        return sorted(found[0].example)
    return list(dict.fromkeys([*BULK_EXAMPLE, *variables]))


def own_names(variables: Sequence[str]) -> list[str]:
    """Those that the author of a bulk template has declared."""
    return [name for name in variables if name not in BULK_EXAMPLE]


def placeholders(template: MessageTemplate, variables: Sequence[str]) -> list[Placeholder]:
    """The chips, in the order of the table above."""
    example = examples(template, variables)
    order = list(LABELS)
    names = sorted(example, key=lambda name: (order.index(name) if name in order else len(order), name))
    return [Placeholder(name, LABELS.get(name, name), example[name]) for name in names]


def examples(template: MessageTemplate, variables: Sequence[str]) -> dict[str, Any]:
    """A value for each known placeholder, as usual as they come."""
    found = entry_of(template.code)
    if found is not None:
        return dict(found[0].example)
    return {name: BULK_EXAMPLE.get(name, f"[{name}]") for name in known_names(template, variables)}


def longest(template: MessageTemplate, variables: Sequence[str]) -> dict[str, Any]:
    """The same at its longest, for the count that nobody should be surprised by."""
    return {name: _at_length(name, value) for name, value in examples(template, variables).items()}


def _at_length(name: str, value: Any) -> Any:
    match value:
        case LocalDate():
            # Wednesday 30 September, in both languages the longest.
            return LocalDate(dt.date(2026, 9, 30))
        case LocalTime():
            return LocalTime(dt.time(12, 30))
        case Money():
            return Money(1234567, value.currency)
        case Code() | Link():
            return value
    # A column of a list: nobody knows, thirty letters are many.
    return _LONG_TEXTS.get(name, "x" * 30 if value == f"[{name}]" else value)
