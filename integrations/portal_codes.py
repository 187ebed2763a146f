"""Sends the codes of the patients' sign-in: who is known by the address, in which clinic groups, over which channel.

The message holds asterisks. The code stands sealed in its own row (``core.models.PortalCode``) and is put in at the moment
of the call, so no page, list, export or log of ours ever shows it. It goes by the urgent lane, past wishes and quiet hours:
whoever asks for it is waiting for it. An address that must not be written to gets none.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import replace

import structlog
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from core import portal_sign_in
from core.models import Guardian, Location, PortalRequest
from core.portal_people import OpenFile, files_of
from core.tenancy import active_tenant_ids, tenant_scope
from integrations import outbox, whatsapp
from integrations.outbox import Origin
from integrations.sms_providers import Outgoing
from notifications.gate import preference_of
from notifications.models import Message, MessageTemplate
from notifications.portal_events import CODE_KEY, MASK
from notifications.registry import Audience, get
from notifications.rendering import Code
from notifications.states import Channel, Lane, NotificationType, Reason
from notifications.suppression import suppressed

log = structlog.get_logger(__name__)


def send(wish_id: uuid.UUID) -> int:
    """Makes and queues the codes of one wish; returns how many. Run again, it makes none twice."""
    now = timezone.now()
    claimed = PortalRequest.objects.filter(pk=wish_id, handled_at=None, expires_at__gt=now).update(
        attempts=F("attempts") + 1
    )
    if not claimed:
        return 0
    wish = PortalRequest.objects.get(pk=wish_id)
    address = wish.address or ""
    made, failed = 0, 0
    for tenant_id in active_tenant_ids() if address else ():
        try:
            with tenant_scope(tenant_id), transaction.atomic():
                files = files_of(address)
                made += bool(files) and _queue(wish, tenant_id, address, files[0])
        except Exception as error:  # noqa: BLE001  # logged; the others get theirs, and the sweeper tries this one again
            log.warning("portal_code_failed", tenant_id=str(tenant_id), error=type(error).__name__)
            failed += 1
    if not failed:
        PortalRequest.objects.filter(pk=wish_id).update(handled_at=timezone.now(), address="")
    return made


def _queue(wish: PortalRequest, tenant_id: uuid.UUID, address: str, file: OpenFile) -> bool:
    code = portal_sign_in.new_code(wish, tenant_id, address)
    if code is None:
        return False
    language = _language(file)
    channel, template, refusal = _way(address, file, language)
    message = outbox.write(
        Message(
            tenant_id=tenant_id,
            patient=file.patient,
            guardian_id=file.guardian_id,
            channel=channel,
            notification_type=NotificationType.GENERAL,
            recipient=address,
            language=language,
            dedupe_key=f"{portal_sign_in.CODE_PREFIX}{code.pk}",
        ),
        origin=Origin(lane=Lane.URGENT, location=_location(), useful_until=wish.expires_at),
        refusal=refusal,
        template=template,
        context={"clinic_name": file.patient.tenant, "code": Code(MASK)},
    )
    code.message_id = message.pk
    code.save(update_fields=["digest", "sealed", "message_id"])
    return True


def _way(address: str, file: OpenFile, language: str) -> tuple[str, MessageTemplate | None, Reason | None]:
    """The first channel over which it may go; else the first at all, with the reason why not."""
    code = get(CODE_KEY).template_code(Audience.PATIENT)
    templates = {row.channel: row for row in MessageTemplate.objects.filter(code=code, is_active=True)}
    refusals: list[tuple[str, Reason]] = []
    for channel in (Channel.EMAIL,) if "@" in address else (Channel.SMS, Channel.WHATSAPP):
        refusal = suppressed(channel, [address]).get(address)
        if refusal is None and channel not in templates:
            refusal = Reason.TEMPLATE_MISSING
        if refusal is None:
            refusal = whatsapp.refusal(
                patient=file.patient, template=templates[channel], language=language, address=address
            )
        if refusal is None:
            return channel, templates[channel], None
        refusals.append((channel, refusal))
    first, why = refusals[0]
    return first, templates.get(first), why


def _language(file: OpenFile) -> str:
    if file.guardian_id is not None:
        return Guardian.objects.values_list("language", flat=True).get(pk=file.guardian_id)
    return preference_of(file.patient).preferred_language or file.patient.language


def _location() -> Location | None:
    """Whose sender it goes out under: the group's first location, as for a bill without a visit."""
    return Location.objects.filter(is_active=True).order_by("name_en", "pk").first()


# --- at the moment of the call ---------------------------------------------------------------------------------------


def codes_of(messages: Sequence[Message]) -> dict[uuid.UUID, str]:
    """Message id → the code that belongs into it. No query for a batch without any."""
    ids = [message.pk for message in messages if portal_sign_in.is_code(message.dedupe_key)]
    return portal_sign_in.codes_of(ids) if ids else {}


def filled(outgoing: Outgoing, code: str | None) -> Outgoing:
    """With the code where the asterisks stand; everything else goes as it is."""
    if code is None:
        return outgoing
    approved = outgoing.approved
    if approved is not None:
        approved = replace(approved, variables=approved.variables.replace(MASK, code))
    return replace(
        outgoing,
        subject=outgoing.subject.replace(MASK, code),
        body=outgoing.body.replace(MASK, code),
        approved=approved,
    )
