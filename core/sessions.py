"""The session store: Django's database sessions in our own table, with the user in a column. ``SESSION_ENGINE``."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib.auth import HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore as DatabaseStore

from core.models import Session


class SessionStore(DatabaseStore):
    @classmethod
    def get_model_class(cls) -> type[Session]:
        return Session

    def create_model_instance(self, data: dict[str, Any]) -> Session:
        """The row to save. Whoever it belongs to stands in ``data`` since ``django.contrib.auth.login``."""
        row = super().create_model_instance(data)
        assert isinstance(row, Session)
        user_id = data.get(SESSION_KEY)
        row.user_id = uuid.UUID(user_id) if user_id else None
        row.auth_hash = data.get(HASH_SESSION_KEY, "")
        return row
