"""The one writer of the audit trail."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from django.db.models import Model

from core.models import AuditEvent, User

# The trail tells that these changed and keeps no word of them: texts of messages, addresses, secrets. Whatever calls.
NEVER_KEPT = frozenset(
    {
        "body", "body_en", "body_ar", "subject", "subject_en", "subject_ar", "text", "phone", "phone_alternative",
        "recipient", "secret", "password", "token",
    }
)  # fmt: skip
WITHHELD = "(changed)"


def record(
    *,
    tenant_id: uuid.UUID,
    actor: User | None,
    action: str,
    obj: Model | None = None,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> AuditEvent:
    """Writes one audit row in the caller's transaction. ``action`` is ``noun.verb``: ``appointment.cancelled``."""
    return AuditEvent.objects.create(
        tenant_id=tenant_id,
        actor=actor,
        action=action,
        object_type=obj._meta.label_lower if obj is not None else "",
        object_id=obj.pk if obj is not None else None,
        before=_kept(before),
        after=_kept(after),
    )


def _kept(values: Mapping[str, Any] | None) -> dict[str, Any]:
    return {name: WITHHELD if name in NEVER_KEPT and value else value for name, value in (values or {}).items()}
