"""Keyset pages of a list: the thousandth costs what the first does, and nothing that arrives shifts it.

A cursor is the place of a row in the order (moment, id), as text that tells nobody anything. One that we cannot read is
no error: the list then begins at its beginning. Must never import anything of the other apps.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import struct
import uuid
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from django.db.models import Model, Q, QuerySet

M = TypeVar("M", bound=Model)

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_SHAPE = struct.Struct(">q16s")  # microseconds, the id


@dataclass(frozen=True, slots=True)
class Place:
    """Where a row stands in the list."""

    at: dt.datetime
    pk: uuid.UUID

    @classmethod
    def of(cls, row: Model, by: str) -> Place:
        return cls(getattr(row, by), row.pk)

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
    def older(self, by: str) -> Q:
        return Q(**{f"{by}__lte": self.at}) & (Q(**{f"{by}__lt": self.at}) | Q(pk__lt=self.pk))

    def down_to(self, by: str) -> Q:
        """The row itself and all above it."""
        return Q(**{f"{by}__gte": self.at}) & (Q(**{f"{by}__gt": self.at}) | Q(pk__gte=self.pk))

    def newer(self, by: str) -> Q:
        return Q(**{f"{by}__gte": self.at}) & (Q(**{f"{by}__gt": self.at}) | Q(pk__gt=self.pk))


# No slots: with them Python 3.11 cannot make a frozen generic by a name that fixes its rows (``InboxPage([])``).
@dataclass(frozen=True)
class Page(Generic[M]):
    """The rows, and the cursors of the pages beside it; empty where there is none."""

    rows: list[M]
    newer: str = ""
    older: str = ""


def page_of(rows: QuerySet[M], *, by: str, size: int, older: str = "", newer: str = "") -> Page[M]:
    """The page after (``older``) or before (``newer``) a cursor, else the first; ``rows`` are ordered by (-``by``, -pk).

    One query for the first page, as a rule two for the others.
    """
    if (below := Place.read(older)) is not None:
        found = list(rows.filter(below.older(by))[: size + 1])
        if found:
            return _page(found[:size], by, has_newer=_is_above(rows, below, found[0], by), has_older=len(found) > size)
    elif (above := Place.read(newer)) is not None:
        found = list(rows.filter(above.newer(by)).order_by(by, "pk")[: size + 1])
        # Fewer than a page: we are at the top, and the top is a full page.
        if len(found) > size:
            shown = found[:size][::-1]
            return _page(shown, by, has_newer=True, has_older=_is_below(rows, above, shown[-1], by))
    found = list(rows[: size + 1])
    return _page(found[:size], by, has_newer=False, has_older=len(found) > size)


def _is_above(rows: QuerySet[M], place: Place, first: M, by: str) -> bool:
    """As a rule the row that the cursor was made of is still there, and a row is found sooner than a range is searched."""
    return rows.filter(pk=place.pk).exists() or rows.filter(Place.of(first, by).newer(by)).exists()


def _is_below(rows: QuerySet[M], place: Place, last: M, by: str) -> bool:
    return rows.filter(pk=place.pk).exists() or rows.filter(Place.of(last, by).older(by)).exists()


def _page(rows: list[M], by: str, *, has_newer: bool, has_older: bool) -> Page[Any]:
    return Page(
        rows,
        newer=str(Place.of(rows[0], by)) if has_newer else "",
        older=str(Place.of(rows[-1], by)) if has_older else "",
    )
