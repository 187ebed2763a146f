"""The pages of the notification centre. Class-based views by the names the contract gives them."""

from __future__ import annotations

from notifications.views.analytics import MessageAnalyticsView
from notifications.views.bulk import BulkMessageView
from notifications.views.dashboard import MessageDashboardView
from notifications.views.message_export import MessageExportView
from notifications.views.message_list import MessageListView
from notifications.views.messages import MessageDetailView, MessageRetryView
from notifications.views.templates import (
    TemplateCreateView,
    TemplateDeleteView,
    TemplateDetailView,
    TemplateListView,
    TemplateTestView,
    TemplateToggleView,
    TemplateUpdateView,
)

__all__ = [
    "BulkMessageView",
    "MessageAnalyticsView",
    "MessageDashboardView",
    "MessageDetailView",
    "MessageExportView",
    "MessageListView",
    "MessageRetryView",
    "TemplateCreateView",
    "TemplateDeleteView",
    "TemplateDetailView",
    "TemplateListView",
    "TemplateTestView",
    "TemplateToggleView",
    "TemplateUpdateView",
]
