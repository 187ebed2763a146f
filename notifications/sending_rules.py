"""What a clinic group decides about sending as such, and the only writer of it: caps, WhatsApp, who is woken.

Needs the tenant's scope open.
"""

from __future__ import annotations

import datetime as dt
import uuid
import zoneinfo
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models.lookups import GreaterThanOrEqual
from django.utils.translation import gettext as _

from core import audit
from core.access import Can
from core.errors import DomainError
from core.models import Location, User
from core.permissions import demand
from notifications import quiet
from notifications.models import Message, SendingRule
from notifications.selectors import LEFT_AT
from notifications.states import NotificationType, Status

# At most so many a patient gets on one day. What is part of the care is not counted, unless the clinic group wishes it.
HOUSE_CAPS: Mapping[str, int] = {NotificationType.AWARENESS: 1, NotificationType.MARKETING: 1}
MOST_A_DAY = 100
LONGEST_WAKING = 24 * 60
# It has left the house, or may have.
_GONE = (Status.SENT, Status.DELIVERED, Status.READ, Status.UNCONFIRMED, Status.SENDING)


def of(tenant_id: uuid.UUID) -> SendingRule:
    """The clinic group's own, or an unsaved row with the defaults. One query."""
    return SendingRule.objects.filter(tenant_id=tenant_id).first() or SendingRule(tenant_id=tenant_id)


def caps_of(rule: SendingRule) -> dict[str, int]:
    """Type → how many a day; types without a cap are missing. A cap of 0 of the clinic group's means none."""
    caps = {**HOUSE_CAPS, **rule.daily_caps}
    return {kind: int(most) for kind, most in caps.items() if most}


@transaction.atomic
def rule_set(*, actor: User, values: Mapping[str, Any]) -> SendingRule:
    """Sets ``daily_caps`` (type → number, 0: no cap), ``whatsapp_needs_consent``, ``wakes_within_minutes``. Audited."""
    demand(actor, Can.MANAGE_SETTINGS)
    if actor.tenant_id is None:
        raise ValueError("a rule belongs to a tenant")
    unknown = set(values) - {"daily_caps", "whatsapp_needs_consent", "wakes_within_minutes"}
    if unknown or set(values.get("daily_caps", ())) - set(NotificationType.values):
        raise ValueError(f"no rule is called {sorted(unknown)}")
    if any(not 0 <= most <= MOST_A_DAY for most in values.get("daily_caps", {}).values()):
        raise DomainError(_("Choose a number between 0 and 100."), code="cap_out_of_range")
    if not 0 <= values.get("wakes_within_minutes", 0) <= LONGEST_WAKING:
        raise DomainError(_("Choose a time between 0 minutes and a day."), code="waking_out_of_range")
    row, _is_new = SendingRule.objects.select_for_update().get_or_create(tenant_id=actor.tenant_id)
    before = {name: getattr(row, name) for name in values}
    changed = {name: value for name, value in values.items() if before[name] != value}
    if changed:
        for name, value in changed.items():
            setattr(row, name, value)
        row.save(update_fields=list(changed))
        audit.record(
            tenant_id=actor.tenant_id,
            actor=actor,
            action="sending_rule.set",
            obj=row,
            before={name: before[name] for name in changed},
            after=changed,
        )
    return row


# --- how much is enough ----------------------------------------------------------------------------------------------


def clinic_zone() -> zoneinfo.ZoneInfo:
    """The clock of the clinic group's first place: for what is about none of them."""
    place = Location.objects.order_by("pk").first()
    return place.zone if place is not None else zoneinfo.ZoneInfo(settings.TIME_ZONE)


def over_cap(messages: Sequence[Message], rule: SendingRule, now: dt.datetime) -> set[uuid.UUID]:
    """Those of these that would be more than enough for their patient today, on the clinic group's clock.

    What went out today is counted once however many channels it took, and what stands before in the same batch counts
    as gone. No query while nothing among them has a cap.
    """
    caps = caps_of(rule)
    capped = [row for row in messages if row.notification_type in caps and row.patient_id is not None]
    if not capped:
        return set()
    told = Counter(_told_today(capped, now))
    refused: set[uuid.UUID] = set()
    for row in capped:
        key = (row.patient_id, row.notification_type)
        if told[key] >= caps[row.notification_type]:
            refused.add(row.pk)
        else:
            told[key] += 1
    return refused


def _told_today(capped: Sequence[Message], now: dt.datetime) -> Iterable[tuple[Any, str]]:
    zone = clinic_zone()
    midnight = quiet.moment(zone, dt.datetime.combine(now.astimezone(zone).date(), dt.time()))
    rows = Message.objects.filter(
        GreaterThanOrEqual(LEFT_AT, midnight),
        status__in=_GONE,
        patient__among={row.patient_id for row in capped},
        notification_type__in={row.notification_type for row in capped},
    )
    # A copy over another channel, or another try, is the same news.
    own = {row.conversation_id for row in capped}
    found = rows.order_by().values_list("patient_id", "notification_type", "conversation_id").distinct()
    return [(patient, kind) for patient, kind, conversation in found if conversation not in own]
