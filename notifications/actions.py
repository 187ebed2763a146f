"""What else can be done on a notification's row, by the kind of event: retry the message that failed, say.

An app registers its own from ``AppConfig.ready()``. The list asks for 25 rows at once, so nothing here may query: an
action is decided by the row and the user's role, and the view behind the address checks everything again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from django.utils.functional import Promise

from core.access import Can, allows
from core.models import User
from notifications.models import Notification


@dataclass(frozen=True, slots=True)
class RowAction:
    """``address`` makes the link's or the form's address from the row; None: not on this row.

    ``is_post``: it changes something, so it is a button of a form (with ``next``, the page it was pressed on). The
    answer of such a view is a page or a redirect.
    """

    name: str
    label: str | Promise
    icon: str
    address: Callable[[Notification], str | None]
    capability: Can
    is_post: bool = True


@dataclass(frozen=True, slots=True)
class ShownAction:
    """An action of one row, as the row shows it."""

    name: str
    label: str | Promise
    icon: str
    address: str
    is_post: bool


class DuplicateAction(Exception):
    """Two actions of one name on one kind of event."""


_ACTIONS: dict[str, list[RowAction]] = {}


def register_action(event_key: str, action: RowAction) -> None:
    there = _ACTIONS.setdefault(event_key, [])
    if any(one.name == action.name for one in there):
        raise DuplicateAction(f"{event_key}: {action.name}")
    there.append(action)


def actions_of(notification: Notification, user: User) -> list[ShownAction]:
    """The actions that this user may try on this row, in the order they were registered. No queries."""
    return [
        ShownAction(action.name, action.label, action.icon, address, action.is_post)
        for action in _ACTIONS.get(notification.event_key, ())
        if allows(user, action.capability) and (address := action.address(notification))
    ]
