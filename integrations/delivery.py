"""Hands messages to their providers, a batch at a time: claim, call, record.

    claim     rows that are due, tenant by tenant in fair shares, checked once more; SENDING with a lease and an open
              attempt, in one transaction
    call      all of the batch at once over pooled connections; no transaction, no row lock
    record    outcomes, logs and attempts in one transaction, and only what is still ours

A crash between claim and record leaves SENDING with a lease that runs out; the sweeper makes it UNCONFIRMED, and it
is settled by a receipt or by asking the provider, never by sending again (invariant 4). What was claimed but provably
not handed over goes back into the queue.
"""

from __future__ import annotations

import datetime as dt
import random
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from typing import Any

import structlog
from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from core.tenancy import tenant_scope
from integrations import breaker, credentials, enclosures, incidents, portal_codes, rates, recording, sms_providers
from integrations.sms_providers import Accepted, Call, Outgoing, Provider
from notifications import bulk_hold, gate, lifecycle, rest, selectors, trials
from notifications.models import Message
from notifications.selectors import tenant_of_message
from notifications.states import Lane, Reason

log = structlog.get_logger(__name__)

# What one claim takes, and so what a killed worker leaves unknown. It grows while batches are quick and shrinks when they
# are slow: a provider that hangs is found out with few, one that answers at once gets many.
BATCH = 100
LEAST, MOST = 25, 400
QUICK_SECONDS, SLOW_SECONDS = 0.5, 1.0
# A tenant's least share of a batch when many wait.
SHARE = 10
# Longer than the slowest provider call (connect 5 s + read 15 s) and a database that is just restarting.
LEASE = dt.timedelta(seconds=45)
# A call takes 20 s at most; none may outlive the lease, or another worker could make it again.
LONGEST_CALL = dt.timedelta(seconds=21)
# How long a drain goes on before it gives its place in the worker to others.
TURN_SECONDS = 5.0
# The longest that a drain waits for a sender's next token instead of ending.
PACE = 1.0


def drain(lane: int, *, seconds: float = TURN_SECONDS, on_backlog: Callable[[], None] | None = None) -> dict[str, int]:
    """Sends what is due in a lane until nothing is left or the time is over; ``left`` is 1 when more waits.

    ``on_backlog`` is called once, as soon as there is more than one batch: others may help.
    """
    counts: Counter[str] = Counter()
    size = BATCH
    ends = time.monotonic() + seconds
    while True:
        began = time.monotonic()
        batch = _claim_fairly(lane, size)
        is_full = len(batch.rows) >= size
        if on_backlog is not None and is_full:
            on_backlog()
            on_backlog = None
        counts.update(_send(batch))
        if is_full:
            size = _next_size(size, time.monotonic() - began)
        if not batch.rows:
            # Held by the pace of a sender: tokens come back within a second, and a new task would cost as much.
            wait = rates.seconds_until_free(batch.tenants, lane=lane) if batch.tenants else None
            if wait is None or wait > PACE or time.monotonic() + wait >= ends:
                return {**counts, "left": int(wait is not None and wait <= PACE)}
            time.sleep(wait)
        if time.monotonic() >= ends:
            return {**counts, "left": 1}


def _next_size(size: int, took: float) -> int:
    """How many to claim after a full batch that took so many seconds."""
    if took < QUICK_SECONDS:
        return min(MOST, size * 2)
    return max(LEAST, size // 2) if took > SLOW_SECONDS else size


def deliver(message_id: uuid.UUID) -> bool:
    """Sends one message if it is due and nobody else has it. True when the provider was called."""
    tenant_id = tenant_of_message(message_id)
    if tenant_id is None:
        log.warning("message_unknown", message_id=str(message_id))
        return False
    batch = Batch()
    with tenant_scope(tenant_id):
        lane = Message.objects.values_list("lane", flat=True).get(pk=message_id)
        _claim(batch, tenant_id, lane, limit=1, only=message_id)
    counts = _send(batch)
    return counts.total() > counts["handed_back"]


@dataclass(slots=True)
class Batch:
    """What one round sends: rows of several tenants, and which provider carries which channel and sender."""

    rows: dict[uuid.UUID, Message] = field(default_factory=dict)
    # Those with something due in the lane, whether or not it may go.
    tenants: list[uuid.UUID] = field(default_factory=list)
    # What is held would be read again and again before what may go.
    waiting: set[tuple[str, str, str]] = field(default_factory=breaker.waiting_places)
    # The tenant is named where it has accounts of its own for the channel.
    routes: dict[tuple[uuid.UUID | None, str, str], Provider | None] = field(default_factory=dict)
    # The sender that each of them may be given there.
    senders: dict[tuple[str, str, str], str] = field(default_factory=dict)
    # What goes out with them beside their words.
    enclosed: dict[uuid.UUID, dict[str, Any]] = field(default_factory=dict)
    # The codes that belong into some of them: they stand in no message.
    codes: dict[uuid.UUID, str] = field(default_factory=dict)
    # How many more calls a provider that is being tried may get from this batch.
    probes: dict[tuple[str, str, str], int] = field(default_factory=dict)

    def route(self, tenant_id: uuid.UUID, channel: str, sender: str) -> Provider | None:
        """The provider that carries it now; None while the lane is held. Asked once a batch."""
        key = (tenant_id if credentials.names_for(channel, tenant_id) else None, channel, sender)
        if key not in self.routes:
            self.routes[key] = breaker.choose(channel, sender, tenant_id)
        return self.routes[key]

    def sender_of(self, row: Message) -> str:
        """The sender as the row's provider may be given it."""
        key = (row.provider, row.channel, row.sender)
        if key not in self.senders:
            self.senders[key] = breaker.sender_at(
                sms_providers.get(row.provider), row.channel, row.sender, row.tenant_id
            )
        return self.senders[key]

    def allow(self, provider: Provider, channel: str, sender: str, wanted: int) -> int:
        """How many of ``wanted`` calls may be made: all, or a few while the provider is being tried."""
        key = (provider.name, channel, sender)
        if key not in self.probes:
            allowance = breaker.allowance(provider.name, channel, sender)
            if allowance is None:
                return wanted
            self.probes[key] = allowance
        granted = min(self.probes[key], wanted)
        self.probes[key] -= granted
        return granted


# --- claim ----------------------------------------------------------------------------------------------------------


def _claim_fairly(lane: int, size: int) -> Batch:
    """Up to ``size`` rows, in equal shares for all tenants that have something due; what one does not need, others get."""
    tenants = selectors.tenants_with_due(lane, timezone.now())
    random.shuffle(tenants)
    batch = Batch(tenants=tenants)
    hungry = tenants
    while hungry and len(batch.rows) < size:
        share = max(SHARE, (size - len(batch.rows)) // len(hungry))
        still_hungry = []
        for tenant_id in hungry:
            limit = min(share, size - len(batch.rows))
            if limit <= 0:
                break
            with tenant_scope(tenant_id):
                if _claim(batch, tenant_id, lane, limit=limit) == limit:
                    still_hungry.append(tenant_id)
        hungry = still_hungry
    return batch


def _claim(batch: Batch, tenant_id: uuid.UUID, lane: int, *, limit: int, only: uuid.UUID | None = None) -> int:
    """Adds up to ``limit`` rows of the tenant, whose scope is open; returns how many."""
    now = timezone.now()
    due = selectors.due(lane, now)
    rest.put_off(tenant_id, lane, now)
    if lane != Lane.URGENT:
        # A bulk send that was paused a second ago, or whose hours are over: its messages wait where they are.
        due = bulk_hold.without_held(due, now)
    if only is not None:
        due = due.filter(pk=only)
    for channel, sender in rates.blocked(tenant_id, lane=lane):
        due = due.exclude(channel=channel, sender=sender)
    for channel, held_sender in breaker.held_among(batch.waiting, tenant_id):
        held = Q(channel=channel, **({} if held_sender is None else {"sender": held_sender}))
        # Who tries the way out wants to know whether it is open again.
        due = due.exclude(held & ~trials.IS_TRIAL)
    rows = lifecycle.claim(due, limit=limit, lease_for=LEASE, admit=lambda found: _admit(batch, tenant_id, lane, found))
    batch.rows.update((row.pk, row) for row in rows)
    batch.enclosed |= enclosures.enclosures_of(tenant_id, rows)
    batch.codes |= portal_codes.codes_of(rows)
    return len(rows)


def _admit(batch: Batch, tenant_id: uuid.UUID, lane: int, found: list[Message]) -> Mapping[uuid.UUID, str]:
    """Which of them go, with whom: refused ones end here, those over a limit stay where they are."""
    refused = gate.recheck_many(found)
    put_off: set[uuid.UUID] = set()
    # The hours of a class, then the night of a reader.
    for hold in (bulk_hold.postpone, rest.hold_for_readers):
        held, ended = hold([row for row in found if row.pk not in refused and row.pk not in put_off], timezone.now())
        put_off |= held
        refused |= ended
    groups: dict[tuple[str, str], list[Message]] = defaultdict(list)
    carriers: dict[uuid.UUID, str] = {}
    for row in found:
        if row.pk in refused or row.pk in put_off:
            continue
        if over := trials.provider_of(row.dedupe_key):
            # A few, by hand: they ask neither the breaker nor the bucket.
            carriers[row.pk] = over
        else:
            groups[row.channel, row.sender].append(row)
    # In one order, because each takes the lock of its bucket.
    for (channel, sender), rows in sorted(groups.items()):
        if not credentials.providers_for(channel, tenant_id):
            refused |= dict.fromkeys((row.pk for row in rows), Reason.CHANNEL_DISABLED)
            incidents.note_refused_by_settings(tenant_id, channel=channel, code=Reason.CHANNEL_DISABLED, detail="")
            continue
        provider = batch.route(tenant_id, channel, sender)
        if provider is None:
            continue
        wanted = batch.allow(provider, channel, sender, len(rows))
        granted = rates.take(
            tenant_id=tenant_id, provider=provider, channel=channel, sender=sender, wanted=wanted, lane=lane
        )
        carriers |= dict.fromkeys((row.pk for row in rows[:granted]), provider.name)
        if wanted and not granted:
            # Gives back the turn to probe, if it had one.
            breaker.report(provider.name, channel, sender, [], tenant_id=tenant_id)
    if refused:
        lifecycle.refuse_many(refused)
        if too_late := sum(reason == Reason.PAST_DUE for reason in refused.values()):
            incidents.note_expired(tenant_id, too_late)
        log.info("messages_refused", count=len(refused), reasons=dict(Counter(map(str, refused.values()))))
    return carriers


# --- call -----------------------------------------------------------------------------------------------------------


def _send(batch: Batch) -> Counter[str]:
    """Calls the providers and records what came of it. Counts by outcome."""
    by_provider: dict[str, list[Message]] = defaultdict(list)
    for row in batch.rows.values():
        by_provider[row.provider].append(row)
    counts: Counter[str] = Counter()
    for name, rows, calls in _calls(batch, by_provider):
        counts.update(_record(sms_providers.get(name), rows, calls))
    return counts


def _calls(batch: Batch, by_provider: Mapping[str, list[Message]]) -> Iterator[tuple[str, list[Message], list[Call]]]:
    """Several providers side by side, or a slow one would use up the lease of the others' messages."""
    if len(by_provider) <= 1:
        for name, rows in by_provider.items():
            yield name, rows, _call(batch, name, rows)
        return
    with ThreadPoolExecutor(max_workers=len(by_provider), thread_name_prefix="provider") as pool:
        running = {pool.submit(_call, batch, name, rows): (name, rows) for name, rows in by_provider.items()}
        for done in as_completed(running):
            yield *running[done], done.result()


def _call(batch: Batch, name: str, rows: Sequence[Message]) -> list[Call]:
    provider = sms_providers.get(name)
    # Asked of the clock, not of the time that went by here: a process that was frozen after its claim has lost it.
    left = min(row.lease_expires_at for row in rows if row.lease_expires_at is not None) - timezone.now() - LONGEST_CALL
    until = time.monotonic() + left.total_seconds()
    outgoings = [
        portal_codes.filled(
            _outgoing(row, provider, batch.sender_of(row), batch.enclosed.get(row.pk, {})), batch.codes.get(row.pk)
        )
        for row in rows
    ]
    return provider.send_many(outgoings, until=until)


def _record(provider: Provider, rows: Sequence[Message], calls: Sequence[Call]) -> Counter[str]:
    outcomes = {uuid.UUID(call.outgoing.message_id): call for call in calls}
    by_tenant: dict[uuid.UUID, list[Message]] = defaultdict(list)
    for row in rows:
        by_tenant[row.tenant_id].append(row)
    for tenant_id, theirs in by_tenant.items():
        with tenant_scope(tenant_id):
            recording.record(provider, theirs, outcomes)
            recording.follow_up(tenant_id, provider, theirs, outcomes)
    return Counter(_word(outcomes.get(row.pk)) for row in rows)


def _outgoing(message: Message, provider: Provider, sender: str, enclosed: Mapping[str, Any]) -> Outgoing:
    valid = None
    if message.expires_at is not None:
        valid = max(1, int((message.expires_at - timezone.now()).total_seconds()))
    callback = ""
    if provider.webhook:
        callback = (
            f"{settings.PUBLIC_BASE_URL}/webhooks/{provider.webhook}/status/{message.pk}/"
            f"?attempt={message.attempt_count}"
        )
    return Outgoing(
        message_id=str(message.pk),
        channel=message.channel,
        to=message.recipient,
        sender=sender,
        subject=message.subject,
        body=message.body,
        language=message.language,
        callback_url=callback,
        valid_seconds=valid,
        attempt=message.attempt_count,
        **enclosed,
    )


def _word(call: Call | None) -> str:
    if call is None:
        return "handed_back"
    return "accepted" if isinstance(call.result, Accepted) else call.result.kind.value
