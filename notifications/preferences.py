"""Writes what a patient wants to receive. Every change is audited: consent must be provable (PDPL Art. 25)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from core import audit
from core.access import Can
from core.errors import DomainError
from core.models import Guardian, Patient, User
from core.permissions import demand
from notifications import consents
from notifications.consent_states import ConsentStatus, Method, Purpose
from notifications.models import NotificationPreference
from notifications.models.preference import OPTIONAL_TYPES, cell
from notifications.states import Channel

# Columns of the row.
WISHES = (
    "sms_enabled",
    "whatsapp_enabled",
    "email_enabled",
    "reminders_enabled",
    "confirmations_enabled",
    "results_enabled",
    "billing_enabled",
    "preferred_language",
    "preferred_channel",
    "switched_off",
    "quiet_from",
    "quiet_until",
    "combine_family",
)
# Not wishes but consents: a change is a record of its own.
AGREED: Mapping[str, Purpose] = {
    "awareness_enabled": Purpose.AWARENESS,
    "marketing_enabled": Purpose.PROMOTION,
}
# What the form of a patient's file asks for.
FIELDS = (*WISHES[:9], *AGREED)
CELLS = frozenset(cell(channel, kind) for channel in Channel for kind in OPTIONAL_TYPES)


@transaction.atomic
def preference_update(
    *,
    actor: User | None,
    patient: Patient,
    values: Mapping[str, Any],
    method: str = Method.STAFF,
    guardian: Guardian | None = None,
    language: str = "",
) -> NotificationPreference:
    """Sets the given ``WISHES`` and ``AGREED`` of the patient. Nothing is written or audited when nothing changes.

    ``actor`` None: the patient, or ``guardian`` for them, on a page of ours; ``method`` says which.
    """
    if actor is not None:
        demand(actor, Can.EDIT_PATIENTS, patient)
    unknown = set(values) - set(WISHES) - set(AGREED)
    if unknown:
        raise ValueError(f"no preference is called {sorted(unknown)}")
    wishes = {name: values[name] for name in values if name in WISHES}
    _check(wishes)
    preference, is_new = NotificationPreference.objects.select_for_update().get_or_create(
        patient=patient, defaults={"tenant_id": patient.tenant_id}
    )
    before = {name: getattr(preference, name) for name in wishes}
    changed = {name: value for name, value in wishes.items() if before[name] != value}
    if changed:
        for name, value in changed.items():
            setattr(preference, name, value)
        preference.save(update_fields=[*changed, "updated_at"])
        audit.record(
            tenant_id=patient.tenant_id,
            actor=actor,
            action="preference.created" if is_new else "preference.updated",
            obj=preference,
            before={name: _plain(before[name]) for name in changed},
            after={name: _plain(value) for name, value in changed.items()},
        )
    for name, purpose in AGREED.items():
        if name in values and bool(values[name]) != getattr(preference, name):
            consents.record(
                patient=patient,
                guardian=guardian,
                purpose=purpose,
                status=ConsentStatus.GRANTED if values[name] else ConsentStatus.WITHDRAWN,
                method=method,
                actor=actor,
                language=language,
            )
            preference.refresh_from_db()
    return preference


def _check(wishes: Mapping[str, Any]) -> None:
    if unknown := set(wishes.get("switched_off", ())) - CELLS:
        raise ValueError(f"nothing is called {sorted(unknown)}")
    if ("quiet_from" in wishes) != ("quiet_until" in wishes):
        raise ValueError("a night has two ends")
    start, end = wishes.get("quiet_from"), wishes.get("quiet_until")
    if (start is None) != (end is None):
        raise DomainError(_("Give both times, or neither."), code="quiet_half")
    if start is not None and start == end:
        raise DomainError(_("The two times are the same. Leave both empty for no quiet hours."), code="quiet_same")


def _plain(value: Any) -> Any:
    return f"{value:%H:%M}" if isinstance(value, dt.time) else value
