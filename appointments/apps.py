from __future__ import annotations

from django.apps import AppConfig


class AppointmentsConfig(AppConfig):
    name = "appointments"

    def ready(self) -> None:
        from appointments import signals  # noqa: F401  # the handlers connect themselves
        from appointments.events import ENTRIES
        from notifications import registry

        registry.register(*ENTRIES)
