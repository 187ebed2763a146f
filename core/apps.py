from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class CoreConfig(AppConfig):
    name = "core"
    verbose_name = _("Clinics and people")

    def ready(self) -> None:
        from core import arrival, consent, lookups, merging, sign_in_signals, signals  # noqa: F401  # signals connect themselves

        lookups.register()
        merging.register()
        arrival.register_check("consent", consent.check_consents)
        from core import rights_merging, subject_sections

        subject_sections.register()
        rights_merging.register()
