"""Addresses that must not be written to: dead, opted out, complained. Asked before every send, lifted by a person.

The only writer of ``SuppressedAddress``. A suppression that is committed stops even what is queued already: the gate
asks again right before each send.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable

from django.db import transaction
from django.utils import timezone

from core import audit
from core.models import User
from notifications.models import SuppressedAddress
from notifications.states import Reason

# Up to so many stopped addresses of a channel it is cheaper to read all than to ask for those of a batch.
FEW = 50


def suppress(
    *,
    tenant_id: uuid.UUID,
    channel: str,
    address: str,
    reason: Reason,
    code: str = "",
    message_id: uuid.UUID | None = None,
) -> bool:
    """Stops a channel for an address. True when it was open; the first reason stays. The tenant's scope is open."""
    if not address:
        return False
    _row, is_new = SuppressedAddress.objects.get_or_create(
        channel=channel,
        address=address,
        lifted_at=None,
        defaults={"tenant_id": tenant_id, "reason": reason, "code": code[:40], "message_id": message_id},
    )
    return is_new


def suppressed(channel: str, addresses: Iterable[str]) -> dict[str, Reason]:
    """Which of these addresses are stopped on that channel, and why. The tenant's scope is open."""
    wanted = set(addresses)
    rows = SuppressedAddress.objects.filter(channel=channel, lifted_at=None).order_by()
    if len(wanted) > FEW:
        # Most clinics have fewer stopped addresses than a batch has messages.
        known = list(rows.values_list("address", "reason")[: FEW + 1])
        if len(known) <= FEW:
            return {address: Reason(reason) for address, reason in known if address in wanted}
    found = rows.filter(address__among=wanted)
    return {address: Reason(reason) for address, reason in found.values_list("address", "reason")}


def release(message_ids: Iterable[uuid.UUID]) -> int:
    """Opens again what the bounces of these messages stopped: somebody has read them, so the address lives after all."""
    return SuppressedAddress.objects.filter(
        message__among=set(message_ids), reason=Reason.CONTACT_UNDELIVERABLE, lifted_at=None
    ).update(lifted_at=timezone.now())


@transaction.atomic
def lift(*, suppressed: SuppressedAddress, actor: User) -> None:
    """A person says that the address may be used again. What was refused meanwhile stays refused."""
    changed = SuppressedAddress.objects.filter(pk=suppressed.pk, lifted_at=None).update(
        lifted_at=timezone.now(), lifted_by=actor
    )
    if changed:
        audit.record(
            tenant_id=suppressed.tenant_id,
            actor=actor,
            action="suppressed_address.lifted",
            obj=suppressed,
            before={"reason": suppressed.reason, "channel": suppressed.channel},
        )
