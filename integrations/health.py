"""The state of sending, for people: what waits, how each provider does, what went wrong. Reads only.

Providers and their incidents are the house's; all counts are the open tenant's. Read by the staff page
(``notifications/views/operations.py``), by the message page, and by ``/readyz``, which gets ``report``.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import statistics
import uuid
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db.models import Count, F, Min, OuterRef, Q, QuerySet, Subquery
from django.utils import timezone
from django.utils.translation import gettext

from core.models import Heartbeat, Location, Tenant
from core.tenancy import current_tenant_id, system_scope
from integrations import breaker, credentials, sms_providers
from integrations.models import Incident, ProviderState, RateBucket
from notifications.models import Message, MessageAttempt
from notifications.selectors import due
from notifications.states import Channel, Lane, Outcome, Status

State = ProviderState.State
_OPEN_WAYS = (State.CLOSED, State.HALF_OPEN)
# ``/readyz`` counts no further: from here on the number says "far too many" and the count would only cost.
COUNTED_AT_MOST = 100_000
# The numbers of a provider come from the attempts of the last hour on this many latest messages: enough for a share.
_SAMPLE = 2_000
_HOUR = dt.timedelta(hours=1)
# A message is tried for at most a day: older ones have no attempt of the last hour.
_TRIED_FOR = dt.timedelta(days=1)
_INCIDENTS_OF = dt.timedelta(days=30)
_INCIDENTS_SHOWN = 20
# As the index ``message_due`` says it.
_PLANNED = Q(status__in=[Status.QUEUED, Status.FAILED], next_attempt_at__isnull=False)


@dataclass(slots=True)
class LaneState:
    """One lane of the tenant. ``oldest_due`` is when the one that waits longest should have gone; None: none is due."""

    lane: Lane
    waiting: int = 0
    retries: int = 0
    sending: int = 0
    awaiting_receipt: int = 0
    unconfirmed: int = 0
    oldest_due: dt.datetime | None = None


@dataclass(frozen=True, slots=True)
class Numbers:
    """What the tenant's own calls of a provider came to. ``median_ms`` is None before any call was measured."""

    calls: int
    accepted: int
    median_ms: int | None


@dataclass(frozen=True, slots=True)
class Way:
    """One provider on one channel; with a ``sender`` only that sender of the tenant there.

    ``state_id`` is None while nothing was ever noted about it. ``is_in_use``: messages of the channel go over it now.
    """

    provider: str
    channel: str
    sender: str = ""
    state_id: uuid.UUID | None = None
    state: State = State.CLOSED
    since: dt.datetime | None = None
    next_try: dt.datetime | None = None
    code: str = ""
    is_in_use: bool = False
    numbers: Numbers | None = None

    @property
    def lets_through(self) -> bool:
        return self.state in _OPEN_WAYS


# --- what waits ------------------------------------------------------------------------------------------------------


def lanes() -> list[LaneState]:
    """The lanes of the open tenant, the first one first. Two queries, both over partial indexes."""
    now = timezone.now()
    found = {lane.value: LaneState(lane) for lane in Lane}
    planned = (
        Message.objects.filter(_PLANNED)
        .order_by()
        .values_list("lane", "status")
        .annotate(count=Count("pk"), first=Min("next_attempt_at"))
    )
    for number, status, count, first in planned:
        lane = found[number]
        if status == Status.QUEUED:
            lane.waiting = count
        else:
            lane.retries = count
        if first is not None and first <= now and (lane.oldest_due is None or first < lane.oldest_due):
            lane.oldest_due = first
    under_way = (
        Message.objects.filter(
            Q(status=Status.SENDING) | Q(status__in=[Status.SENT, Status.UNCONFIRMED], next_check_at__isnull=False)
        )
        .order_by()
        .values_list("lane", "status")
        .annotate(count=Count("pk"))
    )
    names = {Status.SENDING: "sending", Status.SENT: "awaiting_receipt", Status.UNCONFIRMED: "unconfirmed"}
    for number, status, count in under_way:
        setattr(found[number], names[Status(status)], count)
    return list(found.values())


# --- providers -------------------------------------------------------------------------------------------------------


def ways(*, with_numbers: bool = True) -> list[Way]:
    """Every provider of every channel, in order of preference, and the tenant's senders that one of them refuses.

    The numbers of the last hour's calls cost more than all the rest: a page that does not show them says so.
    """
    numbers = _numbers() if with_numbers else {}
    states = {(row.provider, row.channel, row.sender): row for row in visible_states()}
    found: list[Way] = []
    for channel in Channel.values:
        names = _providers(channel)
        ours = [_way(name, channel, "", states.get((name, channel, ""))) for name in names]
        in_use = next((way.provider for way in ours if way.lets_through), None)
        found += [
            dataclasses.replace(way, is_in_use=way.provider == in_use, numbers=numbers.get((way.provider, channel)))
            for way in ours
        ]
        found += [
            _way(name, channel, sender, row)
            for (name, of, sender), row in sorted(states.items())
            if of == channel and sender and name in names and row.state not in _OPEN_WAYS
        ]
    return found


def visible_states() -> QuerySet[ProviderState]:
    """The states that concern the open tenant: of the house's accounts and its own, whole or of its own senders."""
    tenant_id = current_tenant_id()
    own = credentials.all_names(tenant_id) if tenant_id is not None else set()
    return ProviderState.objects.filter(~Q(provider__contains="@") | Q(provider__in=own), sender__in=_own_senders())


def obstacle(channel: str, sender: str) -> Way | None:
    """What holds the messages of that sender: the first provider's trouble, when no provider lets them through."""
    names = _providers(channel)
    shut = (
        ProviderState.objects.filter(
            channel=channel, provider__in=names, sender__in=["", sender or breaker.DEFAULT_SENDER]
        )
        .exclude(state__in=_OPEN_WAYS)
        .order_by("-sender")
    )
    # The account's own trouble comes last here, so that it wins over the sender's.
    found = {row.provider: row for row in shut}
    if not names or any(name not in found for name in names):
        return None
    row = found[names[0]]
    return _way(row.provider, channel, row.sender, row)


def explain(provider: str, code: str) -> str:
    """Our words for a provider's error code, in the reader's language; empty when there are none."""
    if sms_providers.kind_of_name(provider) not in sms_providers.ADAPTERS:
        return ""
    rule = sms_providers.adapter_class(provider).errors.get(code)
    return gettext(rule.why) if rule else ""


def _providers(channel: str) -> list[str]:
    return [provider.name for provider in credentials.providers_for(channel, current_tenant_id())]


def _way(provider: str, channel: str, sender: str, row: ProviderState | None) -> Way:
    if row is None:
        return Way(provider, channel, sender)
    return Way(
        provider, channel, sender, row.pk, State(row.state), since=row.opened_at, next_try=row.retry_at, code=row.code
    )


def _own_senders() -> set[str]:
    """The sender names of the open tenant, and those that all share: the accounts' own and the house's address."""
    own = {"", breaker.DEFAULT_SENDER, settings.DEFAULT_FROM_EMAIL}
    for senders in Location.objects.values_list("sms_sender", "whatsapp_sender", "email_sender"):
        own.update(senders)
    return own


def _numbers() -> dict[tuple[str, str], Numbers]:
    """(provider, channel) → the last hour's calls for the open tenant, from its latest messages."""
    now = timezone.now()
    # Without what still waits: a bulk in the queue is newer than all that was sent.
    latest = Message.objects.filter(created_at__gte=now - _TRIED_FOR, attempt_count__gt=0).order_by("-created_at")
    rows = MessageAttempt.objects.filter(
        message__in=latest.values("pk")[:_SAMPLE], started_at__gte=now - _HOUR
    ).exclude(outcome="")
    calls: dict[tuple[str, str], list[tuple[str, int | None]]] = defaultdict(list)
    for provider, channel, outcome, took in rows.order_by().values_list(
        "provider", "message__channel", "outcome", "duration_ms"
    ):
        calls[provider, channel].append((outcome, took))
    return {key: _sum(found) for key, found in calls.items()}


def _sum(calls: list[tuple[str, int | None]]) -> Numbers:
    times = [took for _outcome, took in calls if took is not None]
    return Numbers(
        calls=len(calls),
        accepted=sum(outcome == Outcome.ACCEPTED for outcome, _took in calls),
        median_ms=round(statistics.median(times)) if times else None,
    )


# --- what went wrong, how fast it may go, who lives ------------------------------------------------------------------


def incidents() -> list[Incident]:
    """The house's and the open tenant's: those that are open, then those of the last 30 days, the latest first."""
    lately = Q(ended_at=None) | Q(ended_at__gte=timezone.now() - _INCIDENTS_OF)
    ours = Q(tenant=None, sender__in=["", breaker.DEFAULT_SENDER]) | Q(tenant=current_tenant_id())
    rows = Incident.objects.filter(lately, ours)
    return list(rows.order_by(F("ended_at").desc(nulls_first=True), "-started_at")[:_INCIDENTS_SHOWN])


def limits() -> list[RateBucket]:
    """The speed limits of the open tenant's senders that were set, or that a provider has imposed just now."""
    told = Q(rate__isnull=False) | Q(paused_until__gt=timezone.now())
    return list(RateBucket.objects.filter(told, tenant=current_tenant_id()).order_by("channel", "provider", "sender"))


def signs_of_life() -> dict[str, dt.datetime]:
    """Kind of process (worker, beat) → its last sign."""
    return dict(Heartbeat.objects.values_list("name", "at"))


# --- for /readyz -----------------------------------------------------------------------------------------------------


def report() -> dict[str, Any]:
    """The whole house in a few index look-ups, naming no tenant and no sender.

    ``lanes``: what is due (counted up to ``COUNTED_AT_MOST``) and for how many seconds the first has been (None: nothing
    is due). ``providers``: the state of each account. ``last_beat_seconds``: None before the first beat.
    """
    now = timezone.now()
    with system_scope("the house's queues, as numbers"):
        # Tenant by tenant, because the index begins with it: one look-up each instead of a walk over all that waits.
        first = {
            lane.name.lower(): Subquery(
                Message.objects.filter(_PLANNED, lane=lane, tenant=OuterRef("pk"))
                .order_by("next_attempt_at")
                .values("next_attempt_at")[:1]
            )
            for lane in Lane
        }
        oldest = Tenant.objects.annotate(**first).aggregate(**{f"first_{name}": Min(name) for name in first})
        queues = {
            lane.name.lower(): {
                "waiting": due(lane, now).order_by()[:COUNTED_AT_MOST].count(),
                "oldest_due_seconds": _seconds_since(oldest[f"first_{lane.name.lower()}"], now),
            }
            for lane in Lane
        }
    accounts = ProviderState.objects.filter(sender="").exclude(provider__contains="@").order_by("channel", "provider")
    return {
        "lanes": queues,
        "providers": list(accounts.values("channel", "provider", "state", "code")),
        "last_beat_seconds": _seconds_since(signs_of_life().get("beat"), now),
    }


def _seconds_since(moment: dt.datetime | None, now: dt.datetime) -> int | None:
    """Whole seconds; None for nothing, and for what lies ahead."""
    if moment is None or moment > now:
        return None
    return int((now - moment).total_seconds())
