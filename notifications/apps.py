from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class NotificationsConfig(AppConfig):
    name = "notifications"
    verbose_name = _("Messaging")

    def ready(self) -> None:
        from notifications import (  # noqa: F401  # signals connect themselves
            announcements,
            covers,
            links,
            merging,
            message_actions,
            message_events,
            readers,
            registry,
            staff_signals,
            wish_merging,
            wrong_numbers,
        )

        registry.register(*message_events.ENTRIES, *announcements.ENTRIES, *covers.ENTRIES)
        links.register_link("notifications.message", links.message_address)
        links.register_link("notifications.conversation", links.conversation_address)
        links.register_link("notifications.bulksend", links.bulk_address)
        links.register_link("notifications.messageexport", links.export_address)
        message_actions.register()
        from notifications import portal_events, rights_signals, subject_sections  # one connects itself

        registry.register(*portal_events.ENTRIES)
        subject_sections.register()
        links.register_link("core.rightsrequest", rights_signals.request_address)
        merging.register()
        wish_merging.register()
