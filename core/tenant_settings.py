"""What a clinic group decides for itself, as everybody reads it, and the only writer of it.

Keyword-only, atomic, audited; refusals are ``DomainError`` with a sentence for the person at the screen. Needs the tenant's
scope open. Must never import anything of the other apps.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext as _

from core import changes
from core.access import Can
from core.errors import DomainError
from core.models import Tenant, TenantSettings, User
from core.permissions import NotAllowed, demand

# Days below which nothing may be thrown away: words are needed while a complaint can be expected, raw reports while
# providers are still asked (three days), files until their maker has come back from a weekend.
LEAST_DAYS = {"message_days": 30, "receipt_days": 14, "export_days": 1, "notifications": 30}
MOST_DAYS = 3650
AGES = range(15, 22)
CURRENCIES = ("SAR", "AED", "BHD", "EGP", "JOD", "KWD", "OMR", "QAR", "USD", "EUR", "GBP")
LONGEST_RAMADAN_DAYS = 31
# Two weeks: further ahead no other times are offered.
LONGEST_NOTICE_HOURS = 14 * 24


# --- reading ---------------------------------------------------------------------------------------------------------


def of(tenant_id: uuid.UUID) -> TenantSettings:
    """The tenant's own, or an unsaved row with the defaults. One query."""
    return TenantSettings.objects.filter(tenant_id=tenant_id).first() or TenantSettings(tenant_id=tenant_id)


def notification_days(row: TenantSettings, category: str) -> int:
    """How long a notification of that category stays: the tenant's word, else the house's."""
    own: int | None = row.notification_days.get(category)
    kept: int = own or settings.NOTIFICATION_RETENTION.get(category, settings.NOTIFICATION_RETENTION_DAYS)
    return kept


def is_ramadan(row: TenantSettings, day: dt.date) -> bool:
    return (
        row.ramadan_from is not None and row.ramadan_until is not None and row.ramadan_from <= day <= row.ramadan_until
    )


# --- writing ---------------------------------------------------------------------------------------------------------


@transaction.atomic
def clinic_update(
    *, actor: User, name_en: str, name_ar: str, default_language: str, age_of_majority: int, currency: str
) -> Tenant:
    """The clinic group's names and the rules of its country. One of the two names is enough."""
    tenant = _locked_tenant(actor)
    names = {"name_en": " ".join(name_en.split()), "name_ar": " ".join(name_ar.split())}
    if not any(names.values()):
        raise DomainError(_("A name is needed, in English or in Arabic."), code="name_missing")
    if age_of_majority not in AGES:
        raise DomainError(_("Choose an age between 15 and 21."), code="age_out_of_range")
    if currency not in CURRENCIES:
        raise DomainError(_("Choose a currency from the list."), code="currency_unknown")
    values = {
        **names,
        "default_language": default_language,
        "age_of_majority": age_of_majority,
        "currency": currency,
    }
    changes.apply(actor=actor, row=tenant, values=values, action="clinic.updated")
    return tenant


@transaction.atomic
def quiet_hours_set(*, actor: User, quiet_from: dt.time | None, quiet_until: dt.time | None) -> TenantSettings:
    """Between the two no message reaches a patient that can wait; neither: at any hour."""
    if (quiet_from is None) != (quiet_until is None):
        raise DomainError(_("Give both times, or neither."), code="quiet_half")
    if quiet_from is not None and quiet_from == quiet_until:
        raise DomainError(_("The two times are the same. Leave both empty for no quiet hours."), code="quiet_same")
    return _set(actor, {"quiet_from": quiet_from, "quiet_until": quiet_until}, action="quiet_hours.set")


@transaction.atomic
def ramadan_set(*, actor: User, ramadan_from: dt.date | None, ramadan_until: dt.date | None) -> TenantSettings:
    """The days on which the locations keep their Ramadan hours."""
    if (ramadan_from is None) != (ramadan_until is None):
        raise DomainError(_("Give both days, or neither."), code="ramadan_half")
    if ramadan_from is not None and ramadan_until is not None:
        if ramadan_until < ramadan_from:
            raise DomainError(_("The last day is before the first one."), code="last_before_first")
        if (ramadan_until - ramadan_from).days >= LONGEST_RAMADAN_DAYS:
            raise DomainError(_("Ramadan has 30 days at the most."), code="ramadan_long")
    return _set(actor, {"ramadan_from": ramadan_from, "ramadan_until": ramadan_until}, action="ramadan.set")


@transaction.atomic
def moving_set(*, actor: User, patients_may_move: bool, move_notice_hours: int) -> TenantSettings:
    """Whether patients move their visits themselves, and how long before."""
    if not 0 <= move_notice_hours <= LONGEST_NOTICE_HOURS:
        raise DomainError(
            _("Choose at most %(hours)d hours.") % {"hours": LONGEST_NOTICE_HOURS}, code="notice_out_of_range"
        )
    values = {"patients_may_move": patients_may_move, "move_notice_hours": move_notice_hours}
    return _set(actor, values, action="moving.set")


@transaction.atomic
def retention_set(
    *,
    actor: User,
    message_days: int | None,
    receipt_days: int,
    export_days: int,
    notification_days: Mapping[str, int],
) -> TenantSettings:
    """How long what is kept. The audit trail is not among it: it stays."""
    wanted: list[tuple[str, int | None]] = [
        ("message_days", message_days),
        ("receipt_days", receipt_days),
        ("export_days", export_days),
        *(("notifications", days) for days in notification_days.values()),
    ]
    for name, days in wanted:
        if days is not None and not LEAST_DAYS[name] <= days <= MOST_DAYS:
            raise DomainError(
                _("Choose between %(least)d and %(most)d days.") % {"least": LEAST_DAYS[name], "most": MOST_DAYS},
                code=f"{name}_out_of_range",
            )
    values = {
        "message_days": message_days,
        "receipt_days": receipt_days,
        "export_days": export_days,
        "notification_days": dict(notification_days),
    }
    return _set(actor, values, action="retention.set")


@transaction.atomic
def second_factor_required_set(*, actor: User, is_required: bool) -> Tenant:
    """Whether the admins must give a second factor when they sign in."""
    tenant = _locked_tenant(actor)
    changes.apply(
        actor=actor, row=tenant, values={"requires_second_factor": is_required}, action="second_factor.requirement_set"
    )
    return tenant


def _set(actor: User, values: Mapping[str, Any], action: str) -> TenantSettings:
    tenant = _locked_tenant(actor)
    row, _is_new = TenantSettings.objects.get_or_create(tenant=tenant)
    changes.apply(actor=actor, row=row, values=values, action=action)
    return row


def _locked_tenant(actor: User) -> Tenant:
    """The tenant's row is the lock of all that this file writes."""
    demand(actor, Can.MANAGE_SETTINGS)
    if actor.tenant_id is None:
        raise NotAllowed
    return Tenant.objects.select_for_update(no_key=True).get(pk=actor.tenant_id)
