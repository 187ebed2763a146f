"""Wires the integrations at start: the system checks, and fresh adapters when a test changes a setting."""

from __future__ import annotations

from django.apps import AppConfig
from django.core.signals import setting_changed


class IntegrationsConfig(AppConfig):
    name = "integrations"

    def ready(self) -> None:
        from integrations import checks, sms_providers

        checks.register_checks()
        setting_changed.connect(sms_providers.forget, dispatch_uid="integrations.sms_providers.forget")
