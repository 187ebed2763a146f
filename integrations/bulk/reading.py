"""An uploaded list → rows of text: CSV in the forms that spreadsheets of the region write, and XLSX. No models here.

Memory is bounded by the limits below, whatever the file claims of itself: an XLSX is a ZIP, and a few kilobytes of it
can unpack to gigabytes, or name a single cell a million columns away.
"""

from __future__ import annotations

import codecs
import contextlib
import csv
import datetime as dt
import io
import lzma
import re
import struct
import zipfile
import zlib
from collections.abc import Generator, Iterator
from typing import IO

from django.utils.translation import gettext as _

from core.errors import DomainError

MOST_BYTES = 20 * 1024 * 1024
MOST_ROWS = 100_000
MOST_COLUMNS = 50
# An honest list of 100,000 rows unpacks to about 40 MB.
MOST_UNPACKED = 200 * 1024 * 1024
MOST_PARTS = 500
_PIECE = 1 << 20
# A cell beyond column AZ or row 110,000 by its name: the reader would make room for everything before it.
_FAR_CELL = re.compile(rb'\br="(?:[A-Z]{3,}\d|[B-Z][A-Z]\d|[A-Z]*(?:1[1-9]\d{4}|[2-9]\d{5}|\d{7,})")')
# A row with cells that a filter or a hand has hidden.
_HIDDEN_ROW = re.compile(rb'<(?:\w+:)?row\b[^<>]{0,400}\bhidden="(?:1|true)"[^<>]{0,400}>\s*<(?:\w+:)?c\b')
# All that ``zipfile`` raises for bytes that are no ZIP, or only begin like one.
_NO_ZIP = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error),
    *(NotImplementedError, RuntimeError, ValueError, EOFError, OSError),
)
_ZIP = b"PK\x03\x04"
_OLD_EXCEL = b"\xd0\xcf\x11\xe0"

Row = list[str]


def rows(file: IO[bytes], name: str) -> Generator[tuple[int, Row], None, None]:
    """(number as the spreadsheet shows it, texts) of each row that is not empty, the header first.

    Raises ``DomainError`` for what is no list: too large, another format, no readable text.
    """
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    if not size:
        raise DomainError(_("This file is empty."), code="file_empty")
    if size > MOST_BYTES:
        raise DomainError(
            _("This file is larger than %(most)s MB.") % {"most": MOST_BYTES >> 20}, code="file_too_large"
        )
    start = file.read(4)
    file.seek(0)
    if start == _ZIP:
        found = _of_xlsx(file)
    elif start == _OLD_EXCEL or not name.lower().endswith((".csv", ".txt", ".tsv")):
        raise DomainError(_("Upload a CSV file or an Excel file (.xlsx)."), code="file_format")
    else:
        found = _of_csv(file)
    # Closed with us, and not when somebody collects it: the file may be gone by then.
    with contextlib.closing(found):
        yield from _within_limits(found)


def _within_limits(found: Iterator[tuple[int, Row]]) -> Iterator[tuple[int, Row]]:
    count = 0
    for number, cells in found:
        text = "".join(cells)
        if not text:
            continue
        if "\x00" in text:
            # No database keeps it, and no list has it.
            raise _broken(number)
        count += 1
        # The header is one more.
        if count > MOST_ROWS + 1:
            raise DomainError(
                _("This list has more than %(most)s rows. Split it.") % {"most": f"{MOST_ROWS:,}"}, code="file_too_long"
            )
        if len(cells) > MOST_COLUMNS:
            raise DomainError(
                _("This list has more than %(most)s columns.") % {"most": MOST_COLUMNS}, code="file_too_wide"
            )
        yield number, cells


def _broken(row: int) -> DomainError:
    return DomainError(_("Row %(row)s of this file cannot be read.") % {"row": row}, code="file_broken")


# --- CSV -------------------------------------------------------------------------------------------------------------


def _of_csv(file: IO[bytes]) -> Generator[tuple[int, Row], None, None]:
    encoding = _encoding(file)
    text = io.TextIOWrapper(file, encoding=encoding, newline="")
    row = 0
    try:
        head = text.read(64 * 1024)
        text.seek(0)
        if "\x00" in head:
            raise DomainError(_("Upload a CSV file or an Excel file (.xlsx)."), code="file_format")
        reader = csv.reader(text, delimiter=_delimiter(head))
        for cells in reader:
            row = reader.line_num
            yield row, [cell.strip() for cell in cells]
    except (csv.Error, UnicodeDecodeError) as error:
        # What its mark promises is not what follows, or it was cut off in the middle of a letter.
        raise _broken(row + 1) from error
    finally:
        # The file belongs to the caller.
        text.detach()


def _encoding(file: IO[bytes]) -> str:
    """By its mark; without one UTF-8 if all of it is, else what Arabic Windows writes."""
    start = file.read(4)
    file.seek(0)
    if start.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        while piece := file.read(_PIECE):
            decoder.decode(piece)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return "windows-1256"
    finally:
        file.seek(0)
    return "utf-8"


def _delimiter(head: str) -> str:
    """The most frequent of the usual ones in the header line."""
    line = head.lstrip("\r\n").partition("\n")[0]
    return max(",;\t", key=line.count)


# --- XLSX ------------------------------------------------------------------------------------------------------------


def _of_xlsx(file: IO[bytes]) -> Generator[tuple[int, Row], None, None]:
    """The first sheet that can be seen: people send what they have looked at."""
    from python_calamine import CalamineError, SheetTypeEnum, SheetVisibleEnum, load_workbook

    _refuse_bombs(file)
    try:
        book = load_workbook(file)
        shown = (
            one.name
            for one in book.sheets_metadata
            if one.typ == SheetTypeEnum.WorkSheet and one.visible == SheetVisibleEnum.Visible
        )
        sheet = book.get_sheet_by_name(next(shown, book.sheet_names[0]))
        first = sheet.start[0] if sheet.start is not None else 0
        for number, cells in enumerate(sheet.iter_rows(), start=first + 1):
            yield number, [_text(cell) for cell in cells]
    except (CalamineError, ValueError, IndexError) as error:
        raise DomainError(_("This Excel file cannot be read. Save it again, or as CSV."), code="file_broken") from error


def _refuse_bombs(file: IO[bytes]) -> None:
    """Unpacks everything once, piece by piece, and counts: the sizes that a ZIP names are only a claim.

    Also refuses a list of which rows are hidden: who filters it means to write to those who are left, and the file
    still holds all of them.
    """
    unpacked = 0
    try:
        with zipfile.ZipFile(file) as parts:
            entries = parts.infolist()
            if len(entries) > MOST_PARTS:
                raise _suspect()
            for entry in entries:
                is_sheet = entry.filename.startswith("xl/worksheets/")
                rest = b""
                with parts.open(entry) as part:
                    while piece := part.read(_PIECE):
                        unpacked += len(piece)
                        if unpacked > MOST_UNPACKED:
                            raise _suspect()
                        if not is_sheet:
                            continue
                        # With the end of the last one: a name or a row's beginning may stand across two pieces.
                        text = rest + piece
                        if _FAR_CELL.search(text):
                            raise _suspect()
                        if b"hidden=" in text and _HIDDEN_ROW.search(text):
                            raise _hidden()
                        rest = piece[-512:]
    except _NO_ZIP as error:
        raise DomainError(_("This Excel file cannot be read. Save it again, or as CSV."), code="file_broken") from error
    finally:
        file.seek(0)


def _suspect() -> DomainError:
    return DomainError(
        _("This Excel file has cells far outside the list. Copy the list into a new file."), code="file_suspect"
    )


def _hidden() -> DomainError:
    return DomainError(
        _("Rows of this Excel file are hidden. Show them, or copy those you mean into a new file."), code="file_hidden"
    )


def _text(cell: object) -> str:
    match cell:
        case str():
            return cell.strip()
        case bool():
            return "yes" if cell else "no"
        case float():
            # Excel keeps every number as one of these: a phone, a file number.
            return str(int(cell)) if cell.is_integer() else str(cell)
        case dt.datetime():
            return f"{cell:%Y-%m-%d}" if cell.time() == dt.time(0) else f"{cell:%Y-%m-%d %H:%M}"
        case dt.date():
            return cell.isoformat()
        case dt.time():
            return f"{cell:%H:%M}"
    return str(cell).strip() if cell is not None else ""
