"""Cards about what reaches staff beside the bell: their devices, their channels, and what became of one notification."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from django import template
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _

from core.access import Can, allows
from core.templatetags.agdar_ui import status_class
from notifications import chat, push
from notifications.models import ChatTarget, Notification, NotificationDelivery, PushSubscription
from notifications.staff_outbox import TEAM_STEP
from notifications.states import DeliveryStatus, StaffChannel

register = template.Library()

_TONES = {
    DeliveryStatus.PENDING: "",
    DeliveryStatus.SENDING: "info",
    DeliveryStatus.SENT: "ok",
    DeliveryStatus.MERGED: "ok",
    DeliveryStatus.DROPPED: "",
    DeliveryStatus.FAILED: "bad",
}
_ICONS = {StaffChannel.EMAIL: "mail", StaffChannel.PUSH: "device-mobile", StaffChannel.CHAT: "messages"}


@dataclass(frozen=True, slots=True)
class _Device:
    row: PushSubscription
    # Lets the page find itself in the list without the address, which is a secret.
    mark: str


@register.inclusion_tag("notifications/partials/push_devices.html", takes_context=True)
def push_devices(context: dict[str, Any]) -> dict[str, Any]:
    """Push on this device: unsupported, blocked, off or on; and the list of all devices."""
    return push_context(context["request"], back=context.get("back"))


def push_context(request: HttpRequest, back: str | None = None) -> dict[str, Any]:
    is_set_up = push.is_set_up()
    found = push.devices(request.user)
    return {
        "request": request,
        "devices": [_Device(row, hashlib.sha256(row.endpoint.encode()).hexdigest()) for row in found],
        "is_set_up": is_set_up,
        "public_key": push.public_key() if is_set_up else "",
        "place": request.user.location,
        "back": back or _asked_back(request),
    }


def _asked_back(request: HttpRequest) -> str:
    """The page around the card: the card's own address is none to return to."""
    own = reverse("notifications:push_devices")
    return request.GET.get("back", "") if request.path == own else request.path


@register.inclusion_tag("notifications/partials/chat_targets.html", takes_context=True)
def chat_team(context: dict[str, Any]) -> dict[str, Any]:
    """The clinic group's own channels, for its admins; nothing for anybody else."""
    request = context["request"]
    is_admin = allows(request.user, Can.ADMINISTER)
    return _chat(
        request,
        targets=chat.team_targets() if is_admin else [],
        is_shown=is_admin,
        id="chat-team",
        title=_("Slack and Teams of the clinic"),
        text=_("System alerts go to each of these channels, once for everybody."),
        add=reverse("notifications:chat_team_add"),
    )


@register.inclusion_tag("notifications/partials/chat_targets.html", takes_context=True)
def chat_mine(context: dict[str, Any]) -> dict[str, Any]:
    """The reader's own channels."""
    request = context["request"]
    return _chat(
        request,
        targets=chat.own_targets(request.user),
        is_shown=True,
        id="chat-mine",
        title=_("My Slack or Teams"),
        text=_("What you choose for “Slack or Teams” goes to your own channel. It says what kind of news, no names."),
        add=reverse("notifications:chat_mine_add"),
    )


def _chat(request: HttpRequest, *, targets: list[ChatTarget], **more: Any) -> dict[str, Any]:
    return {"request": request, "targets": targets, "place": request.user.location, "back": request.path, **more}


@dataclass(frozen=True, slots=True)
class _Way:
    """One way beside the bell, and what became of it."""

    row: NotificationDelivery
    icon: str
    label: str
    tone: str
    status: str
    reason: str


@register.inclusion_tag("notifications/partials/notification_deliveries.html", takes_context=True)
def deliveries_of(context: dict[str, Any], notification: Notification) -> dict[str, Any]:
    """What went beside the bell, what waits, and why something did not go."""
    rows = notification.deliveries.select_related("email").order_by("created_at", "channel", "step")
    return {"ways": [_way(row) for row in rows], "place": context["request"].user.location}


def _way(row: NotificationDelivery) -> _Way:
    label = str(StaffChannel(row.channel).label)
    if row.step >= TEAM_STEP:
        label = _("%(channel)s of the clinic") % {"channel": label}
    status, tone = row.get_status_display(), _TONES[DeliveryStatus(row.status)]
    if row.status == DeliveryStatus.SENT and row.email is not None:
        # An email goes on from here as a message: its own status knows more.
        status, tone = row.email.get_status_display(), status_class(row.email)
    return _Way(row, _ICONS[StaffChannel(row.channel)], label, tone, status, row.get_reason_display())
