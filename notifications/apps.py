from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class NotificationsConfig(AppConfig):
    name = "notifications"
    verbose_name = _("Messaging")

    def ready(self) -> None:
        from notifications import links, message_events, registry

        registry.register(*message_events.ENTRIES)
        links.register_link("notifications.message", links.message_address)
