"""The bell's idle poll: "nothing has changed" in one statement, before anything is built for a page.

It answers two things only, and leaves all else to the ordinary way: 304 when the person of this session may use the bell
and its tag is the one the page shows; 401 when there is no such session. In doubt (another tag, another role, a hash of
the password that is not today's, a database that does not answer) it says nothing. So it can never give away more than
that a bell has not changed. Everything is read again at each poll: whatever ends a session ends the next poll.

Asked by ``agdar/wsgi.py`` in front of Django and by ``notifications/middleware.py`` inside; docs/adr/0014 says why.
The panel that was drawn before (``notifications/panels.py``) is handed out by the same statement.
"""

from __future__ import annotations

import datetime as dt
import uuid
import zoneinfo
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, NamedTuple
from weakref import WeakSet

import psycopg
import structlog
from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, Error, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.http import parse_cookie
from django.utils import timezone
from django.utils.crypto import constant_time_compare, salted_hmac
from psycopg.errors import error_from_result
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGresult

from core.access import CAPABILITIES, Can
from core.context import bell_tag_of
from core.models import Role

log = structlog.get_logger(__name__)

PATH = "/notifications/bell/"
# Like the page's own answer: nobody keeps it. A 304 has no body whose length could be told.
HEADERS = {
    HTTPStatus.NOT_MODIFIED: {"Cache-Control": "private, no-store"},
    HTTPStatus.UNAUTHORIZED: {"Cache-Control": "private, no-store", "Content-Length": "0"},
}
# What a WSGI server's environ says once somebody has asked, so that nobody asks twice.
ASKED = "agdar.poll_asked"

# No tenant's scope is open here: the session's key is the door, as it is in Django's own query.
_SQL = """
SELECT s.auth_hash, u.password, u.is_active, t.is_active, u.role, u.id, COALESCE(b.version, 0), COALESCE(b.unread, 0),
    COALESCE(t.requires_second_factor, FALSE) AND u.second_factor_at IS NULL,
    COALESCE(l.timezone, '')
FROM core_session s
JOIN core_user u ON u.id = s.user_id
LEFT JOIN core_tenant t ON t.id = u.tenant_id
LEFT JOIN core_location l ON l.id = u.location_id
LEFT JOIN notifications_bellstate b ON b.user_id = u.id
WHERE s.session_key = %s AND s.expire_date > %s
"""


class Asker(NamedTuple):
    """Whose session it is, how they stand now, and what their bell says."""

    auth_hash: str
    password: str
    is_active: bool
    is_tenant_active: bool | None
    role: str
    user_id: uuid.UUID
    version: int
    unread: int
    # Of admins only: the clinic group wants a second step of them (``core.second_factor.is_owed``).
    is_without_factor: bool
    # Of the place where they work; empty without one.
    zone_name: str

    @property
    def tag(self) -> str:
        return bell_tag_of(self.user_id, self.version, self.unread)

    @property
    def zone(self) -> zoneinfo.ZoneInfo:
        """As ``core.selectors.zone_of`` has it."""
        return zoneinfo.ZoneInfo(self.zone_name or settings.TIME_ZONE)

    @property
    def may_ask(self) -> bool:
        """As ``core.auth`` and ``core.access`` have it. A hash by an older secret is Django's to renew."""
        return (
            self.is_active
            and bool(self.is_tenant_active)
            and not (self.role == Role.ADMIN and self.is_without_factor)
            and Can.USE_BELL in CAPABILITIES.get(self.role, ())
            and constant_time_compare(self.auth_hash, session_hash(self.password))
        )


def answer(environ: Mapping[str, Any]) -> HTTPStatus | None:
    """304 or 401 for an idle poll, from the request's WSGI environ; None: the ordinary way."""
    tag = environ.get("HTTP_HX_PTAG")
    if (
        not tag
        or environ.get("PATH_INFO") != PATH
        or environ.get("REQUEST_METHOD") != "GET"
        or environ.get("HTTP_HX_REQUEST") != "true"
    ):
        return None
    try:
        asker = asker_of(environ)
    except Error:
        return None
    if asker is None:
        return HTTPStatus.UNAUTHORIZED
    return HTTPStatus.NOT_MODIFIED if asker.tag == tag and asker.may_ask else None


def asker_of(environ: Mapping[str, Any]) -> Asker | None:
    """Whose session the request's cookie is; None when it is nobody's. Whether they may ask is for them to say.

    Raises ``django.db.Error`` when the database does not answer; the next query gets a new connection.
    """
    key = parse_cookie(environ.get("HTTP_COOKIE", "")).get(settings.SESSION_COOKIE_NAME, "")
    # What is no key of ours would not even be a legal parameter (a zero byte).
    if not (key.isascii() and key.isalnum()):
        return None
    try:
        return find(key, timezone.now())
    except Error as error:
        # The ordinary way tries it over a new connection, and says to the person what it finds.
        log.warning("poll.unanswered", error=type(error).__name__)
        connections[DEFAULT_DB_ALIAS].close()
        raise


def find(session_key: str, now: dt.datetime) -> Asker | None:
    """The signed-in person of a session that is not over. One statement."""
    # The name ``connection`` would lead through two proxies at each use.
    database = connections[DEFAULT_DB_ALIAS]
    if database.vendor == "postgresql" and not (database.queries_logged or database.execute_wrappers):
        return _find_planned(database, session_key, now)
    with database.cursor() as cursor:
        cursor.execute(_SQL, [session_key, database.ops.adapt_datetimefield_value(now)])
        row = cursor.fetchone()
    if row is None:
        return None
    asker = Asker(*row)
    # SQLite keeps an id as 32 digits.
    return asker._replace(user_id=uuid.UUID(row[5])) if database.vendor == "sqlite" else asker


def session_hash(password: str) -> str:
    """``AbstractBaseUser.get_session_auth_hash`` of a user with this password, without making the user."""
    salt = "django.contrib.auth.models.AbstractBaseUser.get_session_auth_hash"
    return salted_hmac(salt, password, algorithm="sha256").hexdigest()


# The connections that have the plan. A closed one goes, and its plan with it.
_planned: WeakSet[psycopg.Connection[Any]] = WeakSet()
_PLAN = b"agdar_poll"
_PLANNED_SQL = (_SQL % ("$1", "$2")).encode()


def _find_planned(database: BaseDatabaseWrapper, session_key: str, now: dt.datetime) -> Asker | None:
    """The same by libpq's own calls. Planning five tables takes PostgreSQL longer than walking them, so a connection plans
    once; and cursors, which Django and psycopg make for any statement and any type, take longer than PostgreSQL.

    Whoever listens to Django's queries (a test that counts them, a log) gets them by Django's cursor instead.
    """
    database.close_if_health_check_failed()
    database.ensure_connection()
    raw = database.connection
    with database.wrap_database_errors:
        if raw not in _planned:
            _checked(raw.pgconn.prepare(_PLAN, _PLANNED_SQL), ExecStatus.COMMAND_OK)
            _planned.add(raw)
        values = [session_key.encode(), now.isoformat().encode()]
        found = _checked(raw.pgconn.exec_prepared(_PLAN, values), ExecStatus.TUPLES_OK)
    if not found.ntuples:
        return None
    auth_hash, password, is_active, is_tenant_active, role, user_id, version, unread, is_without_factor, zone_name = (
        (found.get_value(0, column) or b"").decode() for column in range(found.nfields)
    )
    return Asker(
        auth_hash,
        password,
        is_active == "t",
        is_tenant_active == "t",
        role,
        uuid.UUID(user_id),
        int(version),
        int(unread),
        is_without_factor == "t",
        zone_name,
    )


def _checked(result: PGresult, expected: ExecStatus) -> PGresult:
    if result.status != expected:
        raise error_from_result(result)
    return result
