"""Counts the rows of a span of days, group by group: what the rollups keep, and what is read live of today.

The same functions serve both, so a kept number and a live one cannot mean different things. Other apps register what
they know (``register``, ``register_department``) from ``AppConfig.ready()``. Reads only.
"""

from __future__ import annotations

import datetime as dt
import uuid
import zoneinfo
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Any, NamedTuple

from django.db.models import Case, Count, Exists, F, Model, OuterRef, Q, QuerySet, Subquery, Sum, Value, When
from django.db.models.fields import UUIDField
from django.db.models.functions import TruncDate

from notifications.models import Dimension, Escalation, LinkClick, Message, MessageAttempt
from notifications.states import SUCCESS, EscalationStatus, Outcome, Status, StopReason

# Where the steps of a call's duration end, in milliseconds. Fine where providers are, coarse where they are in trouble.
BUCKETS = (50, 100, 150, 200, 250, 300, 400, 500, 750, 1000, 1500, 2000, 3000, 5000, 10_000, 30_000)
FAILED = frozenset({Status.FAILED, Status.BOUNCED})
# What did not arrive, and has a reason or a provider's code that says why.
NOT_ARRIVED = FAILED | {Status.SUPPRESSED, Status.CANCELLED, Status.EXPIRED}
ANSWERED, UNANSWERED = "answered", "unanswered"
_ANSWERS = frozenset({StopReason.READ, StopReason.ACKNOWLEDGED})
_ARRIVAL = "appointment.arrived"


@dataclass(frozen=True, slots=True)
class Span:
    """Whole local days, both ends included."""

    first: dt.date
    last: dt.date
    zone: zoneinfo.ZoneInfo

    @property
    def start(self) -> dt.datetime:
        return midnight(self.first, self.zone)

    @property
    def end(self) -> dt.datetime:
        """The first moment that is no longer part of it."""
        return midnight(self.last + dt.timedelta(days=1), self.zone)


def midnight(day: dt.date, zone: zoneinfo.ZoneInfo) -> dt.datetime:
    """When that day begins (UTC). Where the clock skips midnight, its first moment."""
    return dt.datetime.combine(day, dt.time(), tzinfo=zone).astimezone(dt.UTC)


class Key(NamedTuple):
    """One group of one day, as ``DailyCount`` names it."""

    day: dt.date
    dimension: str
    key: str = ""
    channel: str = ""
    currency: str = ""
    bucket: int = 0


@dataclass(slots=True)
class Counts:
    """What ``DailyCount`` counts of a group."""

    messages: int = 0
    sent: int = 0
    delivered: int = 0
    read: int = 0
    clicked: int = 0
    failed: int = 0
    segments: int = 0
    cost: Decimal = Decimal(0)

    def add(self, other: Counts) -> None:
        for name in MEASURES:
            setattr(self, name, getattr(self, name) + getattr(other, name))


MEASURES = tuple(one.name for one in fields(Counts))
Counter = Callable[[Span, Collection[Dimension]], Iterator[tuple[Key, Counts]]]


@dataclass(frozen=True, slots=True)
class Source:
    """Who counts some dimensions. ``first``: when the first row of the tenant that it would count began."""

    dimensions: frozenset[Dimension]
    count: Counter
    first: Callable[[], dt.datetime | None]


_SOURCES: list[Source] = []
_DEPARTMENTS: dict[str, Callable[[OuterRef], QuerySet[Any, Any]]] = {}


def register(source: Source) -> None:
    """Adds what another app counts. A dimension has one source."""
    if any(known.dimensions & source.dimensions for known in _SOURCES):
        raise ValueError("two sources for one dimension")
    _SOURCES.append(source)


def register_department(object_type: str, lookup: Callable[[OuterRef], QuerySet[Any, Any]]) -> None:
    """Which department messages about such an object belong to: ``lookup(its id)`` gives the department's id."""
    _DEPARTMENTS[object_type] = lookup


def count(span: Span, dimensions: Collection[Dimension] | None = None) -> dict[Key, Counts]:
    """Every group of those days that has any row, of the open tenant."""
    wanted = frozenset(dimensions if dimensions is not None else Dimension)
    found: dict[Key, Counts] = {}
    for source in _SOURCES:
        if source.dimensions & wanted:
            for key, counts in source.count(span, source.dimensions & wanted):
                found.setdefault(key, Counts()).add(counts)
    return found


def first_moment() -> dt.datetime | None:
    """When the first row of the open tenant began that any source counts."""
    return min((moment for source in _SOURCES if (moment := source.first()) is not None), default=None)


def in_department() -> Case:
    """The department's id of a message, or NULL: for ``Message.objects.annotate``."""
    lookups = [
        When(object_type=kind, then=Subquery(found(OuterRef("object_id")))) for kind, found in _DEPARTMENTS.items()
    ]
    return Case(*lookups, default=None, output_field=UUIDField(null=True))


def was_clicked() -> Exists:
    """Somebody, and no program, has opened a link of the message."""
    return Exists(LinkClick.objects.filter(message=OuterRef("pk"), kind=LinkClick.Kind.CLICK, is_suspicious=False))


def by_day(rows: QuerySet[Any, Any], field: str, span: Span) -> QuerySet[Any, Any]:
    """The rows with their local ``day``. A single day need not be computed row by row."""
    day = Value(span.first) if span.first == span.last else TruncDate(field, tzinfo=span.zone)
    found: QuerySet[Any, Any] = rows.annotate(day=day)
    return found


# --- messages --------------------------------------------------------------------------------------------------------

# What each dimension asks of a message, beside its status and currency.
_ASKS: dict[Dimension, tuple[str, ...]] = {
    Dimension.STATUS: ("channel",),
    Dimension.TYPE: ("notification_type",),
    Dimension.TEMPLATE: ("template_id",),
    Dimension.DEPARTMENT: ("department",),
    Dimension.CAUSE: ("channel", "reason", "provider", "error_code"),
}


def _count_messages(span: Span, dimensions: Collection[Dimension]) -> Iterator[tuple[Key, Counts]]:
    """One pass over the rows by the finest group that is asked for, taken apart here."""
    asked = sorted({name for one in dimensions for name in _ASKS[one]})
    rows = by_day(Message.objects.filter(created_at__gte=span.start, created_at__lt=span.end), "created_at", span)
    if "department" in asked:
        rows = rows.annotate(department=in_department())
    groups = (
        rows.order_by()
        .values("day", "status", "currency", *asked)
        .annotate(
            n=Count("pk"),
            accepted=Count("sent_at"),
            clicks=Count("pk", filter=was_clicked()),
            parts=Sum("segments"),
            paid=Sum("cost"),
        )
    )
    for row in groups:
        counts = _counts_of(row)
        for dimension in dimensions:
            if dimension is not Dimension.CAUSE or row["status"] in NOT_ARRIVED:
                yield _key_of(dimension, row), counts


def _counts_of(row: Mapping[str, Any]) -> Counts:
    n, status = row["n"], row["status"]
    return Counts(
        messages=n,
        sent=row["accepted"],
        delivered=n if status in SUCCESS else 0,
        read=n if status == Status.READ else 0,
        clicked=row["clicks"],
        failed=n if status in FAILED else 0,
        segments=row["parts"] or 0,
        cost=row["paid"] or Decimal(0),
    )


def _key_of(dimension: Dimension, row: Mapping[str, Any]) -> Key:
    day, currency = row["day"], row["currency"]
    match dimension:
        case Dimension.STATUS:
            return Key(day, dimension, row["status"], row["channel"], currency)
        case Dimension.TYPE:
            return Key(day, dimension, row["notification_type"], currency=currency)
        case Dimension.TEMPLATE:
            return Key(day, dimension, _text(row["template_id"]), currency=currency)
        case Dimension.DEPARTMENT:
            return Key(day, dimension, _text(row["department"]), currency=currency)
        case _:
            # A refusal of ours has a reason; what a provider refuses for good may have both, and its code says more.
            code = (
                f"{_house(row['provider'])}:{row['error_code']}"
                if row["error_code"] and row["status"] in FAILED
                else ""
            )
            return Key(day, dimension, code or row["reason"], row["channel"])


def _text(key: uuid.UUID | str | None) -> str:
    """SQLite gives a CASE of ids as it keeps them: without hyphens."""
    return "" if key is None else str(key if isinstance(key, uuid.UUID) else uuid.UUID(key))


def _house(provider: str) -> str:
    """Of a clinic group's own account (twilio@4f9a0c21de) the provider."""
    return provider.partition("@")[0]


def _first_message() -> dt.datetime | None:
    return Message.objects.order_by("created_at").values_list("created_at", flat=True).first()


# --- calls of providers ----------------------------------------------------------------------------------------------


def _count_calls(span: Span, _dimensions: Collection[Dimension]) -> Iterator[tuple[Key, Counts]]:
    """The calls for the messages of those days that have ended, whenever they were made."""
    steps = [When(duration_ms__lte=most, then=Value(most)) for most in BUCKETS]
    rows = MessageAttempt.objects.filter(
        message__created_at__gte=span.start, message__created_at__lt=span.end, message__tenant_id=F("tenant_id")
    ).exclude(outcome="")
    groups = (
        by_day(rows, "message__created_at", span)
        .annotate(step=Case(*steps, default=Value(0)))
        .order_by()
        .values("day", "provider", "message__channel", "step")
        .annotate(n=Count("pk"), accepted=Count("pk", filter=Q(outcome=Outcome.ACCEPTED)))
    )
    for row in groups:
        key = Key(row["day"], Dimension.CALL, _house(row["provider"]), row["message__channel"], bucket=row["step"])
        yield key, Counts(messages=row["n"], sent=row["accepted"])


# --- answers to arrivals ---------------------------------------------------------------------------------------------


def _count_alerts(span: Span, _dimensions: Collection[Dimension]) -> Iterator[tuple[Key, Counts]]:
    """Arrivals that somebody answered, by the minutes it took, and those that nobody did. What was over before is
    neither.
    """
    rows = Escalation.objects.filter(created_at__gte=span.start, created_at__lt=span.end, event__key=_ARRIVAL)
    for created, stopped, status, reason in rows.values_list("created_at", "stopped_at", "status", "stop_reason"):
        day = created.astimezone(span.zone).date()
        if status == EscalationStatus.EXHAUSTED:
            yield Key(day, Dimension.ALERT, UNANSWERED), Counts(messages=1)
        elif status == EscalationStatus.STOPPED and reason in _ANSWERS and stopped is not None:
            minutes = max(0, int((stopped - created).total_seconds() // 60))
            yield Key(day, Dimension.ALERT, ANSWERED, bucket=minutes), Counts(messages=1)


def _first_of(model: type[Model]) -> Callable[[], dt.datetime | None]:
    def first() -> dt.datetime | None:
        rows: Any = model._default_manager
        moment: dt.datetime | None = rows.order_by("created_at").values_list("created_at", flat=True).first()
        return moment

    return first


register(Source(frozenset(_ASKS), _count_messages, _first_message))
register(Source(frozenset({Dimension.CALL}), _count_calls, _first_message))
register(Source(frozenset({Dimension.ALERT}), _count_alerts, _first_of(Escalation)))
