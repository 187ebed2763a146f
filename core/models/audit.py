"""Who did what, when, and what it looked like before and after. Append-only."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.utils.translation import gettext_lazy as _

from core.tenancy import TenantModel


class AuditEvent(TenantModel):
    """One administrative act. Written by ``core.audit.record`` in the transaction of the act."""

    actor = models.ForeignKey("core.User", on_delete=models.PROTECT, null=True, related_name="+")
    action = models.CharField(_("action"), max_length=60)
    object_type = models.CharField(_("object"), max_length=60)
    object_id = models.UUIDField(_("object id"), null=True)
    before = models.JSONField(_("before"), default=dict)
    after = models.JSONField(_("after"), default=dict)
    created_at = models.DateTimeField(_("time"), auto_now_add=True)

    class Meta:
        verbose_name = _("audit event")
        verbose_name_plural = _("audit events")
        ordering = ["-created_at"]
        indexes = [
            models.Index(fields=["tenant", "-created_at"], name="audit_latest"),
            # The filters of the trail's page: who, what, and all that was done to one row.
            models.Index(fields=["tenant", "actor", "-created_at"], name="audit_by_actor"),
            models.Index(fields=["tenant", "action", "-created_at"], name="audit_by_action"),
            models.Index(fields=["tenant", "object_id", "-created_at"], name="audit_by_object"),
        ]

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise TypeError("audit events are append-only")
        super().save(*args, **kwargs)
