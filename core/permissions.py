"""The services' own door: the actor's capability and tenant, whatever view or command called.

Must never import anything of the other apps.
"""

from __future__ import annotations

from django.utils.translation import gettext as _

from core.access import Can, allows
from core.errors import DomainError
from core.models import User
from core.tenancy import TenantModel


class NotAllowed(DomainError):
    """The actor's role does not include this act."""

    def __init__(self, message: str = "") -> None:
        super().__init__(message or _("Your role does not include this."), code="not_allowed")


def demand(actor: User, capability: Can, *rows: TenantModel | User | None) -> None:
    """Raises ``NotAllowed`` unless the actor has the capability and belongs to the tenant of every row."""
    if not actor.is_active or not allows(actor, capability):
        raise NotAllowed
    same_tenant(actor, *rows)


def same_tenant(actor: User, *rows: TenantModel | User | None) -> None:
    """Raises ``NotAllowed`` for a row of another tenant; the message does not say that it exists."""
    if any(row is not None and row.tenant_id != actor.tenant_id for row in rows):
        raise NotAllowed(_("This belongs to another clinic group."))
