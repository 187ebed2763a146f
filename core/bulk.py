"""Writes many rows in one statement: COPY and UPDATE … FROM on PostgreSQL, the plain ways elsewhere.

For the paths where thousands of rows a second are written (messages, logs, attempts). Nothing of Django's save() runs:
no signals, no validation; ``auto_now`` fields are filled. Must never import anything of the other apps.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from operator import attrgetter
from typing import Any

from django.db import connection, models
from django.utils import timezone


def insert_rows(model: type[models.Model], objects: Sequence[models.Model]) -> None:
    """Inserts unsaved objects with their keys set. Raises IntegrityError as one INSERT would, and then inserts none."""
    if not objects:
        return
    now = timezone.now()
    for name in _filled_with_now(model):
        for item in objects:
            setattr(item, name, now)
    if connection.vendor != "postgresql":
        model._default_manager.bulk_create(objects, batch_size=500)
        return
    fields = model._meta.concrete_fields
    columns = ", ".join(f'"{field.column}"' for field in fields)
    values = attrgetter(*(field.attname for field in fields))
    as_json = [place for place, field in enumerate(fields) if isinstance(field, models.JSONField)]
    with (
        connection.cursor() as cursor,
        cursor.copy(f'COPY "{model._meta.db_table}" ({columns}) FROM STDIN') as copy,  # names of ours only
    ):
        for item in objects:
            row = values(item)
            if as_json:
                row = list(row)
                for place in as_json:
                    row[place] = None if row[place] is None else json.dumps(row[place], default=str)
            copy.write_row(row)


def update_rows(model: type[models.Model], rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
    """Sets ``columns`` (field attnames) of each row, found by its ``id``. All rows have all the columns."""
    if not rows or not columns:
        return
    key = model._meta.pk
    fields = [_field(model, name) for name in columns]
    assert key is not None
    table = f'"{model._meta.db_table}"'
    if connection.vendor == "postgresql":
        arrays = ", ".join(f"%s::{_array_type(field)}" for field in (key, *fields))
        names = ", ".join(f'"{field.column}"' for field in (key, *fields))
        assignments = ", ".join(f'"{field.column}" = new."{field.column}"' for field in fields)
        statement = (
            f"UPDATE {table} SET {assignments} FROM unnest({arrays}) AS new({names}) "  # noqa: S608  # names of ours only
            f'WHERE {table}."{key.column}" = new."{key.column}"'
        )
        parameters = [[row["id"] for row in rows], *([_plain(field, row) for row in rows] for field in fields)]
        with connection.cursor() as cursor:
            cursor.execute(statement, parameters)
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


def _plain(field: models.Field[Any, Any], row: Mapping[str, Any]) -> Any:
    """The value as psycopg takes it in an array, whose items must all be of one type: an enum's is not str."""
    value = row[field.attname]
    if isinstance(value, str):
        return str(value)
    return json.dumps(value, default=str) if isinstance(field, models.JSONField) and value is not None else value


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
def _array_type(field: models.Field[Any, Any]) -> str:
    """Text without its length: a cast to varchar(n) would cut what is too long instead of refusing it."""
    kind = str(field.cast_db_type(connection))
    return ("text" if kind.startswith("varchar") else kind) + "[]"
