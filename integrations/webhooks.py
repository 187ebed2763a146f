"""Where providers report: verified, stored raw, applied, answered at once.

Whoever cannot prove to be the provider gets 403. An unknown message, a repeated or a late report is no error: it is
kept, and the provider is thanked, or it would try for days.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping

import structlog
from django.conf import settings
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse, HttpResponseForbidden
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_POST
from twilio.request_validator import RequestValidator

from core.access import public
from integrations import sms_providers
from integrations.sandbox import account
from integrations.sms_providers import ProviderError
from notifications import receipts, replies
from notifications.states import Channel

log = structlog.get_logger(__name__)

# What is kept of a report: ids, codes and times. An address, a name or a text never gets here (invariant 12).
_KEPT = (
    "MessageSid",
    "MessagingServiceSid",
    "MessageStatus",
    "ErrorCode",
    "ApiVersion",
    "ChannelPrefix",
    "EventType",
    "RawDlrDoneDate",
)
_NOTHING_TO_SAY = '<?xml version="1.0" encoding="UTF-8"?><Response/>'


@public
@csrf_exempt
@require_POST
@never_cache
def twilio_status(request: HttpRequest, message_ref: str) -> HttpResponse:
    """A message has a new status. Twilio guarantees neither order nor number; the status only moves forward."""
    provider = _twilio_account(request)
    if provider is None:
        return HttpResponseForbidden()
    _store_and_apply(
        provider=provider,
        message_ref=message_ref,
        provider_message_id=request.POST.get("MessageSid", ""),
        status=request.POST.get("MessageStatus", ""),
        payload={name: request.POST[name] for name in _KEPT if name in request.POST},
    )
    return HttpResponse(status=204)


@public
@csrf_exempt
@require_POST
@never_cache
def twilio_inbound(request: HttpRequest) -> HttpResponse:
    """A patient wrote back."""
    provider = _twilio_account(request)
    if provider is None:
        return HttpResponseForbidden()
    sender = request.POST.get("From", "")
    bare = sender.removeprefix("whatsapp:")
    replies.receive(
        provider=provider,
        channel=Channel.SMS if bare == sender else Channel.WHATSAPP,
        sender=bare,
        to=request.POST.get("To", "").removeprefix("whatsapp:"),
        body=request.POST.get("Body", ""),
        provider_message_id=request.POST.get("MessageSid", ""),
    )
    return HttpResponse(_NOTHING_TO_SAY, content_type="text/xml")


@public
@csrf_exempt
@require_http_methods(["GET", "POST"])
@never_cache
def unifonic_status(request: HttpRequest, message_ref: str) -> HttpResponse:
    """Unifonic signs nothing, so a report with our key is a hint: Unifonic is asked, and its answer is believed.

    When it cannot be asked now, 503 makes it report again.
    """
    if not _has_unifonic_key(request):
        return HttpResponseForbidden()
    try:
        found = sms_providers.get("unifonic").look_up(message_id=message_ref, to="", sent_after=timezone.now())
    except ProviderError as error:
        log.warning("receipt_not_confirmed", provider="unifonic", kind=error.kind.value, code=error.code)
        return HttpResponse(status=503)
    if found is None:
        log.warning("receipt_unknown_message", provider="unifonic")
        return HttpResponse(status=200)
    _store_and_apply(
        provider="unifonic",
        message_ref=message_ref,
        provider_message_id=found.provider_message_id,
        status=found.status,
        payload={"MessageID": found.provider_message_id, "confirmed": found.status, "reported": _reported(request)},
    )
    return HttpResponse(status=200)


def _store_and_apply(
    *, provider: str, message_ref: str, provider_message_id: str, status: str, payload: Mapping[str, str]
) -> None:
    """Stored first: from then on nothing is lost, and what cannot be applied now is applied by the sweeper."""
    receipt = receipts.store(
        provider=provider,
        message_ref=message_ref,
        provider_message_id=provider_message_id,
        status=status,
        payload=payload,
    )
    try:
        receipts.apply(receipt.pk)
    except DatabaseError:
        log.exception("receipt_left_to_the_sweeper", receipt_id=str(receipt.pk))


def _twilio_account(request: HttpRequest) -> str | None:
    """Whose signature the call carries: “twilio”, “sandbox” (while it is switched on) or None.

    The signature covers the address as the provider called it, which behind a proxy only PUBLIC_BASE_URL knows, and
    all parameters, also those that Twilio adds one day. Key and algorithm are ours to choose, never the header's.
    """
    signature = request.headers.get("X-Twilio-Signature", "")
    url = settings.PUBLIC_BASE_URL + request.get_full_path()
    tokens = {"twilio": settings.TWILIO_AUTH_TOKEN, "sandbox": account.TOKEN if settings.SANDBOX_ENABLED else ""}
    for provider, token in tokens.items():
        if signature and token and RequestValidator(token).validate(url, request.POST, signature):
            return provider
    log.warning("webhook_refused", provider="twilio", is_signed=bool(signature))
    return None


def _has_unifonic_key(request: HttpRequest) -> bool:
    given = request.GET.get("key", "") or request.headers.get("X-Agdar-Key", "")
    wanted = settings.UNIFONIC_WEBHOOK_SECRET
    if wanted and hmac.compare_digest(given.encode(), wanted.encode()):
        return True
    log.warning("webhook_refused", provider="unifonic", is_signed=bool(given))
    return False


def _reported(request: HttpRequest) -> str:
    """The status word of the report; form, JSON and query are all in use, in several spellings."""
    fields: Mapping[str, object] = {**request.GET.dict(), **request.POST.dict()}
    if request.content_type == "application/json":
        try:
            read = json.loads(request.body)
        except ValueError:
            read = {}
        fields = {**fields, **read} if isinstance(read, dict) else fields
    named = {name.lower(): value for name, value in fields.items()}
    return str(named.get("dlr") or named.get("status") or "")[:40]
