"""Keyset pages of a list of notifications: the thousandth costs what the first does, and nothing that arrives shifts it.

A cursor is the place of a row in the order (activity_at, id), as text that tells nobody anything. One that we cannot
read is no error: the list then begins at its beginning.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import struct
import uuid
from dataclasses import dataclass

from django.db.models import Q, QuerySet

from notifications.models import Notification

PAGE_SIZE = 25

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_SHAPE = struct.Struct(">q16s")  # microseconds, the id


@dataclass(frozen=True, slots=True)
class Place:
    """Where a row stands in the list."""

    at: dt.datetime
    pk: uuid.UUID

    @classmethod
    def of(cls, row: Notification) -> Place:
        return cls(row.activity_at, row.pk)

    @classmethod
    def read(cls, cursor: str) -> Place | None:
        try:
            micros, pk = _SHAPE.unpack(base64.urlsafe_b64decode(cursor.encode("ascii")))
            return cls(_EPOCH + dt.timedelta(microseconds=micros), uuid.UUID(bytes=pk))
        except (UnicodeEncodeError, binascii.Error, struct.error, OverflowError):
            return None

    def __str__(self) -> str:
        micros = (self.at - _EPOCH) // dt.timedelta(microseconds=1)
        return base64.urlsafe_b64encode(_SHAPE.pack(micros, self.pk.bytes)).decode("ascii")

    # The bound on the time alone is what the database walks the index by; the rest only sorts out equal moments.
    def older(self) -> Q:
        return Q(activity_at__lte=self.at) & (Q(activity_at__lt=self.at) | Q(pk__lt=self.pk))

    def newer(self) -> Q:
        return Q(activity_at__gte=self.at) & (Q(activity_at__gt=self.at) | Q(pk__gt=self.pk))


@dataclass(frozen=True, slots=True)
class InboxPage:
    """The rows, and the cursors of the pages beside it; empty where there is none."""

    rows: list[Notification]
    newer: str = ""
    older: str = ""


def page_of(rows: QuerySet[Notification], *, older: str = "", newer: str = "") -> InboxPage:
    """The page after (``older``) or before (``newer``) a cursor, else the first. At most two queries, three at the top."""
    if (below := Place.read(older)) is not None:
        found = list(rows.filter(below.older())[: PAGE_SIZE + 1])
        if found:
            has_newer = rows.filter(Place.of(found[0]).newer()).exists()
            return _page(found[:PAGE_SIZE], has_newer=has_newer, has_older=len(found) > PAGE_SIZE)
    elif (above := Place.read(newer)) is not None:
        found = list(rows.filter(above.newer()).order_by("activity_at", "pk")[: PAGE_SIZE + 1])
        # Fewer than a page: we are at the top, and the top is a full page.
        if len(found) > PAGE_SIZE:
            shown = found[:PAGE_SIZE][::-1]
            return _page(shown, has_newer=True, has_older=rows.filter(Place.of(shown[-1]).older()).exists())
    found = list(rows[: PAGE_SIZE + 1])
    return _page(found[:PAGE_SIZE], has_newer=False, has_older=len(found) > PAGE_SIZE)


def _page(rows: list[Notification], *, has_newer: bool, has_older: bool) -> InboxPage:
    return InboxPage(
        rows,
        newer=str(Place.of(rows[0])) if has_newer else "",
        older=str(Place.of(rows[-1])) if has_older else "",
    )
