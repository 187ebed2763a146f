"""What providers tell us: stored raw first, then applied. Applying twice, late or out of order changes nothing wrong.

The webhooks store and apply; the sweeper applies what a crash left stored only.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

import structlog
from django.db import transaction
from django.utils import timezone

from core.tenancy import system_scope, tenant_scope
from integrations.sms_providers import Kind, get
from notifications import lifecycle
from notifications.models import Message, ProviderReceipt
from notifications.states import LogEvent, Reason, Status

log = structlog.get_logger(__name__)


def store(
    *, provider: str, message_ref: str, provider_message_id: str, status: str, payload: Mapping[str, Any]
) -> ProviderReceipt:
    """Keeps a receipt as it came. ``message_ref`` is our id from the call-back's address; an unknown one is kept too.

    ``payload`` must not hold the address or the text. The same (message, status, error) again is the same row.
    """
    with system_scope("a provider's call-back carries the message's id only"):
        message = _find(message_ref, provider_message_id)
    code = str(payload.get("ErrorCode", ""))
    receipt, _is_new = ProviderReceipt.objects.get_or_create(
        dedupe_key=f"{provider}:{message_ref}:{provider_message_id}:{status}:{code}"[:200],
        defaults={
            "provider": provider,
            "message": message,
            "tenant_id": message.tenant_id if message else None,
            "provider_message_id": provider_message_id[:80],
            "status": status[:30],
            "payload": dict(payload),
            # Nothing to apply it to: stored for support, and done.
            "applied_at": None if message else timezone.now(),
        },
    )
    if message is None:
        log.warning("receipt_unknown_message", provider=provider, receipt_id=str(receipt.pk))
    return receipt


def apply(receipt_id: uuid.UUID) -> bool:
    """Moves the message as the receipt says, if that is forward. True when it moved."""
    receipt = ProviderReceipt.objects.get(pk=receipt_id)
    if receipt.applied_at is not None or receipt.tenant_id is None or receipt.message_id is None:
        return False
    with tenant_scope(receipt.tenant_id), transaction.atomic():
        moved = settle(
            Message.objects.get(pk=receipt.message_id),
            word=receipt.status,
            provider=receipt.provider,
            provider_message_id=receipt.provider_message_id,
            error_code=str(receipt.payload.get("ErrorCode", "")),
            response=receipt.payload,
        )
        ProviderReceipt.objects.filter(pk=receipt.pk).update(applied_at=timezone.now())
    return moved


def settle(
    message: Message,
    *,
    word: str,
    provider: str,
    provider_message_id: str = "",
    error_code: str = "",
    response: Mapping[str, Any] | None = None,
) -> bool:
    """Applies one status word of a provider, from a receipt or from a look-up. The tenant's scope is open."""
    adapter = get(provider)
    status = adapter.parse_status(word)
    if status is None:
        log.warning("receipt_unknown_status", provider=provider, message_id=str(message.pk))
        return False
    fields: dict[str, Any] = {"provider": provider, "lease_token": None, "lease_expires_at": None}
    if provider_message_id:
        fields["provider_message_id"] = provider_message_id[:80]
    if status in (Status.FAILED, Status.BOUNCED):
        if _is_of_an_earlier_attempt(message, provider_message_id):
            log.info("receipt_of_earlier_attempt", provider=provider, message_id=str(message.pk))
            return False
        kind = adapter.kind_of(error_code)
        # A delivered message is only corrected by a hard bounce; a soft "failed" after it is a stray.
        return lifecycle.fail(
            message,
            bounced=status == Status.BOUNCED or kind is Kind.NUMBER,
            may_retry=kind is Kind.TRANSIENT,
            code=error_code,
            detail=adapter.explain(error_code),
            reason=Reason.CONTACT_UNDELIVERABLE if kind is Kind.NUMBER else None,
            response=response,
        )
    if status not in (Status.SENT, Status.DELIVERED, Status.READ):
        return False
    if status != Status.SENT:
        fields |= {"next_check_at": None, "next_attempt_at": None, "fallback_due_at": None}
    known = {"provider_message_id": provider_message_id} if provider_message_id else {}
    return lifecycle.move(message.pk, status, fields=fields, response={**(response or {}), **known})


def _is_of_an_earlier_attempt(message: Message, provider_message_id: str) -> bool:
    """A refusal of a send that was already given up must not fail the retry, or the retry would be sent once more.

    The timeline knows the ids of all sends; only the one that the message rests on now may still fail it.
    """
    rests_on_it = (
        message.status not in (Status.SENDING, Status.UNCONFIRMED)
        and message.provider_message_id == provider_message_id
    )
    sends = message.logs.filter(event=LogEvent.SENT, provider_response__provider_message_id=provider_message_id)
    return bool(provider_message_id) and not rests_on_it and sends.exists()


def _find(message_ref: str, provider_message_id: str) -> Message | None:
    try:
        found = Message.objects.filter(pk=uuid.UUID(message_ref)).first()
    except ValueError:
        found = None
    if found is None and provider_message_id:
        found = Message.objects.filter(provider_message_id=provider_message_id).first()
    return found
