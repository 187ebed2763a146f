"""The patient's sign-in: an address, a code of six digits on that address, and the session that begins with it.

A known address and an unknown one are answered alike and cost the same: the wish is a row, and a worker finds out who, if
anybody, is known by it (``integrations/portal_codes.py`` sends). Must never import anything of the other apps.
"""

from __future__ import annotations

import datetime as dt
import secrets
import uuid
from collections.abc import Collection, Iterable
from typing import Protocol

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.db.models import F
from django.utils import timezone
from django.utils.crypto import constant_time_compare, salted_hmac
from django.utils.translation import gettext as _

from core import phone
from core.errors import DomainError
from core.models import PortalCode, PortalRequest
from core.queueing import enqueue_on_commit
from core.secrets import SecretUnreadable, seal, unseal
from core.selectors import western_digits

CODE_LENGTH = 6
CODE_LIFE = dt.timedelta(minutes=10)
# One in 200,000 for who guesses, at most ten times a day for one address.
MAX_TRIES = 5
CODE_PREFIX = "code:"
# Of one address; more are answered the same and not sent.
MOST_AN_HOUR, MOST_A_DAY = 5, 10
# Of one network, whatever the addresses: a waiting room shares one.
MOST_OF_A_NETWORK = 30
# Rows tell the throttle of a day, and are of no use after it.
KEPT = dt.timedelta(days=2)


class Carrier(Protocol):
    """What a message must show of itself; ``core`` knows no messages."""

    pk: uuid.UUID
    dedupe_key: str


# --- asking ----------------------------------------------------------------------------------------------------------


@transaction.atomic
def code_ask(*, typed: str, ip: str | None) -> PortalRequest:
    """A wish for a code. Raises ``DomainError`` for what is no address, and for too many from one network."""
    from core.tasks import send_portal_code_task

    address = _address(typed)
    now = timezone.now()
    hour_ago, day_ago = now - dt.timedelta(hours=1), now - dt.timedelta(days=1)
    if ip and PortalRequest.objects.filter(ip=ip, created_at__gt=hour_ago).count() >= MOST_OF_A_NETWORK:
        raise DomainError(_("Too many codes were asked for from here. Try again in an hour."), code="too_many")
    mark = salted_hmac("core.portal.address", address, algorithm="sha256").hexdigest()
    before = PortalRequest.objects.filter(address_hash=mark, created_at__gt=day_ago)
    moments = list(before.values_list("created_at", flat=True))
    is_too_often = len(moments) >= MOST_A_DAY or sum(moment > hour_ago for moment in moments) >= MOST_AN_HOUR
    wish = PortalRequest.objects.create(
        address="" if is_too_often else address,
        address_hash=mark,
        ip=ip,
        created_at=now,
        expires_at=now + CODE_LIFE,
    )
    enqueue_on_commit(send_portal_code_task, str(wish.pk))
    return wish


def _address(typed: str) -> str:
    text = typed.strip()
    if "@" in text:
        try:
            validate_email(text.lower())
        except ValidationError as error:
            raise DomainError(_("This is not an email address."), code="email_invalid") from error
        return text.lower()
    try:
        return phone.to_e164(text)
    except ValidationError as error:
        raise DomainError(" ".join(error.messages), code="phone_invalid") from error


# --- the code --------------------------------------------------------------------------------------------------------


def new_code(wish: PortalRequest, tenant_id: uuid.UUID, address: str) -> PortalCode | None:
    """A fresh code of one clinic group for the wish; None when it has one already."""
    row, is_new = PortalCode.objects.get_or_create(request=wish, tenant_id=tenant_id, defaults={"address": address})
    if not is_new:
        return None
    code = f"{secrets.randbelow(10**CODE_LENGTH):0{CODE_LENGTH}d}"
    row.digest, row.sealed = _digest(wish.pk, code), seal(code.encode(), row.pk.bytes)
    return row


def is_code(dedupe_key: str) -> bool:
    """Whether a message carries a code, by its key."""
    return dedupe_key.startswith(CODE_PREFIX)


def alive_among(messages: Iterable[Carrier]) -> set[uuid.UUID]:
    """The ids of those that carry a code which can still be used. No query where none carries one."""
    ids = [message.pk for message in messages if is_code(message.dedupe_key)]
    return set(codes_of(ids)) if ids else set()


def codes_of(message_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, str]:
    """Message id → its code, for the moment of sending; without those that are used or over."""
    rows = PortalCode.objects.filter(
        message_id__in=message_ids, request__used_at=None, request__expires_at__gt=timezone.now()
    )
    found: dict[uuid.UUID, str] = {}
    for row in rows:
        try:
            if row.message_id is not None:
                found[row.message_id] = unseal(bytes(row.sealed), row.pk.bytes).decode()
        except SecretUnreadable:
            # The key has changed since: the patient asks for another.
            continue
    return found


def code_check(*, wish_id: uuid.UUID, typed: str) -> PortalCode:
    """The code that was typed, used up. Raises ``DomainError``: the same words for a wrong code and an unknown address."""
    now = timezone.now()
    # The try is counted before anything is compared, so that many at once are as many as they are.
    counted = PortalRequest.objects.filter(pk=wish_id, used_at=None, expires_at__gt=now, tries__lt=MAX_TRIES).update(
        tries=F("tries") + 1
    )
    if not counted:
        raise DomainError(_("This code is over. Ask for a new one."), code="code_over")
    digest = _digest(wish_id, "".join(western_digits(typed).split()))
    matches = [
        row
        for row in PortalCode.objects.filter(request=wish_id).exclude(digest="").order_by("pk")
        if constant_time_compare(row.digest, digest)
    ]
    if not matches:
        raise DomainError(_("This code does not fit. Check it, or ask for a new one."), code="code_wrong")
    with transaction.atomic():
        if not PortalRequest.objects.filter(pk=wish_id, used_at=None).update(used_at=now):
            raise DomainError(_("This code is over. Ask for a new one."), code="code_over")
        PortalCode.objects.filter(request=wish_id).update(digest="", sealed=b"")
    return matches[0]


def _digest(wish_id: uuid.UUID, code: str) -> str:
    """Keyed: of six digits a plain hash would hide nothing."""
    return salted_hmac("core.portal.code", f"{wish_id}:{code}", algorithm="sha256").hexdigest()


# --- by the clock ----------------------------------------------------------------------------------------------------


def waiting(now: dt.datetime) -> list[uuid.UUID]:
    """Wishes whose doorbell was lost, while somebody may still be waiting at the screen."""
    rows = PortalRequest.objects.filter(
        handled_at=None, created_at__lte=now - dt.timedelta(seconds=5), expires_at__gt=now, attempts__lt=MAX_TRIES
    )
    return list(rows.order_by("created_at").values_list("pk", flat=True)[:200])


def forget(now: dt.datetime) -> int:
    """Secrets go when their time is over, rows after two days; returns how many rows."""
    over = PortalCode.objects.filter(request__expires_at__lte=now).exclude(digest="", sealed=b"")
    over.update(digest="", sealed=b"")
    PortalRequest.objects.filter(expires_at__lte=now).exclude(address="").update(address="")
    return PortalRequest.objects.filter(created_at__lt=now - KEPT).delete()[0]
