"""Keyset pages of a list of notifications (``core/keyset.py``), by the moment something last happened to them."""

from __future__ import annotations

from django.db.models import QuerySet, prefetch_related_objects

from core import keyset
from core.keyset import Page
from notifications.models import Notification

PAGE_SIZE = 25
BY = "activity_at"

InboxPage = Page[Notification]


def page_of(rows: QuerySet[Notification], *, older: str = "", newer: str = "") -> InboxPage:
    """The page after (``older``) or before (``newer``) a cursor, else the first, with the people its rows name."""
    page = keyset.page_of(rows, by=BY, size=PAGE_SIZE, older=older, newer=newer)
    # Few rows name anybody: to join two users to every row takes longer than to ask for these.
    for name in ("acknowledged_by", "instead_of"):
        prefetch_related_objects([row for row in page.rows if getattr(row, f"{name}_id")], name)
    return page
