from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class AppointmentsConfig(AppConfig):
    name = "appointments"
    verbose_name = _("Appointments")

    def ready(self) -> None:
        from appointments import bulk_audience, rollups, signals  # noqa: F401  # the handlers connect themselves
        from appointments.events import ENTRIES
        from appointments.links import appointment_address
        from integrations.bulk import checks
        from notifications import links, registry

        registry.register(*ENTRIES)
        checks.register(bulk_audience.OBJECT_TYPE, bulk_audience.refusals)
        links.register_link("appointments.appointment", appointment_address)
        rollups.register()
        from appointments import subject_sections

        subject_sections.register()
