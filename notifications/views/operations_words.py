"""The state of sending in words: trouble first, then the lanes, the providers and what happened lately.

Everything is a finished sentence or a number here, so that one tag over it tells whether the page has changed.
"""

from __future__ import annotations

import datetime as dt
import uuid
import zoneinfo
from dataclasses import dataclass

from django.utils import timezone
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import ngettext, pgettext

from core.health import SILENCE_ALLOWED
from core.templatetags.agdar_ui import clock_text
from integrations import breaker, health
from integrations.health import LaneState, Way
from integrations.models import Incident, ProviderState, RateBucket
from notifications.states import Channel, Lane
from notifications.views.timeline import provider_name
from notifications.views.words import milliseconds, moment, span

State = ProviderState.State
# A due message of these lanes goes within seconds; after this somebody should know. A bulk may take its time.
_LONG = {Lane.URGENT: dt.timedelta(minutes=1), Lane.TRANSACTIONAL: dt.timedelta(minutes=2)}
# The clock of a page shows minutes.
_SOON = dt.timedelta(minutes=1)
_TONES = {State.CLOSED: "ok", State.OPEN: "bad", State.HALF_OPEN: "warn", State.STOPPED: "bad"}


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that a person should know now. With a ``state_id`` there is a button to try the provider again."""

    tone: str
    title: str
    detail: str
    state_id: uuid.UUID | None = None
    subject: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the page: what it is, how it stands, and what there is to say about it."""

    title: str
    badge: str = ""
    tone: str = ""
    detail: str = ""
    numbers: str = ""
    channel: str = ""


@dataclass(frozen=True, slots=True)
class LaneRow:
    """One line of the table of lanes; numbers of the clinic group."""

    title: str
    hint: str
    waiting: int
    oldest: str
    is_late: bool
    sending: int
    retries: int
    awaiting_receipt: int
    unconfirmed: int


def everything(zone: zoneinfo.ZoneInfo) -> dict[str, object]:
    """What the page shows, under its names in the template."""
    lanes, ways, signs = health.lanes(), health.ways(), health.signs_of_life()
    return {
        "troubles": _troubles(lanes, ways, signs, zone),
        "lanes": [_lane(lane) for lane in lanes],
        "providers": [_provider(way, ways, zone) for way in ways],
        "incidents": [_incident(row, zone) for row in health.incidents()],
        "limits": [_limit(row, zone) for row in health.limits()],
        "signs": [
            _sign("worker", _("Workers"), _("send the messages"), signs, zone),
            _sign("beat", _("Clock"), _("starts what is due"), signs, zone),
        ],
    }


def at_a_glance(zone: zoneinfo.ZoneInfo) -> dict[str, object]:
    """Trouble and lanes alone, for a corner of another page."""
    lanes, ways = health.lanes(), health.ways(with_numbers=False)
    return {
        "troubles": _troubles(lanes, ways, health.signs_of_life(), zone),
        "lanes": [_lane(lane) for lane in lanes],
    }


# --- trouble ---------------------------------------------------------------------------------------------------------


def _troubles(
    lanes: list[LaneState], ways: list[Way], signs: dict[str, dt.datetime], zone: zoneinfo.ZoneInfo
) -> list[Trouble]:
    """The worst first."""
    found = [
        *_silences(signs, zone),
        *(_trouble(way, ways, zone) for way in ways if way.state != State.CLOSED),
        *_late(lanes, ways),
    ]
    return sorted(found, key=lambda trouble: trouble.tone != "bad")


def _silences(signs: dict[str, dt.datetime], zone: zoneinfo.ZoneInfo) -> list[Trouble]:
    """Nobody is working: whatever the providers do, nothing leaves."""
    seen, beat = signs.get("worker"), signs.get("beat")
    if not _is_silent(seen):
        return []
    # Workers give their signs when the clock asks for them: once it is silent, theirs say nothing of later.
    if seen is not None and beat is not None and _is_silent(beat) and beat - seen <= SILENCE_ALLOWED:
        title = _("Reminders are not being sent: the clock of the system has been silent since %(time)s.")
        detail = _("They go when it is started again. New messages still go.")
        return [Trouble("bad", title % {"time": moment(beat, zone)}, detail)]
    detail = _("Messages are kept, and go when they are started again.")
    if seen is None:
        return [Trouble("bad", _("Nothing is being sent: no worker has been started yet."), detail)]
    title = _("Nothing is being sent: the workers have been silent since %(time)s.") % {"time": moment(seen, zone)}
    return [Trouble("bad", title, detail)]


def _trouble(way: Way, ways: list[Way], zone: zoneinfo.ZoneInfo) -> Trouble:
    words = {
        "provider": provider_name(way.provider),
        "channel": Channel(way.channel).label,
        "sender": _sender(way.sender),
        "time": moment(way.since, zone) if way.since else "",
    }
    is_refused = way.state == State.STOPPED or bool(way.code)
    if is_refused and way.sender:
        title = _("%(provider)s refuses the sender “%(sender)s” for %(channel)s.") % words
    elif is_refused:
        title = _("%(provider)s refuses our account or settings for %(channel)s.") % words
    elif way.since:
        title = _("%(provider)s has been down for %(channel)s since %(time)s.") % words
    else:
        title = _("%(provider)s is down for %(channel)s.") % words
    detail = " ".join(filter(None, [_reason(way), _meanwhile(way, ways), _next_try(way, zone)]))
    tone = "bad" if way.state == State.STOPPED or _substitute(way, ways) is None else "warn"
    if way.state == State.HALF_OPEN:
        return Trouble("warn", title, detail)
    return Trouble(tone, title, detail, way.state_id, f"{words['provider']}, {words['channel']}")


def _sender(name: str) -> str:
    return pgettext("sender", "default") if name == breaker.DEFAULT_SENDER else name


def _late(lanes: list[LaneState], ways: list[Way]) -> list[Trouble]:
    """Something has waited too long although no provider is in trouble."""
    if any(not way.lets_through for way in ways):
        return []
    titles = {
        Lane.URGENT: _("An urgent message has been waiting for %(time)s."),
        Lane.TRANSACTIONAL: _("A message has been waiting for %(time)s."),
    }
    return [
        Trouble("warn", titles[lane.lane] % {"time": span(_age(lane))}, _("It should have gone within seconds."))
        for lane in lanes
        if _is_late(lane)
    ]


def _reason(way: Way) -> str:
    if not way.code:
        return ""
    words = health.explain(way.provider, way.code)
    return _coded(words, way.code) if words else ""


def _coded(words: str, code: str) -> str:
    """“The number is a landline (code 21635).”"""
    return _("%(explanation)s (code %(code)s).") % {"explanation": words.rstrip("."), "code": code}


def _meanwhile(way: Way, ways: list[Way]) -> str:
    if way.state == State.HALF_OPEN:
        return _("It is being tried with a few messages.")
    other = _substitute(way, ways)
    if other is not None:
        return _("Messages go over %(provider)s meanwhile.") % {"provider": provider_name(other.provider)}
    if way.state == State.STOPPED:
        return _("Messages wait until somebody has mended it.")
    return _("Messages wait and go by themselves when it answers again.")


def _substitute(way: Way, ways: list[Way]) -> Way | None:
    """The provider that carries the channel instead."""
    others = (other for other in ways if other.channel == way.channel and other.provider != way.provider)
    return next((other for other in others if other.is_in_use or (way.sender and other.lets_through)), None)


def _next_try(way: Way, zone: zoneinfo.ZoneInfo) -> str:
    if way.state == State.HALF_OPEN or way.next_try is None:
        return ""
    wait = way.next_try - timezone.now()
    if wait <= dt.timedelta():
        return _("It is tried again with the next message.")
    if wait < _SOON:
        return _("It is tried again within a minute.")
    return _("Next try at %(time)s.") % {"time": moment(way.next_try, zone)}


# --- lines -----------------------------------------------------------------------------------------------------------


def _lane(lane: LaneState) -> LaneRow:
    hints = {
        Lane.URGENT: _("Visits moved or called off, and reminders shortly before"),
        Lane.TRANSACTIONAL: _("Confirmations, reminders and single messages"),
        Lane.BULK: _("Messages to many at once; they let the others pass"),
    }
    return LaneRow(
        title=str(lane.lane.label),
        hint=hints[lane.lane],
        waiting=lane.waiting,
        oldest=span(_age(lane)) if lane.oldest_due else "",
        is_late=_is_late(lane),
        sending=lane.sending,
        retries=lane.retries,
        awaiting_receipt=lane.awaiting_receipt,
        unconfirmed=lane.unconfirmed,
    )


def _provider(way: Way, ways: list[Way], zone: zoneinfo.ZoneInfo) -> Row:
    has_others = sum(other.channel == way.channel and not other.sender for other in ways) > 1
    detail = ""
    if way.sender:
        detail = _("Sender: %(sender)s") % {"sender": _sender(way.sender)}
    elif has_others:
        detail = _("In use") if way.is_in_use else _("Stands by")
    since = moment(way.since, zone) if way.since else ""
    badge = str(way.state.label)
    if way.state in (State.OPEN, State.STOPPED) and since:
        badge = _("%(state)s since %(time)s") % {"state": badge, "time": since}
    return Row(
        title=capfirst(provider_name(way.provider)),
        badge=badge,
        tone=_TONES[way.state],
        detail=detail,
        numbers="" if way.sender else _numbers(way),
        channel=way.channel,
    )


def _numbers(way: Way) -> str:
    numbers = way.numbers
    if numbers is None:
        return _("Nothing sent over it in the last hour")
    share = ngettext(
        "%(share)s%% of %(count)s message accepted",
        "%(share)s%% of %(count)s messages accepted",
        numbers.calls,
    ) % {"share": round(100 * numbers.accepted / numbers.calls), "count": f"{numbers.calls:,}"}
    if numbers.median_ms is None:
        return share
    return _("%(share)s, answers in %(time)s") % {"share": share, "time": milliseconds(numbers.median_ms)}


def _incident(row: Incident, zone: zoneinfo.ZoneInfo) -> Row:
    where = [
        provider_name(row.provider) if row.provider else "",
        str(Channel(row.channel).label) if row.channel else "",
        _which(row),
    ]
    ended = row.ended_at
    if ended is None:
        when = _("since %(time)s") % {"time": moment(row.started_at, zone)}
    else:
        when = _("%(start)s to %(end)s, %(time)s") % {
            "start": moment(row.started_at, zone),
            "end": _end(row.started_at, ended, zone),
            "time": span(ended - row.started_at),
        }
    return Row(
        title=" · ".join([str(row.get_kind_display()), *filter(None, where)]),
        badge=_("Open now") if ended is None else _("Over"),
        tone="bad" if ended is None else "",
        detail=_what(row),
        numbers=when,
    )


def _which(row: Incident) -> str:
    """The sender, or what the incident keeps in its place."""
    if row.kind == Incident.Kind.QUEUE:
        return str(Lane[row.sender].label)
    return "" if row.kind == Incident.Kind.SETTINGS else _sender(row.sender)


def _what(row: Incident) -> str:
    """What happened, in a sentence. Of messages that became too late the incident keeps the number."""
    match row.kind:
        case Incident.Kind.QUEUE:
            return _("Messages waited although the providers were working.")
        case Incident.Kind.EVENTS:
            return _("What had happened was told late, or not to everybody.")
        case Incident.Kind.BEAT:
            return _("Reminders, next tries and other work at its time had to wait.")
        case Incident.Kind.SETTINGS:
            return _coded(_(row.detail), row.sender) if row.detail else _("This channel is not set up.")
    if row.kind == Incident.Kind.EXPIRED and row.detail.isdecimal():
        count = int(row.detail)
        return ngettext(
            "%(count)s message could no longer be of use and was not sent.",
            "%(count)s messages could no longer be of use and were not sent.",
            count,
        ) % {"count": count}
    explained = health.explain(row.provider, row.code)
    if explained:
        return _coded(explained, row.code)
    return _(row.detail) if row.detail else ""


def _end(start: dt.datetime, end: dt.datetime, zone: zoneinfo.ZoneInfo) -> str:
    """The clock alone when it ended on the day on which it began."""
    same = timezone.localtime(start, zone).date() == timezone.localtime(end, zone).date()
    return clock_text(end, zone) if same else moment(end, zone)


def _limit(row: RateBucket, zone: zoneinfo.ZoneInfo) -> Row:
    paused = row.paused_until if row.paused_until and row.paused_until > timezone.now() else None
    rate = "" if row.rate is None else _("%(rate)s a second") % {"rate": f"{row.rate:g}"}
    return Row(
        title=row.sender or _("Every sender"),
        badge=_("Paused until %(time)s") % {"time": moment(paused, zone)} if paused else "",
        tone="warn",
        detail=capfirst(provider_name(row.provider)),
        numbers=rate,
        channel=row.channel,
    )


def _sign(name: str, title: str, duty: str, signs: dict[str, dt.datetime], zone: zoneinfo.ZoneInfo) -> Row:
    seen = signs.get(name)
    if seen is None:
        return Row(title, _("Never started"), "bad", duty)
    if _is_silent(seen):
        return Row(title, _("Silent since %(time)s") % {"time": moment(seen, zone)}, "bad", duty)
    return Row(title, pgettext("process", "Running"), "ok", duty)


# --- measures --------------------------------------------------------------------------------------------------------


def _is_silent(seen: dt.datetime | None) -> bool:
    return seen is None or timezone.now() - seen > SILENCE_ALLOWED


def _age(lane: LaneState) -> dt.timedelta:
    return timezone.now() - lane.oldest_due if lane.oldest_due else dt.timedelta()


def _is_late(lane: LaneState) -> bool:
    return lane.lane in _LONG and _age(lane) > _LONG[lane.lane]
