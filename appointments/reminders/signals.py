"""What moves reminders that are planned already: other quiet hours, another clock. Connected when the app starts."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.db.models.signals import post_save
from django.dispatch import receiver

from appointments.reminders import planning, rules
from core.models import Location, TenantSettings
from core.tenancy import tenant_scope
from notifications.models import NotificationPreference

_QUIET = frozenset({"quiet_from", "quiet_until"})


@receiver(post_save, sender=TenantSettings)
def quiet_hours_changed(
    sender: type[TenantSettings],
    *,
    instance: TenantSettings,
    raw: bool = False,
    update_fields: Collection[str] | None = None,
    **kwargs: Any,
) -> None:
    if not raw and _touches(update_fields, _QUIET):
        with tenant_scope(instance.tenant_id):
            rules.request_replan(instance.tenant_id)


@receiver(post_save, sender=Location)
def clock_changed(
    sender: type[Location],
    *,
    instance: Location,
    created: bool,
    raw: bool = False,
    update_fields: Collection[str] | None = None,
    **kwargs: Any,
) -> None:
    if not raw and not created and _touches(update_fields, {"timezone"}):
        with tenant_scope(instance.tenant_id):
            rules.request_replan(instance.tenant_id)


@receiver(post_save, sender=NotificationPreference)
def own_quiet_hours_changed(
    sender: type[NotificationPreference],
    *,
    instance: NotificationPreference,
    created: bool,
    raw: bool = False,
    update_fields: Collection[str] | None = None,
    **kwargs: Any,
) -> None:
    is_as_before = created and instance.quiet_from is None
    if not raw and not is_as_before and _touches(update_fields, _QUIET):
        with tenant_scope(instance.tenant_id):
            planning.replan_for_patient(instance.patient_id)


def _touches(update_fields: Collection[str] | None, names: Collection[str]) -> bool:
    return update_fields is None or bool(set(update_fields) & set(names))
