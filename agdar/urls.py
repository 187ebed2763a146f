"""Wiring: which app answers which address. Error pages are ``templates/400.html`` to ``500.html``."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path

from core import health
from core.views.account import console_sign_in

urlpatterns = [
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    # First of the apps: the providers' call-backs are by far the most requests.
    path("", include("integrations.urls")),
    path("admin/login/", console_sign_in),
    path("admin/", admin.site.urls),
    path("", include("core.urls")),
    path("", include("appointments.urls")),
    path("", include("notifications.branding_urls")),
    path("notifications/", include("notifications.urls")),
    path("me/", include("core.views.portal.urls")),
    path("", include("finance.urls")),
]
