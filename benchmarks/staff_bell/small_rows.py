"""Our tables once more with few rows, in the schema "small", so that few and many can be asked in turns.

``python -m benchmarks.staff_bell.small_rows SIZE USERS``, in ``environment()``: prints a JSON list of
session key and tag, a pair a user.
"""

from __future__ import annotations

import json
import os
import sys

SCHEMA = "small"


def environment() -> dict[str, str]:
    """For every process that shall find the few."""
    return {"DATABASE_URL": f"{os.environ['DATABASE_URL']}?options=-c%20search_path%3D{SCHEMA}"}


def main() -> None:
    import django

    django.setup()
    from django.db import connection

    from benchmarks import ours
    from benchmarks.staff_bell import seed

    size, users = map(int, sys.argv[1:])
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE SCHEMA {SCHEMA}")
    ours.migrate()
    staff = seed.found_staff(users)
    seed.fill(staff, size)
    print(json.dumps([(key, seed.tag_of(staff, user)) for key, user in zip(staff.keys, staff.user_ids, strict=True)]))


if __name__ == "__main__":
    main()
