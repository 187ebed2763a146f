from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class AppointmentsConfig(AppConfig):
    name = "appointments"
    verbose_name = _("Appointments")

    def ready(self) -> None:
        from appointments import answers, bulk_audience, enclosures, link_holders, merging, readers, rollups, signals  # noqa: F401  # the handlers connect themselves
        from appointments.events import ENTRIES
        from appointments.events_more import ENTRIES as MORE
        from appointments.events_together import ENTRIES as TOGETHER
        from appointments.links import appointment_address
        from appointments.reminders import signals as _moving  # noqa: F401  # they connect themselves
        from integrations.bulk import checks
        from notifications import links, questions, registry

        registry.register(*ENTRIES, *MORE, *TOGETHER)
        questions.register(answers.OBJECT_TYPE, answers.VisitAnswers())
        checks.register(bulk_audience.OBJECT_TYPE, bulk_audience.refusals)
        links.register_link("appointments.appointment", appointment_address)
        rollups.register()
        from appointments import clocks, subject_sections

        subject_sections.register()
        merging.register()
        enclosures.register()
        clocks.register()
