"""The table that an export holds, row by row, and how it becomes a CSV or Excel file. Writes no table, knows no export.

The rows come by keyset, a few thousand at a time, and not by one cursor over all: no transaction stays open for a
minute, which would keep the database from tidying up, and a file can go on where its worker died. Memory does not grow
with the rows.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import re
import tempfile
import zoneinfo
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import xlsxwriter
from django.db.models import CharField, QuerySet, Value
from django.db.models.functions import Cast, Coalesce, NullIf, TruncSecond
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from core.keyset import Place
from core.models import User
from notifications import default_words
from notifications.message_filters import provider_choices
from notifications.models import Message, MessageTemplate
from notifications.states import Channel, NotificationType, Reason, Status

BATCH = 5_000
# Excel ends at 1,048,576 rows; one is the heading.
ROWS_A_SHEET = 1_000_000
LONGEST_CELL = 32_767
# A cell that begins like this is run as a formula by some program, also behind blanks (OWASP, "CSV Injection").
_STARTS = frozenset("=+-@\t\r\n \u00a0\uff1d\uff0b\uff0d\uff20\u2066\u2067\u2068\u200e\u200f")
_FORMULA = re.compile("^[\\s\u2066-\u2069\u200e\u200f]*[=+\\-@\uff1d\uff0b\uff0d\uff20]|^[\t\r\n]")
_NUMBER = re.compile(r"\+\d{7,15}", re.ASCII)
# What Excel counts days from.
_EXCEL_EPOCH = dt.datetime(1899, 12, 30)  # noqa: DTZ001  # a wall clock


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a file: its bytes, how many rows they hold, and the cursor of the last one."""

    data: bytes
    rows: int = 0
    after: str = ""


def safe(text: str) -> str:
    """The text, harmless in a spreadsheet: an apostrophe before what would be run. A bare phone number is none."""
    if not text or text[0] not in _STARTS or not _FORMULA.match(text) or _NUMBER.fullmatch(text):
        return text
    return f"'{text}"


class Table:
    """The columns in the reader's language (the active one), on the clock of ``zone``."""

    def __init__(self, *, zone: zoneinfo.ZoneInfo, language: str, with_text: bool) -> None:
        self.zone, self.language, self.with_text = zone, language, with_text
        self._channels = _labels(Channel.choices)
        self._types = _labels(NotificationType.choices)
        self._statuses = _labels(Status.choices)
        self._reasons = {"": "", **_labels(Reason.choices)}
        self._providers = {"": "", **{name: str(label) for name, label in provider_choices()}}
        self._languages = {"en": _("English"), "ar": _("Arabic")}
        self._templates = {row.pk: default_words.title(row) for row in MessageTemplate.objects.all()}
        self._people = {row.pk: row.name for row in User.objects.all()}

    def headings(self) -> list[str]:
        names = [
            *(_("Created"), _("Name"), _("File number"), _("Address"), _("Channel"), _("Type"), _("Template")),
            *(_("Status"), _("Reason"), _("Sent"), _("Delivered"), _("Read"), _("Failed")),
            *(pgettext("sends messages", "Provider"), _("Segments"), _("Cost"), _("Currency"), _("Retries")),
            *(_("Error code"), _("Error"), _("Sent by"), _("Language"), _("Message number")),
        ]
        return [*names, _("Subject"), _("Text")] if self.with_text else names

    # Of the columns above.
    TIMES = (0, 9, 10, 11, 12)
    NUMBERS = (14, 15, 17)

    def batches(self, rows: QuerySet[Message], *, after: str = "") -> Iterator[tuple[list[list[str]], str]]:
        """``BATCH`` rows at a time, the latest first, with the cursor of the last one; ``after`` a cursor."""
        values = rows.values_list(*self._columns())
        while True:
            place = Place.read(after) if after else None
            found = list((values.filter(place.older("created_at")) if place else values)[:BATCH])
            if not found:
                return
            after = str(Place(found[-1][1], found[-1][0]))
            yield [self._row(row) for row in found], after
            if len(found) < BATCH:
                return

    def _columns(self) -> list[Any]:
        mine, other = ("name_ar", "name_en") if self.language == "ar" else ("name_en", "name_ar")
        who = Coalesce(
            *(NullIf(f"{person}__{name}", Value("")) for person in ("patient", "user") for name in (mine, other)),
            Value(""),
        )
        stamps = ["created_at", "sent_at", "delivered_at", "read_at", "failed_at"]
        text = ["subject", "body"] if self.with_text else []
        return [
            *("pk", "created_at", who, "patient__mrn", "recipient", "channel", "notification_type", "template_id"),
            *("status", "reason", "provider", "segments", "cost", "currency", "retry_count", "error_code"),
            *("error_message", "sent_by_id", "language"),
            # The database writes the wall clock: a million times five of them would be half of Python's work.
            *(Cast(TruncSecond(name, tzinfo=self.zone), CharField()) for name in stamps),
            *text,
        ]

    def _row(self, row: tuple[Any, ...]) -> list[str]:
        """From ``_columns`` to ``headings``."""
        pk, _at, name, mrn, recipient, channel, kind, template, status, reason, *rest = row
        provider, segments, cost, currency, retries, code, error, sent_by, language, *rest = rest
        created, sent, delivered, read, failed, *text = rest
        return [
            *(created, safe(name), safe(mrn or ""), safe(recipient), self._channels[channel], self._types[kind]),
            safe(self._templates.get(template, "")),
            *(self._statuses[status], self._reasons.get(reason, reason)),
            *(sent or "", delivered or "", read or "", failed or ""),
            self._providers.get(provider, provider),
            *(str(segments), "" if cost is None else str(cost), currency, str(retries), safe(code), safe(error)),
            *(safe(self._people.get(sent_by, "")), self._languages[language], str(pk)),
            *map(safe, text),
        ]


def csv_parts(table: Table, rows: QuerySet[Message], *, after: str = "") -> Iterator[Part]:
    """RFC 4180 in UTF-8, with the mark at its beginning by which Excel knows it. ``after``: goes on below that row."""
    if not after:
        yield Part(b"\xef\xbb\xbf" + _csv([table.headings()]))
    for batch, cursor in table.batches(rows, after=after):
        yield Part(_csv(batch), len(batch), cursor)


def _csv(rows: list[list[str]]) -> bytes:
    buffer = io.StringIO(newline="")
    csv.writer(buffer).writerows(rows)
    return buffer.getvalue().encode()


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


def _write(sheet: Any, line: int, row: list[str], clock: Any) -> None:
    for column, text in enumerate(row):
        if not text:
            continue
        if column in Table.NUMBERS:
            sheet.write_number(line, column, float(text))
        elif column in Table.TIMES:
            moment = dt.datetime.fromisoformat(text) - _EXCEL_EPOCH
            sheet.write_number(line, column, moment.days + moment.seconds / 86400, clock)
        else:
            # Never ``write``, which would make a formula of what begins like one.
            sheet.write_string(line, column, text[:LONGEST_CELL])


def _labels(choices: list[tuple[Any, Any]]) -> dict[str, str]:
    return {str(value): str(label) for value, label in choices}
