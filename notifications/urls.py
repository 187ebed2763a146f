"""Addresses of the notification centre, all under ``/notifications/``."""

from __future__ import annotations

from django.urls import path

from core.access import Can, require
from notifications.views import (
    MessageDetailView,
    MessageListView,
    MessageRetryView,
    acts,
    announcements,
    bell,
    channels,
    inbox,
    messages,
    operations,
    preferences,
    team,
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
    path("team/", team.team, name="team"),
    path("team/minutes/", team.team_minutes, name="team_minutes"),
    path("team/duty/", team.shift_create, name="shift_create"),
    path("team/duty/<uuid:pk>/remove/", team.shift_remove, name="shift_remove"),
    path("team/absences/", team.team_absence_create, name="team_absence_create"),
    path("team/holidays/", team.holiday_create, name="holiday_create"),
    path("team/holidays/<uuid:pk>/remove/", team.holiday_remove, name="holiday_remove"),
    path("absences/", team.absence_create, name="absence_create"),
    path("absences/<uuid:pk>/end/", team.absence_end, name="absence_end"),
    path("announcements/", announcements.announcements, name="announcements"),
    path("preferences/", preferences.preferences, name="preferences"),
    path("preferences/quiet/", preferences.preferences_quiet, name="preferences_quiet"),
    path("inbox/", inbox.inbox_page, name="inbox"),
    path("bell/", bell.bell, name="bell"),
    path("bell/list/", bell.bell_list, name="bell_list"),
    path("read-all/", acts.read_all, name="read_all"),
    path("undo/", acts.undo, name="undo"),
    path("push/worker.js", channels.push_worker, name="push_worker"),
    path("push/token/", channels.push_token, name="push_token"),
    path("push/devices/", channels.push_devices, name="push_devices"),
    path("push/subscribe/", channels.push_subscribe, name="push_subscribe"),
    path("push/unsubscribe/", channels.push_unsubscribe, name="push_unsubscribe"),
    path("push/test/", channels.push_test, name="push_test"),
    path("push/<uuid:pk>/remove/", channels.push_remove, name="push_remove"),
    path("chat/team/add/", channels.chat_team_add, name="chat_team_add"),
    path("chat/mine/add/", channels.chat_mine_add, name="chat_mine_add"),
    path("chat/<uuid:pk>/remove/", channels.chat_remove, name="chat_remove"),
    path("chat/<uuid:pk>/test/", channels.chat_test, name="chat_test"),
    path("<uuid:pk>/", inbox.notification_page, name="notification"),
    path("<uuid:pk>/read/", acts.read, name="read"),
    path("<uuid:pk>/unread/", acts.unread, name="unread"),
    path("<uuid:pk>/archive/", acts.archive, name="archive"),
    path("<uuid:pk>/unarchive/", acts.unarchive, name="unarchive"),
    path("<uuid:pk>/snooze/", acts.snooze, name="snooze"),
    path("<uuid:pk>/wake/", acts.wake, name="wake"),
    path("<uuid:pk>/acknowledge/", acts.acknowledge, name="acknowledge"),
    path("<uuid:pk>/open/", bell.open_notification, name="open"),
]
