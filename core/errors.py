"""Errors that are meant for the person at the screen."""

from __future__ import annotations


class DomainError(Exception):
    """A wish that the rules refuse. ``str(error)`` is translated and shown; ``code`` is for programs and tests."""

    def __init__(self, message: str, *, code: str) -> None:
        super().__init__(message)
        self.code = code
