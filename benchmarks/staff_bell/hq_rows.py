"""Users, their sessions and SIZE notifications of django-notifications-hq, in a process of its own.

``python -m benchmarks.staff_bell.hq_rows SIZE USERS``: prints a JSON list, one session key a user. See ``hq.py``.
"""

from __future__ import annotations

import json
import sys

# The actor is another user: what the list looks up for each row. One in a hundred is unread, of every user.
_ROWS = """
INSERT INTO notifications_notification
    (level, recipient_id, unread, actor_content_type_id, actor_object_id, verb, description, timestamp,
     public, deleted, emailed)
SELECT 'info', %(first)s + n %% %(users)s, (n / %(users)s) %% 100 = 0, %(type)s,
       (%(first)s + (n + 1) %% %(users)s)::text, 'New appointment', 'Sara Al-Mutairi, Thursday 10:30',
       now() - (%(size)s - n) * interval '7 seconds', true, false, false
FROM generate_series(0, %(size)s - 1) AS n
"""


def main() -> None:
    import django

    django.setup()
    from django.contrib.auth.models import User
    from django.contrib.contenttypes.models import ContentType
    from django.core.management import call_command
    from django.db import connection

    size, users = map(int, sys.argv[1:])
    with connection.cursor() as cursor:
        cursor.execute("CREATE SCHEMA IF NOT EXISTS hq")
    call_command("migrate", verbosity=0)
    people = User.objects.bulk_create(User(username=f"user{number}", password="!bench") for number in range(users))
    with connection.cursor() as cursor:
        cursor.execute(
            _ROWS,
            {"first": people[0].pk, "users": users, "size": size, "type": ContentType.objects.get_for_model(User).pk},
        )
        cursor.execute("VACUUM ANALYZE notifications_notification")
    print(json.dumps([_session(user) for user in people]))


def _session(user) -> str:  # type: ignore[no-untyped-def]  # Django is not there yet when this file is read
    from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
    from django.contrib.sessions.backends.db import SessionStore

    session = SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.save()
    return str(session.session_key)


if __name__ == "__main__":
    main()
