"""The tenant's walls: every query needs a tenant scope, or it raises.

Built on django-scopes. Two doors and no others:

* ``tenant_scope(tenant_id)``: work for one clinic group. Requests get it from the middleware, tasks from
  the id they are given.
* periodic work walks ``active_tenant_ids()`` and opens a ``tenant_scope`` for each.
* ``system_scope(why)``: the few look-ups that must find a row before its tenant is known (a provider's
  receipt, a patient's link). A house test lists the callers.

Must never import anything of the other apps.
"""

from __future__ import annotations

import uuid
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, ClassVar, Self, TypeVar

from django.db import models
from django_scopes import ScopedManager, get_scope, scope, scopes_disabled


class TenantMismatch(Exception):
    """A row of one tenant was about to be written inside another tenant's scope."""


def tenant_scope(tenant_id: uuid.UUID) -> AbstractContextManager[None]:
    """Opens the scope of one tenant; queries inside see its rows only."""
    opened: AbstractContextManager[None] = scope(tenant=tenant_id)
    return opened


def system_scope(why: str) -> AbstractContextManager[None]:
    """Looks across tenants. ``why`` is for the reader and must not be empty."""
    if not why:
        raise ValueError("system_scope needs a reason")
    opened: AbstractContextManager[None] = scopes_disabled()
    return opened


def current_tenant_id() -> uuid.UUID | None:
    """The tenant of the scope that is open, or None."""
    tenant_id: uuid.UUID | None = get_scope().get("tenant")
    return tenant_id


def active_tenant_ids() -> list[uuid.UUID]:
    """The tenants that periodic work walks, each in its own ``tenant_scope``."""
    from core.models import Tenant

    return list(Tenant.objects.filter(is_active=True).order_by("pk").values_list("pk", flat=True))


if TYPE_CHECKING:
    _ScopedManager = models.Manager
else:
    # django-scopes makes a class per call; ours has a name, so that the type checker can follow it.
    _ScopedManager = type(ScopedManager(tenant="tenant"))

M = TypeVar("M", bound=models.Model)


class TenantManager(_ScopedManager[M]):
    """Rows of the open scope's tenant; without a scope every query raises."""


class TenantModel(models.Model):
    """A row that belongs to one tenant, found only inside that tenant's scope."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    tenant = models.ForeignKey("core.Tenant", on_delete=models.PROTECT, related_name="+", editable=False)

    objects: ClassVar[TenantManager[Self]] = TenantManager()

    class Meta:
        abstract = True

    def save(self, *args, **kwargs) -> None:  # type: ignore[no-untyped-def]  # Django's own signature
        """Fails closed: a row is not written inside another tenant's scope."""
        current = current_tenant_id()
        if current is not None and self.tenant_id != current:
            raise TenantMismatch(f"{self._meta.label} belongs to another tenant than the open scope")
        super().save(*args, **kwargs)
