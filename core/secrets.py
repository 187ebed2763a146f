"""Secrets, encrypted at rest: what people give us, and the keys of their authenticator apps.

The key is derived from ``SECRET_KEY`` (and its predecessors in ``SECRET_KEY_FALLBACKS``), so a copy of the database
alone opens nothing. Must never import anything of the other apps.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
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


# --- short secrets of a fixed length, for a column that has no room for more --------------------------------------------
def seal(secret: bytes, bound_to: bytes) -> bytes:
    """16 bytes longer than the secret. ``bound_to`` says whose it is, and must be told again to open it."""
    return _siv(settings.SECRET_KEY).encrypt(secret, [bound_to])


def unseal(sealed: bytes, bound_to: bytes) -> bytes:
    """Raises ``SecretUnreadable`` when it was sealed by another key, for somebody else, or not at all."""
    for key in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS):
        try:
            return _siv(key).decrypt(sealed, [bound_to])
        except (InvalidTag, ValueError):
            continue
    raise SecretUnreadable


@cache
def _siv(key: str) -> AESSIV:
    return AESSIV(hashlib.sha256(b"agdar.core.secrets.seal:" + key.encode()).digest())


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
