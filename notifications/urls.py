"""Addresses of the notification centre, all under ``/notifications/``."""

from __future__ import annotations

from django.urls import path

from core.access import Can, require
from notifications.views import (
    MessageDetailView,
    MessageListView,
    MessageRetryView,
    bell,
    inbox,
    messages,
    operations,
)

app_name = "notifications"

urlpatterns = [
    path("", inbox.front_door, name="front_door"),
    path("messages/", require(Can.SEE_MESSAGES)(MessageListView.as_view()), name="message_list"),
    path("messages/send/", messages.message_send, name="message_send"),
    path("messages/send/counter/", messages.message_counter, name="message_counter"),
    path("messages/<uuid:pk>/", require(Can.SEE_MESSAGES)(MessageDetailView.as_view()), name="message_detail"),
    path("messages/<uuid:pk>/retry/", require(Can.RETRY_MESSAGES)(MessageRetryView.as_view()), name="message_retry"),
    path("operations/", operations.operations, name="operations"),
    path("operations/<uuid:pk>/start-again/", operations.operations_start_again, name="operations_start_again"),
    path("inbox/", inbox.inbox_page, name="inbox"),
    path("bell/", bell.bell, name="bell"),
    path("bell/list/", bell.bell_list, name="bell_list"),
    path("read-all/", bell.read_all, name="read_all"),
    path("<uuid:pk>/read/", bell.read, name="read"),
    path("<uuid:pk>/open/", bell.open_notification, name="open"),
]
