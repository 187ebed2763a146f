"""A clinic group's brand: its one writer, and the letterhead that its emails are written on.

The logo is a picture at a public address, the same for every reader: it tells nothing about who opened a mail, mail
programs and their proxies keep it, and a mail stays at some 4 KB, where a picture in each would make it 250.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import transaction
from django.urls import reverse
from django.utils.translation import gettext as _

from core import audit
from core.errors import DomainError
from core.models import Language, Tenant, User
from integrations.sms_providers import Letterhead
from notifications import pictures
from notifications.models import Brand, BrandLogo

LOGO_AT_MOST = 200_000
# As large as it is shown in an email; the file may be two or three times that, for sharp screens.
LOGO_BOX = (240, 48)
# WCAG 2.2, 1.4.3: the colour is read as small text on white.
CONTRAST_AT_LEAST = 4.5
_COLOUR = re.compile(r"#[0-9a-f]{6}", re.ASCII)
_DARK_GROUND = "#161b22"
# What the trail keeps of a brand: no address of a person.
_AUDITED = ("colour", "footer_en", "footer_ar", "logo_digest", "link_host", "track_clicks", "track_opens")


@dataclass(frozen=True, slots=True)
class BrandWish:
    """What an admin wants. ``logo``: the file's bytes, None for no change; ``remove_logo`` takes it away."""

    colour: str
    footer_en: str = ""
    footer_ar: str = ""
    reply_to: str = ""
    link_host: str = ""
    track_clicks: bool = False
    track_opens: bool = False
    logo: bytes | None = None
    remove_logo: bool = False


def brand_of(tenant_id: uuid.UUID) -> Brand | None:
    """The tenant's brand; None when nobody has set one. The tenant's scope is open."""
    return Brand.objects.filter(tenant_id=tenant_id).first()


def letterheads(brand: Brand) -> dict[str, Letterhead]:
    """Language → the paper its emails are written on. One query."""
    tenant = Tenant.objects.only("name_en", "name_ar").get(pk=brand.tenant_id)
    return {language: letterhead(brand, tenant, language) for language in Language.values}


def letterhead(brand: Brand, tenant: Tenant, language: str) -> Letterhead:
    """The paper in one language, also of a brand that is not saved (the preview). No query."""
    width, height = pictures.Picture("", "", max(1, brand.logo_width), max(1, brand.logo_height)).fit(*LOGO_BOX)
    return Letterhead(
        name=tenant.name_in(language),
        colour=brand.colour,
        colour_dark=readable_on(_DARK_GROUND, brand.colour),
        logo_url=logo_address(brand),
        logo_width=width,
        logo_height=height,
        footer=brand.footer_in(language),
        reply_to=brand.reply_to,
    )


def logo_address(brand: Brand) -> str:
    """Where everybody finds the logo; empty without one."""
    if not brand.logo_digest:
        return ""
    name = f"{brand.logo_digest[:32]}.{brand.logo_type}"
    return f"{settings.PUBLIC_BASE_URL}{reverse('branding:logo', args=[brand.tenant_id, name])}"


def logo(tenant_id: uuid.UUID, digest: str) -> BrandLogo | None:
    """The logo whose digest begins so. Former ones too: mails that were sent still show theirs."""
    return BrandLogo.objects.filter(tenant_id=tenant_id, digest__startswith=digest).first()


@transaction.atomic
def brand_set(*, actor: User, wish: BrandWish) -> Brand:
    """Saves the actor's tenant's brand and writes the trail. Raises DomainError."""
    assert actor.tenant_id is not None
    colour = check_colour(wish.colour)
    if wish.link_host and wish.link_host not in settings.SHORT_LINK_HOSTS:
        raise DomainError(_("This host does not lead to us."), code="link_host_unknown")
    brand, _is_new = Brand.objects.select_for_update().get_or_create(tenant_id=actor.tenant_id)
    before = _facts(brand)
    brand.colour = colour
    brand.footer_en, brand.footer_ar = wish.footer_en.strip(), wish.footer_ar.strip()
    brand.reply_to, brand.link_host = wish.reply_to, wish.link_host
    brand.track_clicks, brand.track_opens = wish.track_clicks, wish.track_opens
    if wish.logo is not None:
        _put_up(brand, wish.logo)
    elif wish.remove_logo:
        brand.logo_digest, brand.logo_type, brand.logo_width, brand.logo_height = "", "", 0, 0
    brand.updated_by = actor
    brand.save()
    after = _facts(brand)
    if before != after:
        changed = {name for name in after if before[name] != after[name]}
        audit.record(
            tenant_id=actor.tenant_id,
            actor=actor,
            action="brand.changed",
            obj=brand,
            before={name: before[name] for name in changed},
            after={name: after[name] for name in changed},
        )
    return brand


def check_colour(text: str) -> str:
    """The colour as #rrggbb. Raises DomainError for what is none, and for one that cannot be read on white."""
    colour = text.strip().lower()
    if not _COLOUR.fullmatch(colour):
        raise DomainError(_("Write the colour as # and six letters or digits, such as #0f6b5c."), code="colour_unknown")
    if contrast(colour, "#ffffff") < CONTRAST_AT_LEAST:
        raise DomainError(
            _("This colour is too light: links in it could hardly be read on white. Choose a darker one."),
            code="colour_too_light",
        )
    return colour


def contrast(one: str, other: str) -> float:
    """The contrast of two colours by WCAG 2.2: 1 (none) to 21 (black on white)."""
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def readable_on(ground: str, colour: str) -> str:
    """The colour, mixed with as little white as makes it readable on a dark ground."""
    for share in range(0, 101, 5):
        mixed = "#" + "".join(f"{round(part + (255 - part) * share / 100):02x}" for part in _parts(colour))
        if contrast(mixed, ground) >= CONTRAST_AT_LEAST:
            return mixed
    return "#ffffff"


def _luminance(colour: str) -> float:
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in (value / 255 for value in _parts(colour))
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _parts(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def _put_up(brand: Brand, content: bytes) -> None:
    if len(content) > LOGO_AT_MOST:
        raise DomainError(_("The logo is larger than 200 KB. Save it smaller and try again."), code="logo_too_large")
    try:
        picture = pictures.read(content)
    except pictures.NoPicture as error:
        raise DomainError(_("This file is no PNG, JPEG or WebP picture."), code="logo_no_picture") from error
    digest = hashlib.sha256(content).hexdigest()
    BrandLogo.objects.get_or_create(
        tenant_id=brand.tenant_id,
        digest=digest,
        defaults={"content_type": picture.content_type, "content": content},
    )
    brand.logo_digest, brand.logo_type = digest, picture.suffix
    brand.logo_width, brand.logo_height = picture.width, picture.height


def _facts(brand: Brand) -> dict[str, Any]:
    return {name: getattr(brand, name) for name in _AUDITED} | {"has_reply_to": bool(brand.reply_to)}
