"""The session store: Django's database sessions in our own table, with the user in a column. ``SESSION_ENGINE``.

A session that is read brings its user along, with all that the frame of a page shows: one query where Django has two.
``core.auth`` asks for them.
"""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

from django.contrib.auth import HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore as DatabaseStore
from django.utils import timezone

from core.models import Session, User

# Short transactions: nobody who signs in waits behind the housekeeping.
CLEAR_BATCH = 1000


class SessionStore(DatabaseStore):
    # Who came with the row when it was read. Handed out once: whoever asks again wants to know how it is now.
    _owner: User | None = None

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
        self._owner = row.user
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
        return row


def clear_expired(now: dt.datetime, batch: int = CLEAR_BATCH) -> int:
    """Deletes the sessions that are over, ``batch`` at a time; returns how many."""
    over = Session.objects.filter(expire_date__lte=now).order_by("expire_date").values_list("pk", flat=True)
    cleared = 0
    while keys := list(over[:batch]):
        # Checked again: somebody may have used it since.
        deleted, _each = Session.objects.filter(pk__in=keys, expire_date__lte=now).delete()
        cleared += deleted
    return cleared
