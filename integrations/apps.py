"""Wires the integrations at start: the system checks, the report for ``/readyz``, fresh adapters for changed settings."""

from __future__ import annotations

from django.apps import AppConfig
from django.core.signals import setting_changed


class IntegrationsConfig(AppConfig):
    name = "integrations"

    def ready(self) -> None:
        from core.health import register_report
        from integrations import checks, credentials, health, incidents, sms_providers, staff_delivery
        from integrations import contact_fixes as _receivers  # noqa: F401  # they connect themselves
        from notifications.links import register_link
        from notifications.staff_outbox import register_doorbell

        checks.register_checks()
        register_report("delivery", health.report)
        register_link("integrations.incident", incidents.address_of)
        register_doorbell(staff_delivery.ring_for)
        sms_providers.connect_own_accounts(credentials.load)
        setting_changed.connect(sms_providers.forget, dispatch_uid="integrations.sms_providers.forget")
