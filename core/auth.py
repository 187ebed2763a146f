"""Sign-in by email. The session's user comes with tenant, place and bell in one query (the bell's poll lives on it)."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.backends import ModelBackend

from core.models import User


class AccountBackend(ModelBackend):
    def get_user(self, user_id: Any) -> User | None:
        user = User.accounts.select_related("tenant", "bell", "location").filter(pk=user_id).first()
        return user if user is not None and self.user_can_authenticate(user) else None

    def user_can_authenticate(self, user: Any) -> bool:
        """Inactive people and people of a suspended clinic group stay outside, in open sessions too."""
        return bool(user.is_active and (user.tenant is None or user.tenant.is_active))
