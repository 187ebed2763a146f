"""The short random codes of the patients' addresses: who has one may look, and answer."""

from __future__ import annotations

import secrets

from appointments.tokens import ALPHABET, CODE_LENGTH


def new_code() -> str:
    return "".join(secrets.choice(ALPHABET) for _letter in range(CODE_LENGTH))
