from __future__ import annotations

from django.apps import AppConfig


class NotificationsConfig(AppConfig):
    name = "notifications"

    def ready(self) -> None:
        from notifications import links, message_events, registry

        registry.register(*message_events.ENTRIES)
        links.register_link("notifications.message", links.message_address)
