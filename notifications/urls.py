"""Addresses of the notification centre, all under ``/notifications/``."""

from __future__ import annotations

from django.urls import path

from notifications.views import bell, inbox

app_name = "notifications"

urlpatterns = [
    path("inbox/", inbox.inbox_page, name="inbox"),
    path("bell/", bell.bell, name="bell"),
    path("bell/list/", bell.bell_list, name="bell_list"),
    path("read-all/", bell.read_all, name="read_all"),
    path("<uuid:pk>/read/", bell.read, name="read"),
    path("<uuid:pk>/open/", bell.open_notification, name="open"),
]
