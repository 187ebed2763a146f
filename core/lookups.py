"""``field__among=[…]``: what ``__in`` says, as one parameter instead of hundreds. Registered by ``CoreConfig.ready()``.

Django writes a placeholder for each value, which psycopg then splits and fills one by one; with a batch of 200 keys and
a dozen such queries that is a sixth of a worker's time. PostgreSQL takes an array. Other databases get the plain IN.
"""

from __future__ import annotations

from typing import Any

from django.db.models import Field, ForeignObject, lookups


class Among(lookups.In):
    """Never for a subquery, and None matches nothing, as in SQL."""

    lookup_name = "among"

    def as_postgresql(self, compiler: Any, connection: Any) -> tuple[str, list[Any]]:
        left, parameters = self.process_lhs(compiler, connection)
        assert isinstance(self.lhs.output_field, Field)
        kind = str(self.lhs.output_field.cast_db_type(connection)).partition("(")[0]
        return f"{left} = ANY(%s::{kind}[])", [*parameters, list(self.rhs)]


def register() -> None:
    Field.register_lookup(Among)
    # Keys of other tables look in a list of their own.
    ForeignObject.register_lookup(Among)
