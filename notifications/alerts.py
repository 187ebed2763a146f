"""Tells a tenant's admins, in their bell, that something of ours needs a person. Once an hour a fault, not per message."""

from __future__ import annotations

import uuid

from django.utils import timezone

from notifications import events
from notifications.states import Channel

_NAMES_EN = {Channel.SMS: "SMS messages", Channel.WHATSAPP: "WhatsApp messages", Channel.EMAIL: "Emails"}
_NAMES_AR = {Channel.SMS: "الرسائل النصية", Channel.WHATSAPP: "رسائل واتساب", Channel.EMAIL: "رسائل البريد الإلكتروني"}


def channel_is_down(*, tenant_id: uuid.UUID, channel: str, code: str, detail: str) -> None:
    """The provider refuses our account or our set-up: no message of this channel will leave before it is mended.

    ``code`` and ``detail`` are the provider's error in our words; no address and no text of a message.
    """
    kind = Channel(channel)
    explained = detail or "The channel is not set up."
    events.record(
        "system.alert",
        tenant_id=tenant_id,
        dedupe=f"channel:{kind.value}:{code}:{timezone.now():%Y-%m-%dT%H}",
        payload={
            "title_en": f"{_NAMES_EN[kind]} are not being sent",
            "title_ar": f"{_NAMES_AR[kind]} لا تُرسل",
            "text_en": f"The provider refuses our account or settings ({code}). {explained}",
            "text_ar": f"مزود الخدمة يرفض حسابنا أو إعداداتنا ({code}). {explained}",
        },
    )
