"""django-notifications-hq tells many, in a process of its own (see ``hq.py``).

``python -m benchmarks.staff_bell.hq_notify COUNT``: makes the users that are missing, tells COUNT of them in one
transaction, takes it back, and prints the seconds it took and the statements it needed.
"""

from __future__ import annotations

import json
import sys
import time


def main() -> None:
    import django

    django.setup()
    from django.contrib.auth.models import User
    from django.db import connection, transaction

    from notifications.models import Notification
    from notifications.signals import notify

    count = int(sys.argv[1])
    have = User.objects.filter(username__startswith="told").count()
    User.objects.bulk_create(User(username=f"told{number}", password="!bench") for number in range(have, count))
    actor = User.objects.exclude(username__startswith="told").earliest("pk")
    people = User.objects.filter(username__startswith="told")

    def tell(some: object) -> None:
        # One transaction: it saves row by row, and without that each row would be committed alone.
        with transaction.atomic():
            notify.send(actor, recipient=some, verb="Lab closed", description="Until Sunday 10:30, use the main lab.")

    tell(people[:100])  # imports, plans, content types
    connection.force_debug_cursor = False
    began = time.perf_counter()
    tell(people[:count])
    elapsed = time.perf_counter() - began
    made = Notification.objects.filter(verb="Lab closed")
    if made.count() != count + min(count, 100):
        raise RuntimeError(f"told {made.count()} instead of {count}")
    made.delete()
    print(json.dumps(elapsed))


if __name__ == "__main__":
    main()
