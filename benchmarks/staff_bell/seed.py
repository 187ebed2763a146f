"""Our side's rows: a clinic group with staff, their sessions and any number of notifications, by INSERT … SELECT.

Needs production's environment, ``django.setup()`` and the migrated tables (``benchmarks/ours.py``).

::

    staff = seed.found_staff(200)
    seed.fill(staff, 1_000_000)             # may be called again with more: adds what is missing
    staff.keys[0]                           # the session key of staff.user_ids[0]
    seed.tag_of(staff, staff.user_ids[0])        # what the page of that user sends with its poll
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass

# Evenly over the users; of every user one in a hundred is unread, the rest was read. Ids in the order of time, as ours.
_ROWS = """
INSERT INTO notifications_notification
    (id, tenant_id, user_id, event_key, category, title, title_ar, message, message_ar, notification_type, is_read,
     read_at, is_critical, is_muted, is_silent, override, dedupe_key, group_count, sample, activity_at, created_at,
     updated_at)
SELECT lpad(to_hex(n + 1), 32, '0')::uuid, %(tenant)s, (%(users)s::uuid[])[1 + n %% %(count)s], 'appointment.booked',
       'APPOINTMENT', 'New appointment', 'موعد جديد', 'Sara Al-Mutairi, Thursday 10:30', 'سارة المطيري، الخميس 10:30',
       'INFO', is_read, CASE WHEN is_read THEN moment END, false, false, false, '', 'bench:' || n, 1, '[]', moment,
       moment, moment
FROM generate_series(%(first)s, %(size)s - 1) AS n,
     LATERAL (SELECT (n / %(count)s) %% 100 <> 0 AS is_read, now() - (%(size)s - n) * interval '7 seconds' AS moment) m
"""
_COUNTS = """
INSERT INTO notifications_bellstate (id, tenant_id, user_id, unread, version)
SELECT gen_random_uuid(), %(tenant)s, user_id, count(*), 1 FROM notifications_notification
WHERE tenant_id = %(tenant)s AND NOT is_read AND archived_at IS NULL AND snoozed_until IS NULL
GROUP BY user_id
ON CONFLICT (user_id) DO UPDATE SET unread = excluded.unread, version = notifications_bellstate.version + 1
"""


@dataclass
class Staff:
    """A clinic group's staff; ``size`` is how many notifications they have together."""

    tenant_id: uuid.UUID
    user_ids: list[uuid.UUID]
    keys: list[str]
    size: int = 0


def found_staff(users: int, slug: str = "bell") -> Staff:
    """A clinic group with ``users`` people at the front desk, each signed in."""
    from core.models import Location, Tenant, User
    from core.tenancy import tenant_scope

    tenant = Tenant.objects.create(slug=slug, name_en="Bench", name_ar="قياس")
    with tenant_scope(tenant.pk):
        location = Location.objects.create(tenant=tenant, name_en="Olaya Branch", name_ar="فرع العليا")
        people = User.objects.bulk_create(
            User(
                tenant=tenant,
                location=location,
                email=f"user{number}@{slug}.example",
                name_en="Noura Al-Harbi",
                name_ar="نورة الحربي",
                password="!bench",
                role="FRONT_DESK",
            )
            for number in range(users)
        )
    return Staff(tenant.pk, [user.pk for user in people], [_sign_in(user) for user in people])


def fill(staff: Staff, size: int) -> None:
    """Adds notifications until there are ``size``, and sets the bells to what they must count."""
    from django.db import connection

    with connection.cursor() as cursor:
        values = {"tenant": staff.tenant_id, "users": staff.user_ids, "count": len(staff.user_ids)}
        cursor.execute(_ROWS, {**values, "first": staff.size, "size": size})
        cursor.execute(_COUNTS, values)
        cursor.execute("VACUUM ANALYZE notifications_notification, notifications_bellstate, core_session, core_user")
    staff.size = size


def tag_of(staff: Staff, user_id: uuid.UUID) -> str:
    """The tag of the bell as ``core/context.py`` writes it."""
    from core.tenancy import tenant_scope
    from notifications.models import BellState

    with tenant_scope(staff.tenant_id):
        version, unread = BellState.objects.values_list("version", "unread").get(user_id=user_id)
    return f"{user_id.hex[:12]}.{version}.{unread}"


def _sign_in(user) -> str:  # type: ignore[no-untyped-def]  # our models are not there yet when this file is read
    from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY

    from core.sessions import SessionStore

    session = SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = "core.auth.AccountBackend"
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.save()
    return str(session.session_key)
