"""Where a notification leads: object type → address, if this user may see it.

Each app registers its own from ``AppConfig.ready()``; this file knows only the messages of its own app. An object
that is gone or not for this user has no address; the reader then gets a page that says so.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable

from django.urls import reverse

from core.access import Can, allows
from core.models import User
from notifications.models import BulkSend, Conversation, Message, MessageExport, Notification

# Asks as the view behind the address would: None for a stranger, a wrong role and a row that is gone.
Resolver = Callable[[User, uuid.UUID], str | None]

_RESOLVERS: dict[str, Resolver] = {}


class DuplicateLink(Exception):
    """Two resolvers for one object type."""


def register_link(object_type: str, resolver: Resolver) -> None:
    """``object_type`` is the model's ``label_lower``: ``appointments.appointment``."""
    if object_type in _RESOLVERS:
        raise DuplicateLink(object_type)
    _RESOLVERS[object_type] = resolver


def address_of(notification: Notification, user: User) -> str | None:
    """The page of the notification's object, or None."""
    return page_of(notification.related_object_type, notification.related_object_id, user)


def page_of(object_type: str | None, object_id: uuid.UUID | None, user: User) -> str | None:
    """The page of a thing, if there is one for this user."""
    if not object_type or object_id is None or object_type not in _RESOLVERS:
        return None
    return _RESOLVERS[object_type](user, object_id)


def message_address(user: User, message_id: uuid.UUID) -> str | None:
    """The message's page: a reply leads to the message it answers."""
    if not allows(user, Can.SEE_MESSAGES) or not Message.objects.filter(pk=message_id).exists():
        return None
    return reverse("notifications:message_detail", args=[message_id])


def conversation_address(user: User, pk: uuid.UUID) -> str | None:
    """All that was written with one number: a reply leads there."""
    if not allows(user, Can.SEND_MESSAGES) or not Conversation.objects.filter(pk=pk).exists():
        return None
    return reverse("notifications:conversation", args=[pk])


def export_address(user: User, export_id: uuid.UUID) -> str | None:
    """The page of the reader's own exports, where the file waits."""
    own = MessageExport.objects.filter(pk=export_id, user=user)
    if not allows(user, Can.EXPORT_MESSAGES) or not own.exists():
        return None
    return reverse("notifications:message_exports")


def bulk_address(user: User, pk: uuid.UUID) -> str | None:
    """A bulk send, for who may send them."""
    if not allows(user, Can.SEND_BULK) or not BulkSend.objects.filter(pk=pk).exists():
        return None
    return reverse("notifications:bulk_detail", args=[pk])
