"""What a clinic group decides for itself, as everybody reads it, and the only writer of it.

Keyword-only, atomic, audited; refusals are ``DomainError`` with a sentence for the person at the screen. Needs the tenant's
scope open. Must never import anything of the other apps.
"""

from __future__ import annotations

import uuid

from core.models import TenantSettings


def of(tenant_id: uuid.UUID) -> TenantSettings:
    """The tenant's own, or an unsaved row with the defaults. One query."""
    return TenantSettings.objects.filter(tenant_id=tenant_id).first() or TenantSettings(tenant_id=tenant_id)
