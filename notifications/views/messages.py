"""The page of one message: its way, why it went or did not, and what can be done about it."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import messages as notes
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.cache import patch_vary_headers
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views import View
from django.views.decorators.http import require_safe

from appointments.models import Appointment
from core import looks
from core.access import Can, get_or_404, require
from core.errors import DomainError
from core.models.look import Look
from core.selectors import zone_of
from integrations import health
from integrations.health import Way
from integrations.messaging_service import MessagingService
from notifications import raw_reports, selectors, withdrawal
from notifications.models import Message
from notifications.states import Status
from notifications.views import sentence, timeline


class MessageDetailView(View):
    """One message. For htmx: what can have changed since, or nothing (204) when nothing has."""

    def get(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
        message = get_or_404(selectors.message_in_full(), pk)
        obstacle = health.obstacle(message.channel, message.sender) if timeline.waits(message) else None
        state = f"{obstacle.state}{obstacle.since:%s}" if obstacle and obstacle.since else ""
        asked = f"{message.next_check_at:%s}" if message.next_check_at else ""
        tag = f"{message.status}-{message.updated_at:%s%f}-{asked}-{state}"
        if request.htmx and request.GET.get("seen") == tag:
            return HttpResponse(status=204)
        context = {"message": message, "tag": tag, **_live(request, message, obstacle)}
        looks.record_look(user=request.user, message=message, page=Look.Page.MESSAGE)
        if request.htmx:
            response = render(request, "notifications/partials/message_live.html", context)
        else:
            response = render(request, "notifications/message_detail.html", {**context, **_still(message)})
        patch_vary_headers(response, ["HX-Request"])
        return response


class MessageCancelView(View):
    """Takes back a message that has not left yet."""

    def post(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
        message = get_or_404(Message.objects.all(), pk)
        try:
            withdrawal.cancel(message=message, actor=request.user)
        except DomainError as error:
            notes.error(request, str(error))
        else:
            notes.success(request, _("The message is cancelled. It will not be sent."))
        return redirect("notifications:message_detail", pk=message.pk)


@require(Can.ADMINISTER)
@require_safe
def message_receipts(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """What the providers said, word for word. The part alone when htmx asks for it."""
    message = get_or_404(selectors.message_in_full(), pk)
    looks.record_look(user=request.user, message=message, page=Look.Page.RECEIPTS)
    response = render(
        request,
        f"notifications/{'partials/message_receipts.html' if request.htmx else 'message_receipts.html'}",
        {"message": message, "reports": raw_reports.of(message), "location": request.user.location},
    )
    patch_vary_headers(response, ["HX-Request"])
    return response


class MessageRetryView(View):
    """Puts a failed message back into the queue. Then the page on which that was asked, or else the message's own."""

    def post(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
        message = get_or_404(Message.objects.all(), pk)
        try:
            MessagingService().retry_failed_message(message.pk, actor=request.user)
        except DomainError as error:
            notes.error(request, str(error))
        else:
            notes.success(request, _("The message is in the queue again."))
        target = request.POST.get("next", "")
        if url_has_allowed_host_and_scheme(target, {request.get_host()}, require_https=request.is_secure()):
            return redirect(target)
        return redirect("notifications:message_detail", pk=message.pk)


def _live(request: HttpRequest, message: Message, obstacle: Way | None) -> dict[str, Any]:
    """What changes while a message travels."""
    zone = zone_of(request.user)
    logs, attempts = selectors.timeline(message), selectors.attempts_of(message)
    verdict, tone = timeline.verdict(message, logs, obstacle, zone)
    return {
        "steps": timeline.steps(message, logs, attempts, zone),
        "tries": timeline.tries(message, attempts, zone),
        # What is billed: a message that was handed over twice costs twice.
        "billed_segments": sum(row.segments for row in attempts) or message.segments,
        "report_note": timeline.report_note(message),
        "is_moving": timeline.is_moving(message),
        "provider_name": timeline.provider_name(message.provider) if message.provider else "",
        "verdict": verdict or sentence.fate(message, zone),
        "occasion": sentence.occasion(message),
        "verdict_tone": tone,
        "may_retry": message.can_retry(),
        "may_cancel": withdrawal.can_cancel(message),
        "may_write_anew": message.patient is not None and message.status in (Status.FAILED, Status.BOUNCED),
        "location": request.user.location,
    }


def _still(message: Message) -> dict[str, Any]:
    """What only a full page shows."""
    appointment = None
    if message.object_type == Appointment._meta.label_lower and message.object_id is not None:
        appointment = Appointment.objects.select_related("location").filter(pk=message.object_id).first()
    return {
        "appointment": appointment,
        "replies": selectors.replies_to(message),
        "copies": selectors.copies_of(message),
        "list_url": reverse("notifications:message_list"),
    }
