"""As the documentation of django-notifications-hq has it."""

from __future__ import annotations

from django.urls import include, path

import notifications.urls

urlpatterns = [path("inbox/notifications/", include(notifications.urls, namespace="notifications"))]
