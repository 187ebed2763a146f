"""The hours of each message class and from how many people on a second person decides: tenant data with defaults.

The defaults are the narrowest of what Saudi sources name for promotional and awareness messages (9 to 21 o'clock lies
inside 8–22, 9–22 and 8–21); service messages may leave at any hour by law, but a clinic lets people sleep. Counsel may
say otherwise, so all of it is a page of settings.
"""

from __future__ import annotations

import datetime as dt
import zoneinfo
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from core import audit
from core.access import Can
from core.errors import DomainError
from core.models import User
from core.permissions import demand
from notifications.bulk_states import MessageClass
from notifications.models import ClassRule


@dataclass(frozen=True, slots=True)
class Rule:
    """From when until when messages of a class leave (half open), and up to how many one person may send alone."""

    opens_at: dt.time
    closes_at: dt.time
    approval_above: int


DEFAULTS: Mapping[str, Rule] = {
    MessageClass.SERVICE: Rule(dt.time(8), dt.time(22), 1000),
    MessageClass.AWARENESS: Rule(dt.time(9), dt.time(21), 200),
    MessageClass.PROMOTIONAL: Rule(dt.time(9), dt.time(21), 100),
}
# The law's classes are never sent at night, whatever somebody types: between these at the latest.
WIDEST = {MessageClass.AWARENESS: (dt.time(7), dt.time(22)), MessageClass.PROMOTIONAL: (dt.time(7), dt.time(22))}
MOST_ALONE = 100_000


def rules() -> dict[str, Rule]:
    """Every class's rule in the open tenant scope. One query."""
    found = dict(DEFAULTS)
    for row in ClassRule.objects.all():
        found[row.message_class] = Rule(row.opens_at, row.closes_at, row.approval_above)
    return found


@transaction.atomic
def rule_set(
    *, actor: User, message_class: str, opens_at: dt.time, closes_at: dt.time, approval_above: int
) -> ClassRule:
    """Writes a class's rule, audited. Refuses a window without length, and one in the night for what must not be."""
    demand(actor, Can.MANAGE_SETTINGS)
    if opens_at >= closes_at:
        raise DomainError(_("The end must be later than the beginning, on the same day."), code="window_empty")
    if message_class in WIDEST:
        first, last = WIDEST[MessageClass(message_class)]
        if opens_at < first or closes_at > last:
            raise DomainError(
                _("Messages of this class may leave between %(first)s and %(last)s only.")
                % {"first": f"{first:%H:%M}", "last": f"{last:%H:%M}"},
                code="window_at_night",
            )
    if not 0 <= approval_above <= MOST_ALONE:
        raise DomainError(_("Choose a number between 0 and 100,000."), code="approval_out_of_range")
    if actor.tenant_id is None:
        raise ValueError("a rule belongs to a tenant")
    new = Rule(opens_at, closes_at, approval_above)
    old = rules()[message_class]
    row, _is_new = ClassRule.objects.update_or_create(
        tenant_id=actor.tenant_id,
        message_class=message_class,
        defaults={"opens_at": opens_at, "closes_at": closes_at, "approval_above": approval_above},
    )
    if new != old:
        audit.record(
            tenant_id=actor.tenant_id,
            actor=actor,
            action="class_rule.set",
            obj=row,
            before=_as_data(old),
            after=_as_data(new) | {"message_class": message_class},
        )
    return row


def _as_data(rule: Rule) -> dict[str, Any]:
    return {
        "opens_at": f"{rule.opens_at:%H:%M}",
        "closes_at": f"{rule.closes_at:%H:%M}",
        "approval_above": rule.approval_above,
    }


# --- windows: pure functions -----------------------------------------------------------------------------------------


def is_open(now: dt.datetime, zone: dt.tzinfo, *windows: tuple[dt.time, dt.time]) -> bool:
    """Whether all of the windows are open now, on that wall clock."""
    clock = now.astimezone(zone).time()
    return all(opens <= clock < closes for opens, closes in windows)


def next_opening(now: dt.datetime, zone: zoneinfo.ZoneInfo, *windows: tuple[dt.time, dt.time]) -> dt.datetime | None:
    """The first moment from now on at which all windows are open; None when they never are together."""
    opens = max((window[0] for window in windows), default=dt.time(0))
    closes = min((window[1] for window in windows), default=dt.time.max)
    if opens >= closes:
        return None
    if is_open(now, zone, *windows):
        return now
    today = now.astimezone(zone).date()
    # A clock that goes forward may leave out the minute of the opening: the next day has it again.
    for day in (today, today + dt.timedelta(days=1), today + dt.timedelta(days=2)):
        moment = dt.datetime.combine(day, opens, tzinfo=zone).astimezone(dt.UTC)
        if moment > now:
            return moment
    return None
