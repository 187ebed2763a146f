"""Sign-in by email. The session's user comes with tenant, place and bell, in the session's own query.

Django asks a backend for the user by the id alone. So that it need not look again for what the session brought along,
``AccountMiddleware`` says whose session is asked about just then. Everything else, and above all the check of the
session against the password, stays Django's.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

from django.contrib.auth import get_user
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest
from django.utils import timezone
from django.utils.functional import SimpleLazyObject

from core.models import User
from core.sessions import SessionStore

_asked_for: ContextVar[SessionStore | None] = ContextVar("asked_for", default=None)


class AccountBackend(ModelBackend):
    def get_user(self, user_id: Any) -> User | None:
        session = _asked_for.get()
        user = session.take_owner(user_id) if session is not None else None
        if user is None:
            user = User.accounts.select_related("tenant", "bell", "location").filter(pk=user_id).first()
        return user if user is not None and self.user_can_authenticate(user) else None

    def user_can_authenticate(self, user: Any) -> bool:
        """Inactive people and people of a suspended clinic group stay outside, in open sessions too."""
        return bool(user.is_active and (user.tenant is None or user.tenant.is_active))


class AccountMiddleware(AuthenticationMiddleware):
    """Django's, which finds the user in the session where it can."""

    def process_request(self, request: HttpRequest) -> None:
        super().process_request(request)
        request.user = SimpleLazyObject(lambda: _user_of(request))  # type: ignore[assignment]  # as Django does it


def _user_of(request: HttpRequest) -> User | AnonymousUser:
    known: User | AnonymousUser | None = getattr(request, "_cached_user", None)
    if known is not None:
        return known
    session = request.session
    token = _asked_for.set(session if isinstance(session, SessionStore) else None)
    try:
        found: User | AnonymousUser = get_user(request)
    finally:
        _asked_for.reset(token)
    if isinstance(session, SessionStore) and found.is_authenticated:
        session.mark_seen(timezone.now())
    request._cached_user = found  # type: ignore[attr-defined]  # Django's own place for it
    return found
