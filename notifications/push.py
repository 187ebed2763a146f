"""The browsers that take push messages, and the keys by which push services know us. The only writer of ``PushSubscription``.

A browser has one owner: who signs in there next takes it over. An address is a push service's, or it is refused: the
sender would otherwise call whatever address somebody posts.
"""

from __future__ import annotations

import re
import uuid
from functools import cache
from urllib.parse import urlsplit

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from core import audit
from core.access import Can
from core.errors import DomainError
from core.models import Role, User
from core.permissions import NotAllowed, demand
from core.tenancy import system_scope, tenant_scope
from notifications.models import PushSubscription
from notifications.push_keys import decode, encode

MOST_DEVICES = 20
# What a browser gives us (RFC 8291): a point of P-256, uncompressed, and a shared secret.
_POINT, _SECRET = 65, 16
_HOST = re.compile(r"[a-z0-9.-]+")
_UNPRINTABLE = re.compile(r"[^!-~]")


class KeyMalformed(ValueError):
    """``VAPID_PRIVATE_KEY`` is no key of 32 bytes in base64url."""


def is_set_up() -> bool:
    """Half or wrongly set up, push is off; ``manage.py check`` says what is wrong."""
    if not settings.VAPID_PRIVATE_KEY or not settings.VAPID_SUBJECT:
        return False
    try:
        signing_key()
    except KeyMalformed:
        return False
    return True


def public_key() -> str:
    """What browsers subscribe with: the public half of our key, uncompressed, in base64url."""
    point = (
        signing_key()
        .public_key()
        .public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    )
    return encode(point)


def signing_key() -> ec.EllipticCurvePrivateKey:
    """Raises ``KeyMalformed``."""
    return _key(settings.VAPID_PRIVATE_KEY)


@cache
def _key(text: str) -> ec.EllipticCurvePrivateKey:
    raw = decode(text)
    if raw is None or len(raw) != 32:
        raise KeyMalformed("32 bytes in base64url")
    try:
        return ec.derive_private_key(int.from_bytes(raw), ec.SECP256R1())
    except ValueError as error:
        raise KeyMalformed("no number of this curve") from error


# --- addresses -------------------------------------------------------------------------------------------------------


def is_push_service(endpoint: str) -> bool:
    """https on the usual port of a host in ``PUSH_HOSTS``. An entry with a scheme (``http://127.0.0.1:9100``) is an origin
    of its own, for a double on this machine.
    """
    try:
        address = urlsplit(endpoint)
        port = address.port
    except ValueError:
        return False
    host = (address.hostname or "").lower()
    # Only plain host names: what a client might read otherwise than we do is refused.
    if not _HOST.fullmatch(host) or "@" in address.netloc or _UNPRINTABLE.search(endpoint):
        return False
    if f"{address.scheme}://{address.netloc}".lower() in settings.PUSH_HOSTS:
        return True
    return address.scheme == "https" and port in (None, 443) and any(_matches(host, one) for one in settings.PUSH_HOSTS)


def _matches(host: str, pattern: str) -> bool:
    """``*.push.apple.com`` is every host below it, anything else that host."""
    if pattern.startswith("*."):
        return host.endswith(pattern[1:]) and host != pattern[2:]
    return host == pattern


# --- devices ---------------------------------------------------------------------------------------------------------


def subscribe(*, user: User, endpoint: str, p256dh: str, auth: str, device: str = "") -> PushSubscription:
    """This browser takes the user's messages from now on, whoever had it before. Called again it renews the keys."""
    demand(user, Can.USE_BELL)
    if user.tenant_id is None or user.role == Role.PATIENT:
        raise NotAllowed
    if len(endpoint) > 500 or not is_push_service(endpoint):
        raise DomainError(_("This browser's push service is not one we know."), code="push_host")
    point, secret = decode(p256dh), decode(auth)
    if point is None or secret is None or len(point) != _POINT or len(secret) != _SECRET or not _is_on_curve(point):
        raise DomainError(_("The browser sent keys that cannot be right. Turn push on again."), code="push_keys")
    with transaction.atomic():
        # The lock makes the count below exact.
        User.objects.select_for_update(no_key=True).get(pk=user.pk)
        with system_scope("a browser has one owner; who had it before may belong to another clinic group"):
            PushSubscription.objects.filter(endpoint=endpoint).exclude(user=user).delete()
        others = PushSubscription.objects.filter(user=user).exclude(endpoint=endpoint)
        if others.count() >= MOST_DEVICES:
            raise DomainError(
                _("You have push on %(count)s devices. Remove one first.") % {"count": MOST_DEVICES},
                code="push_devices",
            )
        row, is_new = PushSubscription.objects.update_or_create(
            endpoint=endpoint,
            defaults={"user": user, "p256dh": p256dh, "auth": auth, "device": device.strip()[:80]},
            create_defaults={
                "tenant_id": user.tenant_id,
                "user": user,
                "endpoint": endpoint,
                "p256dh": p256dh,
                "auth": auth,
                "device": device.strip()[:80],
            },
        )
        if is_new:
            audit.record(tenant_id=user.tenant_id, actor=user, action="push.subscribed", obj=row)
    return row


def _is_on_curve(point: bytes) -> bool:
    try:
        ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    except ValueError:
        return False
    return True


def devices(user: User) -> list[PushSubscription]:
    return list(PushSubscription.objects.filter(user=user).order_by("created_at", "pk"))


def unsubscribe(*, user: User, endpoint: str) -> bool:
    """Turned off on the device itself. True when it was on."""
    return _remove(user, endpoint=endpoint)


def remove(*, user: User, subscription_id: uuid.UUID) -> bool:
    """Turned off from elsewhere, or the person signs out there."""
    return _remove(user, pk=subscription_id)


@transaction.atomic
def _remove(user: User, **which: object) -> bool:
    row = PushSubscription.objects.filter(user=user, **which).first()
    if row is None:
        return False
    audit.record(tenant_id=row.tenant_id, actor=user, action="push.unsubscribed", obj=row)
    row.delete()
    return True


def remove_of_others(*, user: User, subscription_id: uuid.UUID) -> int:
    """The user signs in on a browser that a colleague subscribed."""
    deleted, _by_model = PushSubscription.objects.filter(pk=subscription_id).exclude(user=user).delete()
    return deleted


def remove_all(user: User, *, but: uuid.UUID | None = None) -> int:
    """The person no longer works here, or has signed out everywhere but in one browser."""
    if user.tenant_id is None:
        return 0
    with tenant_scope(user.tenant_id):
        rows = PushSubscription.objects.filter(user=user)
        deleted, _by_model = (rows if but is None else rows.exclude(pk=but)).delete()
    return deleted


# --- what the sender learns ------------------------------------------------------------------------------------------


def note_success(subscription_id: uuid.UUID) -> None:
    PushSubscription.objects.filter(pk=subscription_id).update(last_success_at=timezone.now())


def remove_dead(subscription_id: uuid.UUID, endpoint: str) -> None:
    """The push service no longer knows the address. Not a row that was subscribed anew meanwhile."""
    PushSubscription.objects.filter(pk=subscription_id, endpoint=endpoint).delete()
