"""Keyset pages of a list of notifications (``core/keyset.py``), by the moment something last happened to them."""

from __future__ import annotations

from django.db.models import QuerySet

from core import keyset
from core.keyset import Page
from notifications.models import Notification

PAGE_SIZE = 25
BY = "activity_at"

InboxPage = Page[Notification]


def page_of(rows: QuerySet[Notification], *, older: str = "", newer: str = "") -> InboxPage:
    """The page after (``older``) or before (``newer``) a cursor, else the first."""
    return keyset.page_of(rows, by=BY, size=PAGE_SIZE, older=older, newer=newer)
