"""The table that an export holds, row by row, and how it becomes a CSV or Excel file. Writes no table, knows no export.

The rows come by keyset, a few thousand at a time, and not by one cursor over all: no transaction stays open for a
minute, which would keep the database from tidying up, and a file can go on where its worker died. Memory does not grow
with the rows.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import tempfile
import uuid
import zoneinfo
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import xlsxwriter
from django.db import connection
from django.db.models import Case, CharField, F, QuerySet, TextField, Value, When
from django.db.models.functions import Cast, Coalesce, Concat, Left, NullIf, TruncSecond
from django.db.models.lookups import In
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from core.csv_rows import FORMULA, UNSEEN
from core.keyset import Place
from core.models import Language
from notifications import default_words
from notifications.message_filters import provider_choices
from notifications.models import Message, MessageTemplate
from notifications.states import Channel, NotificationType, Reason, Status

BATCH = 10_000
# Excel ends at 1,048,576 rows; one is the heading.
ROWS_A_SHEET = 1_000_000
LONGEST_CELL = 32_767
# The database looks at the first letter only, so what may hide one counts as one.
DANGEROUS = FORMULA + UNSEEN
# What Excel counts days from.
_EXCEL_EPOCH = dt.datetime(1899, 12, 30)  # noqa: DTZ001  # a wall clock

Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a file: its bytes, how many rows they hold, and the cursor of the last one."""

    data: bytes
    rows: int = 0
    after: str = ""


class Table:
    """The columns in the reader's language (the active one), on the clock of ``zone``.

    Every cell is made by the database: a million rows of two dozen cells each are more than Python can touch in the
    time. ``is_safe``: what a spreadsheet would run gets an apostrophe before it, as text files need it.
    """

    # Of the columns: wall clock times, numbers, and the message's id.
    TIMES = (0, 9, 10, 11, 12)
    NUMBERS = (14, 15, 17)
    KEY = 22

    def __init__(self, *, zone: zoneinfo.ZoneInfo, language: str, with_text: bool, is_safe: bool) -> None:
        self.zone, self.language, self.with_text, self.is_safe = zone, language, with_text, is_safe

    def headings(self) -> list[str]:
        names = [
            *(_("Created"), _("Name"), _("File number"), _("Address"), _("Channel"), _("Type"), _("Template")),
            *(_("Status"), _("Reason"), _("Sent"), _("Delivered"), _("Read"), _("Failed")),
            *(pgettext("sends messages", "Provider"), _("Segments"), _("Cost"), _("Currency"), _("Retries")),
            *(_("Error code"), _("Error"), _("Sent by"), _("Language"), _("Message number")),
        ]
        return [*names, _("Subject"), _("Text")] if self.with_text else names

    def batches(self, rows: QuerySet[Message], *, after: str = "") -> Iterator[tuple[list[Row], str]]:
        """``BATCH`` rows at a time, the latest first, with the cursor of the last one; ``after`` a cursor."""
        values = rows.values_list(*self.cells())
        while True:
            place = Place.read(after) if after else None
            found = list((values.filter(place.older("created_at")) if place else values)[:BATCH])
            if not found:
                return
            last = uuid.UUID(found[-1][self.KEY])
            after = str(Place(Message.objects.values_list("created_at", flat=True).get(pk=last), last))
            yield found, after
            if len(found) < BATCH:
                return

    def cells(self) -> list[Any]:
        """One expression a heading."""
        templates = {row.pk: self._harmless(default_words.title(row)) for row in MessageTemplate.objects.all()}
        text = [self._cell("subject"), self._cell("body")] if self.with_text else []
        return [
            self._clock("created_at"),
            self._cell(self._name("patient", "user")),
            *(self._cell("patient__mrn"), self._address()),
            *(_word("channel", Channel.choices), _word("notification_type", NotificationType.choices)),
            _word("template_id", templates.items()),
            *(_word("status", Status.choices), _word("reason", [("", ""), *Reason.choices])),
            *(self._clock(name) for name in ("sent_at", "delivered_at", "read_at", "failed_at")),
            _word("provider", provider_choices(), default=F("provider")),
            *("segments", Cast("cost", CharField()), "currency", "retry_count"),
            *(self._cell("error_code"), self._cell("error_message"), self._cell(self._name("sent_by"))),
            _word("language", Language.choices),
            Cast("pk", CharField()),
            *text,
        ]

    def _clock(self, name: str) -> Cast:
        """“2026-11-23 10:05:00” on the clock of the place."""
        return Cast(TruncSecond(name, tzinfo=self.zone), CharField())

    def _name(self, *people: str) -> Coalesce:
        mine, other = ("name_ar", "name_en") if self.language == "ar" else ("name_en", "name_ar")
        names = (NullIf(f"{person}__{name}", Value("")) for person in people for name in (mine, other))
        return Coalesce(*names, Value(""))

    def _cell(self, text: Any) -> Any:
        """What a person or a provider has typed."""
        if not self.is_safe:
            return F(text) if isinstance(text, str) else text
        guarded = When(In(Left(text, 1), list(DANGEROUS)), then=Concat(Value("'"), text, output_field=TextField()))
        return Case(guarded, default=text, output_field=TextField())

    def _address(self) -> Any:
        """A bare phone number is no formula, and an apostrophe would make it no number either."""
        if not self.is_safe:
            return F("recipient")
        phones = When(recipient__regex=r"^\+[0-9]+$", then="recipient")
        return Case(phones, default=self._cell("recipient"), output_field=TextField())

    def _harmless(self, text: str) -> str:
        return f"'{text}" if self.is_safe and text[:1] and text[0] in DANGEROUS else text


def _word(name: str, words: Iterable[tuple[Any, Any]], *, default: Any = None) -> Any:
    """The column's value in words."""
    known = [When(**{name: value}, then=Value(str(label))) for value, label in words]
    return Case(*known, default=default or Value(""), output_field=TextField())


def csv_parts(table: Table, rows: QuerySet[Message], *, after: str = "") -> Iterator[Part]:
    """Comma separated, in UTF-8 with the mark at its beginning by which Excel knows it. ``after``: goes on below that row."""
    if not after:
        yield Part(b"\xef\xbb\xbf" + _csv([table.headings()]))
    if connection.vendor == "postgresql":
        yield from _copied(table, rows, after)
        return
    for batch, cursor in table.batches(rows, after=after):
        yield Part(_csv(batch), len(batch), cursor)


def _csv(rows: Iterable[Sequence[Any]]) -> bytes:
    """As COPY writes it."""
    buffer = io.StringIO(newline="")
    csv.writer(buffer, lineterminator="\n").writerows(rows)
    return buffer.getvalue().encode()


def _copied(table: Table, rows: QuerySet[Message], after: str) -> Iterator[Part]:
    """The lines as PostgreSQL writes them: no cell of a million rows is ever a Python object."""
    values = rows.values_list(*table.cells())
    place = Place.read(after) if after else None
    while True:
        below = rows.filter(place.older("created_at")) if place else rows
        ends = list(below.values_list("created_at", "pk")[BATCH - 1 : BATCH])
        last = ends[0] if ends else below.values_list("created_at", "pk").last()
        if last is None:
            return
        end = Place(*last)
        here = values.filter(place.older("created_at")) if place else values
        data, count = _copy(here.filter(end.down_to("created_at")))
        yield Part(data, count, str(end))
        if not ends:
            return
        place = end


def _copy(values: QuerySet[Message, Row]) -> tuple[bytes, int]:
    statement, parameters = values.query.sql_with_params()
    with connection.cursor() as cursor, connection.wrap_database_errors:
        with cursor.copy(f"COPY ({statement}) TO STDOUT (FORMAT csv)", parameters) as copy:
            data = b"".join(copy)
        return data, cursor.rowcount


def xlsx_parts(
    table: Table, rows: QuerySet[Message], *, on_batch: Callable[[int], None] = lambda _rows: None
) -> Iterator[Part]:
    """A workbook, in pieces, once it is whole. ``on_batch`` hears of each few thousand rows while it is written."""
    with tempfile.TemporaryDirectory(prefix="agdar-export-") as folder:
        path = Path(folder) / "messages.xlsx"
        total = 0
        with xlsxwriter.Workbook(str(path), {"constant_memory": True, "tmpdir": folder}) as book:
            styles = {
                "head": book.add_format({"bold": True, "bottom": 1}),
                "time": book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"}),
            }
            sheet, line = None, ROWS_A_SHEET + 1
            for batch, _cursor in table.batches(rows):
                for row in batch:
                    if sheet is None or line > ROWS_A_SHEET:
                        sheet, line = _sheet(book, table, styles), 1
                    _write(sheet, line, row, styles["time"])
                    line += 1
                total += len(batch)
                on_batch(len(batch))
            if sheet is None:
                _sheet(book, table, styles)
        with path.open("rb") as file:
            while piece := file.read(1 << 20):
                yield Part(piece, total)
                total = 0


def _sheet(book: Any, table: Table, styles: Mapping[str, Any]) -> Any:
    sheet = book.add_worksheet()
    if table.language == "ar":
        sheet.right_to_left()
    sheet.freeze_panes(1, 0)
    sheet.set_column(0, len(table.headings()) - 1, 18)
    sheet.write_row(0, 0, table.headings(), styles["head"])
    return sheet


def _write(sheet: Any, line: int, row: Row, clock: Any) -> None:
    for column, text in enumerate(row):
        if text is None or text == "":
            continue
        if column in Table.NUMBERS:
            sheet.write_number(line, column, float(text))
        elif column in Table.TIMES:
            moment = dt.datetime.fromisoformat(text) - _EXCEL_EPOCH
            sheet.write_number(line, column, moment.days + moment.seconds / 86400, clock)
        else:
            # Never ``write``, which would make a formula of what begins like one.
            sheet.write_string(line, column, str(text)[:LONGEST_CELL])
