"""The pages of the notification centre. Class-based views by the names the contract gives them."""

from __future__ import annotations

from notifications.views.messages import MessageDetailView, MessageListView, MessageRetryView

__all__ = ["MessageDetailView", "MessageListView", "MessageRetryView"]
