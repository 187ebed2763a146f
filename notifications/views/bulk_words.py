"""The words of the bulk pages: placeholders, states, what was chosen, what the check found. Reads only."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from appointments.models import Appointment
from core.models import Department, Language, Location, PatientTag, User
from core.templatetags.agdar_ui import CHANNELS, day_text
from integrations.bulk import control, words
from notifications.bulk_states import BulkState
from notifications.models import BulkSend
from notifications.states import Reason

# What a placeholder stands for; columns of a file have their own name only.
PLACEHOLDERS: dict[str, Promise] = {
    "patient_name": gettext_lazy("Patient's name"),
    "clinic_name": gettext_lazy("Clinic group"),
    "date": gettext_lazy("Day of the visit"),
    "time": gettext_lazy("Time of the visit"),
    "provider_name": gettext_lazy("Provider"),
    "location_name": gettext_lazy("Location"),
    "phone": gettext_lazy("Phone of the location"),
}
# Ready for a day on which nobody has time to write. The contract's languages, whatever the reader's is.
CLOSED_TEXTS = {
    "body_en": (
        "{patient_name}: {location_name} is closed on {date}, so your appointment at {time} will not take place. "
        "We will contact you for a new one. Questions: {phone}"
    ),
    "body_ar": (
        "{patient_name}: {location_name} مغلق يوم {date}، ولن يتم موعدكم الساعة {time}. "
        "سنتواصل معكم لتحديد موعد جديد. للاستفسار: {phone}"
    ),
}


def chips_of(bulk: BulkSend) -> list[dict[str, Any]]:
    """The placeholders that the words of a send may use."""
    return [{"code": f"{{{name}}}", "label": PLACEHOLDERS.get(name, "")} for name in words.variables_of(bulk)]


def chosen(bulk: BulkSend) -> list[tuple[str, str]]:
    """The filters in words: what was chosen by, and what."""
    found: list[tuple[str, str]] = []
    kept = bulk.audience
    for name, model in (("department", Department), ("provider", User), ("location", Location), ("tag", PatientTag)):
        row: Any = model.objects.filter(pk=kept[name]).first() if kept.get(name) else None
        if row is not None:
            found.append((str(_FILTER_WORDS[name]), row.name))
    found += [
        (str(_FILTER_WORDS[name]), day_text(dt.date.fromisoformat(kept[name])))
        for name in ("visits_from", "visits_until")
        if kept.get(name)
    ]
    if kept.get("statuses"):
        labels = dict(Appointment.Status.choices)
        found.append((_("State of the visit"), _(", ").join(str(labels[value]) for value in kept["statuses"])))
    if kept.get("language"):
        found.append((_("Language of the patient"), str(Language(kept["language"]).label)))
    if bulk.file_name:
        found.append((_("File"), bulk.file_name))
    return found


_FILTER_WORDS: dict[str, Promise] = {
    "department": gettext_lazy("Department"),
    "provider": gettext_lazy("Provider"),
    "location": gettext_lazy("Location"),
    "tag": gettext_lazy("Tag"),
    "visits_from": gettext_lazy("Visits from"),
    "visits_until": gettext_lazy("Visits until"),
}


def channels_of(bulk: BulkSend) -> list[dict[str, Any]]:
    """How many over which channel, with the icon."""
    return [
        {"channel": channel, "label": CHANNELS[channel][1], "count": count}
        for channel, count in bulk.totals.get("by_channel", {}).items()
    ]


def excluded_of(bulk: BulkSend) -> list[dict[str, Any]]:
    """Who is left out by the check, and why."""
    return [
        {"reason": reason, "label": Reason(reason).label, "count": count}
        for reason, count in bulk.totals.get("excluded", {}).items()
    ]


def cost_of(bulk: BulkSend) -> list[str]:
    """“12.40 SAR”, by currency; empty when no price is known."""
    amounts = bulk.totals.get("cost", {}).get("amounts", {})
    return [f"{Decimal(amount):,.2f} {currency}" for currency, amount in amounts.items()]


# What may be done in each state, as the buttons of the send's page: verb, label, tone, question asked before.
Act = tuple[str, Promise, str, Promise | str]
_PAUSE: Act = ("pause", gettext_lazy("Pause"), "", "")
_RESUME: Act = ("resume", gettext_lazy("Resume"), "primary", "")
_STOP: Act = (
    "stop",
    gettext_lazy("Stop for good"),
    "danger",
    gettext_lazy("Stop this send? What has not left yet is cancelled and cannot be resumed."),
)
_CALL_OFF: Act = ("call-off", gettext_lazy("Call off"), "", "")
_APPROVE: Act = ("approve", gettext_lazy("Approve"), "primary", gettext_lazy("Approve this send?"))
ACTS: dict[str, tuple[Act, ...]] = {
    BulkState.AWAITING_APPROVAL: (_APPROVE, _CALL_OFF),
    BulkState.SCHEDULED: (_CALL_OFF,),
    BulkState.STARTING: (_PAUSE, _STOP),
    BulkState.RUNNING: (_PAUSE, _STOP),
    BulkState.PAUSED: (_RESUME, _STOP),
}


def acts_of(bulk: BulkSend, user: User) -> list[dict[str, Any]]:
    """The buttons for this person. Who has worked in a send does not approve it."""
    return [
        {"verb": verb, "label": label, "tone": tone, "question": question}
        for verb, label, tone, question in ACTS.get(bulk.state, ())
        if verb != "approve" or control.may_approve(user, bulk)
    ]
