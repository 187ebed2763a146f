"""The bell's idle poll: "nothing has changed" in one statement, before anything is built for a page.

It answers two things only, and leaves all else to the ordinary way: 304 when the person of this session may use the bell
and its tag is the one the page shows; 401 when there is no such session. In doubt (another tag, another role, a hash of
the password that is not today's, a database that does not answer) it says nothing. So it can never give away more than
that a bell has not changed. Everything is read again at each poll: whatever ends a session ends the next poll.

Asked by ``agdar/wsgi.py`` in front of Django and by ``notifications/middleware.py`` inside; docs/adr/0014 says why.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, NamedTuple

import psycopg
import structlog
from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, Error, close_old_connections, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper
from django.http import parse_cookie
from django.utils import timezone
from django.utils.crypto import constant_time_compare, salted_hmac

from core.access import CAPABILITIES, Can
from core.context import bell_tag_of

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
SELECT s.auth_hash, u.password, u.is_active, t.is_active, u.role, u.id, COALESCE(b.version, 0), COALESCE(b.unread, 0)
FROM core_session s
JOIN core_user u ON u.id = s.user_id
LEFT JOIN core_tenant t ON t.id = u.tenant_id
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

    @property
    def tag(self) -> str:
        return bell_tag_of(self.user_id, self.version, self.unread)

    @property
    def may_ask(self) -> bool:
        """As ``core.auth`` and ``core.access`` have it. A hash by an older secret is Django's to renew."""
        return (
            self.is_active
            and bool(self.is_tenant_active)
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
    key = parse_cookie(environ.get("HTTP_COOKIE", "")).get(settings.SESSION_COOKIE_NAME, "")
    # What is no key of ours would not even be a legal parameter (a zero byte).
    if not (key.isascii() and key.isalnum()):
        return HTTPStatus.UNAUTHORIZED
    try:
        asker = find(key, timezone.now())
    except Error as error:
        # The ordinary way finds the same, or a new connection, and says so to the person.
        log.warning("poll.unanswered", error=type(error).__name__)
        close_old_connections()
        return None
    if asker is None:
        return HTTPStatus.UNAUTHORIZED
    return HTTPStatus.NOT_MODIFIED if asker.tag == tag and asker.may_ask else None


def find(session_key: str, now: dt.datetime) -> Asker | None:
    """The signed-in person of a session that is not over. One statement."""
    # The name leads through two proxies at each use.
    database = connections[DEFAULT_DB_ALIAS]
    with _cursor(database) as cursor:
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


class _Prepared(psycopg.Cursor[Any]):
    """Planning four joins takes PostgreSQL longer than walking them; a connection plans this statement once."""

    def execute(self, query: Any, params: Any = None, **_how: Any) -> _Prepared:
        # Django switches preparing off for the whole connection; all but this statement shall keep to that.
        usual = self.connection.prepare_threshold
        self.connection.prepare_threshold = 0
        try:
            return super().execute(query, params, prepare=True)
        finally:
            self.connection.prepare_threshold = usual


def _cursor(database: BaseDatabaseWrapper) -> CursorWrapper:
    """Django's cursor: its errors, its log of queries. On PostgreSQL around one that prepares."""
    if database.vendor != "postgresql":
        return database.cursor()
    database.close_if_health_check_failed()
    database.ensure_connection()
    wrapped = database.make_debug_cursor if database.queries_logged else database.make_cursor
    return wrapped(_Prepared(database.connection))  # type: ignore[arg-type]  # the stubs take their own result
