"""Where providers report: verified, stored raw, answered at once; a worker applies it.

Whoever cannot prove to be the provider gets 403. An unknown message, a repeated or a late report is no error: it is
kept, and the provider is thanked, or it would try for days.
"""

from __future__ import annotations

import hmac
import json
import uuid
from collections.abc import Mapping
from functools import cache
from typing import Any
from urllib.parse import parse_qs

import structlog
from django.conf import settings
from django.core.exceptions import TooManyFieldsSent
from django.http import HttpRequest, HttpResponse, HttpResponseForbidden
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_POST
from twilio.request_validator import RequestValidator

from core.access import public
from core.queueing import ring
from integrations import credentials
from integrations.models import ProviderAccount
from integrations.sandbox import account
from integrations.tasks import answer_replies_task, apply_receipts_task
from notifications import receipts, replies
from notifications.selectors import tenant_of_message
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


class _Parameters(dict[str, list[str]]):
    """The parameters of a call with all their values, as Twilio's validator wants them."""

    getall = dict.__getitem__

    def last(self, name: str) -> str:
        return self[name][-1] if name in self else ""


def _parameters(request: HttpRequest) -> _Parameters:
    """Read without ``request.POST``, which takes longer to build than a signature to check."""
    if request.content_type != "application/x-www-form-urlencoded":
        return _Parameters(request.POST.lists())
    try:
        return _Parameters(parse_qs(request.body.decode(errors="replace"), keep_blank_values=True, max_num_fields=200))
    except ValueError:
        raise TooManyFieldsSent from None


@public
@csrf_exempt
@require_POST
def twilio_status(request: HttpRequest, message_ref: str) -> HttpResponse:
    """A message has a new status. Twilio guarantees neither order nor number; the status only moves forward."""
    form = _parameters(request)
    provider = _twilio_account(request, form) or _name_of(_own_twilio(request, form), message_ref)
    if provider is None:
        return _refuse_twilio(request)
    _store(
        provider=provider,
        message_ref=message_ref,
        attempt=_attempt(request),
        provider_message_id=form.last("MessageSid"),
        status=form.last("MessageStatus"),
        error_code=form.last("ErrorCode"),
        payload={name: form.last(name) for name in _KEPT if name in form},
    )
    return HttpResponse(status=204)


@public
@csrf_exempt
@require_POST
def twilio_inbound(request: HttpRequest) -> HttpResponse:
    """A patient wrote back."""
    form = _parameters(request)
    provider, own = _twilio_account(request, form), None
    if provider is None:
        own = _own_twilio(request, form)
        if own is None:
            return _refuse_twilio(request)
        provider = own.name
    sender = form.last("From")
    bare = sender.removeprefix("whatsapp:")
    reply = replies.receive(
        provider=provider,
        channel=Channel.SMS if bare == sender else Channel.WHATSAPP,
        sender=bare,
        to=form.last("To").removeprefix("whatsapp:"),
        body=form.last("Body"),
        provider_message_id=form.last("MessageSid"),
        tenant_id=own.tenant_id if own is not None else None,
        replied_to_id=form.last("OriginalRepliedMessageSid"),
    )
    if reply is not None and reply.handled_at is None:
        ring(answer_replies_task)
    return HttpResponse(_NOTHING_TO_SAY, content_type="text/xml")


@public
@csrf_exempt
@require_http_methods(["GET", "POST"])
@never_cache
def unifonic_status(request: HttpRequest, message_ref: str) -> HttpResponse:
    """Unifonic signs nothing, so a report with our key is a hint: Unifonic is asked later, and its answer is believed."""
    provider = "unifonic" if _has_unifonic_key(request) else _name_of(_own_unifonic(request), message_ref)
    if provider is None:
        log.warning("webhook_refused", provider="unifonic", is_signed=bool(_unifonic_key(request)))
        return HttpResponseForbidden()
    reported = _reported(request)
    _store(
        provider=provider,
        message_ref=message_ref,
        attempt=_attempt(request),
        provider_message_id="",
        status=receipts.HINT + reported,
        error_code="",
        payload={"reported": reported},
    )
    return HttpResponse(status=200)


def _store(**receipt: Any) -> None:
    """Stored first: from then on nothing is lost. A repeated one has been rung for already."""
    if receipts.store(**receipt):
        ring(apply_receipts_task)


def _attempt(request: HttpRequest) -> int | None:
    """The number that we put into the call-back's address; None where there is none, or nonsense."""
    given = parse_qs(request.META.get("QUERY_STRING", "")).get("attempt", [""])[-1]
    return int(given) if given.isascii() and given.isdigit() and len(given) <= 4 else None


def _twilio_account(request: HttpRequest, form: _Parameters) -> str | None:
    """Whose signature the call carries: “twilio”, “sandbox” (while it is switched on) or None: none of the house's.

    The signature covers the address as the provider called it, which behind a proxy only PUBLIC_BASE_URL knows, and
    all parameters, also those that Twilio adds one day. Key and algorithm are ours to choose, never the header's.
    """
    signature = request.META.get("HTTP_X_TWILIO_SIGNATURE", "")
    url = settings.PUBLIC_BASE_URL + request.get_full_path()
    tokens = {"twilio": settings.TWILIO_AUTH_TOKEN, "sandbox": account.TOKEN if settings.SANDBOX_ENABLED else ""}
    for provider, token in tokens.items():
        if signature and token and _is_signed(_validator(token), url, form, signature):
            return provider
    return None


def _own_twilio(request: HttpRequest, form: _Parameters) -> ProviderAccount | None:
    """The clinic group's own account whose signature the call carries. The SID that the call names only chooses whose."""
    signature, sid = request.META.get("HTTP_X_TWILIO_SIGNATURE", ""), form.last("AccountSid")
    if not signature or not sid:
        return None
    url = settings.PUBLIC_BASE_URL + request.get_full_path()
    for account_row in credentials.reporting("twilio", sid[:40]):
        # Not by the cache of the house's validators: it would keep a secret that was deleted.
        if account_row.secret and _is_signed(RequestValidator(account_row.secret), url, form, signature):
            return account_row
    return None


def _own_unifonic(request: HttpRequest) -> ProviderAccount | None:
    given = _unifonic_key(request).encode()
    if not given:
        return None
    rows = credentials.reporting("unifonic")
    return next((row for row in rows if row.webhook_key and hmac.compare_digest(given, row.webhook_key.encode())), None)


def _name_of(own: ProviderAccount | None, message_ref: str) -> str | None:
    """The account's name. None where it reports on a message of another clinic group: it can prove only who it is."""
    if own is None:
        return None
    try:
        tenant_id = tenant_of_message(uuid.UUID(message_ref))
    except ValueError:
        tenant_id = None
    return own.name if tenant_id == own.tenant_id else None


def _refuse_twilio(request: HttpRequest) -> HttpResponse:
    log.warning("webhook_refused", provider="twilio", is_signed=bool(request.META.get("HTTP_X_TWILIO_SIGNATURE")))
    return HttpResponseForbidden()


def _is_signed(validator: RequestValidator, url: str, form: _Parameters, signature: str) -> bool:
    """As Twilio's own ``validate`` would say, which computes all of its variants each time: here the usual one first.

    Compared as bytes: a header that is not ASCII must be refused, not raise.
    """
    usual = validator.compute_signature(url, form)
    if hmac.compare_digest(usual.encode(), signature.encode(errors="replace")):
        return True
    return bool(validator.validate(url, form, signature))


@cache
def _validator(token: str) -> RequestValidator:
    return RequestValidator(token)


def _has_unifonic_key(request: HttpRequest) -> bool:
    wanted = settings.UNIFONIC_WEBHOOK_SECRET
    return bool(wanted) and hmac.compare_digest(_unifonic_key(request).encode(), wanted.encode())


def _unifonic_key(request: HttpRequest) -> str:
    return request.GET.get("key", "") or request.headers.get("X-Agdar-Key", "")


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
