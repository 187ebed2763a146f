"""What production refuses to start on. Used by the settings (which raise) and by the system checks (which explain).

Must import nothing of Django's models and no other app: the settings load it first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def unsafe_settings(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(id, what is wrong) for each setting that is good for the demo only."""
    if values["SECRET_KEY"] == values["DEFAULT_SECRET_KEY"]:
        yield "agdar.E010", "SECRET_KEY is the demo's default, which everybody knows. Set one of your own."
    for name in ("SMS_PROVIDER", "WHATSAPP_PROVIDER"):
        if "sandbox" in values[name]:
            yield (
                "agdar.E011",
                f"{name} names the sandbox, which reaches no patient. Set a provider, or leave it empty.",
            )
    if values["DATABASES"]["default"]["ENGINE"].endswith("sqlite3"):
        yield "agdar.E012", "DATABASE_URL is SQLite, which serves one machine. Set a PostgreSQL database."
    if values["CELERY_BROKER_URL"].startswith("sqlite"):
        yield "agdar.E013", "CELERY_BROKER_URL is the embedded broker of the demo. Set REDIS_URL."


def refuse_unsafe_production(values: Mapping[str, Any]) -> None:
    """Raises ImproperlyConfigured with everything that is unsafe; nothing when ``DEBUG`` is on."""
    from django.core.exceptions import ImproperlyConfigured

    if values["DEBUG"]:
        return
    wrong = [f"{identity}: {what}" for identity, what in unsafe_settings(values)]
    if wrong:
        raise ImproperlyConfigured("Agdar does not start in production (DEBUG is off). " + " ".join(wrong))
