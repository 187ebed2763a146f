"""What the frame of every page needs. No queries: the user came with tenant and bell, in the session's query.

One name in the templates: ``shell``.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse
from django.utils import translation
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from core.access import Can, allows
from core.models import Role, User
from core.second_factor import is_owed

LANGUAGE_NAMES = {"en": "English", "ar": "العربية"}


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the side bar. ``pages`` are the beginnings of the route names that light it up."""

    route: str
    icon: str
    label: Promise
    pages: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NavItem:
    """An entry on this page. ``current`` is the value of ``aria-current``: "page", "true" (below it) or empty."""

    url: str
    icon: str
    label: Promise
    current: str


@dataclass(frozen=True, slots=True)
class NavGroup:
    label: Promise
    items: list[NavItem]


_INBOX = Entry("notifications:inbox", "bell", _("Notifications"), ("notifications:preferences",))
_DESK = (
    (
        _("Overview"),
        (
            Entry("core:home", "home", _("Today")),
            Entry("appointments:calendar", "calendar", _("Calendar")),
            Entry(
                "appointments:list",
                "list-details",
                _("Appointments"),
                (
                    "appointments:detail",
                    "appointments:create",
                    "appointments:action",
                    "appointments:consent",
                    "appointments:absence",
                    "appointments:series",
                    "appointments:waiting",
                    "finance:invoice_",
                    "finance:payment_",
                    "finance:refund_",
                ),
            ),
            Entry("core:patient_list", "users", _("Patients"), ("core:patient_", "core:guardian_", "core:consent_")),
        ),
    ),
    (
        _("Messaging"),
        (
            Entry("notifications:dashboard", "layout-dashboard", _("Dashboard")),
            Entry("notifications:message_list", "messages", _("Messages"), ("notifications:message_",)),
            Entry("notifications:conversations", "message-reply", _("Replies"), ("notifications:conversation",)),
            Entry("notifications:desk_tasks", "notes", _("Work list"), ("notifications:desk_task",)),
            _INBOX,
        ),
    ),
)
_MESSAGING, _MESSAGING_PAGES = _DESK[1]
# The desk's, how sending does, and the team.
_ADMIN = (
    _DESK[0],
    (
        _MESSAGING,
        (
            *_MESSAGING_PAGES[:-1],
            Entry("notifications:template_list", "template", _("Templates"), ("notifications:template_",)),
            Entry("notifications:bulk_message", "users", _("Bulk send"), ("notifications:bulk_",)),
            Entry("notifications:analytics", "chart-bar", _("Analytics"), ("notifications:figure_",)),
            *_MESSAGING_PAGES[-1:],
            Entry("notifications:operations", "activity", pgettext_lazy("page", "Sending")),
        ),
    ),
    (
        _("Team"),
        (
            Entry("notifications:team", "users-group", _("Team and alerts"), ("notifications:team_",)),
            Entry("notifications:announcements", "speakerphone", _("Announcements"), ("notifications:announcement_",)),
        ),
    ),
    (
        _("Clinic"),
        (
            Entry(
                "core:rights_list", "shield-check", _("Requests about data"), ("core:rights_", "core:patient_rights")
            ),
            Entry("core:audit", "history", _("Audit trail"), ("core:audit_", "core:looks")),
            Entry(
                "core:settings",
                "settings",
                pgettext_lazy("page", "Settings"),
                ("core:settings_", "branding:", "appointments:policy", "finance:billing_settings"),
            ),
        ),
    ),
)
_PROVIDER = (
    (
        _("Overview"),
        (
            Entry("core:home", "home", _("Today")),
            Entry("appointments:day", "calendar-event", _("My day"), ("appointments:detail", "appointments:action")),
            _INBOX,
        ),
    ),
)
_PATIENT = (
    (
        _("Overview"),
        (
            Entry("core:home", "heart-handshake", _("My care"), ("appointments:detail",)),
            Entry("core:own_messages", "messages", _("My messages")),
            _INBOX,
        ),
    ),
)
NAVIGATION = {Role.ADMIN: _ADMIN, Role.FRONT_DESK: _DESK, Role.PROVIDER: _PROVIDER, Role.PATIENT: _PATIENT}
_SANDBOX = Entry("integrations:sandbox", "device-mobile", _("Sandbox phone"), ("integrations:sandbox",))
_SUPPORT = Entry("admin:index", "tool", _("Support console"))


class Shell:
    """Reads the request once, lazily: a fragment that shows no frame pays nothing."""

    def __init__(self, request: HttpRequest) -> None:
        self._request = request
        self.is_sandbox = settings.SANDBOX_ENABLED
        self.bell_poll_ms = settings.BELL_POLL_MS

    @cached_property
    def user(self) -> User | None:
        """None for a visitor, and on error pages that were made before the session was read."""
        user = getattr(self._request, "user", None)
        return user if isinstance(user, User) else None

    @cached_property
    def layout(self) -> str:
        """The frame of error pages and of the account: without a side bar for a visitor, and for somebody whom it would lead
        nowhere before they have set up their second step."""
        return "base.html" if self.user and not is_owed(self.user) else "plain.html"

    # --- language ----------------------------------------------------------------------------------------------------
    @cached_property
    def language(self) -> str:
        return (translation.get_language() or settings.LANGUAGE_CODE)[:2]

    @property
    def direction(self) -> str:
        return "rtl" if translation.get_language_bidi() else "ltr"

    @property
    def other_language(self) -> str:
        return "en" if self.language == "ar" else "ar"

    @property
    def other_language_name(self) -> str:
        """In that language itself, for the person who cannot read this one."""
        return LANGUAGE_NAMES[self.other_language]

    @property
    def path(self) -> str:
        """Where the language switch comes back to."""
        return self._request.get_full_path()

    # --- side bar ----------------------------------------------------------------------------------------------------
    @cached_property
    def nav(self) -> list[NavGroup]:
        return [NavGroup(label, [self._item(entry) for entry in entries]) for label, entries in self._entries()]

    @property
    def nav_key(self) -> str:
        """What the side bar's entries depend on, beside the language."""
        user = self.user
        who = f"{user.role}.{user.tenant_id is not None}.{user.is_staff}" if user is not None else ""
        return f"{who}.{self.is_sandbox}.{self._route}"

    @cached_property
    def _route(self) -> str:
        match = getattr(self._request, "resolver_match", None)
        return match.view_name if match else ""

    def _entries(self) -> Iterator[tuple[Promise, tuple[Entry, ...]]]:
        user = self.user
        if user is None:
            return
        if user.tenant_id is not None:
            yield from NAVIGATION[Role(user.role)]
        tools = ((_SANDBOX,) if self.is_sandbox else ()) + ((_SUPPORT,) if user.is_staff else ())
        if tools:
            yield _("Tools"), tools

    def _item(self, entry: Entry) -> NavItem:
        route = self._route
        current = "page" if route == entry.route else "true" if route.startswith(entry.pages) and entry.pages else ""
        return NavItem(reverse(entry.route), entry.icon, entry.label, current)

    # --- what this person may do -------------------------------------------------------------------------------------
    @cached_property
    def can(self) -> dict[str, bool]:
        """``{% if shell.can.see_patients %}``"""
        return {str(capability): self.user is not None and allows(self.user, capability) for capability in Can}

    @cached_property
    def has_preferences(self) -> bool:
        """Staff choose what they are told; a patient's choices stand in their file."""
        return self.user is not None and allows(self.user, Can.USE_BELL) and self.user.role != Role.PATIENT

    # --- bell --------------------------------------------------------------------------------------------------------
    @cached_property
    def _bell(self) -> Any:
        # Somebody who never got a notification has no row yet.
        return getattr(self.user, "bell", None)

    @property
    def unread(self) -> int:
        return self._bell.unread if self._bell else 0

    @property
    def bell_tag(self) -> str:
        version = self._bell.version if self._bell else 0
        return bell_tag(self.user, version, self.unread) if self.user else ""


def bell_tag(user: User, version: int, unread: int) -> str:
    """What the bell's poll compares: whose bell, its version, its count."""
    return bell_tag_of(user.pk, version, unread)


def bell_tag_of(user_id: uuid.UUID, version: int, unread: int) -> str:
    """The same, for who knows no more than the id (``notifications/poll.py``)."""
    return f"{user_id.hex[:12]}.{version}.{unread}"


def shell(request: HttpRequest) -> dict[str, Shell]:
    return {"shell": Shell(request)}
