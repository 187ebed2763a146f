"""Rows → the lines of a CSV file that a spreadsheet program opens without harm.

Must never import anything of the other apps.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence

# A cell that begins with one of these is a formula to a spreadsheet program, and a name or a reply can begin so
# (OWASP, “CSV Injection”). The last four are the wide forms that some programs read alike.
FORMULA = "=+-@\t\r\n\uff1d\uff0b\uff0d\uff20"
# Blanks and marks of direction, which a program may take away and then read what stands behind them.
UNSEEN = " \u00a0\u061c\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff"
# Without it Excel takes Arabic for Latin letters.
_BYTE_ORDER_MARK = "\ufeff"


def harmless(value: object) -> object:
    """A text that would be read as a formula gets an apostrophe before it; everything else stays what it is."""
    if isinstance(value, str) and value.lstrip(UNSEEN).startswith(tuple(FORMULA)):
        return f"'{value}"
    return value


class _Line:
    """What ``csv.writer`` writes to; the line is handed on at once instead of being kept."""

    def write(self, line: str) -> str:
        return line


def csv_lines(rows: Iterable[Sequence[object]], *, lines: int = 500) -> Iterator[str]:
    """The file in pieces of ``lines`` lines, as the rows come: memory does not grow with the file."""
    writer = csv.writer(_Line())
    piece = [_BYTE_ORDER_MARK]
    for row in rows:
        piece.append(writer.writerow([harmless(value) for value in row]))  # what ``write`` returns
        if len(piece) >= lines:
            yield "".join(piece)
            piece = []
    yield "".join(piece)
