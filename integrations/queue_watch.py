"""Does what waits, wait too long? An incident for each lane of a tenant, and one for events that nobody works through.

Asked by the sweeper every ten seconds. What a provider's trouble explains is that trouble's incident, not ours: its
messages are not looked at while it lasts, and a wait counts from its end. After a standstill of our own it counts from the
first sweep. So a backlog that is just being sent is no second alarm.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping

import structlog
from django.db.models import Q, QuerySet
from django.db.models.functions import Coalesce
from django.utils import timezone

from core.health import SILENCE_ALLOWED
from core.models import Heartbeat
from core.tenancy import active_tenant_ids, tenant_scope
from integrations import breaker, fanout, incidents
from integrations.incidents import Kind
from integrations.models import Incident
from notifications import bulk_hold, selectors
from notifications.models import Message, NotificationEvent
from notifications.states import Lane

log = structlog.get_logger(__name__)

# How late the longest due may be. A message goes within seconds, so these are no load but a fault:
# two minutes, because whom an urgent one calls off stands at the door in ten;
# five, because a confirmation is looked for while the visit is still being talked about;
# an hour, because a bulk lets all others pass and has the day.
LATE: Mapping[Lane, dt.timedelta] = {
    Lane.URGENT: dt.timedelta(minutes=2),
    Lane.TRANSACTIONAL: dt.timedelta(minutes=5),
    Lane.BULK: dt.timedelta(minutes=60),
}
# An event is worked through within a second, and one whose doorbell was lost within fifteen.
EVENTS_LATE = dt.timedelta(minutes=2)
# Over when the longest due is younger than this share of the limit: one that hovers at the limit is one incident.
_OVER_BELOW = 0.5
# The sweeper's last sign of life, and the first of those without a gap.
_SIGNS = ("sweeper", "sweeper-since")


def watch() -> int:
    """Begins and ends the incidents of what waits. Returns how many began."""
    now = timezone.now()
    since = sweeping_since(now)
    troubles = list(incidents.open_ones(*incidents.OF_PROVIDERS))
    began = 0
    tenants = active_tenant_ids()
    for tenant_id in tenants:
        with tenant_scope(tenant_id):
            ours = [one for one in troubles if one.tenant_id in (None, tenant_id)]
            began += sum(_watch_lane(tenant_id, lane, ours, now, since) for lane in Lane)
            began += _watch_events(tenant_id, now, since)
    # Nobody sweeps for a tenant that was suspended: what it was told of is over.
    for left in incidents.open_ones(Kind.QUEUE, Kind.EVENTS, Kind.SETTINGS).exclude(tenant__in=tenants):
        incidents.end(left, at=now, is_told=False)
    return began


def sweeping_since(now: dt.datetime) -> dt.datetime:
    """Since when the sweeper has run without a gap."""
    signs = dict(Heartbeat.objects.filter(name__in=_SIGNS).values_list("name", "at"))
    last, since = (signs.get(name) for name in _SIGNS)
    if last is None or since is None or now - last > SILENCE_ALLOWED:
        since = now
        Heartbeat.objects.update_or_create(name=_SIGNS[1], defaults={"at": since})
    Heartbeat.objects.update_or_create(name=_SIGNS[0], defaults={"at": now})
    return since


# --- Lanes -----------------------------------------------------------------------------------------------------------


def _watch_lane(
    tenant_id: uuid.UUID, lane: Lane, troubles: list[Incident], now: dt.datetime, since: dt.datetime
) -> bool:
    there = incidents.open_ones(Kind.QUEUE).filter(tenant_id=tenant_id, sender=lane.name).first()
    limit = LATE[lane] * (_OVER_BELOW if there is not None else 1)
    excused: list[uuid.UUID] = []
    first = _first(selectors.due(lane, now), now - limit)
    if first is not None and first.bulk_id is not None:
        # A send that somebody has paused, or that waited for the morning, is no fault.
        excused = bulk_hold.excused(now, limit)
        first = _first(selectors.due(lane, now).exclude(bulk__in=excused), now - limit)
    if first is not None and troubles:
        unexplained = selectors.due(lane, now).exclude(bulk__in=excused)
        for trouble in troubles:
            unexplained = unexplained.exclude(_held_by(trouble))
        first = _first(unexplained, now - limit)
        if first is None and there is not None:
            # A provider has failed meanwhile: what waits now waits for it.
            return not incidents.end(there, at=now, is_told=False)
    if there is not None:
        if first is None:
            incidents.end(there, at=now)
        return False
    if first is None or now - since < limit or _was_held_since(tenant_id, first, now - limit):
        return False
    return incidents.begin(Kind.QUEUE, tenant_id=tenant_id, sender=lane.name, since=first.next_attempt_at)


def _first(due: QuerySet[Message], before: dt.datetime) -> Message | None:
    """The one that has been due the longest, if that is since ``before``. One look into the index."""
    rows = due.filter(next_attempt_at__lt=before).order_by("next_attempt_at")
    return rows.only("channel", "sender", "next_attempt_at", "bulk").first()


def _held_by(trouble: Incident) -> Q:
    sender = "" if trouble.sender == breaker.DEFAULT_SENDER else trouble.sender
    is_account = not trouble.sender
    return Q(channel=trouble.channel) if is_account else Q(channel=trouble.channel, sender=sender)


def _was_held_since(tenant_id: uuid.UUID, message: Message, since: dt.datetime) -> bool:
    """Whether it may have waited, after that moment, for a provider whose trouble is over."""
    return Incident.objects.filter(
        Q(tenant=None) | Q(tenant=tenant_id),
        kind__in=incidents.OF_PROVIDERS,
        channel=message.channel,
        ended_at__gt=since,
    ).exists()


# --- Events ----------------------------------------------------------------------------------------------------------


def _watch_events(tenant_id: uuid.UUID, now: dt.datetime, since: dt.datetime) -> bool:
    there = incidents.open_ones(Kind.EVENTS).filter(tenant_id=tenant_id).first()
    limit = EVENTS_LATE * (_OVER_BELOW if there is not None else 1)
    # What is told later on purpose is late from its own time on.
    waiting = NotificationEvent.objects.filter(processed_at=None).annotate(since=Coalesce("due_at", "created_at"))
    first = waiting.filter(since__lt=now - limit).order_by("since").values_list("since", flat=True).first()
    if there is not None:
        if first is None:
            incidents.end(there, at=now)
        return False
    is_late = first is not None and now - since >= limit
    if not is_late or not incidents.begin(Kind.EVENTS, tenant_id=tenant_id, since=first):
        return False
    _tell_now(tenant_id)
    return True


def _tell_now(tenant_id: uuid.UUID) -> None:
    """The news that news is not told must not wait behind it: its fan-out is made here."""
    incident = incidents.open_ones(Kind.EVENTS).get(tenant_id=tenant_id)
    for event_id in NotificationEvent.objects.filter(object_id=incident.pk, processed_at=None).values_list(
        "pk", flat=True
    ):
        try:
            fanout.process_event(tenant_id, event_id)
        except Exception as error:  # noqa: BLE001  # kept on the event's row; the sweeper tries again
            log.error("alert_not_told", event_id=str(event_id), error=type(error).__name__)  # noqa: TRY400
