from __future__ import annotations

from django.apps import AppConfig


class CoreConfig(AppConfig):
    name = "core"

    def ready(self) -> None:
        from core import arrival, consent, signals  # noqa: F401  # signals connect themselves

        arrival.register_check("consent", consent.check_consent)
