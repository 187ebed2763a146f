"""The session store: Django's database sessions in our own table, with the user in a column. ``SESSION_ENGINE``.

A session that is read brings its user along, with all that the frame of a page shows: one query where Django has two.
``core.auth`` asks for them.
"""

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import dataclass
from typing import Any

from django.contrib.auth import HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore as DatabaseStore
from django.db.models import F
from django.dispatch import Signal
from django.utils import timezone
from django.utils.crypto import constant_time_compare, salted_hmac

from core.models import Session, User

# Inside the session's data, beside Django's own: what stands in the columns of the same names.
AGENT_KEY, SINCE_KEY = "agent", "since"
# Often enough for "was that me?", and no write for every page.
SEEN_EVERY = dt.timedelta(minutes=10)
# Short transactions: nobody who signs in waits behind the housekeeping.
CLEAR_BATCH = 1000


# Sent with ``user`` when all sessions of somebody were ended from outside.
signed_out_everywhere = Signal()


class SessionStore(DatabaseStore):
    # Who came with the row when it was read. Handed out once: whoever asks again wants to know how it is now.
    _owner: User | None = None
    _seen_at: dt.datetime | None = None

    @classmethod
    def get_model_class(cls) -> type[Session]:
        return Session

    def load(self) -> dict[str, Any]:
        rows = Session.objects.select_related("user__tenant", "user__bell", "user__location")
        row = rows.filter(session_key=self.session_key, expire_date__gt=timezone.now()).first()
        if row is None:
            # As Django does: a key that we did not give out is never taken over.
            self._session_key = None
            return {}
        self._owner, self._seen_at = row.user, row.last_seen_at
        data: dict[str, Any] = self.decode(row.session_data)
        return data

    def take_owner(self, user_id: uuid.UUID) -> User | None:
        """The user who came with this session, if it is that one; None when nobody did, or not any more."""
        owner, self._owner = self._owner, None
        return owner if owner is not None and owner.pk == user_id else None

    def create_model_instance(self, data: dict[str, Any]) -> Session:
        """The row to save. Whoever it belongs to stands in ``data`` since ``django.contrib.auth.login``."""
        row = super().create_model_instance(data)
        assert isinstance(row, Session)
        user_id = data.get(SESSION_KEY)
        row.user_id = uuid.UUID(user_id) if user_id else None
        row.auth_hash = data.get(HASH_SESSION_KEY, "")
        row.user_agent = data.get(AGENT_KEY, "")
        row.created_at = dt.datetime.fromisoformat(data[SINCE_KEY]) if SINCE_KEY in data else None
        row.last_seen_at = self._seen_at = timezone.now()
        return row

    def mark_seen(self, now: dt.datetime) -> None:
        """Notes that its user is there, when the last note is old enough."""
        if self._seen_at is not None and now - self._seen_at < SEEN_EVERY:
            return
        self._seen_at = now
        Session.objects.filter(pk=self.session_key).update(last_seen_at=now)


# --- a person's own sessions -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SessionLine:
    """A session for its owner's eyes. ``handle`` names it without being of any use as a cookie."""

    handle: str
    user_agent: str
    created_at: dt.datetime | None
    last_seen_at: dt.datetime | None
    is_current: bool


def sessions_of(user: User, current: str | None) -> list[SessionLine]:
    """Those that are not over, this one first, then the latest seen. ``current``: the key of the session that asks."""
    rows = Session.objects.filter(user=user, expire_date__gt=timezone.now()).order_by(
        F("last_seen_at").desc(nulls_last=True)
    )
    lines = [
        SessionLine(_handle(row.pk), row.user_agent, row.created_at, row.last_seen_at, row.pk == current)
        for row in rows
    ]
    return sorted(lines, key=lambda line: not line.is_current)


def end_session(user: User, handle: str) -> bool:
    """Ends one session of this user, at its next request or poll. False: there is none of that handle."""
    keys = Session.objects.filter(user=user).values_list("pk", flat=True)
    key = next((key for key in keys if constant_time_compare(_handle(key), handle)), None)
    return key is not None and bool(Session.objects.filter(pk=key).delete()[0])


def end_sessions(user: User, *, keep: str | None = None) -> int:
    """Ends all sessions of this user but ``keep``; returns how many. Without ``keep`` others hear of it too."""
    ended, _each = Session.objects.filter(user=user).exclude(pk=keep or "").delete()
    if keep is None:
        signed_out_everywhere.send(sender=User, user=user)
    return ended


def _handle(key: str) -> str:
    return salted_hmac("core.sessions.handle", key, algorithm="sha256").hexdigest()[:32]


# --- housekeeping ----------------------------------------------------------------------------------------------------


def clear_expired(now: dt.datetime, batch: int = CLEAR_BATCH) -> int:
    """Deletes the sessions that are over, ``batch`` at a time; returns how many."""
    over = Session.objects.filter(expire_date__lte=now).order_by("expire_date").values_list("pk", flat=True)
    cleared = 0
    while keys := list(over[:batch]):
        # Checked again: somebody may have used it since.
        deleted, _each = Session.objects.filter(pk__in=keys, expire_date__lte=now).delete()
        cleared += deleted
    return cleared
