"""How a send stands, and who has not got it and why. Reads only."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Q, QuerySet

from integrations.bulk.told import GOOD
from notifications.models import BulkRecipient, BulkSend, Message
from notifications.states import Reason, Status

LEFT = frozenset({Status.SENT, Status.DELIVERED, Status.READ, Status.BOUNCED, Status.UNCONFIRMED})


@dataclass(frozen=True, slots=True)
class Progress:
    """Counts of messages. ``planned`` is what the check promised; ``handled`` of them need no more work."""

    planned: int
    written: int
    waiting: int
    sent: int
    delivered: int
    unsent: int
    by_status: dict[str, int]

    @property
    def handled(self) -> int:
        return self.written - self.waiting

    @property
    def total(self) -> int:
        return max(self.planned, self.written, 1)

    @property
    def percent(self) -> int:
        return self.handled * 100 // self.total


def progress(bulk: BulkSend) -> Progress:
    """One query over the send's own messages."""
    rows = Message.objects.filter(bulk=bulk).order_by().values_list("status").annotate(n=Count("pk"))
    by_status = dict(rows)

    def count(*statuses: str) -> int:
        return sum(by_status.get(status, 0) for status in statuses)

    written = sum(by_status.values())
    return Progress(
        planned=int(bulk.totals.get("send", 0)),
        written=written,
        waiting=count(Status.QUEUED, Status.SENDING),
        sent=count(*LEFT),
        delivered=count(Status.DELIVERED, Status.READ),
        unsent=count(*(set(Status) - GOOD)),
        by_status=by_status,
    )


# --- who has not got it ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Missed:
    """One person: left out by the check (``message`` is None), or with a message that did not arrive."""

    patient: Any
    reason: str
    status: str
    channel: str
    message_id: uuid.UUID | None
    row: int | None
    error: str

    @property
    def why(self) -> Any:
        """In the reader's words."""
        if self.reason:
            return Reason(self.reason).label
        return Status(self.status).label


class MissedList(Sequence[Missed]):
    """Left out first, then the messages that did not arrive: one list for a paginator and for a download."""

    def __init__(self, bulk: BulkSend, reason: str = "") -> None:
        self._left_out = left_out(bulk, reason)
        self._unsent = unsent(bulk, reason)
        self._first = self._left_out.count()
        self._count = self._first + self._unsent.count()

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, wanted: Any) -> Any:
        start, stop, _step = wanted.indices(self._count)
        rows = (
            [_of_recipient(row) for row in self._left_out[start : min(stop, self._first)]]
            if start < self._first
            else []
        )
        if stop > self._first:
            rest = self._unsent[max(start - self._first, 0) : stop - self._first]
            rows += [_of_message(row) for row in rest]
        return rows

    def walk(self) -> Iterator[Missed]:
        """All of them, in constant memory."""
        for recipient in self._left_out.iterator(chunk_size=2000):
            yield _of_recipient(recipient)
        for message in self._unsent.iterator(chunk_size=2000):
            yield _of_message(message)


def left_out(bulk: BulkSend, reason: str = "") -> QuerySet[BulkRecipient]:
    rows = BulkRecipient.objects.filter(bulk=bulk).exclude(reason__in=["", Reason.COMBINED]).select_related("patient")
    return (rows.filter(reason=reason) if reason else rows).order_by("position")


def unsent(bulk: BulkSend, reason: str = "") -> QuerySet[Message]:
    """Its messages that did not arrive; ``reason`` is a reason, or a status where there is none."""
    rows = Message.objects.filter(bulk=bulk).exclude(status__in=GOOD).select_related("patient")
    if reason in Status.values:
        rows = rows.filter(status=reason, reason="")
    elif reason:
        rows = rows.filter(reason=reason)
    return rows.order_by("created_at", "pk")


def reasons(bulk: BulkSend) -> list[tuple[str, Any, int]]:
    """(value for the filter, words, how many), the most frequent first."""
    counts: dict[str, int] = {}
    for reason, count in (
        BulkRecipient.objects.filter(bulk=bulk)
        .exclude(reason__in=["", Reason.COMBINED])
        .order_by()
        .values_list("reason")
        .annotate(n=Count("pk"))
    ):
        counts[reason] = counts.get(reason, 0) + count
    for status, reason, count in (
        Message.objects.filter(~Q(status__in=GOOD), bulk=bulk)
        .order_by()
        .values_list("status", "reason")
        .annotate(n=Count("pk"))
    ):
        counts[reason or status] = counts.get(reason or status, 0) + count
    labels: dict[str, Any] = {**dict(Status.choices), **dict(Reason.choices)}
    return [(value, labels[value], count) for value, count in sorted(counts.items(), key=lambda item: -item[1])]


def missed_patients(bulk: BulkSend, reason: str = "") -> list[uuid.UUID]:
    """For sending to them again. Who may have got it, for all we know, only when they are asked for."""
    messages = unsent(bulk, reason)
    if reason != Status.UNCONFIRMED:
        messages = messages.exclude(status=Status.UNCONFIRMED)
    ids = list(left_out(bulk, reason).values_list("patient_id", flat=True))
    unreached = list(messages.values_list("patient_id", flat=True))
    return ids + unreached + _named_with(bulk, unreached)


def _named_with(bulk: BulkSend, patient_ids: Sequence[uuid.UUID]) -> list[uuid.UUID]:
    """Whom the messages of these patients named too: what did not reach the one has not reached the other."""
    if not bulk.totals.get("folded"):
        return []
    everybody = BulkRecipient.objects.filter(bulk=bulk).order_by()
    heads = list(everybody.filter(patient__among=patient_ids).values_list("position", flat=True))
    folded = everybody.filter(reason=Reason.COMBINED, folded_into__among=heads)
    # Who was written to on their own after all has a message that tells of it.
    alone = Message.objects.filter(bulk=bulk, patient__in=folded.values("patient")).values("patient")
    return list(folded.exclude(patient__in=alone).values_list("patient_id", flat=True))


def _of_recipient(row: BulkRecipient) -> Missed:
    return Missed(row.patient, row.reason, "", "", None, row.row, "")


def _of_message(row: Message) -> Missed:
    return Missed(row.patient, row.reason, row.status, row.channel, row.pk, None, row.error_message)
