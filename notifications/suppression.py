"""Addresses that must not be written to: dead, opted out, complained. Asked before every send, lifted by a person.

The only writer of ``SuppressedAddress``. A suppression that is committed stops even what is queued already: the gate
asks again right before each send.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable

from django.db import transaction
from django.dispatch import Signal
from django.utils import timezone

from core import audit
from core.models import User
from notifications import desk_tasks, opt_log
from notifications.consent_states import OptAct, OptSource
from notifications.models import SuppressedAddress
from notifications.states import Reason, TaskKind

# Up to so many stopped addresses of a channel it is cheaper to read all than to ask for those of a batch.
FEW = 50
# Sent in the transaction in which a person opens an address again, with ``address``.
address_lifted = Signal()


def suppress(
    *,
    tenant_id: uuid.UUID,
    channel: str,
    address: str,
    reason: Reason,
    sender: str = "",
    code: str = "",
    message_id: uuid.UUID | None = None,
) -> bool:
    """Stops a channel for an address. True when it was open. The tenant's scope is open.

    The first reason stays unless a stronger one follows. What seemed dead may live after all, and then the wish of who
    reads there holds; and neither a bounce that was none nor such a wish makes somebody else's number the patient's.

    ``sender``: only what that sender of ours writes; empty: all of it.
    """
    if not address:
        return False
    row, is_new = SuppressedAddress.objects.get_or_create(
        channel=channel,
        address=address,
        sender=sender,
        lifted_at=None,
        defaults={"tenant_id": tenant_id, "reason": reason, "code": code[:40], "message_id": message_id},
    )
    if _strength(reason) > _strength(row.reason):
        SuppressedAddress.objects.filter(pk=row.pk, lifted_at=None).update(reason=reason, code=code[:40])
    return is_new


def _strength(reason: str) -> int:
    return {Reason.CONTACT_UNDELIVERABLE: 0, Reason.WRONG_NUMBER: 2}.get(Reason(reason), 1)


def suppressed(channel: str, addresses: Iterable[str], *, sender: str | None = None) -> dict[str, Reason]:
    """Which of these addresses are stopped on that channel, and why. The tenant's scope is open.

    ``sender``: the one that is to write there; an empty one is the provider's default, which may be any of those that
    were told to stop. None: not known yet, so only what is stopped for all of them counts.
    """
    return {
        address: reason
        for address, stops in stops_of(channel, addresses).items()
        if (reason := first_stop(stops, sender)) is not None
    }


def stops_of(channel: str, addresses: Iterable[str]) -> dict[str, list[tuple[str, Reason]]]:
    """Address → the (sender, reason) of everything that is stopped there, for who asks about several senders."""
    wanted = set(addresses)
    rows = SuppressedAddress.objects.filter(channel=channel, lifted_at=None).order_by()
    known: list[tuple[str, str, str]] = []
    if len(wanted) > FEW:
        # Most clinics have fewer stopped addresses than a batch has messages.
        known = list(rows.values_list("address", "sender", "reason")[: FEW + 1])
    if len(wanted) <= FEW or len(known) > FEW:
        known = list(rows.filter(address__among=wanted).values_list("address", "sender", "reason"))
    found: dict[str, list[tuple[str, Reason]]] = {}
    for address, sender, reason in known:
        if address in wanted:
            found.setdefault(address, []).append((sender, Reason(reason)))
    return found


def first_stop(stops: Iterable[tuple[str, Reason]], sender: str | None) -> Reason | None:
    """Why nothing may go there from that sender (see ``suppressed``); what is stopped for all of them comes first."""
    for stopped, reason in sorted(stops):
        if not stopped or sender in ("", stopped):
            return reason
    return None


def release(message_ids: Iterable[uuid.UUID]) -> int:
    """Opens again what the bounces of these messages stopped: somebody has read them, so the address lives after all."""
    return SuppressedAddress.objects.filter(
        message__among=set(message_ids), reason=Reason.CONTACT_UNDELIVERABLE, lifted_at=None
    ).update(lifted_at=timezone.now())


@transaction.atomic
def lift(*, suppressed: SuppressedAddress, actor: User) -> None:
    """A person says that the address may be used again. What was refused meanwhile stays refused.

    Where its reader had told us to stop, the new start is logged as well, by whom it was taken. A number that was
    somebody else's has been checked as a whole: it opens on both of its channels, and the desk's task is over.
    """
    rows = SuppressedAddress.objects.filter(pk=suppressed.pk)
    if suppressed.reason == Reason.WRONG_NUMBER:
        rows = SuppressedAddress.objects.filter(address=suppressed.address, reason=Reason.WRONG_NUMBER)
        desk_tasks.end_by_key(TaskKind.WRONG_NUMBER, wrong_number_key(suppressed.address))
    changed = rows.filter(lifted_at=None).update(lifted_at=timezone.now(), lifted_by=actor)
    if changed:
        address_lifted.send(sender=SuppressedAddress, address=suppressed.address)
        if suppressed.reason == Reason.OPT_OUT_SENDER:
            opt_log.append(
                tenant_id=suppressed.tenant_id,
                act=OptAct.START,
                channel=suppressed.channel,
                sender=suppressed.sender,
                address=suppressed.address,
                raw="",
                source=OptSource.STAFF,
                actor=actor,
            )
        audit.record(
            tenant_id=suppressed.tenant_id,
            actor=actor,
            action="suppressed_address.lifted",
            obj=suppressed,
            before={"reason": suppressed.reason, "channel": suppressed.channel},
        )


def wrong_number_key(address: str) -> str:
    """One task a number, whoever's file it stands in. The number itself stays where it is needed."""
    return hashlib.sha256(address.encode()).hexdigest()[:32]
