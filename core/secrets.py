"""Secrets that people give us, encrypted at rest: the addresses of a tenant's Slack and Teams channels.

The key is derived from ``SECRET_KEY`` (and its predecessors in ``SECRET_KEY_FALLBACKS``), so a copy of the database
alone opens nothing. Must never import anything of the other apps.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.db import models


class SecretUnreadable(Exception):
    """It was written with a key that we no longer have."""


def encrypt(text: str) -> str:
    return _box(settings.SECRET_KEY, tuple(settings.SECRET_KEY_FALLBACKS)).encrypt(text.encode()).decode()


def decrypt(token: str) -> str:
    """Raises ``SecretUnreadable`` when the key has changed."""
    try:
        return _box(settings.SECRET_KEY, tuple(settings.SECRET_KEY_FALLBACKS)).decrypt(token.encode()).decode()
    except InvalidToken as error:
        raise SecretUnreadable from error


@cache
def _box(key: str, former: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(_derived(one)) for one in (key, *former)])


def _derived(key: str) -> bytes:
    return base64.urlsafe_b64encode(hashlib.sha256(b"agdar.core.secrets:" + key.encode()).digest())


class EncryptedTextField(models.TextField):  # type: ignore[type-arg]  # as Django's own subclasses are written
    """Text that stands in the database encrypted. Cannot be searched; an unreadable one is None."""

    def get_prep_value(self, value: Any) -> Any:
        return encrypt(str(value)) if value else value

    def from_db_value(self, value: str | None, _expression: Any, _connection: Any) -> str | None:
        if not value:
            return value
        try:
            return decrypt(value)
        except SecretUnreadable:
            return None
