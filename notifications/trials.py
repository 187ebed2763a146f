"""Messages that try a way out: an admin sends them to themselves through one very account (“send a test”).

The key of such a message names the provider or account it must go over; ``integrations/delivery.py`` obeys.
"""

from __future__ import annotations

import uuid

from django.db.models import Q

_PREFIX = "trial:"
# For queries: what may pass a way that is held, because it asks whether the way is open again.
IS_TRIAL = Q(dedupe_key__startswith=_PREFIX)


def new_key(provider: str) -> str:
    return f"{_PREFIX}{provider}:{uuid.uuid4()}"


def provider_of(dedupe_key: str) -> str:
    """The provider that a message must go over; empty for all others."""
    return dedupe_key.split(":")[1] if dedupe_key.startswith(_PREFIX) else ""
