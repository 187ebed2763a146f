"""A list from a file → recipients and row errors, in one pass, a few thousand rows at a time.

Only patients are written to, so each row must find one: by file number, else by phone, else by email. A phone is no
identity: families share one, and a name then tells who is meant. The messages go to the address in the patient's file,
whatever the list says, because that is the one that has been checked and that an opt-out belongs to.
"""

from __future__ import annotations

import contextlib
import itertools
import re
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import IO, Any

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.utils.translation import gettext as _

from core import phone as phones
from core.bulk import insert_rows, tell_planner
from core.errors import DomainError
from core.ids import ordered_uuids
from core.models import Guardianship, Patient
from core.selectors import western_digits
from integrations.bulk import columns, reading
from integrations.bulk.columns import Columns
from notifications.bulk_states import RowProblem
from notifications.bulk_values import LONGEST
from notifications.models import BulkRecipient, BulkRowError, BulkSend

CHUNK = 5000
MANY = 5000
# A Saudi mobile number as it is typed, after spaces and dashes: what phonenumbers takes 50 times as long to say.
_SAUDI = re.compile(r"(?:\+?966|00966|0)?(5(?:[013-689][0-9]|7[0-8])[0-9]{6})", re.ASCII)
_NOISE = str.maketrans("", "", " -().\u200e\u200f\u202a\u202c\u00a0\t")
_LANGUAGES = {
    **dict.fromkeys(("", "ar", "en"), True),
    **dict.fromkeys(("arabic", "english", "عربي", "العربية", "انجليزي", "الانجليزية", "إنجليزي", "الإنجليزية"), True),
}


@dataclass(slots=True)
class _Line:
    """A row of the file whose form is right; who it is comes from the database."""

    row: int
    mrn: str
    phone: str
    email: str
    name: str
    values: dict[str, str]


@dataclass(slots=True)
class _State:
    """What the pass carries from chunk to chunk."""

    bulk: BulkSend
    cols: Columns
    position: int = 0
    errors: int = 0
    # Patient → the row that found them first.
    seen: dict[uuid.UUID, int] = field(default_factory=dict)
    problems: list[tuple[int, str, RowProblem, int | None]] = field(default_factory=list)


def read(bulk: BulkSend, file: IO[bytes], name: str) -> int:
    """Fills a draft from a file; returns how many recipients there are. The scope is open.

    Sets the send's file name, counts and placeholders. Raises ``DomainError`` for a file that is no such list.
    """
    # Closed here, while the file still is open.
    with contextlib.closing(reading.rows(file, name)) as lines:
        header = next(lines, None)
        if header is None:
            raise DomainError(_("This file is empty."), code="file_empty")
        state = _State(bulk, columns.understand(header[1]))
        count = 0
        while chunk := list(itertools.islice(lines, CHUNK)):
            count += len(chunk)
            _take(state, chunk)
    if not count:
        raise DomainError(_("This file has a header and no rows."), code="file_empty")
    bulk.file_name, bulk.row_count, bulk.error_count = name[:200], count, state.errors
    bulk.variables = list(state.cols.others)
    bulk.save(update_fields=["file_name", "row_count", "error_count", "variables", "updated_at"])
    if count >= MANY:
        tell_planner(BulkRecipient, BulkRowError)
    return state.position


def _take(state: _State, chunk: Sequence[tuple[int, reading.Row]]) -> None:
    lines = [line for line in (_line(state, row, cells) for row, cells in chunk) if line is not None]
    found = list(_found(state, lines))
    keys = ordered_uuids(len(found) + len(state.problems))
    insert_rows(
        BulkRecipient,
        (
            {
                "id": keys.pop(),
                "tenant_id": state.bulk.tenant_id,
                "bulk_id": state.bulk.pk,
                "position": position,
                "patient_id": patient_id,
                "row": line.row,
                "values": line.values,
                "object_id": None,
                "object_version": 0,
                "reason": "",
                "folded_into": None,
            }
            for position, (line, patient_id) in enumerate(found, start=state.position + 1)
        ),
    )
    state.position += len(found)
    state.errors += len(state.problems)
    insert_rows(
        BulkRowError,
        (
            {
                "id": keys.pop(),
                "tenant_id": state.bulk.tenant_id,
                "bulk_id": state.bulk.pk,
                "row": row,
                "column": column,
                "problem": problem.value,
                "other_row": other,
            }
            for row, column, problem, other in state.problems
        ),
    )
    state.problems.clear()


# --- the form of a row -----------------------------------------------------------------------------------------------


def _line(state: _State, row: int, cells: reading.Row) -> _Line | None:
    """The row, or None with its problem noted."""
    cols = state.cols
    # Rows may be shorter than the header. The last one, empty, stands for the columns that are not there.
    width = len(cols.headers)
    cells = [*cells[:width], *[""] * (width + 1 - len(cells[:width]))]
    mrn, typed, email, name, language = [cells[place] for place in cols.places]
    if not mrn.isascii():
        mrn = western_digits(mrn)
    number = ""
    if typed:
        number = e164(typed)
        if not number:
            _problem(state, row, cols.header(cols.phone), RowProblem.PHONE_INVALID)
            return None
    if email and not _is_email(email):
        _problem(state, row, cols.header(cols.email), RowProblem.EMAIL_INVALID)
        return None
    if not (mrn or number or email):
        _problem(state, row, "", RowProblem.NOTHING_TO_FIND)
        return None
    if language and language.casefold() not in _LANGUAGES:
        _problem(state, row, cols.header(cols.language), RowProblem.LANGUAGE_UNKNOWN)
        return None
    values = {}
    for placeholder, place in cols.others.items():
        text = cells[place]
        if len(text) > LONGEST:
            _problem(state, row, cols.header(place), RowProblem.VALUE_LONG)
            return None
        if text:
            values[placeholder] = text
    return _Line(row, mrn, number, email.casefold(), name, values)


def _problem(state: _State, row: int, column: str, problem: RowProblem, other: int | None = None) -> None:
    state.problems.append((row, column, problem, other))


def e164(typed: str) -> str:
    """``core.phone.to_e164``, quick for the usual; empty for what is no mobile number."""
    # Most are plain already, and there are 100,000.
    plain = typed if typed.isascii() and typed.isalnum() else western_digits(typed).translate(_NOISE)
    usual = _SAUDI.fullmatch(plain)
    return f"+966{usual[1]}" if usual else _unusual(plain)


@lru_cache(maxsize=4096)
def _unusual(plain: str) -> str:
    try:
        return phones.to_e164(plain)
    except ValidationError:
        return ""


def _is_email(text: str) -> bool:
    try:
        validate_email(text)
    except ValidationError:
        return False
    return len(text) <= 254


# --- who it is -------------------------------------------------------------------------------------------------------


def _found(state: _State, lines: Sequence[_Line]) -> Iterator[tuple[_Line, uuid.UUID]]:
    """The patients of the lines; what finds none, several, or one again is noted as a problem. Five queries at most."""
    cols = state.cols
    own_phones: dict[uuid.UUID, str] = {}
    by_mrn = _patients_by("mrn", {line.mrn for line in lines if line.mrn}, own_phones=own_phones)
    rest = [line for line in lines if not line.mrn]
    # Beside a file number, phone and name together say whether it is the right one. Nearly always the phone does.
    doubted = [line for line in lines if line.name and line.phone and line.mrn in by_mrn]
    doubted = [line for line in doubted if own_phones[by_mrn[line.mrn][0]] != line.phone]
    phones_asked = {line.phone for line in (*rest, *doubted) if line.phone}
    by_phone = _patients_by("phone", phones_asked, with_guardians=True)
    by_email = _patients_by("email", {line.email for line in rest if line.email and not line.phone})
    several = [people for found in (by_phone, by_email) for people in found.values() if len(people) > 1]
    doubted = [line for line in doubted if by_mrn[line.mrn][0] not in by_phone.get(line.phone, by_mrn[line.mrn])]
    several += [[*by_mrn[line.mrn], *by_phone[line.phone]] for line in doubted]
    names = _names(several)
    swapped = {
        line.row
        for line in doubted
        if not _is_name_of(line.name, names[by_mrn[line.mrn][0]])
        and any(_is_name_of(line.name, names[one]) for one in by_phone[line.phone])
    }
    for line in lines:
        if line.mrn:
            people, column, missing = by_mrn.get(line.mrn, ()), cols.mrn, RowProblem.FILE_NUMBER_UNKNOWN
        elif line.phone:
            people, column, missing = by_phone.get(line.phone, ()), cols.phone, RowProblem.PERSON_UNKNOWN
        else:
            people, column, missing = by_email.get(line.email, ()), cols.email, RowProblem.PERSON_UNKNOWN
        if len(people) > 1 and line.name:
            people = [one for one in people if _is_name_of(line.name, names[one])] or people
        if line.row in swapped:
            # A column that was sorted without the others: these values would go to somebody else.
            _problem(state, line.row, cols.header(column), RowProblem.FILE_NUMBER_OTHER)
        elif not people:
            _problem(state, line.row, cols.header(column), missing)
        elif len(people) > 1:
            _problem(state, line.row, cols.header(column), RowProblem.PERSON_UNCLEAR)
        else:
            first = state.seen.setdefault(people[0], line.row)
            if first == line.row:
                yield line, people[0]
            else:
                _problem(state, line.row, cols.header(column), RowProblem.REPEATED, first)


_Found = dict[str, Sequence[uuid.UUID]]


def _patients_by(
    column: str,
    values: set[str],
    *,
    with_guardians: bool = False,
    own_phones: dict[uuid.UUID, str] | None = None,
) -> _Found:
    """Value → the patients who have it; nearly always one. ``own_phones`` gets the number in each of their files."""
    found: _Found = {}
    if not values:
        return found
    wanted = list(values)
    rows: Any = Patient.objects.filter(is_active=True, merged_into=None, **{f"{column}__among": wanted}).order_by()
    for key, pk, phone in rows.values_list(column, "pk", "phone"):
        found[key] = (*found[key], pk) if key in found else (pk,)
        if own_phones is not None:
            own_phones[pk] = phone
    if column == "email":
        found = {key.casefold(): people for key, people in found.items()}
    missing = [value for value in wanted if value not in found] if with_guardians else []
    if missing:
        # A mother's phone finds her children, unless it finds her herself.
        children = Guardianship.objects.filter(guardian__phone__among=missing, is_primary=True)
        for key, pk in children.values_list("guardian__phone", "patient_id"):
            found[key] = (*found.get(key, ()), pk)
    return found


def _names(several: Sequence[Sequence[uuid.UUID]]) -> dict[uuid.UUID, tuple[str, str]]:
    """The names, in both scripts, of those between whom a name must decide."""
    ids = {pk for people in several for pk in people}
    rows = Patient.objects.filter(pk__among=ids).values_list("pk", "name_en", "name_ar") if ids else ()
    return {pk: (name_en, name_ar) for pk, name_en, name_ar in rows}


def _is_name_of(typed: str, names: tuple[str, str]) -> bool:
    """Every word of the typed name is one of the person's, in either script."""
    words = {word for name in names for word in name.casefold().split()}
    return set(typed.casefold().split()) <= words


# --- for the reader --------------------------------------------------------------------------------------------------


def error_rows(bulk: BulkSend) -> Iterator[tuple[int, str, str]]:
    """(row, column, what is wrong) in the reader's language, in constant memory."""
    labels = {value: str(label) for value, label in RowProblem.choices}
    rows = BulkRowError.objects.filter(bulk=bulk).order_by("row").values_list("row", "column", "problem", "other_row")
    for row, column, problem, other in rows.iterator(chunk_size=2000):
        why = labels[problem]
        yield row, column, f"{why} ({other})" if other else why
