"""How the clinics' emails look, what WhatsApp has approved of their words, and who opened links and emails."""

from __future__ import annotations

import datetime as dt
import hashlib
import math
import re
import struct
import zlib
from collections.abc import Sequence

from django.conf import settings

from core.management.demo_data import build as building
from core.management.demo_data.build import Build
from core.models import Role
from notifications import short_links
from notifications.models import Brand, BrandLogo, LinkClick, Message, MessageTemplate, ShortLink, WhatsAppApproval
from notifications.states import NEVER_LEFT, SUCCESS, Channel

# By the clinics' short names. The first counts what is opened, the second does not.
_COLOURS = {"noor": "#0f6b5c", "amal": "#8a2f5d"}
_COUNTS = "noor"
_FOOTERS = {
    "noor": (
        "Noor Clinics, King Fahd Road, Riyadh\nYou get this email because you are a patient of ours.",
        "عيادات نور، طريق الملك فهد، الرياض\nوصلتك هذه الرسالة لأنك من مراجعي عياداتنا.",
    ),
    "amal": (
        "Amal Medical, Prince Sultan Street, Jeddah\nYou get this email because you are a patient of ours.",
        "أمل الطبية، شارع الأمير سلطان، جدة\nوصلتك هذه الرسالة لأنك من مراجعينا.",
    ),
}
# What is not approved yet, by code and language; everything else is.
_OPEN = {
    ("results.ready.patient", "ar"): (WhatsAppApproval.State.PENDING, ""),
    ("billing.payment_due.patient", "en"): (
        WhatsAppApproval.State.REJECTED,
        "The variable {{2}} is next to {{3}} without words between them.",
    ),
}
_LOGO_SIDE = 96
# How many of the links and emails that arrived were opened.
_CLICKED, _OPENED = 0.55, 0.4
_LINK = re.compile(r"/c/([0-9a-z]{11})")
_AGENTS = ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X)", "Mozilla/5.0 (Linux; Android 15; SM-S921B)")


def build_brand(build: Build, messages: Sequence[Message]) -> None:
    """After the templates have their versions and the messages are written."""
    slug = build.plan.slug
    colour = _COLOURS[slug]
    picture = _logo(colour)
    digest = hashlib.sha256(picture).hexdigest()
    english, arabic = _FOOTERS[slug]
    brand = Brand(
        id=build.new_id(),
        tenant=build.tenant,
        colour=colour,
        footer_en=english,
        footer_ar=arabic,
        reply_to=f"desk@{slug}.example",
        logo_digest=digest,
        logo_type="png",
        logo_width=_LOGO_SIDE,
        logo_height=_LOGO_SIDE,
        track_clicks=slug == _COUNTS,
        track_opens=slug == _COUNTS,
        updated_by=build.staff(Role.ADMIN)[0],
        updated_at=build.now - dt.timedelta(days=40),
    )
    logo = BrandLogo(
        id=build.new_id(), tenant=build.tenant, digest=digest, content_type="image/png", content=picture,
        created_at=brand.updated_at,
    )  # fmt: skip
    building.save([brand], [logo], _approvals(build))
    if brand.track_clicks:
        _open_links(build, messages)


def _approvals(build: Build) -> list[WhatsAppApproval]:
    rows = []
    admin = build.staff(Role.ADMIN)[0]
    for template in MessageTemplate.objects.filter(channel=Channel.WHATSAPP).order_by("code"):
        for language in ("en", "ar") if template.body_ar else ("en",):
            state, reason = _OPEN.get((template.code, language), (WhatsAppApproval.State.APPROVED, ""))
            noted_at = build.now - dt.timedelta(days=35, minutes=build.rng.randint(0, 600))
            last_digit = {"PENDING": "d", "REJECTED": "e"}.get(state, "0")
            rows.append(
                WhatsAppApproval(
                    id=build.new_id(),
                    tenant=build.tenant,
                    template=template,
                    language=language,
                    state=state,
                    # The sandbox answers by the last digit.
                    content_sid=f"HX{build.rng.getrandbits(124):031x}{last_digit}",
                    rejection_reason=reason,
                    version=template.version,
                    updated_by=admin,
                    updated_at=noted_at,
                    checked_at=noted_at,
                )
            )
    return rows


def _open_links(build: Build, messages: Sequence[Message]) -> None:
    """Links of the last weeks as the short ones they would have been, and who opened what."""
    links: list[ShortLink] = []
    clicks: list[LinkClick] = []
    changed: list[Message] = []
    base = settings.PUBLIC_BASE_URL
    for message in messages:
        if message.patient_id is None:
            continue
        has_arrived = message.status in SUCCESS and message.delivered_at is not None
        if (found := _LINK.search(message.body)) is not None:
            code = short_links.code_for(message.tenant_id, message.dedupe_key, found.group())
            link = ShortLink(
                id=build.new_id(),
                tenant=build.tenant,
                code=code,
                target=found.group(),
                message=message,
                language=message.language,
                expires_at=message.created_at + short_links.LIVES,
                created_at=message.created_at,
            )
            # What never left has the words, and nobody to open them.
            if message.status not in NEVER_LEFT:
                links.append(link)
            message.body = message.body.replace(f"{base}{found.group()}", short_links.address(code))
            changed.append(message)
            if has_arrived and build.chance(_CLICKED):
                clicks.append(_click(build, message, LinkClick.Kind.CLICK, link))
        if has_arrived and message.channel == Channel.EMAIL and build.chance(_OPENED):
            clicks.append(_click(build, message, LinkClick.Kind.OPEN, None))
    Message.objects.bulk_update(changed, ["body"], batch_size=500)
    building.save(links, [click for click in clicks if click.created_at < build.now])


def _click(build: Build, message: Message, kind: str, link: ShortLink | None) -> LinkClick:
    assert message.delivered_at is not None
    agent = build.rng.choice(_AGENTS)
    return LinkClick(
        id=build.new_id(),
        tenant=build.tenant,
        message=message,
        link=link,
        kind=kind,
        agent_hash=hashlib.sha256(f"{message.pk}{agent}".encode()).hexdigest()[:16],
        created_at=build.after(message.delivered_at, 30, 14_400),
    )


def _logo(colour: str) -> bytes:
    """A PNG: a white cross on a rounded square. Drawn here, so that the demo needs no picture of anybody's."""
    side, radius = _LOGO_SIDE, 22
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    lines = []
    for y in range(side):
        line = bytearray(b"\x00")
        for x in range(side):
            # How far outside the rounded square, softened over one pixel.
            across = max(radius - x - 0.5, x + 0.5 - (side - radius), 0)
            down = max(radius - y - 0.5, y + 0.5 - (side - radius), 0)
            cover = min(1.0, max(0.0, radius - math.hypot(across, down) + 0.5))
            dx, dy = abs(x + 0.5 - side / 2), abs(y + 0.5 - side / 2)
            is_cross = (dx <= 9 and dy <= 27) or (dy <= 9 and dx <= 27)
            line += bytes((255, 255, 255, 255)) if is_cross else bytes((red, green, blue, round(255 * cover)))
        lines.append(bytes(line))
    head = struct.pack(">IIBBBBB", side, side, 8, 6, 0, 0, 0)
    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            _chunk(b"IHDR", head),
            _chunk(b"IDAT", zlib.compress(b"".join(lines))),
            _chunk(b"IEND", b""),
        )
    )


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
