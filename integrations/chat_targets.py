"""Sends one text to one Slack or Teams channel, through Apprise's plugin for it. Knows no rows.

The address is read by Apprise into its own plugin, after ``notifications/chat.py`` has let it through; redirects are not
followed. Apprise answers yes or no, so every no counts as one that may pass.
"""

from __future__ import annotations

from typing import Any

import structlog
from django.conf import settings

from notifications import chat

log = structlog.get_logger(__name__)


def send(url: str, *, title: str, body: str) -> bool:
    """True when the service took it."""
    plugin = _plugin(url)
    if plugin is None:
        return False
    taken = bool(plugin.notify(title=title, body=body))
    if not taken:
        log.warning("chat_refused", kind=type(plugin).__name__)
    return taken


def _plugin(url: str) -> Any:
    """Apprise's own object for the address; None for one that it cannot read."""
    # Apprise knows a hundred services and takes a quarter of a second to load: not at every start.
    from apprise import AppriseAsset
    from apprise.plugins.slack import NotifySlack
    from apprise.plugins.workflows import NotifyWorkflows

    maker: Any = {chat.SLACK: NotifySlack, chat.TEAMS: NotifyWorkflows}[chat.kind_of(url)]
    found = maker.parse_native_url(url)
    if found is None:
        return None
    asset = AppriseAsset(app_id="Agdar", app_desc="Agdar", http_redirects=False)
    plugin = maker(**{**found, "asset": asset, "include_image": False})
    if settings.SLACK_API_BASE_URL and isinstance(plugin, NotifySlack):
        plugin.webhook_url = f"{settings.SLACK_API_BASE_URL}/services"
    return plugin
