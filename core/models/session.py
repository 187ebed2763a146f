"""Sessions that know their user, so that one query answers the bell's poll, and signing somebody out is one DELETE."""

from __future__ import annotations

from django.contrib.sessions.base_session import AbstractBaseSession
from django.db import models


class Session(AbstractBaseSession):
    """Django's session with the signed-in user and the hash that a change of the password makes void.

    Both are copies of what is inside ``session_data``; written by ``core.sessions.SessionStore`` only.
    """

    user = models.ForeignKey("core.User", on_delete=models.CASCADE, null=True, related_name="sessions")
    auth_hash = models.CharField(max_length=64, blank=True)
    # For the person who looks through their sessions; null in sessions that began before these columns.
    user_agent = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(null=True)
    last_seen_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = "session"
        verbose_name_plural = "sessions"

    @classmethod
    def get_session_store_class(cls):  # type: ignore[no-untyped-def]  # Django's own signature
        from core.sessions import SessionStore

        return SessionStore
