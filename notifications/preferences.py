"""Writes what a patient wants to receive. Every change is audited: consent must be provable (PDPL Art. 25)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import transaction

from core import audit
from core.access import Can
from core.models import Patient, User
from core.permissions import demand
from notifications.models import NotificationPreference

FIELDS = (
    "sms_enabled",
    "whatsapp_enabled",
    "email_enabled",
    "reminders_enabled",
    "confirmations_enabled",
    "results_enabled",
    "billing_enabled",
    "awareness_enabled",
    "marketing_enabled",
    "preferred_language",
    "preferred_channel",
)


@transaction.atomic
def preference_update(*, actor: User, patient: Patient, values: Mapping[str, Any]) -> NotificationPreference:
    """Sets the given ``FIELDS`` of the patient's preferences. Nothing is written or audited when nothing changes."""
    demand(actor, Can.EDIT_PATIENTS, patient)
    unknown = set(values) - set(FIELDS)
    if unknown:
        raise ValueError(f"no preference is called {sorted(unknown)}")
    preference, is_new = NotificationPreference.objects.select_for_update().get_or_create(
        patient=patient, defaults={"tenant_id": patient.tenant_id}
    )
    before = {name: getattr(preference, name) for name in values}
    changed = {name: value for name, value in values.items() if before[name] != value}
    if not changed:
        return preference
    for name, value in changed.items():
        setattr(preference, name, value)
    preference.save(update_fields=[*changed, "updated_at"])
    audit.record(
        tenant_id=patient.tenant_id,
        actor=actor,
        action="preference.created" if is_new else "preference.updated",
        obj=preference,
        before={name: before[name] for name in changed},
        after=changed,
    )
    return preference
