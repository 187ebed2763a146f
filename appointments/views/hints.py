"""What helps to choose a time: who will be told and how, and which times of the provider are taken that day."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

from django.db.models import QuerySet
from django.http import QueryDict
from django.utils import timezone

from appointments import selectors
from core import places, tenant_settings
from core.models import Patient
from core.views.reader import reader_of
from notifications.gate import preference_of
from notifications.states import Channel, NotificationType


def hints_for(typed: dict[str, Any] | QueryDict) -> dict[str, Any]:
    patient = row(Patient.objects.select_related("tenant"), typed.get("patient"))
    location = row(selectors.bookable_locations(), typed.get("location"))
    provider = row(selectors.providers(), typed.get("provider"))
    day = _day(typed.get("date"))
    context: dict[str, Any] = {
        "hint_patient": patient,
        "hint_provider": provider,
        "hint_day": day,
        "hint_location": location,
    }
    if patient is not None:
        context.update(_who_is_told(patient))
    if day is not None and location is not None and location.opening_hours:
        context["has_hours"] = True
        context["hours"] = places.hours_on(location, day, tenant_settings.of(location.tenant_id))
    if provider is not None and day is not None and location is not None:
        context["is_past_day"] = day < timezone.localdate(timezone=location.zone)
        start, end = selectors.day_bounds(day, location.zone)
        context["taken"] = list(
            selectors.overlapping(provider=provider, starts_at=start, ends_at=end).select_related("patient", "location")
        )
    return context


def _who_is_told(patient: Patient) -> dict[str, Any]:
    """The reader, the language and the channels that a message about this visit could take."""
    preference = preference_of(patient)
    reader = reader_of(patient, preference)
    told: dict[str, Any] = {"reader": reader}
    if reader.refusal:
        return told
    addresses = {Channel.SMS: reader.phone, Channel.WHATSAPP: reader.phone, Channel.EMAIL: reader.email}
    told["channels"] = [
        (channel.value, addresses[channel])
        for channel in sorted(Channel, key=lambda one: one != preference.preferred_channel)
        if addresses[channel] and preference.can_send(channel, NotificationType.CONFIRMATION)
    ]
    return told


def _day(value: Any) -> dt.date | None:
    if isinstance(value, dt.date):
        return value
    try:
        return dt.date.fromisoformat(str(value or ""))
    except ValueError:
        return None


def row(rows: QuerySet[Any], pk: Any) -> Any:
    """The row of that id, or None for an empty, wrong or foreign one: a hint is no place for an error."""
    try:
        return rows.filter(pk=uuid.UUID(str(pk))).first()
    except ValueError:
        return None
