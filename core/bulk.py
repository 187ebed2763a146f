"""Writes many rows in one statement: COPY and UPDATE … FROM on PostgreSQL, the plain ways elsewhere.

For the paths where thousands of rows a second are written (messages, logs, attempts). Nothing of Django's save() runs:
no signals, no validation; ``auto_now`` fields are filled. Must never import anything of the other apps.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from operator import itemgetter
from typing import Any

from django.db import connection, models
from django.utils import timezone
from psycopg.types.json import set_json_dumps


def insert_rows(model: type[models.Model], rows: Iterable[Mapping[str, Any]]) -> None:
    """Inserts rows given as attname → value, all with the same names; see ``blank_row`` for the ones left out.

    On PostgreSQL the rows go out as they come: a generator makes the next ones while the database writes the first. It may
    ask the database nothing meanwhile. Raises IntegrityError as one INSERT would, and then inserts none.
    """
    rows = iter(rows)
    first = next(rows, None)
    if first is None:
        return
    rows = itertools.chain([first], rows)
    fields = [_field(model, name) for name in first]
    columns = ", ".join(f'"{field.column}"' for field in fields)
    table = model._meta.db_table
    if connection.vendor != "postgresql":
        places = ", ".join(["%s"] * len(fields))
        with connection.cursor() as cursor:
            cursor.executemany(
                f'INSERT INTO "{table}" ({columns}) VALUES ({places})',  # noqa: S608  # names of ours only
                [[field.get_db_prep_save(row[field.attname], connection) for field in fields] for row in rows],
            )
        return
    values = itemgetter(*(field.attname for field in fields))
    with (
        connection.cursor() as cursor,
        # Django wraps the errors of execute() only.
        connection.wrap_database_errors,
        # Binary: a third of the time of text for keys and times, on both sides.
        cursor.copy(f'COPY "{table}" ({columns}) FROM STDIN (FORMAT BINARY)') as copy,  # names of ours only
    ):
        set_json_dumps(_as_json, copy.cursor)
        copy.set_types([_plain_type(field) for field in fields])
        for row in rows:
            copy.write_row(values(row))


def tell_planner(*tables: type[models.Model]) -> None:
    """After thousands of new rows: PostgreSQL's planner learns of them now, not when autovacuum comes round.

    With the old figures it reads a whole backlog where a few rows by their keys were asked for.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            for model in tables:
                cursor.execute(f'ANALYZE "{model._meta.db_table}"')


def blank_row(model: type[models.Model]) -> dict[str, Any]:
    """Every attname with its default, and now where Django would fill it in: the start of a row for ``insert_rows``."""
    now = timezone.now()
    row = {field.attname: field.get_default() for field in model._meta.concrete_fields}
    return row | dict.fromkeys(_filled_with_now(model), now)


def update_rows(model: type[models.Model], rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
    """Sets ``columns`` (field attnames) of each row, found by its ``id``. All rows have all the columns."""
    if not rows or not columns:
        return
    key = model._meta.pk
    fields = [_field(model, name) for name in columns]
    assert key is not None
    table = f'"{model._meta.db_table}"'
    if connection.vendor == "postgresql":
        # One parameter: an array for each column would be quoted value by value, in Python.
        typed = ", ".join(f'"{field.column}" {_loose_type(field)}' for field in (key, *fields))
        assignments = ", ".join(f'"{field.column}" = new."{field.column}"' for field in fields)
        statement = (
            f"UPDATE {table} SET {assignments} FROM json_to_recordset(%s::json) AS new({typed}) "  # noqa: S608  # names of ours only
            f'WHERE {table}."{key.column}" = new."{key.column}"'
        )
        names = [(field.column, field.attname) for field in fields]
        values = [{key.column: row["id"], **{column: row[name] for column, name in names}} for row in rows]
        with connection.cursor() as cursor:
            cursor.execute(statement, [json.dumps(values, default=str)])
        return
    assignments = ", ".join(f'"{field.column}" = %s' for field in fields)
    statement = f'UPDATE {table} SET {assignments} WHERE "{key.column}" = %s'  # noqa: S608  # names of ours only
    with connection.cursor() as cursor:
        cursor.executemany(
            statement,
            [
                [
                    *(field.get_db_prep_save(row[field.attname], connection) for field in fields),
                    key.get_db_prep_save(row["id"], connection),
                ]
                for row in rows
            ],
        )


def _as_json(value: Any) -> str:
    # Most are empty, and there are two in every message.
    return _encode(value) if value or type(value) not in _EMPTY else _EMPTY[type(value)]


# ``json.dumps`` with an argument makes an encoder for every call.
_encode = json.JSONEncoder(default=str).encode
_EMPTY: dict[type, str] = {dict: "{}", list: "[]"}


@cache
def _field(model: type[models.Model], attname: str) -> models.Field[Any, Any]:
    return next(field for field in model._meta.concrete_fields if field.attname == attname)


@cache
def _filled_with_now(model: type[models.Model]) -> tuple[str, ...]:
    return tuple(
        field.attname
        for field in model._meta.concrete_fields
        if getattr(field, "auto_now", False) or getattr(field, "auto_now_add", False)
    )


@cache
def _loose_type(field: models.Field[Any, Any]) -> str:
    """Text without its length: varchar(n) would cut what is too long instead of refusing it."""
    kind = str(field.cast_db_type(connection))
    return "text" if kind.startswith("varchar") else kind


@cache
def _plain_type(field: models.Field[Any, Any]) -> str:
    """The column's type without its length."""
    return str(field.cast_db_type(connection)).partition("(")[0]
