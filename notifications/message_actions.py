"""What can be done on the row of a message that reached nobody: look at it, send it again. Registered at start."""

from __future__ import annotations

from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from core.access import Can
from notifications import actions, undeliverable
from notifications.actions import RowAction
from notifications.models import Notification


def register() -> None:
    actions.register_action(
        undeliverable.KEY,
        RowAction(
            name="message",
            label=_("Open the message"),
            icon="message",
            address=_page_of,
            capability=Can.SEE_MESSAGES,
            is_post=False,
        ),
    )
    actions.register_action(
        undeliverable.KEY,
        RowAction(name="retry", label=_("Try again"), icon="refresh", address=_retry_of, capability=Can.RETRY_MESSAGES),
    )


def _page_of(row: Notification) -> str | None:
    return _address("notifications:message_detail", row)


def _retry_of(row: Notification) -> str | None:
    """Not once it has arrived after all. Whether it may be tried again the view knows, and says why not."""
    return None if row.resolved_at is not None else _address("notifications:message_retry", row)


def _address(route: str, row: Notification) -> str | None:
    return reverse(route, args=[row.related_object_id]) if row.related_object_id is not None else None
