"""The one writer of the audit trail."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from django.db.models import Model

from core.models import AuditEvent, User


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
        before=dict(before or {}),
        after=dict(after or {}),
    )
