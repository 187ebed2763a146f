"""Short links: the addresses of our own pages in patients' messages, made countable when the clinic group wishes it.

A code is drawn from the message's key with a secret of the house: nobody can guess one, and a message that is made
twice (a task that ran again) comes to the same words and the same code. It is as long as the code it stands for, so no
text becomes longer. Only paths of our own are ever stored, so a link cannot lead anywhere else.
"""

from __future__ import annotations

import datetime as dt
import re
import uuid
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from django.conf import settings
from django.utils import timezone
from django.utils.crypto import constant_time_compare, salted_hmac

from core.tenancy import system_scope
from notifications.branding import brand_of
from notifications.models import Brand, Message, ShortLink
from notifications.rendering import Link

# Without what is misread for something else; 31 ** 11 is 54 bits, far too many to try.
ALPHABET = "23456789abcdefghjkmnpqrstuvwxyz"
CODE_LENGTH = 11
# Longer than any visit is booked ahead; the page behind it knows by itself when it is over.
LIVES = dt.timedelta(days=180)
# The pages that a link may lead to: the patient's page of a visit.
_OWN_PAGE = re.compile(r"/c/[-a-zA-Z0-9_]{4,64}", re.ASCII)


class Shortened(NamedTuple):
    """The values with short links in place of long ones, and the rows to write once the message is there."""

    context: Mapping[str, Any]
    links: list[ShortLink]


def is_own_page(path: str) -> bool:
    return _OWN_PAGE.fullmatch(path) is not None


def has_links(context: Mapping[str, Any]) -> bool:
    """Whether anything in it could be shortened. No query."""
    return any(_page_behind(value) for value in context.values())


def shorten(
    message: Message, context: Mapping[str, Any], *, brand: Brand | None = None, on_own_host: bool = True
) -> Shortened:
    """The context of a patient's message with its links shortened, if its clinic group counts clicks.

    Depends on nothing but the message's tenant and dedupe key and the targets, so that it is the same at every try.
    ``brand`` spares the query to whoever has it. Not ``on_own_host``: the clinic group's own host would name it.
    """
    if message.patient_id is None or not has_links(context):
        return Shortened(context, [])
    brand = brand or brand_of(message.tenant_id)
    if brand is None or not brand.track_clicks:
        return Shortened(context, [])
    changed: dict[str, Any] = {}
    links: dict[str, ShortLink] = {}
    for name, value in context.items():
        page = _page_behind(value)
        if not page:
            continue
        code = code_for(message.tenant_id, message.dedupe_key, page)
        changed[name] = Link(address(code, brand.link_host if on_own_host else ""))
        links[code] = ShortLink(
            tenant_id=message.tenant_id,
            code=code,
            target=page,
            message=message,
            language=message.language,
            expires_at=timezone.now() + LIVES,
        )
    return Shortened({**context, **changed}, list(links.values()))


def code_for(tenant_id: uuid.UUID, dedupe_key: str, page: str) -> str:
    number = int.from_bytes(_secret(f"{tenant_id}\n{dedupe_key}\n{page}"), "big")
    letters = []
    for _letter in range(CODE_LENGTH):
        number, letter = divmod(number, len(ALPHABET))
        letters.append(ALPHABET[letter])
    return "".join(letters)


def address(code: str, host: str = "") -> str:
    """The link as it stands in a text, without a slash at its end. ``host`` is a clinic group's own."""
    base = f"{urlsplit(settings.PUBLIC_BASE_URL).scheme}://{host}" if host else settings.PUBLIC_BASE_URL
    return f"{base}/l/{code}"


def find(code: str) -> ShortLink | None:
    """The link with its message; None for an unknown code or a suspended clinic group."""
    with system_scope("the code tells the tenant: a patient opens the link without an account"):
        return (
            ShortLink.objects.select_related("tenant", "message")
            .only(
                "code",
                "target",
                "language",
                "expires_at",
                "tenant__name_en",
                "tenant__name_ar",
                "message__sent_at",
                "message__created_at",
                "message__tenant_id",
            )
            .filter(code=code.lower(), tenant__is_active=True)
            .first()
        )


def pixel_address(message_id: uuid.UUID) -> str:
    """The picture whose loading tells that an email was opened. It needs no row: the address proves itself."""
    return f"{settings.PUBLIC_BASE_URL}/l/o/{message_id.hex}{_pixel_proof(message_id)}.gif"


def message_of_pixel(code: str) -> uuid.UUID | None:
    """The message that a picture's code names; None for a code that we did not make."""
    try:
        message_id = uuid.UUID(code[:32])
    except ValueError:
        return None
    return message_id if constant_time_compare(code[32:], _pixel_proof(message_id)) else None


def _page_behind(value: Any) -> str:
    """The path of our own page that a value leads to; empty for everything else."""
    if not isinstance(value, Link) or not value.url.startswith(f"{settings.PUBLIC_BASE_URL}/"):
        return ""
    path = value.url.removeprefix(settings.PUBLIC_BASE_URL)
    return path if is_own_page(path) else ""


def _pixel_proof(message_id: uuid.UUID) -> str:
    return _secret(f"open\n{message_id}").hex()[:16]


def _secret(text: str) -> bytes:
    return salted_hmac("agdar.notifications.short_links", text, algorithm="sha256").digest()
