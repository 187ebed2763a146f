"""How fast each sender may go: a token bucket for every tenant, provider, channel and sender.

The rate is the row's own (set in the support console), else the provider's documented one, else there is none, and no
row either. A bucket holds one second's worth. ``RateBucket`` is the only state, so all workers share one limit.
"""

from __future__ import annotations

import datetime as dt
import math
import uuid
from collections.abc import Iterator, Sequence
from typing import Any

import structlog
from django.db import transaction
from django.utils import timezone

from integrations import breaker, credentials
from integrations.models import RateBucket
from integrations.sms_providers import Provider
from notifications.states import Lane

log = structlog.get_logger(__name__)

# Bulk takes a token only while more than this share of the bucket is left: the others always find some.
KEPT_FROM_BULK = 0.2
# Waits after a 429 without Retry-After: one second, doubled with each; the longest lets everything go again within a
# minute of the trouble's end.
LONGEST_PAUSE = 30.0
# A Retry-After beyond this is taken for a mistake: nobody would notice a sender that rests for a day.
LONGEST_TOLD = 3600.0
# After a minute without a new 429 the next one counts as the first.
CALM = dt.timedelta(minutes=1)
# What adding up parts of seconds loses in floating point, far below a token.
_ROUNDING = 1e-6


# --- The bucket, in numbers ------------------------------------------------------------------------------------------


def burst_of(rate: float) -> float:
    """What a full bucket holds: one second's worth, at least one message."""
    return max(1.0, rate)


def refilled(tokens: float, rate: float, seconds: float) -> float:
    """The tokens after ``seconds`` without taking; a clock that went back adds none."""
    return min(burst_of(rate), tokens + rate * max(0.0, seconds))


def granted(tokens: float, rate: float, *, wanted: int, lane: int) -> int:
    """How many of ``wanted`` messages get a token."""
    most = math.floor(tokens + _ROUNDING)
    if lane == Lane.BULK:
        # Each of them needs more than the share that is kept, before it takes.
        most = min(most, math.ceil(tokens - KEPT_FROM_BULK * burst_of(rate) - _ROUNDING))
    return max(0, min(wanted, most))


def seconds_until(tokens: float, rate: float, *, lane: int) -> float:
    """How long until one message gets a token; infinite at a rate of nothing."""
    needed = 1.0
    if lane == Lane.BULK:
        needed = max(needed, KEPT_FROM_BULK * burst_of(rate) + 2 * _ROUNDING)
    if tokens + _ROUNDING >= needed:
        return 0.0
    return (needed - tokens) / rate if rate > 0 else math.inf


# --- The bucket, in the database -------------------------------------------------------------------------------------


def take(*, tenant_id: uuid.UUID, provider: Provider, channel: str, sender: str, wanted: int, lane: int) -> int:
    """How many of ``wanted`` messages may go now. Part of the claim's transaction: a claim that fails takes nothing.

    It keeps the bucket's row locked until then; who takes from several does so in the order of (channel, sender).
    """
    if wanted <= 0:
        return 0
    now = timezone.now()
    place = {"tenant_id": tenant_id, "provider": provider.name, "channel": channel, "sender": sender}
    with transaction.atomic(savepoint=False):
        row = RateBucket.objects.select_for_update().filter(**place).first()
        rate = provider.rate_limit(channel, sender) if row is None or row.rate is None else row.rate
        if row is None:
            if rate is None:
                return wanted
            row = _lock(place)
        if row.paused_until is not None:
            if row.paused_until > now:
                return 0
            if now - row.paused_until >= CALM:
                row.paused_until, row.pauses = None, 0
                row.save(update_fields=["paused_until", "pauses"])
        if rate is None:
            return wanted
        row.tokens = _tokens(row, rate, now)
        row.refilled_at = max(now, row.refilled_at or now)
        taken = granted(row.tokens, rate, wanted=wanted, lane=lane)
        row.tokens -= taken
        row.save(update_fields=["tokens", "refilled_at"])
        return taken


def pause(*, tenant_id: uuid.UUID, provider_name: str, channel: str, sender: str, seconds: float | None) -> None:
    """The provider said “too many” (429): nothing of this sender goes for ``seconds``, its Retry-After.

    Without one the wait doubles from pause to pause. Answers that were under way when it began change nothing.
    """
    now = timezone.now()
    place = {"tenant_id": tenant_id, "provider": provider_name, "channel": channel, "sender": sender}
    is_told = seconds is not None and math.isfinite(seconds) and seconds > 0
    with transaction.atomic():
        row = _lock(place)
        before = row.paused_until
        if before is not None and now - before >= CALM:
            row.pauses = 0
        wait = min(seconds or 0.0, LONGEST_TOLD) if is_told else min(LONGEST_PAUSE, 2.0 ** min(row.pauses, 10))
        if before is not None and before > now:
            if not is_told or now + dt.timedelta(seconds=wait) <= before:
                return
        else:
            row.pauses = min(row.pauses + 1, 100)
        row.paused_until = now + dt.timedelta(seconds=wait)
        # It starts again from an empty bucket, not with a burst.
        row.tokens, row.refilled_at = 0.0, row.paused_until
        row.save(update_fields=["paused_until", "pauses", "tokens", "refilled_at"])
    log.warning("sender_paused", provider=provider_name, channel=channel, seconds=wait, pauses=row.pauses)


def blocked(tenant_id: uuid.UUID, *, lane: int = Lane.URGENT) -> list[tuple[str, str]]:
    """(channel, sender) pairs of which nothing may go now. One query while no bucket is empty or paused."""
    return [(row.channel, row.sender) for row, seconds in _waits([tenant_id], lane) if seconds > 0 and _is_in_use(row)]


def seconds_until_free(tenant_ids: Sequence[uuid.UUID], *, lane: int) -> float | None:
    """How long until the first blocked pair of these tenants may go again. None: nothing is blocked."""
    waits = [seconds for _row, seconds in _waits(tenant_ids, lane) if 0 < seconds < math.inf]
    return min(waits, default=None)


def _waits(tenant_ids: Sequence[uuid.UUID], lane: int) -> Iterator[tuple[RateBucket, float]]:
    """Each bucket of the tenants with the seconds until a message of that lane finds a token."""
    now = timezone.now()
    for row in RateBucket.objects.filter(tenant_id__in=tenant_ids):
        if row.paused_until is not None and row.paused_until > now:
            yield row, (row.paused_until - now).total_seconds()
            continue
        rate = row.rate if row.rate is not None else _documented(row)
        yield row, 0.0 if rate is None else seconds_until(_tokens(row, rate, now), rate, lane=lane)


def _documented(row: RateBucket) -> float | None:
    for provider in credentials.providers_for(row.channel, row.tenant_id):
        if provider.name == row.provider:
            return provider.rate_limit(row.channel, row.sender)
    return None


def _is_in_use(row: RateBucket) -> bool:
    """Its provider would carry the sender now. The bucket of one that is down holds nobody up."""
    provider = breaker.would_choose(row.channel, row.sender, row.tenant_id)
    return provider is not None and provider.name == row.provider


def _tokens(row: RateBucket, rate: float, now: dt.datetime) -> float:
    """A bucket that nobody has used yet is full."""
    if row.refilled_at is None:
        return burst_of(rate)
    return refilled(row.tokens, rate, (now - row.refilled_at).total_seconds())


def _lock(place: dict[str, Any]) -> RateBucket:
    """The row, made if need be, locked until the transaction ends."""
    RateBucket.objects.get_or_create(**place)
    return RateBucket.objects.select_for_update().get(**place)
