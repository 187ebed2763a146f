"""Where the patient's own view begins. Must never import anything of the other apps."""

from __future__ import annotations

from django.conf import settings


def portal_address() -> str:
    """Absolute, and without a slash at the end, which would jump to the other side of the link in an Arabic text."""
    return f"{settings.PUBLIC_BASE_URL}/me"
