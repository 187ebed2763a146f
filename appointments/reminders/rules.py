"""The clinic group's rules for reminders, as everybody reads them, and the only writer of them.

Which kinds are sent, how long before, and how quiet times may move them: tenant data with the house's defaults, for all
or for one department. A change plans what is still to come anew (``planning.replan``), a batch at a time.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from appointments.models import Reminder, ReminderRule, ReminderTiming
from appointments.reminders.clock import DAY, Rule
from core import audit, changes
from core.access import Can
from core.errors import DomainError
from core.models import Department, Tenant, User
from core.permissions import NotAllowed, demand

Kind = Reminder.Kind

_HOUR, _MINUTE = dt.timedelta(hours=1), dt.timedelta(minutes=1)
DEFAULTS: Mapping[str, Rule] = {
    Kind.EARLY: Rule(is_on=False, offset=3 * DAY, lead=48 * _HOUR, until=30 * _HOUR),
    # Later than half a day before it is no reminder of tomorrow; three hours before, the next one is at hand.
    Kind.DAY_BEFORE: Rule(is_on=True, offset=DAY, lead=12 * _HOUR, until=3 * _HOUR),
    # Who is told three quarters of an hour before can still come; a quarter of an hour before is on the way or at home.
    Kind.TWO_HOURS: Rule(is_on=True, offset=2 * _HOUR, lead=45 * _MINUTE, until=15 * _MINUTE),
}
EVENT_KEYS = {
    Kind.EARLY: "appointment.reminder_3d",
    Kind.DAY_BEFORE: "appointment.reminder_24h",
    Kind.TWO_HOURS: "appointment.reminder_2h",
}
# Least and most offset of each kind; the words of the two later ones say how near the visit is.
OFFSETS: Mapping[str, tuple[dt.timedelta, dt.timedelta]] = {
    Kind.EARLY: (2 * DAY, 14 * DAY),
    Kind.DAY_BEFORE: (DAY, DAY),
    Kind.TWO_HOURS: (_HOUR, 6 * _HOUR),
}
LIMITS = {"undo_minutes": (0, 15), "recent_hours": (0, 24), "at_once_per_address": (1, 10)}
# Before every id: plan all anew.
FROM_THE_START = uuid.UUID(int=0)


# --- reading ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Rulebook:
    """Every rule of a tenant."""

    own: Mapping[tuple[uuid.UUID | None, str], Rule] = field(default_factory=dict)

    def rule(self, kind: str, department_id: uuid.UUID | None = None) -> Rule:
        """The department's rule, else the clinic group's, else the house's."""
        return self.own.get((department_id, kind)) or self.own.get((None, kind)) or DEFAULTS[kind]

    def has_own(self, kind: str, department_id: uuid.UUID) -> bool:
        return (department_id, kind) in self.own


def rulebook() -> Rulebook:
    """The rules of the open tenant scope. One query."""
    return Rulebook({(row.department_id, row.kind): _as_rule(row) for row in ReminderRule.objects.all()})


def timing(tenant_id: uuid.UUID) -> ReminderTiming:
    """The tenant's own, or an unsaved row with the defaults. One query."""
    return ReminderTiming.objects.filter(tenant_id=tenant_id).first() or ReminderTiming(tenant_id=tenant_id)


def _as_rule(row: ReminderRule) -> Rule:
    return Rule(
        row.is_on,
        row.offset_minutes * _MINUTE,
        row.lead_minutes * _MINUTE,
        row.until_minutes * _MINUTE,
    )


# --- writing ---------------------------------------------------------------------------------------------------------


@transaction.atomic
def rule_set(*, actor: User, kind: str, rule: Rule, department: Department | None = None) -> ReminderRule:
    """Writes one kind's rule for the clinic group or a department, audited; what is to come is planned anew."""
    tenant = _locked_tenant(actor)
    if department is not None:
        demand(actor, Can.MANAGE_SETTINGS, department)
    _check(Kind(kind), rule)
    values = _as_columns(rule)
    before = rulebook().rule(kind, department.pk if department else None)
    row, is_new = ReminderRule.objects.update_or_create(
        tenant=tenant, department=department, kind=Kind(kind), defaults=values
    )
    if is_new or before != rule:
        _audit(actor, row, before=_as_columns(before), after={"kind": str(kind), **values})
        request_replan(tenant.pk)
    return row


@transaction.atomic
def rule_clear(*, actor: User, kind: str, department: Department) -> None:
    """The department follows the clinic group again."""
    tenant = _locked_tenant(actor)
    demand(actor, Can.MANAGE_SETTINGS, department)
    row = ReminderRule.objects.filter(department=department, kind=Kind(kind)).first()
    if row is None:
        return
    _audit(actor, row, before={"kind": str(kind), **_as_columns(_as_rule(row))}, after={})
    row.delete()
    request_replan(tenant.pk)


@transaction.atomic
def timing_set(*, actor: User, undo_minutes: int, recent_hours: int, at_once_per_address: int) -> ReminderTiming:
    """How long news rests, what counts as just said, and how many go to one phone at once."""
    tenant = _locked_tenant(actor)
    values = {
        "undo_minutes": undo_minutes,
        "recent_hours": recent_hours,
        "at_once_per_address": at_once_per_address,
    }
    for name, value in values.items():
        least, most = LIMITS[name]
        if not least <= value <= most:
            raise DomainError(
                _("Choose a number between %(least)d and %(most)d.") % {"least": least, "most": most}, code=name
            )
    row, _is_new = ReminderTiming.objects.get_or_create(tenant=tenant)
    changes.apply(actor=actor, row=row, values=values, action="reminder_timing.set")
    return row


def request_replan(tenant_id: uuid.UUID) -> None:
    """Rules, quiet hours or a clock have changed: the reminders to come are planned anew, from the first visit on."""
    ReminderTiming.objects.update_or_create(tenant_id=tenant_id, defaults={"replan_after": FROM_THE_START})


def _check(kind: Kind, rule: Rule) -> None:
    least, most = OFFSETS[kind]
    if not least <= rule.offset <= most or (least >= DAY and rule.offset % DAY):
        raise DomainError(_("This reminder cannot be sent so long before the visit."), code="offset")
    if not rule.until <= rule.lead <= rule.offset or rule.until < dt.timedelta(0):
        raise DomainError(
            _("The times must follow one another: when it is sent, how late it may be put off, when it is of no use."),
            code="lead",
        )


def _as_columns(rule: Rule) -> dict[str, Any]:
    return {
        "is_on": rule.is_on,
        "offset_minutes": rule.offset // _MINUTE,
        "lead_minutes": rule.lead // _MINUTE,
        "until_minutes": rule.until // _MINUTE,
    }


def _audit(actor: User, row: ReminderRule, *, before: dict[str, Any], after: dict[str, Any]) -> None:
    audit.record(tenant_id=row.tenant_id, actor=actor, action="reminder_rule.set", obj=row, before=before, after=after)


def _locked_tenant(actor: User) -> Tenant:
    """The tenant's row is the lock of all that this file writes."""
    demand(actor, Can.MANAGE_SETTINGS)
    if actor.tenant_id is None:
        raise NotAllowed
    return Tenant.objects.select_for_update(no_key=True).get(pk=actor.tenant_id)
