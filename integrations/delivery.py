"""Hands one message to its provider: claim, check again, call, record.

    claim     one conditional UPDATE with a lease; whoever does not get exactly one row stops
    recheck   the gate once more; a refusal ends the message with its reason
    call      no transaction, no row lock
    record    only while the lease is still ours

A crash between claim and record leaves SENDING with a lease that runs out; the sweeper makes it UNCONFIRMED, and it
is settled by a receipt or by asking the provider, never by sending again (invariant 4).
"""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

import structlog
from django.conf import settings
from django.db.models import F, Q
from django.utils import timezone

from core.tenancy import tenant_scope
from integrations import sms_providers
from integrations.messaging_service import MessagingService
from integrations.sms_providers import Accepted, Kind, Outgoing, ProviderError
from notifications import alerts, gate, lifecycle
from notifications.models import Message
from notifications.selectors import tenant_of_message
from notifications.states import Channel, LogEvent, Reason, Status

log = structlog.get_logger(__name__)

# Longer than the slowest provider call (connect 5 s + read 15 s), shorter than a receptionist's patience.
LEASE = dt.timedelta(seconds=90)
# A receipt usually comes within seconds; after this the provider is asked.
FIRST_CHECK = dt.timedelta(minutes=2)
# What a failure means for the patient's address and for the reader.
_REASON_OF_KIND = {Kind.NUMBER: Reason.CONTACT_UNDELIVERABLE, Kind.OPTED_OUT: Reason.OPT_OUT_CHANNEL}


def deliver(message_id: uuid.UUID) -> bool:
    """Sends one message if it is due and nobody else has it. True when the provider was called."""
    tenant_id = tenant_of_message(message_id)
    if tenant_id is None:
        log.warning("message_unknown", message_id=str(message_id))
        return False
    with tenant_scope(tenant_id):
        return _deliver(message_id)


def _deliver(message_id: uuid.UUID) -> bool:
    lease = _claim(message_id)
    if lease is None:
        return False
    message = Message.objects.select_related("tenant", "event", "patient", "user", "guardian", "template").get(
        pk=message_id
    )
    refusal = gate.recheck(message)
    if refusal is not None:
        lifecycle.refuse(message.pk, refusal, lease=lease)
        return False
    try:
        provider = sms_providers.provider_for(Channel(message.channel))
    except sms_providers.ChannelDisabled:
        lifecycle.refuse(message.pk, Reason.CHANNEL_DISABLED, lease=lease)
        alerts.channel_is_down(tenant_id=message.tenant_id, channel=message.channel, code="channel_disabled", detail="")
        log.error("channel_disabled", channel=message.channel)  # noqa: TRY400  # a setting, not a fault of the code
        return False
    Message.objects.filter(pk=message.pk, lease_token=lease).update(provider=provider.name)
    try:
        accepted = provider.send(_outgoing(message, provider.webhook))
    except ProviderError as error:
        _record_failure(message, error, lease)
    else:
        _record_accepted(message, accepted, lease)
    return True


def _claim(message_id: uuid.UUID) -> uuid.UUID | None:
    """QUEUED, or FAILED with a retry that is due → SENDING, ours until the lease runs out."""
    now = timezone.now()
    lease = uuid.uuid4()
    fields = {"lease_token": lease, "lease_expires_at": now + LEASE, "next_attempt_at": None}
    if lifecycle.move(message_id, Status.SENDING, only_from=[Status.QUEUED], fields=fields):
        return lease
    again = lifecycle.move(
        message_id,
        Status.SENDING,
        only_from=[Status.FAILED],
        where=Q(next_attempt_at__lte=now),
        fields={**fields, "retry_count": F("retry_count") + 1},
        event=LogEvent.RETRY,
    )
    return lease if again else None


def _outgoing(message: Message, webhook: str) -> Outgoing:
    valid = None
    if message.expires_at is not None:
        valid = max(1, int((message.expires_at - timezone.now()).total_seconds()))
    return Outgoing(
        message_id=str(message.pk),
        channel=message.channel,
        to=message.recipient,
        sender=message.sender,
        subject=message.subject,
        body=message.body,
        language=message.language,
        callback_url=f"{settings.PUBLIC_BASE_URL}/webhooks/{webhook}/status/{message.pk}/" if webhook else "",
        valid_seconds=valid,
    )


def _record_accepted(message: Message, accepted: Accepted, lease: uuid.UUID) -> None:
    fields: dict[str, Any] = {
        "provider_message_id": accepted.provider_message_id,
        "error_code": "",
        "error_message": "",
        "lease_token": None,
        "lease_expires_at": None,
        # Email has no receipt of its own before an email service is connected: nobody to ask.
        "next_check_at": None if message.channel == Channel.EMAIL else timezone.now() + FIRST_CHECK,
    }
    if accepted.segments:
        fields["segments"] = accepted.segments
    if accepted.cost is not None:
        fields |= {"cost": accepted.cost, "currency": accepted.currency}
    response = {"provider_message_id": accepted.provider_message_id, **accepted.response}
    if lifecycle.move(message.pk, Status.SENT, lease=lease, fields=fields, response=response):
        return
    # The receipt was faster than the answer, or the lease ran out while the provider took its time: the id is
    # still worth keeping, the status is settled by others.
    Message.objects.filter(pk=message.pk, provider_message_id="").update(
        provider_message_id=accepted.provider_message_id
    )
    log.info("accepted_late", message_id=str(message.pk))


def _record_failure(message: Message, error: ProviderError, lease: uuid.UUID) -> None:
    log.warning("send_failed", message_id=str(message.pk), kind=error.kind.value, code=error.code)
    if error.kind is Kind.AMBIGUOUS:
        lifecycle.move(
            message.pk,
            Status.UNCONFIRMED,
            lease=lease,
            fields={
                # That of an attempt before this one: asking about it would tell the wrong story.
                "provider_message_id": "",
                "error_code": error.code[:40],
                "error_message": error.detail[:300],
                "next_check_at": timezone.now() + FIRST_CHECK,
            },
            response=error.response,
            error=f"{error.code} {error.detail}".strip(),
        )
        return
    failed = lifecycle.fail(
        message,
        lease=lease,
        bounced=error.kind is Kind.NUMBER,
        may_retry=error.kind is Kind.TRANSIENT,
        code=error.code,
        detail=error.detail,
        reason=_REASON_OF_KIND.get(error.kind),
        response=error.response,
        retry_after=error.retry_after,
    )
    if error.kind is Kind.CONFIGURATION:
        alerts.channel_is_down(
            tenant_id=message.tenant_id, channel=message.channel, code=error.code, detail=error.detail
        )
    if failed:
        MessagingService().fall_back(message)
