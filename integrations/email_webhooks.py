"""Where a mail service reports: delivered, bounced, complained. Read by django-anymail, stored raw, answered at once.

One address for whichever service ``ANYMAIL_ESP`` names. anymail knows each one's format and signature and makes of it
the same few words; what they mean for a message says ``integrations/providers/anymail_email.py``.
"""

from __future__ import annotations

import functools
import json
import re
from typing import Any

import structlog
from anymail import urls as anymail_urls
from anymail.exceptions import AnymailWebhookValidationFailure
from anymail.signals import AnymailTrackingEvent, EventType, RejectReason, tracking
from django.conf import settings
from django.dispatch import receiver
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBadRequest, HttpResponseForbidden
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from core.access import public
from core.queueing import ring
from integrations.tasks import apply_receipts_task
from notifications import receipts

log = structlog.get_logger(__name__)

# The mailbox is dead. Other bounces (blocked, full) say nothing about the address.
_HARD = {RejectReason.BOUNCED, RejectReason.INVALID}
# What services call a bounce that may not come back tomorrow; anymail does not tell it from the other kind.
_SOFT = {"SoftBounce", "soft_bounce", "activity.soft_bounced"}
_UNWANTED = {EventType.COMPLAINED, EventType.UNSUBSCRIBED}
_NOT_DELIVERED = {EventType.BOUNCED, EventType.REJECTED, EventType.FAILED}
# An enhanced status code (RFC 3463), all that is kept of the other server's words: they quote the address.
_MAIL_STATUS = re.compile(r"\b[245]\.\d{1,3}\.\d{1,3}\b")


@public
@csrf_exempt
@require_http_methods(["POST", "HEAD"])  # with HEAD some services try the address
@never_cache
def email_events(request: HttpRequest) -> HttpResponse:
    """Events of the mail service. Without our secret 403; an unknown mail is no error."""
    view_class = _view_class(settings.ANYMAIL_ESP)
    if view_class is None or not settings.ANYMAIL_WEBHOOK_SECRET:
        raise Http404
    view = view_class(webhook_secret=settings.ANYMAIL_WEBHOOK_SECRET)
    view.setup(request)
    try:
        answer: HttpResponse = view.dispatch(request)
    except AnymailWebhookValidationFailure:
        log.warning("webhook_refused", provider="anymail", is_signed="Authorization" in request.headers)
        return HttpResponseForbidden()
    except (UnicodeDecodeError, json.JSONDecodeError):
        return HttpResponseBadRequest()
    return answer


@receiver(tracking, dispatch_uid="integrations.email_webhooks.receive")
def receive(event: AnymailTrackingEvent, esp_name: str, **_signal: Any) -> None:
    """Keeps one event: ids, codes and times. The address, the subject and the reader's device never get here."""
    metadata = event.metadata or {}
    attempt = str(metadata.get("attempt", ""))
    word, reason = _read(event)
    is_new = receipts.store(
        provider="anymail",
        message_ref=str(metadata.get("message_id", "")),
        provider_message_id=str(event.message_id or ""),
        status=word,
        error_code=reason,
        attempt=int(attempt) if attempt.isascii() and attempt.isdigit() and len(attempt) <= 4 else None,
        payload={
            "service": esp_name,
            "event": str(event.event_type),
            "event_id": str(event.event_id or ""),
            "reason": str(event.reject_reason or ""),
            "mail_status": "".join(_MAIL_STATUS.findall(event.mta_response or "")[:1]),
            "at": event.timestamp.isoformat() if event.timestamp else "",
        },
    )
    if is_new:
        ring(apply_receipts_task)


def _read(event: AnymailTrackingEvent) -> tuple[str, str]:
    """The event's word and error code in the tables of ``integrations/providers/anymail_email.py``."""
    word = str(event.event_type)
    if word in _UNWANTED:
        return word, word
    if word not in _NOT_DELIVERED:
        return word, ""
    if word == EventType.BOUNCED and _SOFT & set(_texts(event.esp_event)):
        return EventType.FAILED, "soft_bounce"
    reason = str(event.reject_reason or RejectReason.OTHER)
    if word == EventType.BOUNCED and reason not in _HARD:
        word = EventType.FAILED
    return word, reason


def _texts(esp_event: Any) -> list[str]:
    """The texts on the top level of what the service sent."""
    return [value for value in esp_event.values() if isinstance(value, str)] if hasattr(esp_event, "values") else []


@functools.cache
def _view_class(service: str) -> Any:
    """anymail's view that reads this service's reports; None for a service that it does not know."""
    views = {pattern.name: pattern.callback.view_class for pattern in anymail_urls.urlpatterns}
    return views.get(f"{service}_tracking_webhook") or views.get(f"{service}_webhook")
