"""When a breaker opens, closes and stops: rules over one ``ProviderState`` row in memory. No queries, nobody is told.

The row's fields beyond their names: ``code`` is set from a stop until it is over; ``retry_at`` is the end of the wait
of an OPEN or STOPPED row, the end of the turn to probe of a HALF_OPEN one, and of a CLOSED one the moment at which its
openings are forgotten.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from integrations.models import ProviderState
from integrations.sms_providers import Accepted, Call, Kind, ProviderError, Scope

State = ProviderState.State

# Two windows of half a minute: long enough for five calls of a small clinic, short enough to be news.
WINDOW = dt.timedelta(seconds=30)
LEAST_CALLS = 5
BAD_SHARE = 0.5
# The slowest percent of a healthy provider takes up to 10 s, its median well below 1 s: with half over 5 s it is ill.
SLOW_MS = 5_000
# The first wait, doubled with each opening. The longest one lets everything go again within a minute of a fault's end.
FIRST_WAIT, LONGEST_WAIT = dt.timedelta(seconds=10), dt.timedelta(seconds=30)
LEAST_WAIT = dt.timedelta(seconds=5)
# Probes at a time, and how many in a row must be good.
PROBES, GOOD_PROBES = 3, 5
# One worker's turn to probe: longer than the slowest call (20 s), after that the worker is taken for dead.
TURN = dt.timedelta(seconds=25)
# A clinic with two messages an hour has no five probes: good ones and a minute without any more will do.
IDLE = dt.timedelta(minutes=1)
# Closed for so long, times its openings, and the incident is over: one that opens again before tells nobody anew.
HOLDS, HOLDS_AT_MOST = dt.timedelta(seconds=30), dt.timedelta(minutes=2)
# How long it must keep closed before its next wait is a short one again.
FORGET = dt.timedelta(minutes=5)
# Nobody mends an account within seconds, and some lock it when it is tried too often.
STOPPED_WAITS = (dt.timedelta(minutes=5), dt.timedelta(minutes=15), dt.timedelta(minutes=30))
# A probe of a stopped account that got no answer says nothing about the account.
NO_ANSWER_WAIT = dt.timedelta(seconds=30)
# Clocks of two workers differ a little.
CLOCKS_DIFFER = dt.timedelta(seconds=1)
_MOST_OPENINGS = 100


class Change(StrEnum):
    """What a report made of a row."""

    OPENED = "opened"
    STOPPED = "stopped"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Tally:
    """One report in numbers. ``failure`` is the last call without a clean answer."""

    calls: int
    failures: int
    slow: int
    longest: dt.timedelta
    is_accepted: bool
    failure: ProviderError | None
    of_account: ProviderError | None
    of_sender: ProviderError | None


def tally_of(calls: Sequence[Call]) -> Tally:
    errors = [call.result for call in calls if isinstance(call.result, ProviderError)]
    failures = [error for error in errors if is_failure(error)]
    refused = {error.scope: error for error in errors if error.kind is Kind.CONFIGURATION}
    return Tally(
        calls=len(calls),
        failures=len(failures),
        slow=sum(call.milliseconds > SLOW_MS for call in calls),
        longest=dt.timedelta(milliseconds=max((call.milliseconds for call in calls), default=0)),
        is_accepted=any(isinstance(call.result, Accepted) for call in calls),
        failure=failures[-1] if failures else None,
        of_account=refused.get(Scope.ACCOUNT),
        of_sender=refused.get(Scope.SENDER),
    )


def is_failure(error: ProviderError) -> bool:
    """No clean answer. “Too many requests”, a dead number or a refused text prove that the provider works."""
    if error.kind is Kind.AMBIGUOUS:
        return True
    status = error.response.get("status")
    is_broken = isinstance(status, int) and status >= 500
    return error.kind is Kind.TRANSIENT and (not error.response or is_broken)


def is_due(row: ProviderState, now: dt.datetime) -> bool:
    """Its wait is over, or the turn of whoever was probing."""
    return row.retry_at is None or row.retry_at <= now


def note(
    row: ProviderState, tally: Tally, refusal: ProviderError | None, now: dt.datetime, *, has_other: bool
) -> Change | None:
    """Brings a report into the row. ``has_other``: somebody else could carry the channel.

    Without another provider slowness alone is no reason to wait: slow is then as fast as it gets.
    """
    if tally.is_accepted:
        row.last_success_at = now
    if refusal is not None:
        return _stop(row, refusal, now)
    if row.state == State.CLOSED and not row.sender:
        return _count(row, tally, now, has_other=has_other)
    if row.state == State.HALF_OPEN and _is_probe(row, tally, now):
        return _judge_probe(row, tally, now, has_other=has_other)
    # Anything else is old news: calls that were under way when it opened.
    return None


def _count(row: ProviderState, tally: Tally, now: dt.datetime, *, has_other: bool) -> Change | None:
    if row.retry_at is not None:
        if now - tally.longest < row.retry_at - FORGET:
            return None  # begun before it closed
        if now >= row.retry_at:
            row.retry_at, row.openings = None, 0
    if row.window_at is None or now - row.window_at >= 2 * WINDOW:
        _begin_windows(row, now)
    elif now - row.window_at >= WINDOW:
        row.window_at += WINDOW
        row.former_calls, row.former_failures, row.former_slow = row.calls, row.failures, row.slow
        row.calls = row.failures = row.slow = 0
    row.calls += tally.calls
    row.failures += tally.failures
    row.slow += tally.slow
    calls = row.calls + row.former_calls
    if calls < LEAST_CALLS:
        return None
    is_failing = row.failures + row.former_failures >= BAD_SHARE * calls
    is_slow = row.slow + row.former_slow >= BAD_SHARE * calls
    if not is_failing and not (is_slow and has_other):
        return None
    _count_opening(row)
    row.state, row.code, row.opened_at, row.retry_at = State.OPEN, "", now, now + _wait(row.openings)
    return Change.OPENED


def _stop(row: ProviderState, refusal: ProviderError, now: dt.datetime) -> Change | None:
    """Our account or this sender is refused: calling on would burn retries and may lock us out."""
    if row.state == State.STOPPED:
        return None
    is_forgotten = row.state == State.CLOSED and row.retry_at is not None and now >= row.retry_at
    was_stopped = row.state == State.HALF_OPEN and bool(row.code)
    if is_forgotten or (row.state != State.CLOSED and not was_stopped):
        row.openings = 0
    _count_opening(row)
    if not was_stopped:
        row.opened_at = now
    row.state, row.code, row.probes_good = State.STOPPED, refusal.code[:40] or refusal.kind.value, 0
    row.retry_at = now + STOPPED_WAITS[min(row.openings, len(STOPPED_WAITS)) - 1]
    return Change.STOPPED


def _is_probe(row: ProviderState, tally: Tally, now: dt.datetime) -> bool:
    """Not a report of calls from before the turn to probe: those were more, or began earlier."""
    taken_at = (row.retry_at or now) - TURN
    return tally.calls <= PROBES and now - tally.longest >= taken_at - CLOCKS_DIFFER


def _judge_probe(row: ProviderState, tally: Tally, now: dt.datetime, *, has_other: bool) -> Change | None:
    if not tally.calls:
        row.retry_at = now  # the turn is given back
        return None
    if row.code:
        if tally.failures < tally.calls:
            return close(row, now)
        row.state, row.retry_at = State.STOPPED, now + NO_ANSWER_WAIT
        return None
    if tally.failures or (tally.slow and has_other):
        _count_opening(row)
        # The wait counts from the probe's beginning: one that hung has waited already.
        row.retry_at = max(now + LEAST_WAIT, now - tally.longest + _wait(row.openings))
        row.state, row.probes_good = State.OPEN, 0
        return None
    row.probes_good += tally.calls
    row.retry_at = now
    return close(row, now) if row.probes_good >= GOOD_PROBES else None


def close(row: ProviderState, now: dt.datetime) -> Change:
    row.state, row.code, row.probes_good = State.CLOSED, "", 0
    row.retry_at = now + FORGET
    _begin_windows(row, now)
    return Change.CLOSED


def over_since(row: ProviderState, now: dt.datetime) -> dt.datetime | None:
    """Since when it has been closed, if it has kept closed for long enough to call the trouble over."""
    if row.state != State.CLOSED:
        return None
    if row.retry_at is None:
        return now
    closed_at = row.retry_at - FORGET
    return closed_at if now - closed_at >= min(HOLDS_AT_MOST, HOLDS * max(1, row.openings)) else None


def _begin_windows(row: ProviderState, now: dt.datetime) -> None:
    row.window_at = now
    row.calls = row.failures = row.slow = row.former_calls = row.former_failures = row.former_slow = 0


def _count_opening(row: ProviderState) -> None:
    row.openings = min(row.openings + 1, _MOST_OPENINGS)


def _wait(openings: int) -> dt.timedelta:
    return min(LONGEST_WAIT, FIRST_WAIT * (1 << min(openings - 1, 5)))
