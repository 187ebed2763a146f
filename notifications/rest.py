"""The clinic's quiet hours: SMS and WhatsApp messages that can wait are put off until the morning.

What goes at once all the same: the urgent lane (a visit moved or called off, a reminder shortly before), what would no
longer be of use in the morning, what somebody sends by hand, urgent news to many, and everything for staff, who have
quiet hours of their own. A bulk send has the hours of its class besides (``bulk_hold.py``).

Put off means another due time: nothing is late meanwhile, and a message's page says when it goes.
"""

from __future__ import annotations

import datetime as dt
import uuid
import zoneinfo

from django.db.models import Q

from core import tenant_settings
from core.models import Location
from notifications import selectors
from notifications.states import Channel, Lane

# What stops being of use within this after the end of the night goes at once: the queue of a morning takes a moment.
MARGIN = dt.timedelta(minutes=15)
# Rows of one statement.
BATCH = 1000

_LOUD = Q(channel__in=[Channel.SMS, Channel.WHATSAPP])
_BY_ITSELF = Q(sent_by=None) | Q(bulk__isnull=False, bulk__is_urgent=False)


def put_off(tenant_id: uuid.UUID, lane: int, now: dt.datetime) -> int:
    """Gives what is due in the lane and can wait the end of the night as its time; returns of how many.

    The tenant's scope is open. One query in the day, and by night another one while there is nothing to put off.
    """
    if lane == Lane.URGENT:
        return 0
    until = quiet_until(tenant_id, now)
    if until is None:
        return 0
    can_wait = Q(expires_at=None) | Q(expires_at__gt=until + MARGIN)
    resting = selectors.due(lane, now).filter(_LOUD, _BY_ITSELF, can_wait, patient__isnull=False)
    count = 0
    # By their keys: an UPDATE cannot look at the bulk send. What is put off is no longer due.
    while keys := list(resting.order_by("next_attempt_at").values_list("pk", flat=True)[:BATCH]):
        count += selectors.due(lane, now).filter(pk__in=keys).update(next_attempt_at=until)
    return count


def quiet_until(tenant_id: uuid.UUID, now: dt.datetime) -> dt.datetime | None:
    """When the tenant's quiet hours end, if it is quiet at one of its locations now. None: it is day everywhere."""
    own = tenant_settings.of(tenant_id)
    if own.quiet_from is None or own.quiet_until is None:
        return None
    zones = set(Location.objects.filter(is_active=True).values_list("timezone", flat=True))
    ends = (_end(now, zoneinfo.ZoneInfo(zone), own.quiet_from, own.quiet_until) for zone in zones)
    return max((end for end in ends if end is not None), default=None)


def _end(now: dt.datetime, zone: zoneinfo.ZoneInfo, start: dt.time, end: dt.time) -> dt.datetime | None:
    """The end of the night that lasts on that clock; None by day."""
    here = now.astimezone(zone)
    clock, day = here.time(), here.date()
    over_midnight = end < start
    if not (clock >= start or clock < end if over_midnight else start <= clock < end):
        return None
    if over_midnight and clock >= start:
        day += dt.timedelta(days=1)
    return dt.datetime.combine(day, end, tzinfo=zone).astimezone(dt.UTC)
