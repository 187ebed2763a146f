"""STOP and START: whoever reads an address tells one of our senders to be silent, or to write again. With proof.

A stop holds from the next claim on, whoever the patients are that have the address; it is logged as it came
(``opt_log``), and takes back what was agreed to beyond the care: nobody who says stop wants offers. Needs the tenant's
scope open, as everything of one tenant: the same number may have said nothing to another.
"""

from __future__ import annotations

import uuid

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from core import phone
from core.models import Guardian, Patient, User
from notifications import consents, opt_log
from notifications.consent_states import NEED_A_YES, Method, OptAct, OptSource, Purpose, purpose_of
from notifications.models import OptEvent, SuppressedAddress
from notifications.models.preference import cell
from notifications.preference_links import UNSUBSCRIBABLE, Key
from notifications.preferences import preference_update
from notifications.states import Channel, Reason
from notifications.suppression import suppress

_METHODS = {
    OptSource.REPLY: Method.REPLY,
    OptSource.PAGE: Method.PAGE,
    OptSource.ONE_CLICK: Method.ONE_CLICK,
    OptSource.STAFF: Method.STAFF,
    OptSource.PROVIDER: Method.REPLY,
}
# What a START of the reader opens again. A dead number or a wrong one stays shut: a person must look at these.
_OPENED_BY_START = (Reason.OPT_OUT_SENDER, Reason.OPTED_OUT)


@transaction.atomic
def stop(
    *,
    tenant_id: uuid.UUID,
    channel: str,
    sender: str,
    address: str,
    raw: str,
    source: str,
    patient: Patient | None = None,
    guardian: Guardian | None = None,
    actor: User | None = None,
) -> OptEvent:
    """Silences ``sender`` (empty: whatever we write from) on a channel for an address. Every call is logged.

    ``raw`` is what the reader wrote, untouched. ``patient``: about whom the conversation was, if that is known;
    ``guardian``: with whom it was.
    """
    place = normal(channel, address)
    row = opt_log.append(
        tenant_id=tenant_id,
        act=OptAct.STOP,
        channel=channel,
        sender=sender,
        address=place,
        raw=raw,
        source=source,
        patient=patient,
        actor=actor,
    )
    suppress(tenant_id=tenant_id, channel=channel, address=place, sender=sender, reason=Reason.OPT_OUT_SENDER)
    if patient is not None:
        consents.withdraw(
            patient=patient,
            guardian=guardian,
            purposes=(Purpose.AWARENESS, Purpose.PROMOTION),
            method=_METHODS[OptSource(source)],
            evidence=f"opt-out {row.position}",
        )
    return row


@transaction.atomic
def resume(
    *,
    tenant_id: uuid.UUID,
    channel: str,
    sender: str,
    address: str,
    raw: str,
    source: str,
    patient: Patient | None = None,
    actor: User | None = None,
) -> OptEvent:
    """The reader wants to hear of us again: what their stop had shut is open. Consents do not come back by themselves."""
    place = normal(channel, address)
    row = opt_log.append(
        tenant_id=tenant_id,
        act=OptAct.START,
        channel=channel,
        sender=sender,
        address=place,
        raw=raw,
        source=source,
        patient=patient,
        actor=actor,
    )
    shut = SuppressedAddress.objects.filter(channel=channel, address=place, lifted_at=None, reason__in=_OPENED_BY_START)
    if sender:
        # A stop to another of our senders stays.
        shut = shut.filter(sender__in=["", sender])
    shut.update(lifted_at=timezone.now(), lifted_by=actor)
    return row


def is_stopped(*, channel: str, sender: str, address: str) -> bool:
    """Whether that sender was told to be silent there, and not to speak again since."""
    rows = SuppressedAddress.objects.filter(
        channel=channel, address=normal(channel, address), lifted_at=None, reason__in=_OPENED_BY_START
    )
    return rows.filter(sender__in=["", sender]).exists() if sender else rows.exists()


def normal(channel: str, address: str) -> str:
    """The address as messages have it: a bare number in E.164, an email as it is written."""
    bare = address.strip().removeprefix("whatsapp:")
    if channel == Channel.EMAIL:
        return bare
    try:
        return phone.to_e164(bare)
    except ValidationError:
        # A landline, a short code, or a number of a country that we cannot check: as the provider names it.
        return bare


@transaction.atomic
def unsubscribe(*, key: Key, notification_type: str, raw: str, source: str) -> None:
    """One kind of message by email, or what was agreed to beyond the care over every channel. Logged each time.

    Raises ``ValueError`` for what is part of the care.
    """
    if notification_type not in UNSUBSCRIBABLE:
        raise ValueError("this is part of the care")
    patient = key.patient
    row = opt_log.append(
        tenant_id=patient.tenant_id,
        act=OptAct.STOP,
        channel=Channel.EMAIL,
        sender="",
        address=key.contact.email,
        raw=raw,
        source=source,
        patient=patient,
    )
    method = _METHODS[OptSource(source)]
    purpose = purpose_of(notification_type)
    if purpose in NEED_A_YES:
        consents.withdraw(
            patient=patient,
            guardian=key.guardian,
            purposes=[purpose],
            method=method,
            evidence=f"opt-out {row.position}",
        )
        return
    wishes = consents.locked_preference(patient)
    preference_update(
        actor=None,
        patient=patient,
        guardian=key.guardian,
        method=method,
        values={"switched_off": sorted({*wishes.switched_off, cell(Channel.EMAIL, notification_type)})},
    )
