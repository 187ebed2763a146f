"""Wiring: which app answers which address."""

from __future__ import annotations

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path

from core import health

urlpatterns: list[URLPattern | URLResolver] = [
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("admin/", admin.site.urls),
    path("", include("core.urls")),
]
for _prefix, _urls in (
    ("", "appointments.urls"),
    ("notifications/", "notifications.urls"),
    ("", "finance.urls"),
    ("", "integrations.urls"),
):
    # until each app has landed
    try:
        urlpatterns.append(path(_prefix, include(_urls)))
    except ImportError as error:
        import structlog

        structlog.get_logger("agdar.urls").warning("urls not there yet", module=_urls, error=str(error))
